"""Evaluations of a compiled loss that failed: which points lie outside its domain, and what to say."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from fastgrad.arrays import Floats
from fastgrad.errors import LossError
from fastgrad.evaluate.adapters import native_parameters
from fastgrad.evaluate.copies_of_theta import Rows
from fastgrad.evaluate.explain import loss_error, other_position, wrote_to_theta
from fastgrad.evaluate.in_numpy import INTERRUPTED, RAISED
from fastgrad.evaluate.scratch_arguments import with_copies
from fastgrad.evaluate.writes import Writes
from fastgrad.parameters.arguments import Argnum, merged

Where = Callable[[int], tuple[Floats, str]]
"""``where(k)``: the point of evaluation k, and its name."""


class Failing(NamedTuple):
    """A compiled loss as Python calls it, to see what it raises."""

    loss: Any
    argnum: Argnum
    writes: Writes
    rows: Rows

    def require_outside(self, failed: NDArray[np.uint8], where: Where) -> None:
        """Raise unless all that went wrong is that the loss raised away from theta.

        Raises
        ------
        LossError, MutatedInputError, KeyboardInterrupt
        """
        theta = self.rows.theta
        raised = np.flatnonzero(failed == RAISED)
        others = np.count_nonzero(failed) > raised.size
        if others or not self.rows.are_sound():
            self._raise(failed, where)
        for k in {int(raised[0]), int(raised[-1])}:  # repeats at theta are asked for by themselves
            if np.array_equal(where(k)[0], theta):
                self._raise(failed[k:], partial(later, where, k))

    def raised(self, failed: NDArray[np.uint8], where: Where) -> LossError:
        """What the loss raised at the first point where it did.

        Raises
        ------
        LossError
            It does not raise there when it is called from Python.
        """
        point, name = where(int(np.flatnonzero(failed == RAISED)[0]))
        own = self._own_exception(point)
        error = loss_error(name, own)
        if own is None:
            raise error
        error.__cause__ = own
        return error

    def _raise(self, failed: NDArray[np.uint8], where: Where) -> NoReturn:
        """The error for a slab that is not sound."""
        if INTERRUPTED in failed:
            raise KeyboardInterrupt
        if self.writes.guard is not None:
            self.writes.guard.check()
        theta, layout = self.rows.theta, self.writes.layout
        first = np.flatnonzero(failed)
        if first.size and failed[first[0]] == RAISED:
            self._raise_own(*where(int(first[0])))
        rows = self.rows.kept[:, : theta.size].copy()
        self.rows.make(1)
        changed = np.argwhere(rows != theta)
        if changed.size:
            row, i = map(int, changed[0])
            raise wrote_to_theta(layout.name(i), theta[i], rows[row, i])
        before, name = where(int(first[0]))
        after = before.copy()
        self._own_exception(after)
        wrote = np.flatnonzero(after != before)
        if wrote.size:
            i = int(wrote[0])
            raise wrote_to_theta(layout.name(i), before[i], after[i])
        raise loss_error(name, None)

    def _raise_own(self, point: Floats, name: str) -> None:
        """Raise what the loss itself raises at a point, if it does."""
        own = self._own_exception(point)
        if own is None:
            return
        told = loss_error(name, own)
        is_shape = isinstance(own, TypeError | ValueError | IndexError)
        if is_shape and self.argnum == 0 and np.array_equal(point, self.rows.theta):
            count = len(self.writes.arguments) + 1
            told = LossError(f"{told}{other_position(self.loss, count)}")
        raise told from own

    def _own_exception(self, point: Floats) -> Exception | None:
        """The user's own exception, by running the loss there again; None if it did not come."""
        writes = self.writes
        others = with_copies(writes.arguments, writes.scratch)
        try:
            theta = native_parameters(writes.layout, point, writes.compiled.listed)
            self.loss(*merged(theta, others, self.argnum))
        except Exception as error:
            return error
        return None


def later(where: Where, by: int, k: int) -> tuple[Floats, str]:
    """The point of the evaluation so many after k, and its name."""
    return where(by + k)
