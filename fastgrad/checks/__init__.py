"""What check_grad does: a gradient under test, judged."""
