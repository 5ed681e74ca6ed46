"""A mask that the loss has and the gradient has not: dropout, a clip, a ReLU."""

import numpy as np

from fastgrad.arrays import Mask
from fastgrad.checks.diagnose.case import SHOWS, Case
from fastgrad.checks.diagnose.finding import Finding

MEMBERS = 2
"""Samples wanted on either side."""
LISTED = 4
DECIMALS = 4


def masked(case: Case) -> Finding | None:
    """The difference is zero where the gradient is not, and the gradient right everywhere else."""
    dead = (np.abs(case.D) <= case.bar) & (np.abs(case.a) > SHOWS * case.bar) & case.wrong
    if case.wrong[~dead].any() or case.located:
        return None
    right = ~dead & case.telling
    if min(np.count_nonzero(dead), np.count_nonzero(right)) < MEMBERS:
        return None
    count = int(np.count_nonzero(dead))
    listed = ", ".join(case.entry(int(k)) for k in np.flatnonzero(dead)[:LISTED])
    listed += ", ..." if count > LISTED else ""
    clause = (
        f"the numerical gradient is zero at {count:,} entries where the analytic one is not "
        f"({listed}), which is right elsewhere: a mask is missing there{_reason(case, dead, right)}"
    )
    return Finding(("masked",), {"entries": float(count)}, clause)


def _reason(case: Case, dead: Mask, right: Mask) -> str:
    """The range of theta that tells the dead from the others, if one does."""
    inside, outside = case.x[right], case.x[dead]
    low, high = float(inside.min()), float(inside.max())
    below, above = -outside[outside < low], outside[outside > high]
    name = case.name
    if below.size + above.size < outside.size:
        return " (dropout, padding, an index)"
    if above.size and below.size:
        inner, outer = max(high, -low), min(float(above.min()), float(below.min()))
        if inner < outer:
            return f": the loss clips {name} outside [-b, b], {_between(inner, outer)}"
        top, bottom = _between(high, float(above.min())), _between(-low, float(below.min()))
        return f": the loss clips {name} outside [-a, b], {top}, {bottom.replace('b', 'a', 1)}"
    if above.size:
        return f": the loss is flat where {name} is above b, {_between(high, float(above.min()))}"
    bound = _between(-low, float(below.min()))
    if bound == "b = 0":
        return f": the loss is flat where {name} is below 0, as a ReLU is"
    return f": the loss is flat where {name} is below -b, {bound}"


def _between(low: float, high: float) -> str:
    """The only bound that a person would write between two numbers, or that it lies between them."""
    if low <= 0 <= high:
        return "b = 0"
    for decimals in range(DECIMALS):
        unit = 10.0**-decimals
        first, last = np.ceil(low / unit), np.floor(high / unit)
        if first == last:
            return f"b = {first * unit:.6g}"
        if first < last:
            break
    return f"b between {low:.4g} and {high:.4g}"
