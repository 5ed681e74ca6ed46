"""Losses that can re-evaluate cheaply after a small change of theta."""
