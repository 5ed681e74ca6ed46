"""Sets that theta may live on, for ``space=``: ready-made ones, and `Space` for the others.

Examples
--------
>>> import numpy as np
>>> import fastgrad as fg
>>> def loss(R, A):
...     return (R * A).sum()
>>> A = np.arange(9.0).reshape(3, 3)
>>> R = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
>>> def body(R, A):
...     M = R.T @ A
...     return np.array([M[2, 1] - M[1, 2], M[0, 2] - M[2, 0], M[1, 0] - M[0, 1]])
>>> fg.check_grad(loss, body, R, A, space=rotation()).verdict
'agrees'
"""

from typing import Any

from fastgrad.spaces import embedded, lie, linear
from fastgrad.spaces.space import Space

__all__ = [
    "complex",
    "grassmann",
    "inner",
    "oblique",
    "pose",
    "quaternion",
    "rotation",
    "simplex",
    "spd",
    "sphere",
    "stiefel",
    "symmetric",
]


def rotation(side: str = "right") -> Space:
    """Rotation matrices, arrays of shape (..., 3, 3).

    Parameters
    ----------
    side : {"right", "left"}
        ``R Exp(w)``, w in the body's frame, or ``Exp(w) R``, in the world's.

    Raises
    ------
    ValueError
    """
    return lie.Rotation(side)


def quaternion(order: str = "xyzw", side: str = "right") -> Space:
    """Unit quaternions, arrays of shape (..., 4); the gradient has three numbers each.

    Parameters
    ----------
    order : {"xyzw", "wxyz"}
        Where the real part is.
    side : {"right", "left"}
        As of `rotation`.

    Raises
    ------
    ValueError
    """
    return lie.Quaternion(order, side)


def pose(side: str = "right", order: str = "wv") -> Space:
    """Poses, arrays of shape (..., 4, 4); the gradient has six numbers each.

    Parameters
    ----------
    side : {"right", "left"}
        ``T Exp(v)``, in the body's frame, or ``Exp(v) T``, in the world's.
    order : {"wv", "vw"}
        Rotation first (GTSAM), or translation first (Pinocchio, Sophus, jaxlie).

    Raises
    ------
    ValueError
    """
    return lie.Pose(side, order)


def sphere(gradient: str = "riemannian") -> Space:
    """Arrays of norm 1.

    Parameters
    ----------
    gradient : {"riemannian", "euclidean"}
        Tangent, or to be projected.
    """
    return embedded.Sphere(gradient)


def oblique(gradient: str = "riemannian") -> Space:
    """Matrices whose columns have norm 1; ``gradient`` as of `sphere`."""
    return embedded.Oblique(gradient)


def stiefel(gradient: str = "riemannian") -> Space:
    """Matrices with orthonormal columns; ``gradient`` as of `sphere`."""
    return embedded.Stiefel(gradient)


def grassmann(gradient: str = "riemannian") -> Space:
    """Subspaces, as matrices with orthonormal columns; ``gradient`` as of `sphere`."""
    return embedded.Grassmann(gradient)


def simplex(gradient: str = "riemannian") -> Space:
    """Positive numbers that sum to 1 along the last axis; ``gradient`` as of `sphere`."""
    return embedded.Simplex(gradient)


def symmetric(gradient: str = "riemannian") -> Space:
    """Symmetric matrices, both triangles of which move together; ``gradient`` as of `sphere`.

    The gradient is symmetric; off the diagonal it is half of the derivative by a number that is two
    entries.
    """
    return embedded.Symmetric(gradient)


def spd(gradient: str = "riemannian", metric: str = "entries") -> Space:
    """Symmetric positive definite matrices.

    Parameters
    ----------
    gradient : {"riemannian", "euclidean"}
        As of `sphere`.
    metric : {"entries", "affine"}
        Whose gradient: of ``tr(A B)``, or of ``tr(S^-1 A S^-1 B)``.

    Raises
    ------
    ValueError
    """
    return embedded.Spd(gradient, metric)


def inner(M: Any) -> Space:
    """Arrays with a weighted inner product: the gradient g has ``<M g, d> = DJ[d]``.

    Parameters
    ----------
    M : ndarray, sparse matrix or callable
        A symmetric positive definite matrix, the weight of each entry, or the function ``g -> M g``.
    """
    return linear.Inner(M)


def complex(convention: str = "steepest") -> Space:
    """Complex numbers; theta that is complex is so by itself, with "steepest".

    Parameters
    ----------
    convention : {"steepest", "conjugate", "wirtinger", "wirtinger conjugate"}
        What the gradient is: ``df/dx + i df/dy`` (torch), ``df/dx - i df/dy`` (jax, autograd), half of
        the second, or half of the first.

    Raises
    ------
    ValueError
    """
    return linear.Complex(convention)
