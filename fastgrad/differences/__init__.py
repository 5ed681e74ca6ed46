"""From values of the loss to slopes with error bars, for gradients and for checks alike."""
