"""What the numerical gradient shows of the loss, and the analytic one breaks.

If the loss does not change when a column is scaled, ``theta . D = 0`` in it; when all rows are
shifted alike, the rows of D sum to zero; when points are rotated, so does ``theta x D``.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from fastgrad.arrays import Array, Floats
from fastgrad.checks.diagnose.case import MATRIX_AXES, Case
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.numerics.norms import norm
from fastgrad.spaces.guess import guess

CANCELS = 1e4
"""A sum vanishes if its terms are so many times larger than what is left: chance gives 10."""
BROKEN = 30.0
"""A sum does not vanish if it is so many times what is left of that of D."""
PART = 0.5
"""Groups in which the claim breaks it, at least."""
HINT = ""
"""The cause of what is no cause."""
FEWEST_ENTRIES = 3
"""Entries wanted where something is along theta."""
PROJECTED = ("sphere", "oblique", "stiefel", "simplex", "symmetric")
"""Sets of arrays that a theta may seem to live on, told by a projection."""
Weights = Any
"""A matrix of floats, dense or sparse."""
DIMENSIONS = (2, 3)
"""Columns of points that are rotated."""


class Symmetry(NamedTuple):
    """Sums of terms that vanish, one a group, with what the loss then does not change by."""

    weights: Weights
    """shape (groups, entries): the sums are ``weights @ gradient``."""
    said: str
    cause: str


def invariance(case: Case, hints: bool = False) -> Finding | None:
    """The loss has a symmetry that the gradient under test has not.

    Parameters
    ----------
    hints : bool
        Look also at shifts that are no cause by themselves: most errors break those of a softmax.
    """
    if case.k < FEWEST_ENTRIES:
        return None
    for word, symmetry in _symmetries(case):
        if symmetry.cause == HINT and not hints:
            continue
        W = symmetry.weights
        sums, bars = W @ case.D, abs(W) @ case.bar
        sizes = abs(W) @ np.abs(case.D)
        vanishes = (np.abs(sums) <= bars) & (sizes > CANCELS * np.maximum(bars, np.abs(sums)))
        if not vanishes.all():
            continue
        claimed = W @ case.a
        breaks = np.abs(claimed) > BROKEN * (bars + case.unit * (abs(W) @ np.abs(case.a)))
        if np.count_nonzero(breaks) < PART * breaks.size:
            continue
        worst = float(claimed[np.abs(claimed).argmax()])
        clause = (
            f"the loss does not change {symmetry.said}, the analytic gradient does (by "
            f"{worst:.4g} where it should be 0){symmetry.cause}"
        )
        return Finding((word,), {"largest": worst}, clause)
    return None


def not_projected(case: Case) -> Finding | None:
    """The gradient has a part along theta (or along ones) that normalising takes away from D."""
    if case.k < FEWEST_ENTRIES:
        return None
    r = case.a - case.D
    slack = case.bar + case.unit * np.abs(case.a)
    for part, W, groups in _parts(case):
        sums, bars = W @ case.D, abs(W) @ case.bar
        sizes = abs(W) @ np.abs(case.D)
        if np.any(np.abs(sums) > bars) or np.any(sizes <= CANCELS * bars):
            continue
        weights = (W @ r) / ((W * W) @ np.ones(case.k))
        if np.any(
            np.abs(r - weights @ W) > slack + np.abs(weights) @ np.abs(W) * case.unit + bars.max()
        ):
            continue
        largest = float(weights[np.abs(weights).argmax()])
        much = f"{largest:.6g}" if groups == 1 else f"up to {largest:.6g}"
        what = case.name if groups > 1 or np.ptp(case.theta) else "a constant"
        along = f"{what}{part}"
        clause = (
            f"the analytic gradient differs by {much} times {along}, along {what} alone, and the loss "
            "does not change that way: the part that normalising removes (the projection is missing)"
        )
        seems = guess(case.theta.reshape(case.shape)) if case.chart is None else None
        if seems:
            clause += f"; {case.name} {seems[0]}: if it lives on {seems[1]}, say so by space="
        return Finding(("not-projected",), {"lambda": largest}, clause)
    return None


def right_on_a_set(case: Case) -> Finding | None:
    """Theta seems to live on a set, along whose tangent space the gradient is right."""
    if case.k < FEWEST_ENTRIES or case.chart is not None:
        return None
    seems = guess(case.theta.reshape(case.shape))
    if seems is None or seems[2] not in PROJECTED:
        return None
    from fastgrad import spaces

    space, x = getattr(spaces, seems[2])(), case.theta.reshape(case.shape)

    def tangent(w: Floats) -> Floats:
        return np.asarray(space.tangent(x, w.reshape(case.shape)).reshape(-1))

    r = case.a - case.D
    slack = norm(case.bar + case.unit * np.abs(case.a))
    if norm(tangent(r)) > slack or norm(r) <= BROKEN * slack:
        return None
    is_tangent = norm(case.a - tangent(case.a)) <= slack
    what = (
        "the tangent part of the numerical one" if is_tangent else "right but for its normal part"
    )
    clause = (
        f"{case.name} {seems[0]}, and the analytic gradient is {what}: it differs by a part of norm "
        f"{norm(r):.6g} that is normal to {seems[1]}; if {case.name} lives there, say so by "
        f"space=fg.spaces.{seems[2]}()"
    )
    return Finding(("normal-part",), {"norm": norm(r), "part": norm(r) / norm(case.D)}, clause)


def _parts(case: Case) -> Iterator[tuple[str, Weights, int]]:
    x = case.theta.reshape(case.shape)
    yield "", case.theta[None], 1
    if len(case.shape) == MATRIX_AXES and min(case.shape) > 1:
        yield " in each column", _groups(x, 0), case.shape[1]
        yield " in each row", _groups(x, 1), case.shape[0]


def _symmetries(case: Case) -> Iterator[tuple[str, Symmetry]]:
    x, name, n = case.theta.reshape(case.shape), case.name, len(case.shape)
    scaled = ": the derivative of a normalisation is missing (or its projection)"
    if n != MATRIX_AXES:
        ones = np.ones((1, case.k))
        yield "not-scale-free", Symmetry(case.theta[None], f"with the length of {name}", scaled)
        yield "not-shift-free", Symmetry(ones, f"when all of {name} is shifted", HINT)
        return
    columns = _groups(np.ones_like(x), 0)
    if case.shape[1] in DIMENSIONS:
        said = f"when all rows of {name} are shifted alike"
        force = ": a reaction force is missing, or a term is counted for one of two partners"
        yield "not-shift-free", Symmetry(columns, said, force)
        yield "not-rotation-free", Symmetry(_rotations(x), f"when {name} is rotated", force)
    for axis, line in ((0, "column"), (1, "row")):
        said = f"with the length of a {line} of {name}"
        yield "not-scale-free", Symmetry(_groups(x, axis), said, scaled)
        said = f"when a constant is added to a {line} of {name}"
        yield "not-shift-free", Symmetry(_groups(np.ones_like(x), axis), said, HINT)
    yield "not-scale-free", Symmetry(case.theta[None], f"with the length of {name}", scaled)
    said = f"when a constant is added to all of {name}"
    yield "not-shift-free", Symmetry(np.ones((1, case.k)), said, HINT)


def _groups(weights: Array, axis: int) -> Weights:
    """One row of weights for each line along an axis, sparse: an entry lies in one line."""
    from scipy.sparse import csr_array

    line = np.indices(weights.shape)[1 - axis].ravel()
    places = (line, np.arange(weights.size))
    return csr_array((weights.ravel(), places), shape=(weights.shape[1 - axis], weights.size))


def _rotations(points: Array) -> Floats:
    """Rates of change of all points under rotation in each plane of two axes."""
    d = points.shape[1]
    found = []
    for p in range(d):
        for q in range(p + 1, d):
            rate = np.zeros_like(points)
            rate[:, p], rate[:, q] = -points[:, q], points[:, p]
            found.append(rate.ravel())
    return np.array(found)
