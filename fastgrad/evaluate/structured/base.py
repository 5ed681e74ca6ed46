"""What every structured loss is, and what every evaluator of one shares.

A structured loss knows a cheaper way to the differences ``f(theta + h e_i) - f(theta)`` than two
evaluations of f. Its evaluator answers `coordinates` with those differences, so its ``reference``
is f(theta); everything else it asks of the plain loss.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from fastgrad.evaluate.adapters import dispatcher
from fastgrad.evaluate.compiled import CompiledEvaluator
from fastgrad.evaluate.explain import argument_name
from fastgrad.evaluate.guard import ArgumentGuard
from fastgrad.native import native_argument
from fastgrad.numerics.stencils import Stencil
from fastgrad.params import Floats, Layout, flatten

Plain: TypeAlias = Callable[[], CompiledEvaluator]


class Structure(ABC):
    """A loss with a structure; called, it is the plain loss.

    Parameters
    ----------
    loss : njit function or plain function
        The plain loss, which the structure is certified against.
    """

    kind: str
    """What reports call it."""
    trusts: str = ""
    """What of it the certificate can only sample, in words."""

    def __init__(self, loss: Callable[..., Any]):
        self.loss = dispatcher(loss)
        self.__name__ = getattr(loss, "__name__", type(loss).__name__)
        self.certified: set[Any] = set()
        """For what structures and types the certificate was given; see `certificate.certify`."""
        self.watched: set[Any] = set()
        """For what of these each function was seen to leave its inputs alone."""

    def __call__(self, theta: Any, *args: Any) -> float:
        """The plain loss, of theta in any structure that `fastgrad.grad` accepts."""
        layout, flat = flatten(theta)
        return float(self.loss(layout.native(flat), *map(native_argument, args)))

    @abstractmethod
    def around(
        self, plain: Plain, layout: Layout, theta: Floats, arguments: tuple[Any, ...]
    ) -> "StructuredEvaluator":
        """The evaluator around a flat theta; ``plain`` makes that of the plain loss."""

    @abstractmethod
    def likely_cause(self, run: Any, position: int) -> str:
        """What is usually wrong where entry ``position`` does not agree, in words."""


class StructuredEvaluator(ABC):
    """The plain loss, with the differences of its coordinates taken another way."""

    def __init__(
        self,
        structure: Structure,
        plain: Plain,
        layout: Layout,
        theta: Floats,
        arguments: tuple[Any, ...],
    ):
        self.theta = theta
        self.advance: Callable[[int], None] | None = None
        self.structure = structure
        self._make_plain = plain
        self._plain: CompiledEvaluator | None = None
        self.layout = layout
        self.arguments = tuple(map(native_argument, arguments))
        self._own = 0
        self._reference: float | None = None

    chunk: int = 1 << 62
    """Entries best asked for at a time: all, for what is shared between them."""

    @property
    def evaluations(self) -> int:
        """Evaluations of the loss, or of what stands for one."""
        return self._own + (0 if self._plain is None else self._plain.evaluations)

    @property
    def plain(self) -> CompiledEvaluator:
        """The evaluator of the plain loss, made when it is first asked for."""
        if self._plain is None:
            self._plain = self._make_plain()
        return self._plain

    @property
    def reference(self) -> float:
        """f(theta), which `coordinates` and `along` have subtracted."""
        if self._reference is None:
            self._reference = self.plain.value()
        return self._reference

    @property
    @abstractmethod
    def magnitudes(self) -> Floats:
        """What the noise of each entry's differences is in proportion to, shape (n,)."""

    def value(self) -> float:
        """The loss at theta, evaluated plainly."""
        value = self.plain.value()
        if self._reference is None:
            self._reference = value
        return value

    def along(self, direction: Floats, offsets: Floats) -> Floats:
        """Differences of the plain loss along a direction, shape (k,)."""
        return self.plain.along(direction, offsets) - self.reference

    @abstractmethod
    def coordinates(self, indices: NDArray[np.int64], offsets: Floats) -> Floats:
        """``values[k, j]``: f(theta + offsets[k, j] e_{indices[k]}) - f(theta), shape (m, k)."""

    def gradient(self, stencil: Stencil) -> Floats | None:
        """The whole gradient at default steps where there is a shorter way to it than entries."""
        return None

    @cached_property
    def kinds(self) -> Any:
        """Theta's structure and the types of the arguments.

        A number counts as zero or not: a penalty of weight 0 proves nothing.
        """
        return self.layout, *(
            (value.dtype, value.ndim)
            if isinstance(value, np.ndarray)
            else (type(value), bool(value) if isinstance(value, int | float | np.number) else None)
            for value in self.arguments
        )

    @contextmanager
    def guarded(self, what: str, function: Any, *own: Any) -> Iterator[None]:
        """Raise `MutatedInputError` if one of a structure's functions writes to its inputs.

        Only where it first runs for inputs of these types: a checksum of large ones takes as long
        as the function itself. ``own`` are its arguments before those of the loss.
        """
        key = what, self.kinds
        if key in self.structure.watched:
            yield
            return
        who = f"{what} ({function.__name__})"
        inputs = (*own, *self.arguments)
        guard = ArgumentGuard(inputs, lambda k: argument_name(function, k), who)
        yield
        guard.check()
        self.structure.watched.add(key)

    def _made(self, evaluations: int, values: int) -> None:
        """Count ``evaluations``; show progress of ``values`` differences."""
        self._own += evaluations
        if self.advance is not None:
            self.advance(values)


_factories: WeakKeyDictionary[Any, Callable[[], Structure]] = WeakKeyDictionary()
_built: WeakKeyDictionary[Any, Structure] = WeakKeyDictionary()


def register(loss: Any, factory: Callable[[], Structure]) -> None:
    """Have ``factory()`` stand for an njit loss wherever that is differentiated.

    The structure is built when it is first needed.
    """
    _factories[loss] = factory
    _built.pop(loss, None)


def structure_of(loss: Any) -> Structure | None:
    """The structure that a loss is, or that was registered for it; None for a plain one."""
    if isinstance(loss, Structure):
        return loss
    try:
        factory = _factories.get(loss)
    except TypeError:  # unhashable, or it takes no weak reference
        return None
    if factory is None:
        return None
    if loss not in _built:
        _built[loss] = factory()
    return _built[loss]


def plain_loss(loss: Any) -> Any:
    """The loss itself, without its structure."""
    return loss.loss if isinstance(loss, Structure) else loss
