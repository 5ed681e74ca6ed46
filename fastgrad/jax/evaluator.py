"""The evaluator of a jax program: jitted, and vmapped over points in chunks sized by memory."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fastgrad.arrays import Array, Floats, Indices
from fastgrad.checks.low_precision import SINGLE, Rounds, bars_of_calls
from fastgrad.errors import LossError
from fastgrad.evaluate.compiling import counted_as_compiling
from fastgrad.evaluate.explain import loss_error
from fastgrad.evaluate.protocol import Evaluator, Inputs
from fastgrad.jax.program import Program

MEMORY = 2.0**28
"""Bytes that the points of one call may take; what the loss makes of them is of that order."""
LARGEST_CHUNK = 256
SMALL_CHUNK = 8
"""Points are padded to so many, or to the largest chunk: two programs to compile, not one a count."""


class JaxEvaluator(Evaluator):
    """The loss of a program around one flat theta.

    Parameters
    ----------
    program : Program
    inputs : Inputs
        Its layout has a block for each leaf, in order.
    """

    def __init__(self, program: Program, inputs: Inputs):
        super().__init__(inputs.theta)
        self._program, self._layout = program, inputs.layout
        self._dtypes = [leaf.dtype for leaf in program.leaves.values()]
        with program.x64():
            self._flat = jnp.asarray(inputs.theta)  # float32 without x64
        per_point = self._flat.size * self._flat.dtype.itemsize
        self._chunk = int(np.clip(MEMORY // per_point, 1, LARGEST_CHUNK))
        self._how = ""
        self._compiled: set[tuple[int, int]] = set()
        """Columns and sizes of what was called: a first call compiles."""

    @property
    def ran(self) -> str:  # type: ignore[override]
        kinds = ", ".join(dict.fromkeys(map(str, self._dtypes)))
        device = jax.default_backend()
        return f"Ran in jax {jax.__version__} on {device}, in {kinds}, {self._how or 'jitted'}"

    def coordinates(self, indices: Indices, offsets: Floats) -> Floats:
        """``values[k, j]``: the loss at ``theta + offsets[k, j] e_{indices[k]}``, shape (m, k).

        Where a leaf is too coarse for a point, the value is that of the straight line through theta
        and the nearest point there is.
        """
        i = np.repeat(indices, offsets.shape[1])
        there, parts = self._reachable(i, offsets.ravel())
        values = self._in_chunks(self._entry, (i, there))
        if (parts != 1).any():
            values = self._at_theta + parts * (values - self._at_theta)
        return values.reshape(offsets.shape)

    def along(self, direction: Floats, offsets: Floats) -> Floats:
        """``values[j]``: the loss at ``theta + offsets[j] direction``, shape (k,)."""
        with self._program.x64():
            v = jnp.asarray(direction)
        return self._in_chunks(self._line, (offsets,), v)

    @cached_property
    def _at_theta(self) -> float:
        return float(self.along(np.zeros(self.theta.size), np.zeros(1))[0])

    def _reachable(self, i: Indices, offsets: Floats) -> tuple[Floats, Floats]:
        """Values of entries as their leaves can hold them, and what part of that way offsets are."""
        there = self.theta[i] + offsets
        parts = np.ones(there.size)
        blocks = np.searchsorted(self._layout.stops, i, side="right")
        for b in np.unique(blocks):
            dtype = np.dtype(self._dtypes[b])
            if dtype == np.float64:
                continue
            mine = np.flatnonzero((blocks == b) & (offsets != 0))
            here, wanted = self.theta[i[mine]], there[mine].astype(dtype)
            ends = np.copysign(np.inf, offsets[mine]).astype(dtype)
            beside = np.nextafter(here.astype(dtype), ends)
            wanted = np.where(wanted.astype(np.float64) == here, beside, wanted)
            there[mine] = wanted.astype(np.float64)
            parts[mine] = offsets[mine] / (there[mine] - here)
        return there, parts

    def _in_chunks(
        self, kernel: Callable[..., Any], columns: tuple[Array, ...], *more: Any
    ) -> Floats:
        count = columns[0].size
        values = np.empty(count)
        size = min(self._chunk, SMALL_CHUNK) if count <= SMALL_CHUNK else self._chunk
        with self._program.x64():
            for start in range(0, count, size):
                parts = [column[start : start + size] for column in columns]
                padded = [np.pad(part, (0, size - part.size), mode="edge") for part in parts]
                found = self._called(kernel, padded, more)
                values[start : start + size] = found[: parts[0].size]
        self.evaluations += count
        if self.advance is not None:
            self.advance(count)
        return values

    def _called(
        self, kernel: Callable[..., Any], columns: list[Array], more: tuple[Any, ...]
    ) -> Any:
        """Some points, vmapped; one after the other where the loss refuses that."""
        given = self._flat, *more, self._program.arguments_given()
        try:
            shape = len(columns), columns[0].size
            with nullcontext() if shape in self._compiled else counted_as_compiling():
                found = np.asarray(kernel(*columns, *given), np.float64)
            self._compiled.add(shape)
            self._how = self._how or f"jitted, {self._chunk} points at a time"
        except Exception as error:
            if self._how == "jitted, one point at a time" or self.evaluations:
                raise LossError(str(loss_error("some point", error))) from error
            self._how = "jitted, one point at a time"
            self._chunk = 1
            self.__dict__.pop("_entry", None), self.__dict__.pop("_line", None)
            return self._called(self._entry if len(columns) == 2 else self._line, columns, more)
        return found

    @cached_property
    def _entry(self) -> Callable[..., Any]:
        def one(i: Any, there: Any, flat: Any, arguments: Any) -> Any:
            return self._scalar(flat.at[i].set(there.astype(flat.dtype)), arguments)

        return self._many(one, (0, 0, None, None))

    @cached_property
    def _line(self) -> Callable[..., Any]:
        def one(t: Any, flat: Any, v: Any, arguments: Any) -> Any:
            return self._scalar(flat + t.astype(flat.dtype) * v, arguments, t)

        return self._many(one, (0, None, None, None))

    def _many(self, one: Callable[..., Any], axes: tuple[int | None, ...]) -> Callable[..., Any]:
        if not self._how.endswith("one point at a time"):
            return jax.jit(jax.vmap(one, axes))
        moving = sum(axis == 0 for axis in axes)

        def many(*given: Any) -> Any:
            return jax.lax.map(lambda parts: one(*parts, *given[moving:]), given[:moving])

        return jax.jit(many)

    def _scalar(self, flat: Any, arguments: Any, t: Any = None) -> Any:
        """The loss at a point; at one of a line, by its offset, numbers of half precision are drawn."""
        leaves = []
        for block, dtype in zip(self._layout.blocks, self._dtypes, strict=True):
            part = flat[block.start : block.stop].reshape(block.shape)
            if t is not None and dtype.itemsize < SINGLE:
                part = _up_or_down(part, dtype, t)
            leaves.append(part.astype(dtype))
        return self._program.scalar(leaves, arguments)


def _up_or_down(values: Any, dtype: Any, t: Any) -> Any:
    """Values that are rounded up or down at random, by their distance; equal offsets draw the same."""
    bits = jax.lax.bitcast_convert_type(t.astype(jnp.float32), jnp.uint32)
    draw = jax.random.uniform(jax.random.PRNGKey(bits), values.shape, values.dtype)
    unit = jnp.ldexp(jnp.ones_like(values), jnp.frexp(values)[1] - 1) * float(jnp.finfo(dtype).eps)
    # What is a number of that precision stays: below a power of two they lie half as far apart.
    is_one = values.astype(dtype).astype(values.dtype) == values
    return jnp.where(is_one, values, values + (draw - 0.5) * unit)


class JaxLoss:
    """A program as a loss, which brings an evaluator of its own."""

    def __init__(self, program: Program):
        self.program = program
        self.__name__ = program.name

    def __call__(self, theta: dict[str, Array], *_: Any) -> float:
        """The loss at other values of its leaves."""
        with self.program.x64():
            leaves = [jnp.asarray(theta[n], x.dtype) for n, x in self.program.leaves.items()]
            return float(self.program.scalar(leaves, self.program.arguments_given()))

    def evaluator_at(self, inputs: Inputs) -> Evaluator:
        """What differences are taken with."""
        return JaxEvaluator(self.program, inputs)


class JaxGradient:
    """The gradient under test of a program: jax.grad's, or one that a user computes."""

    def __init__(self, program: Program, claimed: Callable[..., Any] | None):
        self.program, self.claimed = program, claimed
        self.__name__ = "jax.grad" if claimed is None else getattr(claimed, "__name__", "grad")

    def __call__(self, theta: dict[str, Array], *_: Any) -> dict[str, Array]:
        """The gradient at other values of the leaves."""
        return self.program.gradient(theta, self.claimed)

    def error_bars(self, theta: dict[str, Array]) -> dict[str, Floats]:
        """How far each entry may be off because it differs from call to call."""
        return bars_of_calls(self, theta, self.program.eps)


class RoundedGradient(Rounds, JaxGradient):
    """The same in less than float64, with error bars for what rounding does to it.

    Parameters
    ----------
    program : Program
    claimed : callable or None
    exact : JaxGradient, optional
        The same in float64.
    """

    def __init__(
        self,
        program: Program,
        claimed: Callable[..., Any] | None,
        exact: JaxGradient | None = None,
    ):
        super().__init__(program, claimed)
        self.exact, self.eps = exact, program.eps
