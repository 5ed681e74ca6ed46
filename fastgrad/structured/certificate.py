"""Is a structure the loss's own? Its differences against those of the plain loss.

16 random entries are compared one by one, and the whole gradient along 4 random directions with
entries ``+-U(1/2, 3/2)``, which an error escapes with probability at most 1e-6 once its norm is 47
times the bar (Rudelson and Vershynin's bound). A bar is the noise bar of the plain loss's differences
(`fastgrad.numerics.quotients`), and the truncation that two steps show. What fails is halved until
one entry is left. A kink within the steps is no fault: differences at finer steps are others there,
and agree.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.errors import StructureError
from fastgrad.evaluate.protocol import Evaluator
from fastgrad.evaluate.units import Units
from fastgrad.numerics.bars import NOISE_SDS, WIDER, curvature_noise
from fastgrad.numerics.noise import ecnoise
from fastgrad.numerics.norms import norm, rms
from fastgrad.numerics.quotients import Quotients
from fastgrad.numerics.rounding import rounding_noise
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.numerics.steps import default_steps, power_of_two
from fastgrad.numerics.two_steps import truncation
from fastgrad.parameters.layout import Layout
from fastgrad.structured.structure import Plain, Structure

ENTRIES = 16
"""How many entries are compared one by one."""
DIRECTIONS = 4
"""How many directions the whole gradient is compared along."""
STEP = CENTRAL[2].step
"""The step of one entry, at unit scale."""
SIDES = np.array([1.0, -1.0, WIDER, -WIDER])
"""The places where the loss is taken, in steps: a difference, and a wider one for its truncation."""
DIRECTION_STEP = 2.0**-14
DIRECTION_POWER = -0.4
"""Steps along k entries are ``DIRECTION_STEP k^DIRECTION_POWER``: 2^-14 for one, 2^-20 for 1e5."""
FINER = 16.0
"""What a step is divided by, to see whether a kink lies within it."""
FINER_SIDES = np.array([1.0, -1.0, 1 / FINER, -1 / FINER])
KINKED = 1e-4
"""An entry whose difference moves by this part of itself and of the rms when its step shrinks
`FINER` times has a kink within the step, where slopes along a direction are not sums of entries."""
SLACK = 1e-9
"""A part of the value that any difference may be off by: the wider step underestimates truncation."""
EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Pair:
    """One loss around one theta, evaluated by its structure and plainly."""

    structured: Evaluator
    give_plain: Plain
    """Gives the evaluator of the plain loss, which may not be made yet."""
    layout: Layout
    structure: Structure
    give_magnitudes: Callable[[], Floats]
    """Gives what the noise of each entry's differences is in proportion to, shape (n,)."""

    @property
    def plain(self) -> Evaluator:
        return self.give_plain()

    @property
    def theta(self) -> Floats:
        return self.structured.theta


@dataclass(frozen=True)
class _Comparison:
    """A difference of the structure and of the plain loss, and how far they may be apart."""

    structured: Floats
    plain: Floats
    bar: Floats

    @property
    def fails(self) -> Mask:
        with np.errstate(invalid="ignore"):
            apart = ~(np.abs(self.structured - self.plain) <= self.bar)
        return apart & np.isfinite(self.plain)


def certify(pair: Pair, indices: Indices, gradient: Floats) -> None:
    """Compare a gradient that was taken by structure with the plain loss.

    Parameters
    ----------
    indices : ndarray, shape (m,)
        The entries that were differenced.
    gradient : ndarray, shape (m,)
        Their differences.

    Raises
    ------
    StructureError
        Naming an entry, both values, and what is likely to be wrong.
    """
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.choice(indices.size, min(ENTRIES, indices.size), replace=False))
    scale = default_steps(pair.theta, 1.0)
    lines = [_line(pair, indices, scale, rng) for _ in range(DIRECTIONS)]
    sigma = _plain_noise(pair, indices, lines)
    entries = indices[chosen]
    failing = _failing_entries(pair, entries, sigma)
    if failing.size:
        _refuse(pair, entries, failing, sigma)
    steady: Mask | None = None
    for v in lines:
        if _direction_fails(pair, v, indices, gradient, sigma):
            if steady is None:
                steady = _steady(pair, indices, gradient)
            v[indices[~steady]] = 0.0
            if _direction_fails(pair, v, indices, gradient, sigma):
                _refuse_direction(pair, v, indices[steady], gradient[steady], sigma)


