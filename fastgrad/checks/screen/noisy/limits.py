"""What errors lines through a rough loss would have missed.

An error c a of a block shows as c times the sum of all ``|v a|`` along its signs: it is missed below
three bars. What random directions miss is told by `fastgrad.checks.screen.noisy.pooled.Pooled.limit`.
"""

BARS = 3.0
"""Bars beyond which an error along the gradient is seen, and stands when it is looked at again: one for
each of these, and one for how rough the parts are."""
HALVED = 4.0
"""Lines that make limits half as wide, for each that there was."""
