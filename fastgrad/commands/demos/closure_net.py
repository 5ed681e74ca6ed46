"""A net that keeps its weights and a numerical gradient that changes them in place, as in the book.

K. Saito, *Deep Learning from Scratch* (2016), chapter 4.
"""

from collections.abc import Callable

import numpy as np

from fastgrad.arrays import Floats

STEP = 1e-4
"""The book's."""


class Net:
    """A layer of tanh units; `loss` reads the weights that it keeps, whatever its caller passes."""

    def __init__(self, rng: np.random.Generator):
        self.W = rng.standard_normal((64, 5))

    def loss(self, x: Floats, t: Floats) -> float:
        """Mean squared error of tanh(x W)."""
        return float(0.5 * ((np.tanh(x @ self.W) - t) ** 2).mean())

    def gradient(self, x: Floats, t: Floats) -> Floats:
        """Gradient of `loss` in the net's own W."""
        A = np.tanh(x @ self.W)
        return np.asarray(x.T @ ((A - t) * (1 - A**2)) / t.size)


def numerical(f: Callable[[], float], W: Floats, entries: range) -> Floats:
    """The book's loop over some entries: change W in place, evaluate, restore."""
    g, flat = np.zeros(len(entries)), W.reshape(-1)
    for k, i in enumerate(entries):
        kept, values = flat[i], []
        for flat[i] in (kept + STEP, kept - STEP):
            values.append(f())
        flat[i] = kept
        g[k] = (values[0] - values[1]) / (2 * STEP)
    return g
