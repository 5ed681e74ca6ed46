"""Is a structure the loss's own? Its differences against those of the plain loss.

16 random entries are compared one by one, and the whole gradient along 4 random directions with
entries ``+-U(1/2, 3/2)``, which an error escapes with probability at most 1e-6 once its norm is 47
times the bar (Rudelson and Vershynin's bound). A bar is 8 standard deviations of the measured noise
of the plain loss, and the truncation that two steps show. What fails is halved until one entry is
left. A kink within the steps is no fault: differences at finer steps are others there, and agree.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastgrad.errors import StructureError
from fastgrad.evaluate.structured.base import StructuredEvaluator
from fastgrad.numerics.noise import ecnoise, rounding_noise
from fastgrad.numerics.steps import default_steps, power_of_two
from fastgrad.params import Floats

Indices = NDArray[np.int64]

ENTRIES = 16
DIRECTIONS = 4
STEP = 2.0**-17
"""Of one entry, at unit scale: the default of a central difference."""
DIRECTION_STEP = 2.0**-14
DIRECTION_POWER = -0.4
"""Steps along k entries are ``DIRECTION_STEP k^DIRECTION_POWER``: 2^-14 for one, 2^-20 for 1e5."""
WIDER = 8.0
FINER = 16.0
KINKED = 1e-4
"""An entry whose difference moves by this part of itself and of the rms when its step shrinks
`FINER` times has a kink within the step, where slopes along a direction are not sums of entries."""
NOISE_SDS = 8.0
ROUNDING = 1e-9
"""Relative slack: it covers the truncation that the wider step underestimates."""
EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class _Comparison:
    """A difference of the structure and of the plain loss, and how far they may be apart."""

    structured: Floats
    plain: Floats
    bar: Floats

    @property
    def fails(self) -> NDArray[np.bool_]:
        with np.errstate(invalid="ignore"):
            apart = ~(np.abs(self.structured - self.plain) <= self.bar)
        return apart & np.isfinite(self.plain)


def certify(run: StructuredEvaluator, indices: Indices, gradient: Floats) -> None:
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
    scale = default_steps(run.theta, 1.0)
    lines = [_line(run, indices, scale, rng) for _ in range(DIRECTIONS)]
    sigma = _plain_noise(run, indices, lines)
    entries = indices[chosen]
    failing = _failing_entries(run, entries, sigma)
    if failing.size:
        _refuse(run, entries, failing, sigma)
    steady: NDArray[np.bool_] | None = None
    for v in lines:
        if _direction_fails(run, v, indices, gradient, sigma):
            if steady is None:
                steady = _steady(run, indices, gradient)
            v[indices[~steady]] = 0.0
            if _direction_fails(run, v, indices, gradient, sigma):
                _refuse_direction(run, v, indices[steady], gradient[steady], sigma)


def _line(
    run: StructuredEvaluator, indices: Indices, scale: Floats, rng: np.random.Generator
) -> Floats:
    v = np.zeros(run.theta.size)
    signs = rng.choice((-1.0, 1.0), indices.size)
    v[indices] = signs * rng.uniform(0.5, 1.5, indices.size) * scale[indices]
    return v


def _plain_noise(run: StructuredEvaluator, indices: Indices, lines: list[Floats]) -> float:
    """sd of one evaluation of the plain loss, along the lines it is compared on and one coordinate.

    Lattices of powers of two show only 1/8 of it where a sum of penalties is rounded.
    """
    sigmas = [float(rounding_noise(run.reference)), 2 * EPS * abs(run.reference)]
    alone = np.zeros(run.theta.size)
    alone[indices[indices.size // 2]] = 1.0
    t = _direction_step(indices.size)
    for v, start in (*((v, t) for v in lines), (alone, STEP)):
        sigma, _ = ecnoise(partial(_plain_line, run, v, start))
        if sigma is not None:
            sigmas.append(sigma)
    return max(sigmas)


def _plain_line(run: StructuredEvaluator, v: Floats, start: float, offsets: Floats) -> Floats:
    return run.plain.along(v, start + offsets)


def _direction_step(entries: int) -> float:
    return float(power_of_two(DIRECTION_STEP * entries**DIRECTION_POWER))


def _failing_entries(run: StructuredEvaluator, entries: Indices, sigma: float) -> NDArray[np.intp]:
    """Positions in ``entries`` that disagree, and do not because a kink lies within the step.

    A kink shows in that the differences of a finer step are others, and agree.
    """
    h = default_steps(run.theta[entries], STEP)
    coarse = _compare(run, entries, h, sigma)
    first = np.flatnonzero(coarse.fails)
    if first.size == 0:
        return first
    fine = _compare(run, entries[first], h[first] / FINER, sigma)
    bar = coarse.bar[first] + fine.bar
    moved = np.abs(fine.plain - coarse.plain[first]) > bar
    moved |= np.abs(fine.structured - coarse.structured[first]) > bar
    return first[fine.fails | ~moved]


def _compare(run: StructuredEvaluator, entries: Indices, h: Floats, sigma: float) -> _Comparison:
    offsets = h[:, None] * np.array([1.0, -1.0, WIDER, -WIDER])
    structured, t = _differences(run.coordinates, entries, h, offsets)
    plain, u = _differences(run.plain.coordinates, entries, h, offsets)
    bar = (
        NOISE_SDS * sigma / (np.sqrt(2.0) * h)
        + 2 * (np.abs(t) + np.abs(u))
        + ROUNDING * np.abs(plain)
    )
    return _Comparison(structured, plain, bar)


def _differences(
    ask: Callable[[Indices, Floats], Floats], entries: Indices, h: Floats, offsets: Floats
) -> tuple[Floats, Floats]:
    """Central differences of step h, and their truncation."""
    f = ask(entries, offsets)
    with np.errstate(invalid="ignore", over="ignore"):
        D = (f[:, 0] - f[:, 1]) / (2 * h)
        wide = (f[:, 2] - f[:, 3]) / (2 * WIDER * h)
        t = np.nan_to_num((wide - D) / (WIDER**2 - 1))
    return D, t


def _steady(run: StructuredEvaluator, indices: Indices, gradient: Floats) -> NDArray[np.bool_]:
    """Entries whose difference is the same at a finer step: no kink lies within the step."""
    finite = np.isfinite(gradient)
    usual = float(np.sqrt(np.mean(gradient[finite] ** 2))) if finite.any() else 0.0
    h = default_steps(run.theta[indices], STEP / FINER)
    f = run.coordinates(indices, h[:, None] * np.array([1.0, -1.0]))
    with np.errstate(invalid="ignore"):
        moved = np.abs((f[:, 0] - f[:, 1]) / (2 * h) - gradient)
        return np.asarray(moved <= KINKED * (np.abs(gradient) + usual))


def _direction_fails(
    run: StructuredEvaluator, v: Floats, indices: Indices, gradient: Floats, sigma: float
) -> bool:
    """Whether the slope along v is not that of the gradient, and not for a kink within the step."""
    slopes = gradient * v[indices]
    slopes = slopes[np.isfinite(slopes)]
    claimed, rounding = float(slopes.sum()), EPS * float(np.sqrt(np.sum(slopes**2)))
    # The gradient's own truncation adds up along v; it is of the order of its noise at worst.
    own = ROUNDING * (float(np.sqrt(np.sum(slopes**2))) + abs(claimed))
    t = _direction_step(indices.size)
    seen: list[tuple[float, float]] = []
    for step in (t, t / FINER, t / FINER**2):
        f = run.along(v, step * np.array([1.0, -1.0, WIDER, -WIDER]))
        if not np.isfinite(f).all():
            return False
        D, wide = (f[0] - f[1]) / (2 * step), (f[2] - f[3]) / (2 * WIDER * step)
        truncation = abs(wide - D) / (WIDER**2 - 1)
        bar = NOISE_SDS * sigma / (np.sqrt(2.0) * step) + 4 * truncation + 8 * rounding + own
        if abs(D - claimed) <= bar and all(abs(D - other) > bar + b for other, b in seen):
            return False
        seen.append((D, bar))
        near, far = f[0] + f[1], f[2] + f[3]
        if abs(near) > NOISE_SDS * 2 * sigma and abs(far) < WIDER**1.5 * abs(near):
            return False  # a kink in theta itself: slopes along v need not be sums of its entries'
    return True


def _refuse_direction(
    run: StructuredEvaluator,
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
            if _direction_fails(run, w, indices[half], gradient[half], sigma):
                part = half
                break
        else:
            break
    if part.size == 1:
        failing = _failing_entries(run, indices[part], sigma)
        if failing.size:
            _refuse(run, indices[part], failing, sigma)
    name, last = (run.layout.name(int(indices[part[k]])) for k in (0, -1))
    where = f"by {name}" if part.size == 1 else f"along a random direction of {name} to {last}"
    w = np.zeros_like(v)
    w[indices[part]] = v[indices[part]]
    t = _direction_step(part.size)
    f = run.along(w, t * np.array([1.0, -1.0]))
    unit = w[indices[part[0]]] if part.size == 1 else 1.0
    claimed, slope = float(gradient[part] @ w[indices[part]]), float(f[0] - f[1]) / (2 * t)
    raise StructureError(
        f"{_who(run)} is not that of the loss: the derivative {where} is {claimed / unit:.10g} by "
        f"structure, with all the others, and {slope / unit:.10g} by the plain loss. Likely cause: "
        f"{run.structure.likely_cause(run, int(indices[part[0]]))}"
    )


def _refuse(
    run: StructuredEvaluator, entries: Indices, failing: NDArray[np.intp], sigma: float
) -> None:
    found = _compare(run, entries, default_steps(run.theta[entries], STEP), sigma)
    worst = failing[np.argmax(np.abs(found.structured - found.plain)[failing] / found.bar[failing])]
    position = int(entries[worst])
    order = np.concatenate([[worst], failing[failing != worst]])
    cause = _cause(run, entries[order], found.structured[order], found.plain[order])
    raise StructureError(
        f"{_who(run)} is not that of the loss: the derivative by {run.layout.name(position)} is "
        f"{found.structured[worst]:.10g} by structure and {found.plain[worst]:.10g} by the plain "
        f"loss (+- {found.bar[worst]:.2g}); {failing.size} of the {entries.size} entries compared "
        f"disagree. Likely cause: {cause}"
    )


def _who(run: StructuredEvaluator) -> str:
    return f"the {run.structure.kind} structure of {run.structure.__name__}"


def _cause(run: StructuredEvaluator, entries: Indices, structured: Floats, plain: Floats) -> str:
    """What usually makes such a difference; the structure's own guess unless numbers tell."""
    own: str = run.structure.likely_cause(run, int(entries[0]))
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
    theta = run.theta[entries]
    if theta.size > 1 and np.all(theta != 0):
        factor = residual / theta
        if np.allclose(factor, factor[0], rtol=1e-2):
            return (
                f"a penalty on the parameters is missing: the rest is {factor[0]:.4g} times theta"
            )
    return own


def key_of(run: StructuredEvaluator, indices: Indices | None) -> Any:
    """What a certificate is good for: parameters and arguments of these types, and the entries."""
    return run.kinds, None if indices is None else hash(indices.tobytes())
