"""Any Python callable at perturbed parameters, one evaluation at a time."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastgrad.errors import LossError
from fastgrad.params import Floats, Layout, describe


class PythonEvaluator:
    """The loss around one flat theta, called from Python with exactly the structure that was passed.

    Every evaluation gets arrays of its own, so a loss that keeps or changes them harms nothing.

    Parameters
    ----------
    loss : callable
    layout : Layout
        Of theta.
    theta : ndarray, shape (n,)
        Kept, not copied; never written to.
    arguments : tuple
        The loss's other arguments, in order.
    argnum : int
        Position of theta among the loss's arguments.
    """

    def __init__(
        self,
        loss: Callable[..., Any],
        layout: Layout,
        theta: Floats,
        arguments: tuple[Any, ...],
        argnum: int = 0,
    ):
        self.theta = theta
        self.evaluations = 0
        self.advance: Callable[[int], None] | None = None
        """Called with the number of evaluations after each of them."""
        self._loss = loss
        self._layout = layout
        self._before, self._after = arguments[:argnum], arguments[argnum:]

    def value(self) -> float:
        """The loss at theta."""
        return self._guarded(self.theta, lambda: "the given parameters")

    def coordinates(self, indices: NDArray[np.int64], offsets: Floats) -> Floats:
        """``values[k, j]``: the loss at ``theta + offsets[k, j] e_{indices[k]}``, shape (m, k).

        Raises
        ------
        LossError
            The loss raised; with its own exception as cause.
        TypeError
            The loss did not return one real number.
        """
        values = np.empty_like(offsets)
        point = self.theta.copy()
        for (k, j), offset in np.ndenumerate(offsets):
            i = int(indices[k])
            point[i] = self.theta[i] + offset
            values[k, j] = self._guarded(
                point, lambda i=i, offset=offset: f"{self._layout.name(i)} {offset:+.3g}"
            )
            point[i] = self.theta[i]
        return values

    def along(self, direction: Floats, offsets: Floats) -> Floats:
        """``values[j]``: the loss at ``theta + offsets[j] direction``, shape (k,).

        Raises
        ------
        LossError, TypeError
            As `coordinates`.
        """
        return np.array(
            [
                self._guarded(
                    self.theta + t * direction, lambda t=t: f"theta {t:+.3g} along a direction"
                )
                for t in offsets
            ]
        )

    def _guarded(self, point: Floats, place: Callable[[], str]) -> float:
        given = self._layout.given(point)
        self.evaluations += 1
        try:
            value = self._loss(*self._before, given, *self._after)
        except Exception as error:
            raise LossError(f"the loss raised at {place()}") from error
        if self.advance is not None:
            self.advance(1)
        return _real_number(value)


def _real_number(value: Any) -> float:
    if type(value) is float:
        return value
    array = np.asarray(value)
    if array.ndim == 0 and array.dtype.kind == "f":
        return float(array)
    raise TypeError(
        f"the loss returned {describe(value)}: expected one real number (a float); reduce an array "
        "with .sum() or .mean(), and return it on every path"
    )
