"""What is wrong with a space itself, told before the loss is called.

The point returns from ``retract(point, 0)``; what it returns is of the point's type; each coordinate
moves the point in a direction of its own; a projection is the same twice as once, and orthogonal; a
retraction along a tangent vector starts out along it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.numerics.norms import norm
from fastgrad.spaces.points import numbers_of, precision_of

KEPT = 2.0**14
"""Rounding units, of the size of the point, that retract(point, 0) may be off by: 4e-12 in float64,
2e-3 in float32, of what is scaled or made orthogonal again."""
SAME = 1e-6
"""How exactly a projection must be one: rounding is 1e-16, what is wrong is off by parts."""
STEP = 2.0**-10
"""Probes that are differenced: their truncation and rounding are some 1e-6 and 1e-13."""
STARTS_ALONG = 1e-3
"""How far from d a retraction along d may start out."""
FINER = (2.0**-5, 2.0**-10)
"""Parts of a step that are tried where the whole one tells of no retraction."""
COARSE = 0.5
"""A point that is rounded by more than this part of the step says nothing of where it leads."""
FLAT = 1e-4
"""A coordinate moves the point by itself if this part of its move is no combination of the others."""
LOOKED_AT = 64
"""Coordinates, or entries, up to which each is looked at by itself."""
FRACTION = 1e-5
"""One last place of the point is at most this part of what a step moves it: of 160 float32 poses 160
agreed, at 1e-4 111, without 100."""


NO_STEP = 1e-9
"""Steps up to here are none: three orders of magnitude below the shortest that differences take."""


def called(what: str, function: Callable[..., Any], *given: Any) -> Any:
    """What a function of the space returns.

    Raises
    ------
    ValueError
        It raised, with its exception as cause.
    """
    try:
        return function(*given)
    except Exception as error:
        raise ValueError(
            f"{what} raised {type(error).__name__}: {error}: expected a point of the same type"
        ) from error


def require_retraction(chart: Any) -> Floats | None:
    """How each coordinate moves the point's numbers, shape (dim, numbers); None if they are not shown.

    Raises
    ------
    ValueError, TypeError
        A retraction that is none, with what it does.
    """
    space, base, name = chart.space, chart.base, chart.name
    v = np.zeros(chart.shape)
    call = f"{space.title}: retract({name}, v), v of {_size(chart.shape)},"
    here = called(call, space.retract, base, v)
    require_type(here, base, f"{space.title}: retract({name}, v)")
    require_same_point(here, base, f"{space.title}: retract({name}, 0)")
    size, numbers = chart.origin.size, numbers_of(base)
    if numbers is None or size > LOOKED_AT or _is_known(chart, numbers):
        return None
    moves = np.array([_move(chart, k, call) for k in range(size)])
    bad = ~np.isfinite(moves).all(axis=1)
    if bad.any():
        raise ValueError(
            f"{space.title}: retract moves {name} to numbers that are not finite along coordinate "
            f"{int(np.flatnonzero(bad)[0])}: expected a point"
        )
    lengths = np.linalg.norm(moves, axis=1)
    told = moves / np.where(lengths > 0, lengths, 1.0)[:, None]
    rank = int((np.linalg.svd(told, compute_uv=False) > FLAT).sum())
    if rank < size:
        raise ValueError(
            f"{space.title}: dim={size} does not fit: retract moves {name} in {rank} directions alone, "
            f"not {size}"
        )
    space.verified[type(base), chart.shape] = float(lengths.min())
    return moves


def _is_known(chart: Any, numbers: Floats) -> bool:
    """Whether a space was verified at another point like this one, which no step is too short for."""
    least = chart.space.verified.get((type(chart.base), chart.shape))
    if least is None:
        return False
    last = precision_of(chart.base) * np.abs(numbers).max(initial=0.0)
    return bool(last <= FRACTION * NO_STEP * min(1.0, least))


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} numbers" if len(shape) == 1 else f"shape {shape}"


def _move(chart: Any, k: int, call: str) -> Floats:
    """The change of the point's numbers with coordinate k."""
    along = np.zeros(chart.origin.size)
    along[k] = 1.0
    return _moved_along(chart, along.reshape(chart.shape), call)


def _moved_along(chart: Any, along: Floats, call: str) -> Floats:
    """The change of the point's numbers with a step along some coordinates."""
    step = STEP if precision_of(chart.base) < SAME**2 else np.sqrt(STEP)
    ends = [
        numbers_of(called(call, chart.space.retract, chart.base, sign * step * along))
        for sign in (1.0, -1.0)
    ]
    if ends[0] is None or ends[1] is None or ends[0].shape != ends[1].shape:
        raise TypeError(f"{call} returned points of several types: expected one")
    return np.asarray((ends[0] - ends[1]) / (2 * step))


def require_type(made: Any, base: Any, call: str) -> None:
    """Raise TypeError unless a retraction returned a point like the one that it was given."""
    if isinstance(base, np.ndarray):
        found = np.shape(made) if isinstance(made, np.ndarray) else None
        if found == base.shape and np.asarray(made).dtype.kind == base.dtype.kind:
            return
        got = f"{made.dtype} of shape {made.shape}" if found is not None else type(made).__name__
        raise TypeError(
            f"{call} returned {got}: expected a point like the one given, {base.dtype} of shape "
            f"{base.shape}"
        )
    alike = isinstance(made, type(base)) or isinstance(base, type(made))
    is_number = isinstance(base, float | int | np.generic) and np.ndim(made) == 0
    if not (alike or is_number):
        raise TypeError(
            f"{call} returned {type(made).__name__}: expected a point like the one given, "
            f"{type(base).__name__}"
        )


