"""What a theta without a space looks like: of norm 1, orthonormal, symmetric, on a simplex."""

from typing import Any

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.parameters.layout import Layout
from fastgrad.spaces.layout import SpaceLayout

LIKE = 1e-12
"""How nearly a property must hold to be no accident."""
FEWEST_NUMBERS = 2
MATRIX = 2
QUATERNION = 4
POSE_SHAPE = (4, 4)


def looks_like(layout: Layout, flat: Floats) -> str:
    """A sentence about the first block that seems to live on a set; empty where none does.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgrad.parameters.layout import flatten
    >>> print(looks_like(*flatten(np.array([0.6, 0.8]))))
    theta has norm 1: if it lives on the sphere, say so, by space=fg.spaces.sphere().
    """
    if isinstance(layout, SpaceLayout):
        return ""
    for block in layout.blocks:
        found = guess(flat[block.start : block.stop].reshape(block.shape))
        if found:
            what, lives, space = found
            return f"{block.name} {what}: if it lives on {lives}, say so, by space=fg.spaces.{space}()."
    return ""


def guess(x: Any) -> tuple[str, str, str] | None:
    """What an array looks like, the set that it may live on, and its name among the spaces."""
    if x.size < FEWEST_NUMBERS:
        return None
    if x.ndim == MATRIX:
        return _of_matrix(x)
    if x.ndim == 1 and abs(float(x @ x) - 1) <= LIKE:
        lives = "the sphere, or is a quaternion" if x.size == QUATERNION else "the sphere"
        return "has norm 1", lives, "sphere"
    if x.ndim == 1 and np.all(x > 0) and abs(float(x.sum()) - 1) <= LIKE:
        return "sums to 1", "the simplex", "simplex"
    return None


def _of_matrix(x: Any) -> tuple[str, str, str] | None:
    n, k = x.shape
    if x.shape == POSE_SHAPE and np.array_equal(x[3], [0, 0, 0, 1]) and _is_rotation(x[:3, :3]):
        return "is a pose", "SE(3)", "pose"
    if n >= k > 1 and np.abs(x.T @ x - np.eye(k)).max() <= LIKE:
        if x.shape == (3, 3) and np.linalg.det(x) > 0:
            return "is a rotation", "SO(3)", "rotation"
        return "has orthonormal columns", "the Stiefel manifold", "stiefel"
    if n == k > 1 and np.array_equal(x, x.T) and np.count_nonzero(x - np.diag(np.diag(x))):
        return "is symmetric", "the symmetric matrices", "symmetric"
    if n > 1 and np.abs((x * x).sum(axis=0) - 1).max() <= LIKE:
        return "has columns of norm 1", "the oblique manifold", "oblique"
    return None


def _is_rotation(x: Any) -> bool:
    return bool(np.abs(x.T @ x - np.eye(len(x))).max() <= LIKE)
