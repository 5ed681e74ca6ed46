"""Second looks at estimates: no bar rests on one scale alone.

An estimate of differences at two neighbouring steps, or of a ladder of them, holds where f is what it
seems at those steps. A few entries are therefore looked at where f should have told by now, at one wide
step; where that says something else, or where a ladder had to go down, f is halved up for a jump. If
there is one, slopes between jumps mean nothing, and all entries are heard in full: their slope at every
scale (`fastgrad.differences.profile`). So are those that no step suits, and those of a loss whose
values are coarse.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.differences.halving import Line, halved
from fastgrad.differences.loss import Loss
from fastgrad.differences.measured import FEW_VALUES
from fastgrad.differences.profile import PLAIN_GRAINS, Profile
from fastgrad.numerics.stencils import Stencil
from fastgrad.numerics.windows import grain_of

WIDE_STEP = 2.0**-5 * 1.0625
"""The wide step of a look, in units; no power of two."""
LOOKED_AT = 64
"""Entries that are looked at over it, at most."""
WIDER_AT_LEAST = 16.0
"""It is so many times the step that was used at least."""
SLACK = 4.0
"""What the truncation of a smooth f may be beyond the leading order at the wide step."""
PROBED = 3
"""Entries on which a jump is looked for."""
HALVINGS = 30
"""How often f is halved up for a jump, of which there may be many within the wide step."""
NOISES = 16.0
"""Less than so many sds of f is no jump."""
HEARD = 64
"""Entries that are heard in full before others are believed."""
TOGETHER = np.array([1.0, -0.8125, 0.6875, -0.9375, 0.75])
"""So many entries are looked at along one line, before each by itself. They move by unlike parts of
their wide steps: a loss that only knows how far theta is shifted is right along equal ones."""
TELLING = 2.0**-6
"""Jumps tell of the slope if, one in every step, they change it by this part at least."""


class WideLine(NamedTuple):
    """The loss along a line on which some entries move by their wide steps, at 1 and -1."""

    direction: Floats
    values: Floats


def look_again(
    loss: Loss, indices: Indices, found: Floats, doubtful: Mask, unknown: Mask
) -> Floats:
    """Slopes, bars and steps, shape (3, m), with those heard that do not hold at every scale.

    Parameters
    ----------
    indices : ndarray, shape (m,)
    found : ndarray, shape (3, m)
        Slopes, their bars, and their steps.
    doubtful : ndarray of bool, shape (m,)
        Whose slope may be one between two jumps.
    unknown : ndarray of bool, shape (m,)
        Those that nothing is known of.
    """
    if loss.measured.is_coarse or near_a_jump(loss, indices, found, doubtful & ~unknown):
        unknown = np.ones(indices.size, np.bool_)
    rows = np.flatnonzero(unknown)
    if rows.size == 0:
        return found
    found = found.copy()
    first = rows
    if rows.size > HEARD:
        first = np.sort(np.random.default_rng(rows.size).choice(rows, HEARD, replace=False))
    if _hear(loss, indices, found, first):
        _hear(loss, indices, found, np.setdiff1d(np.arange(indices.size), first))
    return found


def wide_steps(loss: Loss, indices: Indices, h: Floats) -> Floats:
    """The wide steps at which entries are looked at, shape (m,), beside those that were used."""
    return np.asarray(np.maximum(WIDE_STEP * loss.units.entry[indices], WIDER_AT_LEAST * h))


def wide_direction(loss: Loss, indices: Indices, h: Floats) -> Floats:
    """The first line along which `doubted` looks at entries, shape (n,)."""
    first = _groups(indices.size)[0]
    v = np.zeros(loss.theta.size)
    v[indices[first]] = wide_steps(loss, indices, h)[first] * TOGETHER[: first.size]
    return v


def _groups(count: int) -> list[Indices]:
    """So many entries, by the lines along which they are looked at."""
    return np.array_split(np.arange(count), max(1, -(-count // TOGETHER.size)))


def doubted(
    loss: Loss, indices: Indices, found: Floats, stencil: Stencil, known: WideLine | None = None
) -> Mask:
    """Entries whose difference at a wide step is another than truncation makes it, shape (m,).

    Truncation of order p grows with the p-th power of the step, and a bar holds what it is at its own.
    """
    rows = np.flatnonzero(np.isfinite(found[1]))
    if rows.size > LOOKED_AT:
        rows = np.sort(np.random.default_rng(rows.size).choice(rows, LOOKED_AT, replace=False))
    h = found[2, rows]
    wide = wide_steps(loss, indices[rows], h)
    allowed = SLACK * (wide / h) ** stencil.order * found[1, rows]
    left = np.ones(rows.size, np.bool_)
    if not loss.run.structured:
        for group in _groups(rows.size):
            v = np.zeros(loss.theta.size)
            v[indices[rows[group]]] = moved = wide[group] * TOGETHER[: group.size]
            line = known if known is not None and np.array_equal(known.direction, v) else None
            if line is None and group.size >= 2:
                line = WideLine(v, loss.along(v, stencil.unit_offsets))
            slopes = found[0, rows[group]], allowed[group]
            left[group] = line is None or _bends(line, moved, stencil, slopes, loss.base)
    rows, wide, allowed = rows[left], wide[left], allowed[left]
    D, x = found[0, rows], loss.theta[indices[rows]]
    values = loss.run.coordinates(indices[rows], wide[:, None] * np.array(stencil.multiples))
    with np.errstate(invalid="ignore", over="ignore"):
        off = np.abs(stencil.combine(values, loss.base, x, stencil.offsets(wide)) - D)
    flat = (values == loss.base).all(axis=1)
    result = np.zeros(indices.size, np.bool_)
    result[rows] = np.isfinite(off) & (off > allowed) & ~(flat & (D == 0.0))
    return result


def _bends(
    line: WideLine, moved: Floats, stencil: Stencil, known: tuple[Floats, Floats], value: float
) -> bool:
    """Whether, along a line through some entries, f does another thing than its slopes and bars say.

    Parameters
    ----------
    moved : ndarray, shape (k,)
        How far each moves.
    known : (ndarray, ndarray), each of shape (k,)
        The slopes, and by how much those over ``moved`` may differ.
    value : float
        f at theta.
    """
    at = stencil.unit_offsets[None, :]
    with np.errstate(invalid="ignore", over="ignore"):
        slope = stencil.combine(line.values[None, :], value, np.zeros(1), at)[0]
        return not abs(slope - known[0] @ moved) <= known[1] @ np.abs(moved)


def near_a_jump(loss: Loss, indices: Indices, found: Floats, doubtful: Mask) -> bool:
    """Whether f jumps near one of a few of the doubtful."""
    rows = np.flatnonzero(doubtful & np.isfinite(found[1]))
    effect = np.abs(found[0, rows]) * loss.units.entry[indices[rows]]
    worst = rows[np.argsort(-effect, kind="stable")[:PROBED]]
    sigma = np.broadcast_to(loss.noise_of(indices[worst]), worst.shape)
    for k, noise in zip(worst.tolist(), sigma.tolist(), strict=True):
        far = max(WIDE_STEP * float(loss.units.entry[indices[k]]), WIDER_AT_LEAST * found[2, k])
        if jumps_between(partial(loss.beside, indices[k]), found[:, k], far, noise, loss.base):
            return True
    return False


def jumps_between(line: Line, known: Floats, far: float, noise: float, value: float) -> bool:
    """Whether f jumps between x and a wide step, beside a slope that is known at a shorter one.

    Halved towards the larger change of f beside that slope: what does not shrink is a jump.

    Parameters
    ----------
    line : callable
    known : ndarray, shape (3,)
        A slope, its bar, and its step.
    far : float
        The wide step.
    noise : float
        sd of f.
    value : float
        f at x.
    """
    slope, _, step = map(float, known)
    ends = line(np.array([far, -far]))
    changes = np.abs(ends - value - slope * far * np.array([1.0, -1.0]))
    changes[~np.isfinite(changes)] = -1.0
    side = int(np.argmax(changes))
    floor = NOISES * (noise + float(np.spacing(max(abs(value), abs(float(ends[side]))))))
    floor = max(floor, TELLING * abs(slope) * step)
    if not changes[side] > floor:
        return False
    places = 0.0, far * (1.0 - 2.0 * side)
    found = halved(line, places, (value, float(ends[side])), slope, floor, HALVINGS)
    return found.lasts


def _hear(loss: Loss, indices: Indices, found: Floats, rows: Indices) -> bool:
    """Put what their profiles say of some entries; whether any was off, or any jumps."""
    off, grain = False, loss.measured.grain
    seen = [loss.measured.seen - loss.run.reference]
    for k in rows.tolist():
        i = int(indices[k])
        line, unit = partial(loss.beside, i), float(loss.units.entry[i])
        with np.errstate(invalid="ignore", over="ignore"):
            x, least = float(loss.theta[i]), max(grain, _least_grain(loss, i))
            profile = Profile.take(line, unit, loss.base, x, least)
            slope, bar, step, jumps = profile.estimate(line)
        grain = max(grain, profile.grain)
        seen += [profile.above, profile.below]
        off |= jumps or bool(not abs(slope - found[0, k]) <= max(bar, found[1, k]))
        found[:, k] = slope, bar, step
    still = rows[(found[0, rows] == 0.0) & (found[2, rows] > 0.0)]
    if still.size:  # others may have shown a coarser grain
        grain = max(grain, apart(np.concatenate(seen)))
        found[1, still] = np.maximum(found[1, still], PLAIN_GRAINS * grain / (2 * found[2, still]))
    return off


def apart(values: Floats) -> float:
    """The grain of some values; of very few, how near each other they are."""
    values = np.unique(values[np.isfinite(values)])
    few = 1 < values.size <= FEW_VALUES
    return float(np.diff(values).min()) if few else grain_of(values)


def _least_grain(loss: Loss, index: int) -> float:
    """What noise the values of a structure's own differences have, as a grain; 0 for plain values."""
    if not loss.run.structured:
        return 0.0
    return 2 * float(np.ravel(loss.noise_of(np.array([index])))[0])
