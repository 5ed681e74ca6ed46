"""Gradients that were right, and were called wrong."""
