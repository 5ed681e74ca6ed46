"""A gradient checker: is a gradient right, where is it wrong, and how sure is the answer?"""

import importlib
from typing import TYPE_CHECKING, Any

from fastgrad.version import __version__ as __version__

if TYPE_CHECKING:
    from fastgrad import errors, spaces, structured
    from fastgrad.checking import check_grad
    from fastgrad.gradient import grad, value_and_grad
    from fastgrad.hessian_checking import check_hessian, check_hvp
    from fastgrad.hessians import hessian, hvp
    from fastgrad.jacobian_checking import check_jacobian
    from fastgrad.jacobians import jacobian
    from fastgrad.layers import check_jvp, check_vjp
    from fastgrad.many_checks import check_many
    from fastgrad.monitor import Monitor
    from fastgrad.planning import plan
    from fastgrad.spaces.space import Space

__all__ = [
    "Monitor",
    "Space",
    "check_grad",
    "check_hessian",
    "check_hvp",
    "check_jacobian",
    "check_jvp",
    "check_many",
    "check_vjp",
    "errors",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "plan",
    "spaces",
    "structured",
    "value_and_grad",
]

_PLACES = {
    "Monitor": "fastgrad.monitor",
    "Space": "fastgrad.spaces.space",
    "check_grad": "fastgrad.checking",
    "check_hessian": "fastgrad.hessian_checking",
    "check_hvp": "fastgrad.hessian_checking",
    "check_jacobian": "fastgrad.jacobian_checking",
    "check_jvp": "fastgrad.layers",
    "check_many": "fastgrad.many_checks",
    "check_vjp": "fastgrad.layers",
    "grad": "fastgrad.gradient",
    "hessian": "fastgrad.hessians",
    "hvp": "fastgrad.hessians",
    "jacobian": "fastgrad.jacobians",
    "plan": "fastgrad.planning",
    "value_and_grad": "fastgrad.gradient",
}
"""The modules of public names, loaded on first use: numba and scipy take half a second to import,
which nobody should pay who asks for help, or who collects tests that do not use fastgrad."""
_MODULES = ("errors", "jax", "models", "spaces", "structured", "torch")


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        found = getattr(importlib.import_module(_PLACES[name]), name)
    elif name in _MODULES:
        found = importlib.import_module(f"fastgrad.{name}")
    else:
        raise AttributeError(f"module 'fastgrad' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES, *_MODULES})
