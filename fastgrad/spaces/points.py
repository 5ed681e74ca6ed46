"""Points of any type: the numbers that they show, and copies of them."""

import copy
from typing import Any

import numpy as np

from fastgrad.arrays import Array, Floats
from fastgrad.parameters.trees import children, is_list_of_numbers

SHOWN_BY = ("homogeneous", "as_matrix", "matrix", "tensor")
"""Attributes and methods by which poses and rotations of robotics show their matrix."""


def array_of(point: Any) -> Array | None:
    """A point as an array of numbers; None for a type that does not show them."""
    if isinstance(point, np.ndarray | np.generic | float | int | complex):
        return _numbers(point)
    if is_list_of_numbers(point):
        return _numbers(point)
    if children(point):
        return None
    for name in SHOWN_BY:
        shown = getattr(type(point), name, None) and getattr(point, name)
        if shown is None:
            continue
        try:
            found = _numbers(shown() if callable(shown) else shown)
        except Exception:  # foreign code: another meaning of the name
            continue
        if found is not None and found.size:
            return found
    return _numbers(point)


def _numbers(value: Any) -> Array | None:
    try:
        array = np.asarray(value)
    except Exception:  # foreign code, and ragged lists
        return None
    return array if array.dtype.kind in "iufc" else None


def pairs_of(array: Array) -> Floats:
    """The numbers of an array along a vector; of complex ones real and imaginary parts in turn."""
    if array.dtype.kind == "c":
        return np.ascontiguousarray(array, np.complex128).reshape(-1).view(np.float64)
    return np.asarray(array, np.float64).reshape(-1)


def numbers_of(point: Any) -> Floats | None:
    """All numbers of a point, shape (k,); None for a type that does not show them."""
    array = array_of(point)
    if array is not None:
        return pairs_of(array)
    parts = [numbers_of(part) for _, part in children(point)]
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if known and len(known) == len(parts) else None


def precision_of(point: Any) -> float:
    """The rounding unit of a point's coarsest numbers; that of float64 where none are shown."""
    array = array_of(point)
    if array is not None:
        kind = array.dtype.kind
        return float(np.finfo(array.dtype).eps) if kind in "fc" else float(np.finfo(float).eps)
    parts = [precision_of(part) for _, part in children(point)]
    return max(parts, default=float(np.finfo(float).eps))


def copied(point: Any) -> Any:
    """A copy of a point; the point itself where its type knows none."""
    if isinstance(point, np.ndarray):
        return point.copy()
    try:
        return copy.deepcopy(point)
    except Exception:  # foreign types without copies are values
        return point


def same_numbers(one: Any, other: Any) -> bool:
    """Whether two points show the same numbers, or none."""
    first, second = numbers_of(one), numbers_of(other)
    return first is None or second is None or np.array_equal(first, second, equal_nan=True)
