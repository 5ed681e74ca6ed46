"""A bias over seeds by the loss far away on both sides, where near differences move in jumps.

The mean reward of 50 sampled actions jumps as one of them changes: a difference over h scatters like
1/sqrt(h), and truncation forbids a long one. What the loss does from theta - v to theta + v, though, is
exactly what its gradient adds up to on the way,

    J(theta + v) - J(theta - v) = int_-1^1 v . g(theta + t v) dt,

of any length of v. So the claim is asked at Gauss's nodes of the way, for every seed, and the mean of
what is left over seeds tells a bias: one of 5%, of REINFORCE with 50 actions a call, by a hundredth of
the seeds that near differences take.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.evaluate.protocol import Evaluator

FAR = 2.0
"""Length of a way to either side, in units of the entries."""
NODES = 4
"""Gauss's nodes of the way: exact for polynomials of degree seven."""
QUADRATURE = 1e-3
"""What four nodes may be off by of the gradient: of a softmax over such a way it is 2e-4."""


def far_residuals(
    loss_of: Callable[[Any], Evaluator],
    gradient_at: Callable[[Any, Floats], Floats],
    seeds: list[Any],
    v: Floats,
) -> tuple[Floats, Floats] | None:
    """What the claim adds up to on the way, less what the loss does, by seed; and the latter.

    Parameters
    ----------
    loss_of : callable
        The loss with one seed.
    gradient_at : callable
        The gradient under test with one seed, at ``theta + move``: shape (n,).
    seeds : list
    v : ndarray, shape (n,)

    Returns
    -------
    tuple of ndarray, shape (seeds,), or None
        None where a value on the way is not finite, or the loss or the gradient raises there.
    """
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    claimed, differed = np.empty(len(seeds)), np.empty(len(seeds))
    for k, seed in enumerate(seeds):
        try:
            above, below = loss_of(seed).along(v, np.array([1.0, -1.0]))
            slopes = [float(v @ gradient_at(seed, t * v)) for t in nodes]
        except Exception:  # neither need be defined so far away
            return None
        claimed[k], differed[k] = float(weights @ slopes), float(above - below)
    if not (np.isfinite(claimed).all() and np.isfinite(differed).all()):
        return None
    return claimed - differed, differed
