"""The evaluator of a loss: two questions that everything above asks, whoever answers them.

An evaluator stands at `Inputs`, what a loss is given. ``coordinates(indices, offsets)`` is the loss
at theta with single entries offset, ``along(direction, offsets)`` the loss on a line through theta.
Those two are all that a new evaluator must bring; everything else here has a default.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastgrad.arrays import CHUNK, Floats, Indices, Mask
from fastgrad.errors import LossError
from fastgrad.evaluate.drawn_directions import Drawn
from fastgrad.evaluate.purity import require_finite
from fastgrad.numerics.stencils import Stencil
from fastgrad.parameters.arguments import Argnum
from fastgrad.parameters.layout import Layout

OUTSIDE = "Outside its domain"
"""The first words of what is said of a loss that raises beside theta."""


class Inputs(NamedTuple):
    """What a loss is given: theta along a flat vector, and its other arguments.

    A NamedTuple and no dataclass, which takes 1 us to make: every call of a gradient makes one.
    """

    layout: Layout
    """How theta lies in the vector."""
    theta: Floats
    """The vector, shape (n,); kept, not copied; never written to."""
    arguments: tuple[Any, ...] = ()
    """The loss's other arguments, in order."""
    argnum: Argnum = 0
    """Position of theta among the loss's arguments; if it is made of several, of each."""
    scratch: tuple[int, ...] = ()
    """Positions of ``arguments`` that the loss overwrites, of which each thread has its own."""


class Evaluator(ABC):
    """A loss around one flat theta. What asks it does not know what runs it.

    Parameters
    ----------
    theta : ndarray, shape (n,)
        Kept, not copied; never written to.
    """

    chunk: int = CHUNK
    """Entries best asked for at a time."""
    sweep_chunk: int = CHUNK
    """Entries that a sweep asks for at a time."""
    structured: bool = False
    """Whether `coordinates` come by a structure of the loss, and are differences f - f(theta)."""
    leaves_state: bool = True
    """Whether an evaluation may leave something behind that Python code reads."""
    advance: Callable[[int], None] | None = None
    """Called with the number of evaluations, or of differences, after some were made."""

    fallback: str = ""
    """Why the loss is called from Python where compiled code was tried, in one line."""

    said: tuple[str, ...] = ()
    """What else a report says of how the loss was run."""
    ran: str = ""
    """Compiled or not, and on how many threads, for the last line of a report."""

    reference: float = 0.0
    """What is subtracted from all that `coordinates` and `along` return: 0, or f(theta)."""

    at_once: int = 1
    """How many evaluations are made at once, beyond those that were timed together."""
    evaluations: int = 0
    """How many were made so far."""
    replayed: float = 0.0
    """Seconds that evaluations took, when they were made, which now come from a file."""

    noise_gains: Floats | None = None
    """How much noisier than the loss the values beside each entry are, shape (n,); None for no more."""

    pure: bool = True
    """Whether equal points are to give equal values, so that they are looked at twice."""
    outside: LossError | None = None
    """What the loss raised at the first point beside theta where it did.

    Such points are outside its domain, as those where it is NaN: their values are NaN.
    """

    def __init__(self, theta: Floats):
        self.theta = theta

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a report says of how the loss was run; known when it has run."""
        fallback = (self.fallback,) if self.fallback else ()
        where = f"{OUTSIDE}, as it seems, {self.outside}."
        return *fallback, *(() if self.outside is None else (where,)), *self.said

    @abstractmethod
    def coordinates(self, indices: Indices, offsets: Floats) -> Floats:
        """``values[k, j]``: the loss at ``theta + offsets[k, j] e_{indices[k]}``, shape (m, k)."""

    @abstractmethod
    def along(self, direction: Floats, offsets: Floats) -> Floats:
        """``values[j]``: the loss at ``theta + offsets[j] direction``, shape (k,)."""

    def along_drawn(self, direction: Drawn, offsets: Floats) -> Floats:
        """`along` of a direction that is not written out."""
        return self.along(direction.array, offsets)

    def lines(self, directions: Floats, offsets: Floats) -> Floats:
        """``values[i, j]``: the loss at ``theta + offsets[i, j] directions[i]``, shape (m, k)."""
        pairs = zip(directions, offsets, strict=True)
        return np.array([self.along(direction, steps) for direction, steps in pairs])

    def value(self) -> float:
        """The loss at theta."""
        return float(self.coordinates(np.zeros(1, np.int64), np.zeros((1, 1)))[0, 0])

    def at(self, theta: Floats) -> "Evaluator | None":
        """The same loss with the same arguments, as they are now, at another theta of its layout.

        None where that is no shorter than starting anew.
        """
        return None

    def direct(
        self, stencil: Stencil, watch: bool = False
    ) -> Callable[[Any], Floats | None] | None:
        """A function of theta, as its user passes it, that is a shorter way to small gradients.

        It returns None wherever `coordinates` must be asked; to ``watch``, also where the step may
        not suit the loss, by values that it has but does not give.
        """
        return None

    def entry_noise(self, trainable: Mask | None, seed: int) -> Floats | None:
        """sd of the noise of each entry's values, shape (n,), where it is not that of the loss."""
        return None

    def gradient(self, stencil: Stencil, watch: bool = False) -> Floats | None:
        """The whole gradient at default steps where there is a shorter way to it than entries.

        To ``watch`` is as of `direct`.
        """
        return None

    def answered_pairs(self) -> tuple[Indices, Floats, Floats]:
        """Entries, steps and values at both of each, shape (m, 2), where answers ended half-way."""
        return np.zeros(0, np.intp), np.zeros(0), np.zeros((0, 2))

    def certified(
        self, indices: Indices | None, gradient: Floats, again: bool = False
    ) -> tuple[str, ...]:
        """What a report says of the structure that a gradient was taken by; nothing for a plain loss.

        The structure is compared with the plain loss when it is first used for parameters and
        arguments of these types, or ``again``.

        Parameters
        ----------
        indices : ndarray, optional
            The entries that were differenced; by default all.
        gradient : ndarray, shape (n,)

        Raises
        ------
        StructureError
        """
        return ()


def finite_value(run: Evaluator) -> float:
    """The loss at theta.

    Raises
    ------
    NonFiniteLossError
    """
    return require_finite(run.value())
