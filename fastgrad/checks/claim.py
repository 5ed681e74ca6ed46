"""The gradient under test: what it says at theta, in what precision, and how to ask it elsewhere."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numba.core.registry import CPUDispatcher

from fastgrad.arrays import CHUNK, Array, Floats, Indices
from fastgrad.errors import MutatedInputError, StructureMismatchError
from fastgrad.evaluate.purity import ArgumentGuard
from fastgrad.numerics.bars import ROUNDING
from fastgrad.numerics.norms import norm
from fastgrad.parameters.layout import Block, Layout, flatten
from fastgrad.parameters.native import native_argument
from fastgrad.parameters.trees import real_array


@dataclass(frozen=True)
class Claim:
    """The gradient under test at one theta; never written to.

    Parameters
    ----------
    values : ndarray, shape (n,)
    unit : ndarray, shape (blocks,)
        The rounding unit in which each block was given.
    function : callable or None
        ``function(point) -> gradient``, both of shape (n,), where the gradient can be asked again.
    corrections : mapping
        Differences that stand for entries found to be wrong: ``{position: (D, bar)}``.
    """

    values: Floats
    unit: Floats
    function: Callable[[Floats], Floats] | None = None
    corrections: Mapping[int, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def read(
        cls, gradient: Any, layout: Layout, flat: Floats, theta: Any, args: tuple[Any, ...]
    ) -> "Claim":
        """The gradient that a user gave, a function or values, along the flat theta.

        A compiled gradient gets the NamedTuple that the compiled loss gets, a Python callable a copy
        of theta as the user passed it. It may return theta's structure or one flat vector.

        Raises
        ------
        MutatedInputError
            The gradient wrote to theta or to another argument.
        StructureMismatchError, TypeError
            It is not shaped like theta, or not made of real numbers.
        """
        if not callable(gradient):
            return cls(*flat_gradient(gradient, layout))
        guard = ArgumentGuard(args, lambda k: f"{k + 1} after theta", "the gradient under test")
        value = _call(gradient, layout, flat, theta, args)
        guard.check()

        def elsewhere(point: Floats) -> Floats:
            there = None if isinstance(gradient, CPUDispatcher) else layout.given(point.copy())
            return flat_gradient(_call(gradient, layout, point, there, args), layout)[0]

        return cls(*flat_gradient(value, layout), elsewhere)

    def at(self, positions: Indices) -> Floats:
        """The entries at some positions, as they were given."""
        return self.values[positions]

    def rounding(self, a: Floats, block: Indices) -> Floats:
        """The rounding of entries ``a`` of the blocks ``block``, shape (m,).

        Measured by at least the typical entry: one that is zero by cancellation was summed from
        larger terms.
        """
        size = np.where(np.isfinite(a), np.abs(a), 0.0)
        typical = float(np.median(size[size > 0])) if size.any() else 0.0
        return np.maximum(ROUNDING, self.unit[block]) * np.maximum(size, typical)

    def finite(self) -> "Claim":
        """The same with 0 for what is not finite."""
        good = np.isfinite(self.values)
        return self if good.all() else replace(self, values=np.where(good, self.values, 0.0))

    def corrected(self, position: int, difference: float, bar: float) -> "Claim":
        """The same with a difference quotient in the place of an entry found to be wrong."""
        return replace(self, corrections={**self.corrections, position: (difference, bar)})

    def along(self, v: Floats) -> tuple[float, float, float]:
        """``v . a``, the norm of its terms, and the bar that corrections bring, chunk by chunk."""
        total, length = 0.0, 0.0
        for start in range(0, v.size, CHUNK):
            products = self._part(start, start + CHUNK) * v[start : start + CHUNK]
            total += float(products.sum())
            length = float(np.hypot(length, norm(products)))  # no BLAS: its threads cost to wake
        bar = sum(abs(float(v[i])) * known for i, (_, known) in self.corrections.items())
        return total, length, bar

    def _part(self, start: int, stop: int) -> Floats:
        values = self.values[start:stop]
        inside = [i for i in self.corrections if start <= i < stop]
        if inside:
            values = values.copy()
            for i in inside:
                values[i - start] = self.corrections[i][0]
        return values


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
    """The gradient at a point; it must leave its own copy of the point alone."""
    if isinstance(gradient, CPUDispatcher):
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
