"""Before differences are taken: is the loss a function, how noisy, and what came as its gradient?"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numba.core.registry import CPUDispatcher
from numpy.typing import NDArray

from fastgrad.detect.directions import Directions
from fastgrad.errors import MutatedInputError, StructureMismatchError
from fastgrad.evaluate import Evaluator, entry_noise, require_finite
from fastgrad.evaluate.determinism import require_deterministic
from fastgrad.evaluate.guard import ArgumentGuard
from fastgrad.numerics.noise import ecnoise, rounding_noise
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.params import Array, Block, Floats, Layout, flatten, native_argument, real_array

REPEATS = 3
"""Caught dropout of probability 1e-3 in 200 of 200 losses; rarer kinds show up during the sweep."""
DIRECTIONS = 5
"""Of which the largest noise counts: one direction alone was found 2 times too low."""
NOISE_STREAM = 1 << 32
"""Directions from here on are for noise."""
FEW = 5
"""Up to so many parameters, directions do not show what single coordinates see: measure those too."""


@dataclass(frozen=True)
class Loss:
    """What preflight learned about the loss."""

    value: float
    noise: float
    """sd of one evaluation, absolute."""
    float32: bool
    """Whether every value seen is a float32."""
    reordered: bool
    """Whether repeats differ by rounding."""
    base: float
    """The loss at theta as the evaluator's `coordinates` give it: 0 where they are differences."""
    entry_noise: Floats | None = None
    """sd of each entry's values, shape (n,), where it is not ``noise``."""

    def noise_of(self, indices: NDArray[np.intp]) -> Floats | float:
        """sd of one value of `coordinates` at some entries."""
        return self.noise if self.entry_noise is None else self.entry_noise[indices]


def repeat_loss(run: Evaluator) -> tuple[float, float]:
    """The loss at theta, and the spread of its repeats.

    Raises
    ------
    NondeterministicLossError
        Repeats differ by more than reordered sums do.
    NonFiniteLossError
        From the first value.
    """
    # In one call: between calls the random state is put back, and dropout would look the same.
    repeats = run.along(np.zeros(run.theta.size), np.zeros(REPEATS)) + run.reference
    return require_finite(float(repeats[0])), require_deterministic(repeats)


def inspect_loss(
    run: Evaluator,
    trainable: NDArray[np.bool_] | None,
    seed: int,
    value: float | None = None,
    spread: float = 0.0,
) -> Loss:
    """How noisy is the loss, and in what precision is it computed?

    Parameters
    ----------
    value, spread : float, optional
        Of `repeat_loss`, which is called without them.
    """
    if value is None:
        value, spread = repeat_loss(run)
    sigmas = [spread, float(rounding_noise(value))]
    samples: list[Floats] = []
    for line in _lines(run, trainable, seed):
        sigma, seen = ecnoise(line)
        samples.append(seen + run.reference)
        if sigma is not None:
            sigmas.append(sigma)
    return Loss(
        value,
        max(sigmas),
        _all_float32(samples),
        spread > 0,
        base=value - run.reference,
    )


def inspect_entries(
    loss: Loss, run: Evaluator, trainable: NDArray[np.bool_] | None, seed: int
) -> Loss:
    """What a sweep must know beyond `inspect_loss`: the noise of a structure's own differences."""
    return replace(loss, entry_noise=entry_noise(run, trainable, seed))


def read_gradient(
    gradient: Any, layout: Layout, run: Evaluator, theta: Any, args: tuple[Any, ...]
) -> tuple[Floats, Floats]:
    """The gradient under test along the flat theta, and the rounding unit of each block.

    A compiled gradient gets the NamedTuple that the compiled loss gets, a Python callable a copy of
    theta as the user passed it. It may return theta's structure or one flat vector.

    Raises
    ------
    MutatedInputError
        The gradient wrote to theta or to another argument.
    StructureMismatchError, TypeError
        It is not shaped like theta, or not made of real numbers.
    """
    if callable(gradient):
        guard = ArgumentGuard(args, lambda k: f"{k + 1} after theta", "the gradient under test")
        gradient = _call(gradient, layout, run.theta, theta, args)
        guard.check()
    return flat_gradient(gradient, layout)


