"""Signs, in the values that a gradient has anyway, that its step does not suit the loss.

They are no error bars: those are `estimate`'s. What is seen is a step that is beyond the reach of the
Taylor series of f, by what the next lower order makes of the same values; and one that is lost in the
rounding of f, by values that are all but the same or come from single precision.
"""

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.evaluate.protocol import Evaluator
from fastgrad.numerics.stencils import CENTRAL, Stencil

BEYOND_REACH = {4: 2.0**-3}
BEYOND_HIGHER = 2.0**-5
"""Part of the slope by which the order before may differ, that of higher orders. For sin(k x) it is met
at k h = 1 with order 4, 1.6 with order 6, where the slope is off by 3 and 4%."""
OFF_GRID = 0.6180339887498949
"""Part of a step: at powers of two sums of integers look like single precision."""
SAME_ULPS = 16.0
"""Values within so many units in the last place of each other are the same but for rounding. Beside a
minimum the default steps move f by 2^17 of them."""
AWAY = 1.0
"""Units away, a loss that is no constant is another."""
FEWEST_VALUES = 6
"""Values wanted to say that they come from single precision."""
SINGLE_STEP = 2.0**-12
"""Steps of this part of the entry's unit and longer suit single precision."""


Seen = tuple[int, str]
"""The entry whose step does not suit, and why."""


def misfit(
    run: Evaluator,
    stencil: Stencil,
    indices: Indices,
    values: Floats,
    offsets: Floats,
    unit: Floats,
) -> Seen | None:
    """The first of some entries whose step does not suit, and why; None if nothing shows.

    Where the values are of a kind that may be exact, one more settles it.

    Parameters
    ----------
    run : Evaluator
    stencil : Stencil
    indices : ndarray, shape (m,)
    values : ndarray, shape (m, k)
        f at theta + ``offsets`` of the entries.
    offsets : ndarray, shape (m, k)
    unit : ndarray, shape (m,)
        Of the entries.
    """
    if values.size == 0 or run.structured or not np.isfinite(values).all():
        return None
    if _is_lost(values):
        here, away = run.along(_off_grid(run, indices, unit), np.array([0.0, AWAY]))
        if _is_lost(np.append(values, here)) and not _is_lost(np.array([here, away])):
            return 0, "the loss does not change over its step but by rounding"
    longest = np.abs(offsets).max(axis=1)
    if np.all(longest < SINGLE_STEP * unit) and _is_single(values):
        more = run.along(_off_grid(run, indices, longest), np.ones(1))
        if _is_single(np.append(values, more)):
            return (
                0,
                "the values of the loss come from single precision, for which its step is short",
            )
    return _beyond_reach(stencil, values, run.theta[indices], offsets)


def shows_rounding(values: Floats) -> bool:
    """Whether values hardly differ, or all are numbers of single precision: one look settles it."""
    return bool(values.size) and (_is_lost(values) or _is_single(values))


def _off_grid(run: Evaluator, indices: Indices, sizes: Floats) -> Floats:
    direction = np.zeros(run.theta.size)
    direction[indices] = OFF_GRID * sizes
    return direction


def _is_lost(values: Floats) -> bool:
    return bool(np.ptp(values) <= SAME_ULPS * np.spacing(np.abs(values).max()))


def _is_single(values: Floats) -> bool:
    with np.errstate(over="ignore"):
        single = bool(np.all(values.astype(np.float32) == values))
    return single and np.unique(values).size >= FEWEST_VALUES


def _beyond_reach(stencil: Stencil, values: Floats, x: Floats, offsets: Floats) -> Seen | None:
    lower = CENTRAL.get(stencil.order - 2)
    if lower is None:
        return None
    k = len(lower.multiples)
    D = stencil.combine(values, 0.0, x, offsets)
    before = lower.combine(values[:, :k], 0.0, x, offsets[:, :k])
    h = np.abs(offsets).min(axis=1)
    size = np.maximum(np.abs(D), np.ptp(values, axis=1) / (2 * h))
    noise = SAME_ULPS * np.spacing(np.abs(values).max(axis=1)) / h
    off = np.abs(D - before) - noise > BEYOND_REACH.get(stencil.order, BEYOND_HIGHER) * size
    if not off.any():
        return None
    i = int(np.argmax(off))
    return i, (
        f"differences of order {stencil.order} and {lower.order} are {D[i]:.3g} and {before[i]:.3g}: "
        f"the step of {h[i]:.2g} is too long for it"
    )
