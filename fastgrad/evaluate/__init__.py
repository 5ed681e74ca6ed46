"""How a loss is run: evaluators of a flat theta, and what is above does not know which."""