def gradient_at(
    gradient: Callable[..., Any],
    layout: Layout,
    args: tuple[Any, ...],
    point: Floats,
) -> Floats:
    """The gradient under test at another point, flat."""
    there = None if isinstance(gradient, CPUDispatcher) else layout.given(point.copy())
    return flat_gradient(_call(gradient, layout, point, there, args), layout)[0]


def flat_gradient(gradient: Any, layout: Layout) -> tuple[Floats, Floats]:
    """A gradient's values along the flat theta, and the rounding unit of each block.

    Raises
    ------
    StructureMismatchError, TypeError
        It is not shaped like theta, or not made of real numbers.
    """
    if gradient is None:
        raise TypeError(
            "the gradient under test returned None: expected numbers shaped like theta (is a "
            "return statement missing?)"
        )
    units = np.full(len(layout.blocks), np.finfo(np.float64).eps)
    if isinstance(gradient, np.ndarray) and gradient.shape == (layout.size,):
        array = real_array(gradient, "the gradient under test")
        units[:] = _unit(array)
        return array.astype(np.float64), units

    def leaf(part: Any, block: Block) -> Array:
        array = real_array(part, f"the gradient under test for {block.name}")
        _require_like(array, block, layout)
        units[layout.blocks.index(block)] = _unit(array)
        return array.astype(np.float64).ravel()

    return np.concatenate(layout.match(gradient, "the gradient under test", leaf)), units


def _call(
    gradient: Callable[..., Any],
    layout: Layout,
    flat: Floats,
    theta: Any,
    args: tuple[Any, ...],
) -> Any:
    compiled = isinstance(gradient, CPUDispatcher)
    if compiled:
        own = flat.copy()
        result = gradient(layout.native(own), *map(native_argument, args))
    else:
        given = copy.deepcopy(theta)
        result = gradient(given, *args)
        own = flatten(given, layout.root)[1]
    changed = np.flatnonzero(own != flat)
    if changed.size:
        raise MutatedInputError(
            f"the gradient under test wrote to theta ({layout.name(int(changed[0]))} was "
            f"{flat[changed[0]]:.17g}, became {own[changed[0]]:.17g}): expected it to leave its "
            "parameters alone"
        )
    return result


def _require_like(array: Array, block: Block, layout: Layout) -> None:
    if array.shape == block.shape:
        return
    flat = f", or one flat vector of {layout.size}" if not layout.plain or block.shape else ""
    raise StructureMismatchError(
        f"the gradient under test for {block.name}: expected shape {block.shape}, as the "
        f"parameters have{flat}; got {array.shape}"
    )


def _unit(array: Array) -> float:
    """The rounding unit in which a gradient was handed over."""
    return float(np.finfo(array.dtype).eps) if array.dtype.kind == "f" else 0.0


def _lines(
    run: Evaluator, trainable: NDArray[np.bool_] | None, seed: int
) -> Iterator[Callable[[Floats], Floats]]:
    """f along the lines that noise is measured on: exact lattices around theta, and one step off it.

    Entries move by plus or minus their own power of two, so that rounding of the *points* is not
    taken for noise of f. A step away counts too: where f is zero, as at a perfect fit, it is exact.
    """
    directions = Directions(run.theta, trainable, seed)
    away = CENTRAL[2].step
    for k in range(DIRECTIONS):
        v = directions.draw_exact(NOISE_STREAM + k)
        start = away if k % 2 else 0.0
        yield partial(_along, run, v, start)
    count = run.theta.size if trainable is None else int(np.count_nonzero(trainable))
    if count <= FEW:
        for i in np.flatnonzero(v):
            yield partial(_beside, run, np.array([i]), abs(v[i]), away)


def _along(run: Evaluator, v: Floats, start: float, offsets: Floats) -> Floats:
    return run.along(v, start + offsets)


def _beside(
    run: Evaluator, index: NDArray[np.intp], scale: float, start: float, offsets: Floats
) -> Floats:
    return run.coordinates(index, scale * (start + offsets[None, :]))[0]


def _all_float32(samples: list[Floats]) -> bool:
    values = np.unique(np.concatenate(samples))
    values = values[np.isfinite(values)]
    with np.errstate(over="ignore"):
        return values.size >= 5 and bool(np.all(values.astype(np.float32) == values))
