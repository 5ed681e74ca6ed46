"""Copies of theta, one a thread, and where each finds the arguments that it is evaluated with."""

from collections.abc import Callable

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.evaluate.adapters import BoundArguments
from fastgrad.evaluate.in_numpy import LINE, address_of


class Rows:
    """Copies of theta, in which its entries are perturbed.

    Parameters
    ----------
    theta : ndarray, shape (n,)
    bind : callable, optional
        ``bind()``: arguments that no other row shares; by default all rows share theirs.
    count : int
        How many to begin with.
    """

    def __init__(
        self, theta: Floats, bind: Callable[[], BoundArguments] | None = None, count: int = 1
    ):
        self.theta, self._bind = theta, bind
        self.own: list[BoundArguments] = []
        """The arguments of each row; empty where all share theirs."""
        self.make(count)

    def make(self, threads: int) -> None:
        """Begin anew with so many."""
        self.array = aligned_rows(threads, self.theta, 0 if self._bind is None else 1)
        self.are_theta = True
        """Lines leave another point in them, and look at what they wrote themselves."""
        if self._bind is not None:
            self.own = [self._bind() for _ in range(threads)]
            self.array.view(np.uintp)[:, -LINE] = [bound.address for bound in self.own]

    def grow(self, threads: int) -> None:
        """Have as many as a launch on so many threads takes."""
        if threads > 1 and threads != self.array.shape[0]:
            self.make(threads)

    def be_theta(self) -> None:
        """Hold theta again."""
        if not self.are_theta:
            self.array[:, : self.theta.size] = self.theta
            self.are_theta = True

    def are_sound(self) -> bool:
        """Whether all that must still be theta are."""
        if not self.are_theta:
            return True
        return bool((self.array[:, : self.theta.size] == self.theta).all())

    @property
    def kept(self) -> Floats:
        """Those that must still be theta: all, or none."""
        return self.array if self.are_theta else self.array[:0]


def aligned_rows(count: int, theta: Floats, spare: int = 0) -> Floats:
    """Copies of theta, one a row; each row starts on a cache line and is padded to whole ones.

    ``spare`` lines more are behind each.
    """
    width = (-(-theta.size // LINE) + spare) * LINE
    memory = np.empty(count * width + LINE)
    first = -(address_of(memory) // 8) % LINE
    rows = memory[first : first + count * width].reshape(count, width)
    rows[:, : theta.size] = theta
    return rows
