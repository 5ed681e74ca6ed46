"""Gradients that were wrong."""
