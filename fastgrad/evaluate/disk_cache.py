"""Files of numba's disk cache that cannot be read: compiled afresh, and a warning says so.

A full disk, or a process that was killed, leaves files that are cut off. numba hands on what pickle
makes of them, at every call, until somebody finds and deletes them.
"""

import warnings
from types import ModuleType
from typing import Any

from numba.core.caching import NullCache
from numba.core.registry import CPUDispatcher


def forgiving(function: CPUDispatcher) -> CPUDispatcher:
    """The same njit function, which compiles what its disk cache holds and cannot be read."""
    cache = function._cache
    if isinstance(cache, NullCache) or "load_overload" in vars(cache):
        return function
    load = cache.load_overload

    def load_overload(signature: Any, target: Any) -> Any:
        try:
            return load(signature, target)
        except Exception as error:  # pickle raises whatever the bytes make it
            cache.flush()
            warnings.warn(
                f"numba's cache of {function.__name__} cannot be read "
                f"({type(error).__name__}: {error}): it was compiled afresh, and "
                f"{cache._cache_file._index_path} is written anew.",
                RuntimeWarning,
                stacklevel=2,
            )
            return None

    cache.load_overload = load_overload
    return function


def forgiving_all(module: ModuleType) -> None:
    """`forgiving`, for all njit functions of a module."""
    for function in vars(module).values():
        if isinstance(function, CPUDispatcher):
            forgiving(function)
