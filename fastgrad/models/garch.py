"""GARCH(1,1): the Gaussian negative log-likelihood of a series of returns.

r_t ~ N(0, h_t),  h_t = omega + alpha r_(t-1)^2 + beta h_(t-1),
J = 1/(2n) sum_t [log(2 pi) + log h_t + r_t^2 / h_t].

T. Bollerslev, "Generalized autoregressive conditional heteroskedasticity", *Journal of
Econometrics* 31 (1986): the process is section 2, the likelihood and the recursion of its gradient
section 5. With u_t = (1, r_(t-1)^2, h_(t-1)),

    dJ/dtheta = 1/(2n) sum_t (1 / h_t - r_t^2 / h_t^2) dh_t/dtheta,
    dh_t/dtheta = u_t + beta dh_(t-1)/dtheta.

The recursion starts from h_1 = the mean square of the series, which no parameter moves.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from fastgrad.models._terms import Floats


class Parameters(NamedTuple):
    """omega > 0, alpha >= 0 and beta >= 0; the variance is finite if alpha + beta < 1."""

    omega: float
    alpha: float
    beta: float


def init() -> Parameters:
    """Volatility that clusters and lasts, as in daily stock returns; variance 1."""
    return Parameters(omega=0.05, alpha=0.1, beta=0.85)


def simulate(params: Parameters, n: int, seed: int = 0) -> Floats:
    """Draw `n` returns, the first from the process's long-run variance.

    Examples
    --------
    >>> from fastgrad.models import garch
    >>> garch.simulate(garch.init(), 500).shape
    (500,)
    """
    omega, alpha, beta = params
    if alpha + beta >= 1.0:
        raise ValueError(
            f"the returns have no finite variance to start from: alpha + beta is {alpha + beta}, "
            "and must be less than 1"
        )
    h = omega / (1.0 - alpha - beta)
    returns = np.random.default_rng(seed).standard_normal(n)
    for t in range(n):
        returns[t] *= math.sqrt(h)
        h = omega + alpha * returns[t] ** 2 + beta * h
    return returns


@njit(cache=True)
def loss(params: Parameters, returns: Floats) -> float:
    """Mean negative log-likelihood.

    Parameters
    ----------
    params : Parameters
    returns : ndarray, shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from fastgrad.models import garch
    >>> constant = garch.Parameters(omega=1.0, alpha=0.0, beta=0.0)  # h_t = 1
    >>> value = garch.loss(constant, np.array([1.0, -1.0, 1.0]))
    >>> bool(np.isclose(value, 0.5 * np.log(2 * np.pi) + 0.5))
    True
    """
    n = returns.size
    h: float = np.dot(returns, returns) / n
    total: float = math.log(h) + returns[0] ** 2 / h
    for t in range(1, n):
        h = params.omega + params.alpha * returns[t - 1] ** 2 + params.beta * h
        total += math.log(h) + returns[t] ** 2 / h
    return 0.5 * (math.log(2.0 * math.pi) + total / n)


@njit(cache=True)
def grad(params: Parameters, returns: Floats) -> Parameters:
    """Gradient of `loss`, with its arguments."""
    n = returns.size
    h: float = np.dot(returns, returns) / n
    dh_domega = dh_dalpha = dh_dbeta = 0.0
    dJ_domega = dJ_dalpha = dJ_dbeta = 0.0
    for t in range(1, n):
        dh_domega = 1.0 + params.beta * dh_domega
        dh_dalpha = returns[t - 1] ** 2 + params.beta * dh_dalpha
        dh_dbeta = h + params.beta * dh_dbeta
        h = params.omega + params.alpha * returns[t - 1] ** 2 + params.beta * h
        dJ_dh = 0.5 * (1.0 - returns[t] ** 2 / h) / h / n
        dJ_domega += dJ_dh * dh_domega
        dJ_dalpha += dJ_dh * dh_dalpha
        dJ_dbeta += dJ_dh * dh_dbeta
    return Parameters(dJ_domega, dJ_dalpha, dJ_dbeta)
