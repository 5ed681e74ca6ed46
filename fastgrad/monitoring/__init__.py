"""A gradient checked while training: lines along it, and evidence that adds up over steps."""
