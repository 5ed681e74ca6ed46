"""Right losses and gradients as courses and textbooks write them; each module has an `example`."""
