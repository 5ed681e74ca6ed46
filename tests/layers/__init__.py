"""Layers, Jacobians and Hessians under test."""
