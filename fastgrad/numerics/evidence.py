"""Evidence that adds up over checks, whenever one looks at it.

A residual r is a bias plus noise, and the null says of the bias that it is at most ``shift`` in size.
For noise that is symmetric about zero, given its size, ``1 + tanh(lambda z)`` with ``z = (r - shift) /
tau`` has expectation at most 1, whatever its tails and whatever tau > 0 was taken from sizes: it is
``exp(lambda z) / cosh(lambda z)`` (de la Pena, 1999). So the products over checks are a test
supermartingale for every lambda > 0, as are their means over a grid of them, over signs, hypotheses
and times to begin at: the mean exceeds 1/alpha at any time with probability at most alpha (Ville).
"""

import numpy as np

from fastgrad.arrays import Floats

LAMBDAS = 2.0 ** np.arange(-4, 4)
"""Bets, in units of 1/tau: from small errors that add up over hundreds of checks to plain ones."""
LARGEST_Z = 1e6
"""Beyond it tanh is 1 for every bet; what lies far on the other side costs as much."""
LOG_2 = float(np.log(2.0))
SIDES = np.array([1.0, -1.0])


class Evidence:
    """Evidence against several hypotheses of no bias, each on both sides.

    An error may begin late in a run: the products begin at every check k, with weight 1/(k (k + 1)).

    Parameters
    ----------
    names : list of str
        What each hypothesis is about.
    """

    def __init__(self, names: list[str]):
        self.names = names
        self.checks = 0
        self._log = np.full((len(names), SIDES.size, LAMBDAS.size), -np.inf)

    def add(self, residuals: Floats, shifts: Floats, tau: Floats) -> None:
        """One check: residuals, the bias that the null allows and the scale of the noise, shape (m,)."""
        self.checks += 1
        k = self.checks
        with np.errstate(over="ignore"):
            z = (SIDES * residuals[:, None] - shifts[:, None]) / tau[:, None]
        z = np.clip(z, -LARGEST_Z, LARGEST_Z)
        bets = LOG_2 - np.logaddexp(0.0, -2.0 * LAMBDAS * z[:, :, None])  # log(1 + tanh)
        self._log = np.logaddexp(self._log, -np.log(k * (k + 1.0))) + bets

    def forget(self, which: int) -> None:
        """Begin anew with one hypothesis, as after an alarm."""
        self._log[which] = -np.inf

    @property
    def each(self) -> Floats:
        """log10 of the evidence against each hypothesis, shape (m,)."""
        log = self._log.reshape(len(self.names), -1)
        return _log_mean(log) / np.log(10.0)

    @property
    def total(self) -> float:
        """log10 of all evidence: it exceeds log10(1/alpha) with probability at most alpha."""
        return float(_log_mean(self._log.reshape(1, -1))[0] / np.log(10.0))

    @property
    def strongest(self) -> int:
        """The hypothesis with the most against it."""
        return int(np.argmax(self.each))


def _log_mean(log: Floats) -> Floats:
    top = np.max(log, axis=1, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.log(np.mean(np.exp(log - top), axis=1)) + top[:, 0]
