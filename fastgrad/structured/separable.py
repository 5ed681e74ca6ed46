"""Losses that are sums of terms, each of which depends on few entries."""

# mypy: allow-untyped-defs

import inspect
import zlib
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numba import njit

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.errors import LossError
from fastgrad.evaluate.adapters import dispatcher
from fastgrad.evaluate.kernels import _kernel
from fastgrad.evaluate.protocol import Inputs
from fastgrad.structured.evaluator import StructuredEvaluator
from fastgrad.structured.sparsity import PROBES, Pattern, detect
from fastgrad.structured.structure import Plain, Structure, require_reduction

FLOOR = 0.01
"""The part of the mean magnitude that any has: terms that are zero at theta are not free of noise
around it."""


class Separable(Structure):
    """A loss that is a sum or a mean of terms, each of which depends on few entries of theta.

    Entries that share no term are perturbed together, so the gradient costs two evaluations a
    colour: 4 for a chain, whatever its length, instead of two an entry.

    Parameters
    ----------
    terms : njit function
        ``terms(theta, *args) -> ndarray, shape (T,)``.
    sparsity : scipy.sparse matrix or array, shape (T, n), or "detect"
        Where term t depends on entry i of theta; only the places of stored entries count. Entries
        are in theta's order, blocks one after the other, each row by row. ``"detect"`` finds it by
        perturbing entries, once for these parameters and arguments (about 20 levels of a few
        evaluations where terms are local in the order of entries, up to 6 n where they are not).
    reduction : {"sum", "mean"}
        Of the terms, to the loss.
    loss : njit function, optional
        The plain loss, to be certified against; by default the reduction of the terms.

    Notes
    -----
    The difference of an entry is that of its own terms, so it is free of the rounding of a large
    sum. A dependence that no probe shows (a branch not taken nearby) is not detected, nor is it
    there for a derivative at this theta.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> from numba import njit
    >>> @njit
    ... def rosenbrock(x):
    ...     return 100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2
    >>> g = fg.grad(fg.structured.Separable(rosenbrock, "detect"))
    >>> g(np.full(100_000, 2.0))[:3].round(6)
    array([1602., 1202., 1202.])
    """

    kind = "separable"

    def __init__(
        self,
        terms: Callable[..., Any],
        sparsity: Any,
        *,
        reduction: str = "sum",
        loss: Callable[..., Any] | None = None,
    ):
        require_reduction(reduction)
        self.terms = dispatcher(terms)
        self.mean = reduction == "mean"
        super().__init__(reduced(self.terms, self.mean) if loss is None else loss)
        self.__name__ = getattr(terms, "__name__", "terms")
        if isinstance(sparsity, str) and sparsity != "detect":
            raise ValueError(f'sparsity={sparsity!r}: expected a scipy.sparse pattern, or "detect"')
        self._given = None if isinstance(sparsity, str) else Pattern(sparsity)
        self._detected: dict[Any, Pattern] = {}

    def around(self, plain: Plain, inputs: Inputs) -> "SeparableEvaluator":
        return SeparableEvaluator(self, plain, inputs)

    def pattern(self, inputs: Inputs, terms: Callable[[Floats], Floats]) -> Pattern:
        """The pattern that was given, or is detected once for these parameters and arguments.

        Parameters
        ----------
        terms : callable
            The terms of a flat theta.
        """
        if self._given is not None:
            return self._given
        key = inputs.layout.tree, checksum(inputs.arguments)
        if key not in self._detected:
            self._detected = {key: detect(terms, inputs.theta)}
        return self._detected[key]

    def likely_cause(self, run: Any, position: int) -> str:
        missing = run.missing_terms(position)
        found = (int(missing[0]), position) if missing.size else run.intruder(position)
        if found is not None:
            return (
                f"the sparsity pattern says that term {found[0]} does not depend on "
                f"{run.layout.name(found[1])}, but it changes with it"
            )
        return (
            "terms and loss are not the same function (another reduction, or a term beside the sum)"
        )


