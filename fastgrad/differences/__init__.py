"""Slopes with error bars from values of the loss, for gradients and for checks alike."""