def _line(pair: Pair, indices: Indices, scale: Floats, rng: np.random.Generator) -> Floats:
    v = np.zeros(pair.theta.size)
    signs = rng.choice((-1.0, 1.0), indices.size)
    v[indices] = signs * rng.uniform(0.5, 1.5, indices.size) * scale[indices]
    return v


def _plain_noise(pair: Pair, indices: Indices, lines: list[Floats]) -> float:
    """sd of one evaluation of the plain loss, along the lines it is compared on and one coordinate.

    Lattices of powers of two show only 1/8 of it where a sum of penalties is rounded.
    """
    sigmas = [
        float(rounding_noise(pair.structured.reference)),
        2 * EPS * abs(pair.structured.reference),
    ]
    alone = np.zeros(pair.theta.size)
    alone[indices[indices.size // 2]] = 1.0
    t = _direction_step(indices.size)
    for v, start in (*((v, t) for v in lines), (alone, STEP)):
        sigma, _, _ = ecnoise(partial(_plain_line, pair, v, start))
        if sigma is not None:
            sigmas.append(sigma)
    return max(sigmas)


def _plain_line(pair: Pair, v: Floats, start: float, offsets: Floats) -> Floats:
    return pair.plain.along(v, start + offsets)


def _direction_step(entries: int) -> float:
    return float(power_of_two(DIRECTION_STEP * entries**DIRECTION_POWER))


def _failing_entries(pair: Pair, entries: Indices, sigma: float) -> Indices:
    """Positions in ``entries`` that disagree, and do not because a kink lies within the step.

    A kink shows in that the differences of a finer step are others, and agree.
    """
    h = default_steps(pair.theta[entries], STEP)
    coarse = _compare(pair, entries, h, sigma)
    first = np.flatnonzero(coarse.fails)
    if first.size == 0:
        return first
    fine = _compare(pair, entries[first], h[first] / FINER, sigma)
    bar = coarse.bar[first] + fine.bar
    moved = np.abs(fine.plain - coarse.plain[first]) > bar
    moved |= np.abs(fine.structured - coarse.structured[first]) > bar
    return first[fine.fails | ~moved]


def _compare(pair: Pair, entries: Indices, h: Floats, sigma: float) -> _Comparison:
    offsets, x = h[:, None] * SIDES, pair.theta[entries]
    # The structure's own noise is less, and is not counted; what is not finite has no bar.
    structured, t = _differences(pair.structured.coordinates(entries, offsets), h, 0.0, x)
    plain, u = _differences(pair.plain.coordinates(entries, offsets), h, sigma, x)
    bar = plain.bar + 2 * (t + u) + SLACK * np.abs(plain.D)
    return _Comparison(structured.D, plain.D, bar)


def _differences(
    values: Floats, h: Floats, sigma: float, x: Floats | float = 0.0
) -> tuple[Quotients, Floats]:
    """Central differences of step h, of f at its `SIDES`, and the size of their truncation."""
    near = Quotients.central(values[:, :2], h, sigma, x)
    wide = Quotients.central(values[:, 2:], WIDER * h, sigma, x)
    with np.errstate(invalid="ignore", over="ignore"):
        return near, np.abs(np.nan_to_num(truncation(near.D, wide.D)))


def _steady(pair: Pair, indices: Indices, gradient: Floats) -> Mask:
    """Entries whose difference is the same at a finer step: no kink lies within the step."""
    finite = np.isfinite(gradient)
    usual = rms(gradient[finite])
    x = pair.theta[indices]
    h = default_steps(x, STEP)
    f = pair.structured.coordinates(indices, h[:, None] * FINER_SIDES)
    with np.errstate(invalid="ignore"):
        near = Quotients.central(f[:, :2], h, 0.0, x).D
        moved = np.abs(Quotients.central(f[:, 2:], h / FINER, 0.0, x).D - near)
        return np.asarray(moved <= KINKED * (np.abs(gradient) + usual))


def _direction_fails(
    pair: Pair, v: Floats, indices: Indices, gradient: Floats, sigma: float
) -> bool:
    """Whether the slope along v is not that of the gradient, and not for a kink within the step."""
    slopes = gradient * v[indices]
    slopes = slopes[np.isfinite(slopes)]
    claimed, rounding = float(slopes.sum()), EPS * norm(slopes)
    # The gradient's own truncation adds up along v; it is of the order of its noise at worst.
    own = SLACK * (norm(slopes) + abs(claimed))
    # So does the noise of its differences, by the steps that are taken by default.
    steps = STEP * Units.of(pair.theta, pair.layout).entry[indices]
    noise = EPS * pair.give_magnitudes()[indices] / steps
    own += NOISE_SDS * norm(noise * v[indices])
    widest = _direction_step(indices.size)
    seen: list[tuple[float, float]] = []
    for step in (widest, widest / FINER, widest / FINER**2):
        f = pair.structured.along(v, step * SIDES)
        if not np.isfinite(f).all():
            return False
        found, t = _differences(f[None, :], np.array([step]), sigma)
        D = float(found.D[0])
        bar = float(found.bar[0] + 4 * t[0]) + 8 * rounding + own
        if abs(D - claimed) <= bar and all(abs(D - other) > bar + b for other, b in seen):
            return False
        seen.append((D, bar))
        near, far = f[0] + f[1], f[2] + f[3]
        if abs(near) > curvature_noise(sigma, 1.0) and abs(far) < WIDER**1.5 * abs(near):
            return False  # a kink in theta itself: slopes along v need not be sums of its entries'
    return True


def _refuse_direction(
    pair: Pair,
    v: Floats,
    indices: Indices,
    gradient: Floats,
    sigma: float,
) -> None:
    """Halve the entries, keeping a half whose slope fails, until one is left; then refuse."""
    part = np.arange(indices.size)
    while part.size > 1:
        halves = part[: part.size // 2], part[part.size // 2 :]
        for half in halves:
            w = np.zeros_like(v)
            w[indices[half]] = v[indices[half]]
            if _direction_fails(pair, w, indices[half], gradient[half], sigma):
                part = half
                break
        else:
            break
    if part.size == 1:
        failing = _failing_entries(pair, indices[part], sigma)
        if failing.size:
            _refuse(pair, indices[part], failing, sigma)
    name, last = (pair.layout.name(int(indices[part[k]])) for k in (0, -1))
    where = f"by {name}" if part.size == 1 else f"along a random direction of {name} to {last}"
    w = np.zeros_like(v)
    w[indices[part]] = v[indices[part]]
    t = _direction_step(part.size)
    f = pair.structured.along(w, t * SIDES[:2])
    unit = w[indices[part[0]]] if part.size == 1 else 1.0
    claimed = float(gradient[part] @ w[indices[part]])
    slope = float(Quotients.central(f[None, :], np.array([t]), 0.0).D[0])
    raise StructureError(
        f"{_who(pair)} is not that of the loss: the derivative {where} is {claimed / unit:.10g} by "
        f"structure, with all the others, and {slope / unit:.10g} by the plain loss. Likely cause: "
        f"{pair.structure.likely_cause(pair.structured, int(indices[part[0]]))}"
    )


def _refuse(pair: Pair, entries: Indices, failing: Indices, sigma: float) -> None:
    found = _compare(pair, entries, default_steps(pair.theta[entries], STEP), sigma)
    worst = failing[np.argmax(np.abs(found.structured - found.plain)[failing] / found.bar[failing])]
    position = int(entries[worst])
    order = np.concatenate([[worst], failing[failing != worst]])
    cause = _cause(pair, entries[order], found.structured[order], found.plain[order])
    raise StructureError(
        f"{_who(pair)} is not that of the loss: the derivative by {pair.layout.name(position)} is "
        f"{found.structured[worst]:.10g} by structure and {found.plain[worst]:.10g} by the plain "
        f"loss (+- {found.bar[worst]:.2g}); {failing.size} of the {entries.size} entries compared "
        f"disagree. Likely cause: {cause}"
    )


def _who(pair: Pair) -> str:
    return f"the {pair.structure.kind} structure of {pair.structure.__name__}"


def _cause(pair: Pair, entries: Indices, structured: Floats, plain: Floats) -> str:
    """What usually makes such a difference; the structure's own guess unless numbers tell."""
    own: str = pair.structure.likely_cause(pair.structured, int(entries[0]))
    residual = plain - structured
    usable = plain != 0
    if not usable.any():
        return own
    ratio = structured[usable] / plain[usable]
    if np.all(structured == 0):
        return f"the structure says that the loss does not depend on it; {own}"
    if np.allclose(ratio, -1.0, rtol=1e-3):
        return "its sign is turned round"
    if ratio.size > 1 and np.allclose(ratio, ratio[0], rtol=1e-3) and abs(ratio[0] - 1) > 1e-3:
        return (
            f"it is {ratio[0]:.6g} times too large everywhere (a sum where the loss has a mean, or "
            "a factor)"
        )
    theta = pair.theta[entries]
    if theta.size > 1 and np.all(theta != 0):
        factor = residual / theta
        if np.allclose(factor, factor[0], rtol=1e-2):
            return (
                f"a penalty on the parameters is missing: the rest is {factor[0]:.4g} times theta"
            )
    return own
