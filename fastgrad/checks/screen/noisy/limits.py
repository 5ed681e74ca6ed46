"""What errors lines through a rough loss would have missed.

An error c a of a block shows as c times the sum of all ``|v a|`` along its signs: it is missed below
three bars. What random directions miss is told by `fastgrad.checks.screen.noisy.pooled.Pooled.limit`.
"""

from fastgrad.differences.few_digits import is_coarse
from fastgrad.differences.loss import Loss

BARS = 3.0
"""Bars beyond which an error along the gradient is seen, and stands when it is looked at again: one for
each of these, and one for how rough the parts are."""
PARTS = 6
"""Parts of a block, halves by the first axis, by the last, and by turns."""
PARTS_SDS = 8.0
"""The same in sds of single lines, where a mean of many shows an error.

Six parts of the block, of sqrt(2) times the sd each, must show it by a t statistic, so that it is
``(6.9 + 2.3) sqrt(2 / 6) = 5.3`` sds if they scatter as expected, and half as much again if by more.
"""
PARTS_SDS_IF_COARSE, PARTS_SDS_IF_SMALL = 4.0, 2.8
"""The same where the loss has few digits, and there are four rounds of parts: ``(3.8 + 2.3) sqrt(2 / 24)
= 1.8`` sds, and twice that; and of blocks of so few entries that a part is all of it."""
SHARED_IF_COARSE, SHARED_IF_SMALL = 0.03, 0.1
"""What slopes along signs may be off by all alike where the loss has few digits, beside what they
scatter by: treads and kinks near by. In five families of nets it was 2% of weights, 5% of biases, and up
to 15% of blocks of so few entries that all parts are alike, beside their own bar of 6%."""
HALVED = 4.0
"""Lines that make limits half as wide, for each that there was."""
AGREES_ALONG = 0.1
"""A block of which a larger factor would be missed is left open."""
AGREES_IF_COARSE = 0.5
"""The same where the loss has few digits: a sign, a zero and a factor of 2 are excluded, and no more
said."""
AGREES_SHAPE, SHAPE_IF_COARSE = 0.5, 1.0
"""So is a gradient of which an error of a larger part of its norm would be: another gradient altogether
is off by 1.4."""

NOTHING = 0.01
"""A block whose gradient is zero, or not known to be none, agrees if it is known within this part of the
largest."""


def useful_limits(loss: Loss) -> tuple[float, float]:
    """The widest limits with which a gradient agrees: a factor of a block, less one, and any error."""
    if is_coarse(loss):
        return AGREES_IF_COARSE, SHAPE_IF_COARSE
    return AGREES_ALONG, AGREES_SHAPE
