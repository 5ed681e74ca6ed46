"""What every structured loss is: a plain loss, and a cheaper way to its differences.

A structure knows ``f(theta + h e_i) - f(theta)`` for less than two evaluations of f, and makes the
evaluator that answers with it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeAlias

from fastgrad.evaluate.adapters import dispatcher
from fastgrad.evaluate.protocol import Evaluator, Inputs
from fastgrad.parameters.layout import flatten
from fastgrad.parameters.native import native_argument

Plain: TypeAlias = Callable[[], Evaluator]
"""What makes the evaluator of the plain loss, when that is first needed."""


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
        self.certificates: set[Any] = set()
        """For what structures and types the differences were compared with the plain loss."""
        self.watched: set[Any] = set()
        """For what of these each function was seen to leave its inputs alone."""

    def __call__(self, theta: Any, *args: Any) -> float:
        """The plain loss, of theta in any structure that `fastgrad.grad` accepts."""
        layout, flat = flatten(theta)
        return float(self.loss(layout.native(flat), *map(native_argument, args)))

    @abstractmethod
    def around(self, plain: Plain, inputs: Inputs) -> Evaluator:
        """The evaluator at the inputs; ``plain`` makes that of the plain loss."""

    @abstractmethod
    def likely_cause(self, run: Any, position: int) -> str:
        """What is usually wrong where entry ``position`` does not agree, in words.

        ``run`` is an evaluator that `around` made.
        """


def require_reduction(reduction: str) -> None:
    """Raise ValueError unless ``reduction`` is one there is."""
    if reduction not in ("sum", "mean"):
        raise ValueError(f'reduction={reduction!r}: expected "sum" or "mean"')