def require_same_point(made: Any, base: Any, call: str) -> None:
    """Raise ValueError unless moving by nothing leaves the point where it is."""
    first, second = numbers_of(made), numbers_of(base)
    if first is None or second is None:
        return
    if first.shape != second.shape:
        raise TypeError(
            f"{call} has {first.size} numbers, the point {second.size}: expected as many"
        )
    apart = np.abs(first - second)
    size = max(1e-300, float(np.abs(second).max(initial=0.0)))
    if not apart.max(initial=0.0) <= KEPT * precision_of(base) * size:
        k = int(np.nanargmax(np.where(np.isnan(apart), np.inf, apart)))
        raise ValueError(
            f"{call} is not the point: number {k} is {first[k]:.6g} where the point has "
            f"{second[k]:.6g}: expected a point on the set, and a retraction that leaves it there"
        )


def fraction_moved(chart: Any, moves: Floats | None) -> Floats | None:
    """The least step of each coordinate beside which the point's last places are small, flat.

    None where nothing is known, or the point is of float64 and has too many coordinates for a look:
    then every step of a default size is long enough.
    """
    numbers = numbers_of(chart.base)
    if numbers is None:
        return None
    last = precision_of(chart.base) * np.abs(numbers)
    if moves is not None:
        return _least(moves, last)
    if chart.space.trusted and last.max(initial=0.0) <= FRACTION * NO_STEP:
        return None  # its coordinates move it by about one
    if chart.space.for_arrays:
        return _least_of_each(chart, last)
    if precision_of(chart.base) <= SAME**2:
        return None
    call = f"{chart.space.title}: retract({chart.name}, v)"
    every = range(chart.origin.size)
    return np.concatenate([_least(_move(chart, k, call)[None], last) for k in every])


def _least(moves: Floats, last: Floats) -> Floats:
    """The least steps of coordinates, of how each moves numbers, and the last places of these.

    Arrays of shape (m, numbers), or (numbers,) for the last places of all.
    """
    size = np.abs(moves).max(axis=-1, initial=np.finfo(float).tiny)
    moved = np.abs(moves) > FLAT * size[:, None]
    return np.asarray(np.where(moved, last, 0.0).max(axis=-1, initial=0.0) / (FRACTION * size))


def _least_of_each(chart: Any, last: Floats) -> Floats:
    """The least steps of an array of points, all of which are moved at once by the same coordinate."""
    count = int(np.prod(chart.shape[:-1]))
    rows = last.reshape(count, -1)
    found = np.empty((count, chart.shape[-1]))
    for k in range(chart.shape[-1]):
        along = np.zeros(chart.shape)
        along[..., k] = 1.0
        moves = _moved_along(chart, along, f"{chart.space.title}: retract({chart.name}, v)")
        found[:, k] = _least(moves.reshape(count, -1), rows)
    return found.reshape(-1)


def require_projection(chart: Any) -> None:
    """Raise ValueError unless the projection is one, orthogonal, and the retraction goes along it.

    Raises
    ------
    ValueError, TypeError
    """
    space, name = chart.space, chart.name
    rng = np.random.default_rng(0)
    u, w = rng.standard_normal((2, chart.origin.size))
    Pu, Pw = chart.project(u), chart.project(w)
    again = chart.project(Pw)
    if not norm(again - Pw) <= SAME * norm(w):
        off = norm(again - Pw) / norm(w)
        raise ValueError(
            f"{space.title}: project({name}, .) is no projection: twice it differs from once by "
            f"{100 * off:.2g}%: expected the same"
        )
    one, other = chart.inner(u, Pw), chart.inner(Pu, w)
    if not abs(one - other) <= SAME * norm(u) * norm(w):
        raise ValueError(
            f"{space.title}: project({name}, .) is not orthogonal: <u, P w> = {one:.6g} where "
            f"<P u, w> = {other:.6g}: expected the same for all u and w"
        )
    length = norm(Pw)
    if length == 0:
        raise ValueError(
            f"{space.title}: project({name}, .) leaves nothing: expected a tangent space"
        )
    d = Pw / length
    call = f"{space.title}: retract({name}, .)"
    zero = called(call, chart.retracted, np.zeros(d.size))
    require_type(zero, chart.base, call)
    require_same_point(zero, chart.base, f"{space.title}: retract({name}, 0)")
    off = min(_off_along(chart, d, part, call) for part in (1.0, *FINER))
    if off > 0:
        raise ValueError(
            f"{space.title}: retract({name}, d) does not start out along d, but {off:.2g} "
            "of its length off: expected a retraction along tangent vectors"
        )


def _off_along(chart: Any, d: Floats, part: float, call: str) -> float:
    """How far from d a retraction starts out, at a part of the usual step; 0 if no more than it may.

    Where the set bends within that step, as a simplex of small numbers does, a shorter one tells.
    """
    size = norm(chart.origin)
    scale = part * STEP * max(1.0, min(size, 1.0 / STEP))
    ends = [chart.flat_of(called(call, chart.retracted, s * scale * d)) for s in (1, -1)]
    off = norm((ends[0] - ends[1]) / (2 * scale) - d)
    allowed = STARTS_ALONG + 8 * precision_of(chart.base) * size / scale
    return 0.0 if off <= allowed < COARSE else off


def trace_of(project: Callable[[Floats], Floats], size: int) -> float | None:
    """The dimension of what a projection leaves; None for many entries."""
    if size > LOOKED_AT**2 // 16:
        return None
    return float(round(sum(float(project(e)[k]) for k, e in enumerate(np.eye(size)))))
