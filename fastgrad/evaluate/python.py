"""Any Python callable at perturbed parameters, one evaluation at a time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.evaluate.explain import (
    argument_name,
    loss_error,
    place,
    place_along,
    require_argument_count,
    wrong_return_value,
    wrote_to_theta,
)
from fastgrad.evaluate.process import python_random_fingerprint, python_random_state_kept
from fastgrad.evaluate.protocol import Evaluator, Inputs
from fastgrad.evaluate.purity import ArgumentGuard, require_deterministic
from fastgrad.parameters.arguments import merged, place_of
from fastgrad.parameters.native import native_argument


class PythonEvaluator(Evaluator):
    """The loss around one flat theta, called from Python with the structure that was passed.

    Every evaluation gets arrays of its own, so a loss may keep them.

    Parameters
    ----------
    loss : callable
    inputs : Inputs
    fallback : str, optional
        Why it is not compiled, if that was tried.
    native : bool
        Whether it takes what compiled code takes: NamedTuples for dicts and dataclasses.
    """

    def __init__(
        self, loss: Callable[..., Any], inputs: Inputs, fallback: str = "", native: bool = False
    ):
        layout, theta, arguments, argnum = inputs
        super().__init__(theta)
        self.fallback = fallback
        self._loss = loss
        self._layout = layout
        self._given = layout.native if native else layout.given
        passed = tuple(map(native_argument, arguments)) if native else arguments
        self._passed, self._argnum = passed, argnum
        self._guard = ArgumentGuard(arguments, lambda k: argument_name(loss, place_of(k, argnum)))
        self._may_draw = True

    def coordinates(self, indices: Indices, offsets: Floats) -> Floats:
        """``values[k, j]``: the loss at ``theta + offsets[k, j] e_{indices[k]}``, shape (m, k).

        Raises
        ------
        LossError
            The loss raised; with its own exception as cause.
        MutatedInputError
            The loss wrote to its parameters or to another argument.
        NondeterministicLossError
            The loss draws random numbers that nothing seeds.
        TypeError
            The loss did not return one real number.
        """
        values = np.empty(offsets.shape)
        point = self.theta.copy()
        with self._inputs_kept():
            for (k, j), offset in np.ndenumerate(offsets):
                i = int(indices[k])
                point[i] = self.theta[i] + offset
                values[k, j] = self._evaluated(point, partial(place, self._layout, i, offset))
                point[i] = self.theta[i]
        return values

    def along(self, direction: Floats, offsets: Floats) -> Floats:
        """``values[j]``: the loss at ``theta + offsets[j] direction``, shape (k,).

        Raises
        ------
        LossError, MutatedInputError, NondeterministicLossError, TypeError
            As `coordinates`.
        """
        values = np.empty(offsets.shape)
        with self._inputs_kept():
            for j, t in enumerate(offsets):
                values[j] = self._evaluated(self.theta + t * direction, partial(place_along, t))
        return values

    @contextmanager
    def _inputs_kept(self) -> Iterator[None]:
        with python_random_state_kept():
            yield
        self._guard.check()

    def _evaluated(self, point: Floats, place: Callable[[], str]) -> float:
        """The loss at a point, whose name is only made up when it is needed."""
        if not (self._may_draw and self.pure):
            return self._value_at(point, place)
        self._may_draw = False
        before = python_random_fingerprint()
        value = self._value_at(point, place)
        if python_random_fingerprint() != before:
            require_deterministic(np.array([value, self._value_at(point, place)]))
        return value

    def _value_at(self, point: Floats, place: Callable[[], str]) -> float:
        own = point.copy()
        self._evaluations += 1
        arguments = merged(self._given(own), self._passed, self._argnum)
        try:
            value = self._loss(*arguments)
        except Exception as error:
            if isinstance(error, TypeError):
                require_argument_count(self._loss, len(arguments))
            if np.array_equal(point, self.theta):
                raise loss_error(place(), error) from error
            if self.outside is None:
                self.outside = loss_error(place(), error)
                self.outside.__cause__ = error
            value = np.nan
        if not np.array_equal(own, point):
            i = int(np.flatnonzero(own != point)[0])
            raise wrote_to_theta(self._layout.name(i), point[i], own[i])
        if self.advance is not None:
            self.advance(1)
        if np.iscomplexobj(value) and not np.array_equal(point, self.theta):
            return np.nan  # a power of a negative number: outside, as in compiled code
        return self._real_number(value)

    def _real_number(self, value: Any) -> float:
        if type(value) is float:
            return value
        if np.ndim(value) == 0 and np.asarray(value).dtype.kind == "f":
            return float(value)
        raise wrong_return_value(self._loss, value)
