"""Who else differentiates a loss, each called as its own documentation says.

A rival is a function of a loss of one flat vector and of where to differentiate it.
"""

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Loss = Callable[[np.ndarray], float]


@dataclass(frozen=True)
class Rival:
    name: str
    package: str
    gradient: Callable[[Loss, np.ndarray], np.ndarray]
    starts_processes: bool = False

    @property
    def installed(self) -> bool:
        return version(self.package) is not None


def version(package: str) -> str | None:
    """The installed version of a package, None without one."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def scipy_three_point(loss, x):
    from scipy.optimize._numdiff import approx_derivative

    return approx_derivative(loss, x, method="3-point")


def scipy_workers(loss, x):
    from scipy.optimize._numdiff import approx_derivative

    return approx_derivative(loss, x, method="3-point", workers=2)


def scipy_forward(loss, x):
    from scipy.optimize import approx_fprime

    return approx_fprime(x, loss)


def statsmodels_centered(loss, x):
    from statsmodels.tools.numdiff import approx_fprime

    return approx_fprime(x, loss, centered=True)


def numdifftools_gradient(loss, x):
    import numdifftools as nd

    return np.atleast_1d(nd.Gradient(loss)(x))


def jacobi_gradient(loss, x):
    from jacobi import jacobi

    return jacobi(loss, x)[0]


def optimagic_central(loss, x):
    import optimagic as om

    return om.first_derivative(loss, x).derivative


def optimagic_two_cores(loss, x):
    import optimagic as om

    return om.first_derivative(loss, x, n_cores=2).derivative


def textbook_loop(loss, x, h=1e-5):
    """Mutate, evaluate, restore."""
    x = x.copy()
    gradient = np.empty_like(x)
    for i in range(x.size):
        kept = x[i]
        x[i] = kept + h
        above = loss(x)
        x[i] = kept - h
        below = loss(x)
        x[i] = kept
        gradient[i] = (above - below) / (2 * h)
    return gradient


RIVALS = (
    Rival("scipy 3-point", "scipy", scipy_three_point),
    Rival("scipy 3-point, workers=2", "scipy", scipy_workers, starts_processes=True),
    Rival("scipy approx_fprime", "scipy", scipy_forward),
    Rival("statsmodels centered", "statsmodels", statsmodels_centered),
    Rival("numdifftools Gradient", "numdifftools", numdifftools_gradient),
    Rival("jacobi", "jacobi", jacobi_gradient),
    Rival("optimagic", "optimagic", optimagic_central),
    Rival("optimagic, n_cores=2", "optimagic", optimagic_two_cores, starts_processes=True),
    Rival("textbook loop, NumPy", "numpy", textbook_loop),
)


def with_error_numdifftools(loss, x) -> tuple[Any, Any]:
    import numdifftools as nd

    result = nd.Gradient(loss, full_output=True)(x)
    return np.atleast_1d(result[0]), np.ravel(result[1])


def with_error_jacobi(loss, x) -> tuple[Any, Any]:
    from jacobi import jacobi

    return jacobi(loss, x)
