"""njit functions, told from others without loading numba: where nobody has loaded it there are none.

numba takes a third of a second to load, which whoever checks a Python loss, or a net of another
framework, need not wait for.
"""

import sys
from typing import Any


class _NeverRaisedError(Exception):
    """What stands for numba's errors where there are none."""


def is_njit(function: Any) -> bool:
    """Whether something is a function that numba compiles."""
    registry = sys.modules.get("numba.core.registry")
    return registry is not None and isinstance(function, registry.CPUDispatcher)


def numba_error() -> type[Exception]:
    """The kind of errors that numba raises, for an ``except``."""
    errors = sys.modules.get("numba.core.errors")
    return _NeverRaisedError if errors is None else errors.NumbaError
