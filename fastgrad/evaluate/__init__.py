"""How a loss is run: one interface, and who implements it."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastgrad.evaluate.compiled import CompiledEvaluator
from fastgrad.evaluate.interpreted import PythonEvaluator
from fastgrad.errors import NonFiniteLossError
from fastgrad.params import Floats, Layout

BACKENDS = ("auto", "python")


class Evaluator(Protocol):
    """A loss around one flat theta. What asks it does not know what runs it."""

    theta: Floats
    evaluations: int
    advance: Callable[[int], None] | None

    def value(self) -> float:
        """The loss at theta."""
        ...

    def coordinates(self, indices: NDArray[np.int64], offsets: Floats) -> Floats:
        """``values[k, j]``: the loss at ``theta + offsets[k, j] e_{indices[k]}``, shape (m, k)."""
        ...

    def along(self, direction: Floats, offsets: Floats) -> Floats:
        """``values[j]``: the loss at ``theta + offsets[j] direction``, shape (k,)."""
        ...


def evaluator(
    loss: Callable[..., Any],
    layout: Layout,
    theta: Floats,
    arguments: tuple[Any, ...],
    argnum: int = 0,
    backend: str = "auto",
) -> Evaluator:
    """The evaluator of a loss around a flat theta.

    Parameters
    ----------
    backend : {"auto", "python"}
        ``"auto"`` runs compiled code and refuses what numba cannot compile; ``"python"`` calls
        the loss from Python, whatever it is.

    Raises
    ------
    ValueError
        An unknown backend.
    LossCompilationError, TypeError
        A loss that cannot be compiled, or does not return one real number.
    """
    require_backend(backend)
    if backend == "python":
        return PythonEvaluator(loss, layout, theta, arguments, argnum)
    return CompiledEvaluator(loss, layout, theta, arguments, argnum)


def require_backend(backend: str) -> None:
    """Raise ValueError unless ``backend`` is one there is."""
    if backend not in BACKENDS:
        raise ValueError(f"backend={backend!r}: expected one of {', '.join(map(repr, BACKENDS))}")


def finite_value(run: Evaluator) -> float:
    """The loss at theta.

    Raises
    ------
    NonFiniteLossError
    """
    value = run.value()
    if not np.isfinite(value):
        raise NonFiniteLossError(
            f"the loss is {value} at the given parameters: expected a finite number to start from"
        )
    return value