class SeparableEvaluator(StructuredEvaluator):
    """All entries of one colour perturbed at once; each entry's difference is that of its terms."""

    def __init__(self, structure: Separable, plain: Plain, inputs: Inputs):
        super().__init__(structure, plain, inputs)
        self._terms = structure.terms
        with self.guarded("terms", self._terms, self.layout.native(self.theta)):
            self._at_theta = self.terms(self.theta)
        self.pattern = structure.pattern(inputs, self.terms)
        self.pattern.require_shape(self._at_theta.size, self.layout)
        self._scale = 1.0 / self._at_theta.size if structure.mean else 1.0

    def terms(self, theta: Floats) -> Floats:
        """The terms at a flat theta, shape (T,)."""
        self._evaluations += 1
        try:
            values = self._terms(self.layout.native(theta), *self.arguments)
        except Exception as error:
            raise LossError("the terms raised near theta") from error
        if not isinstance(values, np.ndarray) or values.ndim != 1:
            raise TypeError(
                f"terms returned {type(values).__name__}: expected an array of shape (T,)"
            )
        return np.ascontiguousarray(values, np.float64)

    @cached_property
    def magnitudes(self) -> Floats:
        sums = np.asarray(np.abs(self._at_theta) @ self.pattern.matrix) * self._scale
        floor = FLOOR * float(sums.mean())
        return np.asarray(np.maximum(sums, floor if floor > 0 else 1.0))

    def missing_terms(self, position: int) -> Indices:
        """Terms that change with an entry and are not in its pattern."""
        changed = self._changed_by(np.array([position]))
        start, stop = self.pattern.matrix.indptr[position : position + 2]
        changed[self.pattern.matrix.indices[start:stop]] = False
        return np.asarray(np.flatnonzero(changed))

    def intruder(self, position: int) -> tuple[int, int] | None:
        """A term of an entry, and another entry of its colour that changes it all the same."""
        start, stop = self.pattern.matrix.indptr[position : position + 2]
        own = self.pattern.matrix.indices[start:stop]
        colours = self.pattern.colours
        others = np.flatnonzero(colours == colours[position])
        others = others[others != position]
        changed = self._changed_by(others)[own]
        if not changed.any():
            return None
        while others.size > 1:
            half = others[: others.size // 2]
            others = half if self._changed_by(half)[own].any() else others[half.size :]
        return int(own[self._changed_by(others)[own]][0]), int(others[0])

    def _changed_by(self, entries: Indices) -> Mask:
        point = self.theta.copy()
        point[entries] += PROBES[0] * np.maximum(np.abs(point[entries]), 1.0)
        return np.asarray(self.terms(point) != self._at_theta)

    def coordinates(self, indices: Indices, offsets: Floats) -> Floats:
        """``values[k, j]``: f(theta + offsets[k, j] e_{indices[k]}) - f(theta), shape (m, k).

        Raises
        ------
        LossError
            The terms raised; with their own exception as cause.
        """
        values = np.zeros(offsets.shape)
        for j in range(offsets.shape[1]):
            column = np.zeros(indices.size)
            for rows in _without_repeats(indices, offsets[:, j]):
                self._difference(indices, offsets[:, j], rows, column)
            values[:, j] = column
        self._made(0, values.size)
        return values

    def _difference(
        self,
        indices: Indices,
        offsets: Floats,
        rows: Indices | None,
        out: Floats,
    ) -> None:
        """Fill ``out[rows]``; the entries ``indices[rows]`` differ from each other."""
        if rows is not None:
            indices, offsets = indices[rows], offsets[rows]
        colours = self.pattern.colours[indices]
        starts, entries = self.pattern.matrix.indptr, self.pattern.matrix.indices
        result = out if rows is None else np.zeros(indices.size)
        point = self.theta.copy()
        for colour in self.pattern.used(colours):
            set_colour(point, indices, offsets, colours, colour)
            there = self.terms(point)
            add_terms(
                indices,
                colours,
                colour,
                starts,
                entries,
                there,
                self._at_theta,
                self._scale,
                result,
            )
            reset_colour(point, self.theta, indices, colours, colour)
        if rows is not None:
            out[rows] = result


@_kernel()
def set_colour(point, indices, offsets, colours, colour):
    """Offset the entries of one colour."""
    for k in range(indices.size):
        if colours[k] == colour:
            point[indices[k]] += offsets[k]


@_kernel()
def reset_colour(point, theta, indices, colours, colour):
    """Put the entries of one colour back."""
    for k in range(indices.size):
        if colours[k] == colour:
            point[indices[k]] = theta[indices[k]]


@_kernel()
def add_terms(indices, colours, colour, starts, entries, there, here, scale, out):
    """``out[k]``: by how much the terms of each entry of one colour have changed."""
    for k in range(indices.size):
        if colours[k] == colour:
            total = 0.0
            for e in range(starts[indices[k]], starts[indices[k] + 1]):
                total += there[entries[e]] - here[entries[e]]
            out[k] = total * scale


def _without_repeats(indices: Indices, offsets: Floats) -> list[Indices | None]:
    """Rows to do together, so that no entry is in one of them twice; None for all of them."""
    if indices.size < 2 or (np.diff(indices) > 0).all():
        return [None]
    left = np.flatnonzero(offsets != 0)
    parts: list[Indices | None] = []
    while left.size:
        _, first = np.unique(indices[left], return_index=True)
        parts.append(left[np.sort(first)])
        left = np.delete(left, first)
    return parts


def checksum(arguments: tuple[Any, ...]) -> int:
    """A checksum of all arguments: a detected pattern may depend on what is in them."""
    total = 0
    for value in arguments:
        if isinstance(value, np.ndarray) and not value.dtype.hasobject:
            total = zlib.crc32(np.ascontiguousarray(value).view(np.uint8).reshape(-1).data, total)
        else:
            total = zlib.crc32(repr(value).encode(), total)
    return total


def reduced(terms: Any, mean: bool) -> Any:
    """The sum or the mean of the terms as a loss, of the same arguments with the same defaults."""
    parameters = inspect.signature(terms.py_func).parameters.values()
    names = ", ".join(p.name for p in parameters)
    given = ", ".join(
        p.name if p.default is p.empty else f"{p.name}=default_{p.name}" for p in parameters
    )
    scope = {f"default_{p.name}": p.default for p in parameters}
    source = f"def loss({given}):\n    return terms({names}).{'mean' if mean else 'sum'}()\n"
    exec(source, scope := {**scope, "terms": terms})
    return njit(nogil=True)(scope["loss"])
