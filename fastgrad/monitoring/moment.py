"""The loss and the gradient at one moment of a training run, as a monitor asks for them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fastgrad.arrays import Floats
from fastgrad.checking import check_grad
from fastgrad.checks.given_gradient import Gradient
from fastgrad.evaluate.backends import evaluator
from fastgrad.evaluate.generators import python_random_state_kept
from fastgrad.evaluate.protocol import Evaluator, Inputs
from fastgrad.monitoring.foreign import Foreign
from fastgrad.parameters.layout import Layout
from fastgrad.results import GradientCheck
from fastgrad.spaces.placed import placed

RTOL = 1e-3
"""Relative errors that the full check after an alarm lets pass, as the monitor does."""


class Moment(ABC):
    """A loss around the parameters of this step, on the batch at hand."""

    @property
    @abstractmethod
    def layout(self) -> Layout:
        """How theta lies in its flat vector."""

    @property
    @abstractmethod
    def theta(self) -> Floats:
        """The flat vector, shape (n,)."""

    @abstractmethod
    def gradient(self) -> Floats:
        """The gradient under test, along the flat theta."""

    @abstractmethod
    def along(self, direction: Floats, offsets: Floats) -> Floats:
        """The loss on a line, every time with the same random numbers."""

    @abstractmethod
    def check(self, block: str | None, budget: float) -> GradientCheck:
        """The full check of one block, or of all."""


@dataclass(frozen=True)
class PlainMoment(Moment):
    """A loss and a gradient that are called with theta and a batch, from Python.

    Parameters
    ----------
    loss, grad : callable
    given : object
        Theta as it was passed.
    args : tuple
    seed : int
    space : object
        Where theta lives, as of `fastgrad.check_grad`.
    """

    loss: Callable[..., Any]
    grad: Callable[..., Any]
    given: Any
    args: tuple[Any, ...]
    seed: int
    space: Any = None

    @cached_property
    def _foreign(self) -> Foreign:
        return Foreign.of(self.given)

    @cached_property
    def _flat(self) -> tuple[Layout, Floats]:
        return placed(self._foreign.numbers, self.space)

    @property
    def layout(self) -> Layout:
        return self._flat[0]

    @property
    def theta(self) -> Floats:
        return self._flat[1]

    def _loss(self, theta: Any, *args: Any) -> float:
        with self._drawing_the_same():
            return float(self.loss(self._foreign.like(theta), *args))

    def _grad(self, theta: Any, *args: Any) -> Any:
        with self._drawing_the_same():
            return Foreign.of(self.grad(self._foreign.like(theta), *args)).numbers

    @contextmanager
    def _drawing_the_same(self) -> Iterator[None]:
        """A context in which every call draws the same random numbers, and leaves none drawn."""
        with python_random_state_kept(), self._foreign.random_state_kept(self.seed):
            yield

    @cached_property
    def _run(self) -> Evaluator:
        return evaluator(self._loss, Inputs(self.layout, self.theta, self.args), "python")

    def gradient(self) -> Floats:
        theta = self._foreign.numbers
        return Gradient(self._grad, self.layout, self.theta, theta, self.args).here()[0]

    def along(self, direction: Floats, offsets: Floats) -> Floats:
        return self._run.along(direction, offsets)

    def check(self, block: str | None, budget: float) -> GradientCheck:
        return check_grad(
            self._loss,
            self._grad,
            self._foreign.numbers,
            *self.args,
            trainable=block,
            space=self.space,
            rtol=RTOL,
            budget=budget,
            backend="python",
        )
