"""Retractions of ready-made spaces in compiled code: ``function(base, x) -> point``, of float64.

Each evaluation makes a point of its own, on the stack of its thread. The formulas are those of
`fastgrad.spaces.lie` and `fastgrad.spaces.embedded`, which the tests hold them to.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit

SERIES_BELOW = 0.1
"""Angles below which sin t / t and its like are summed as series, exact to 3e-16."""


def _compiled(function: Any) -> Any:
    """njit, cached on disk where numba can write."""
    try:
        return njit(nogil=True, cache=True)(function)
    except RuntimeError:  # neither the package's folder nor the home folder can be written to
        return njit(nogil=True)(function)


@_compiled
def complex_numbers(x):
    """A vector of pairs as complex numbers; a view."""
    return x.view(np.complex128)


@_compiled
def complex_number(x):
    """Two numbers as a complex one."""
    return complex(x[0], x[1])


@lru_cache(maxsize=16)
def arrays_of(dimensions: int, pairs: bool) -> Any:
    """The function that gives entries the shape of its base, whose values do not matter."""
    if pairs and dimensions == 0:
        return njit(nogil=True)(lambda base, x: complex(x[0], x[1]))
    if pairs:
        return njit(nogil=True)(lambda base, x: x.view(np.complex128).reshape(base.shape))
    return njit(nogil=True)(lambda base, x: x.reshape(base.shape))


@_compiled
def _exponential(w0, w1, w2, E):
    """Rodrigues' formula into E; returns B and C of `translation_factor`."""
    s = w0 * w0 + w1 * w1 + w2 * w2
    t = math.sqrt(s)
    if t < SERIES_BELOW:
        A = 1 - s / 6 + s * s / 120 - s**3 / 5040 + s**4 / 362880
        B = 0.5 - s / 24 + s * s / 720 - s**3 / 40320 + s**4 / 3628800
        C = 1 / 6 - s / 120 + s * s / 5040 - s**3 / 362880
    else:
        A = math.sin(t) / t
        half = math.sin(t / 2) / t
        B = 2 * half * half
        C = (t - math.sin(t)) / (t * s)
    E[0, 0] = 1 - B * (w1 * w1 + w2 * w2)
    E[1, 1] = 1 - B * (w0 * w0 + w2 * w2)
    E[2, 2] = 1 - B * (w0 * w0 + w1 * w1)
    E[0, 1] = B * w0 * w1 - A * w2
    E[1, 0] = B * w0 * w1 + A * w2
    E[0, 2] = B * w0 * w2 + A * w1
    E[2, 0] = B * w0 * w2 - A * w1
    E[1, 2] = B * w1 * w2 - A * w0
    E[2, 1] = B * w1 * w2 + A * w0
    return B, C


@_compiled
def _is_still(x, start, count):
    moved = 0.0
    for k in range(count):
        moved += abs(x[start + k])
    return moved == 0.0


@_compiled
def _rotations(base, x, right):
    made = base.copy()
    R, P = base.reshape(-1, 3, 3), made.reshape(-1, 3, 3)
    E = np.empty((3, 3))
    for b in range(P.shape[0]):
        if _is_still(x, 3 * b, 3):
            continue
        _exponential(x[3 * b], x[3 * b + 1], x[3 * b + 2], E)
        _product(R[b], E, P[b], right)
    return made


@_compiled
def _product(R, E, out, right):
    for i in range(3):
        for j in range(3):
            total = 0.0
            for k in range(3):
                total += R[i, k] * E[k, j] if right else E[i, k] * R[k, j]
            out[i, j] = total


@lru_cache
def rotation(side: str) -> Any:
    """R Exp(w), or Exp(w) R on the left."""
    right = side == "right"
    return _compiled(lambda base, x: _rotations(base, x, right))


@_compiled
def _poses(base, x, right, w):
    """T Exp(v) or Exp(v) T; w is where the rotation begins among six, 0 or 3."""
    made = base.copy()
    T, P = base.reshape(-1, 4, 4), made.reshape(-1, 4, 4)
    E, u = np.empty((3, 3)), np.empty(3)
    for b in range(P.shape[0]):
        if _is_still(x, 6 * b, 6):
            continue
        w0, w1, w2 = x[6 * b + w], x[6 * b + w + 1], x[6 * b + w + 2]
        at = 6 * b + 3 - w
        v0, v1, v2 = x[at], x[at + 1], x[at + 2]
        B, C = _exponential(w0, w1, w2, E)
        c0, c1, c2 = w1 * v2 - w2 * v1, w2 * v0 - w0 * v2, w0 * v1 - w1 * v0
        u[0] = v0 + B * c0 + C * (w1 * c2 - w2 * c1)
        u[1] = v1 + B * c1 + C * (w2 * c0 - w0 * c2)
        u[2] = v2 + B * c2 + C * (w0 * c1 - w1 * c0)
        _product(T[b], E, P[b], right)
        for i in range(3):
            if right:
                P[b, i, 3] = T[b, i, 3] + T[b, i, 0] * u[0] + T[b, i, 1] * u[1] + T[b, i, 2] * u[2]
            else:
                moved = E[i, 0] * T[b, 0, 3] + E[i, 1] * T[b, 1, 3] + E[i, 2] * T[b, 2, 3]
                P[b, i, 3] = moved + u[i]
    return made


@lru_cache
def pose(side: str, order: str) -> Any:
    """T Exp(w, v), or Exp(w, v) T on the left; or by (v, w)."""
    right, first = side == "right", 0 if order == "wv" else 3
    return _compiled(lambda base, x: _poses(base, x, right, first))


@_compiled
def _quaternions(base, x, right, real):
    """q exp(w/2) or exp(w/2) q; ``real`` is where the real part is, 0 or 3."""
    made = base.copy()
    Q, P = base.reshape(-1, 4), made.reshape(-1, 4)
    i = 1 if real == 0 else 0
    for b in range(P.shape[0]):
        if _is_still(x, 3 * b, 3):
            continue
        w0, w1, w2 = x[3 * b], x[3 * b + 1], x[3 * b + 2]
        t = math.sqrt(w0 * w0 + w1 * w1 + w2 * w2)
        half = math.sin(t / 2) / t
        s, a0, a1, a2 = math.cos(t / 2), half * w0, half * w1, half * w2
        r, q0, q1, q2 = Q[b, real], Q[b, i], Q[b, i + 1], Q[b, i + 2]
        sign = 1.0 if right else -1.0
        P[b, real] = r * s - q0 * a0 - q1 * a1 - q2 * a2
        P[b, i] = r * a0 + s * q0 + sign * (q1 * a2 - q2 * a1)
        P[b, i + 1] = r * a1 + s * q1 + sign * (q2 * a0 - q0 * a2)
        P[b, i + 2] = r * a2 + s * q2 + sign * (q0 * a1 - q1 * a0)
    return made


@lru_cache
def quaternion(side: str, order: str) -> Any:
    """q exp(w/2), or exp(w/2) q on the left."""
    right, real = side == "right", 3 if order == "xyzw" else 0
    return _compiled(lambda base, x: _quaternions(base, x, right, real))


@_compiled
def _along_sphere(p, x, y, start, stop, stride):
    """(p + d) / |p + d| into y, d the tangent part of x - p, of every stride-th entry."""
    along, still = 0.0, True
    for k in range(start, stop, stride):
        along += p[k] * (x[k] - p[k])
        still &= x[k] == p[k]
    length = 0.0
    for k in range(start, stop, stride):
        y[k] = x[k] - along * p[k]
        length += y[k] * y[k]
    scale = 1.0 if still else 1.0 / math.sqrt(length)
    for k in range(start, stop, stride):
        y[k] *= scale


@_compiled
def sphere(base, x):
    """(p + d) / |p + d|, d the tangent part of x - p."""
    made = np.empty_like(base)
    _along_sphere(base.reshape(-1), x, made.reshape(-1), 0, base.size, 1)
    return made


@_compiled
def oblique(base, x):
    """The same of each column."""
    made = np.empty_like(base)
    p, y = base.reshape(-1), made.reshape(-1)
    n, k = base.shape[-2], base.shape[-1]
    for b in range(base.size // (n * k)):
        for j in range(k):
            start = b * n * k + j
            _along_sphere(p, x, y, start, (b + 1) * n * k, k)
    return made


@_compiled
def simplex(base, x):
    """p exp(d / p) scaled to sum 1, d what is left of x - p without its mean."""
    made = base.copy()
    p, y = base.reshape(-1), made.reshape(-1)
    n = base.shape[-1]
    for start in range(0, base.size, n):
        mean, still = 0.0, True
        for k in range(start, start + n):
            mean += (x[k] - p[k]) / n
            still &= x[k] == p[k]
        if still:
            continue
        total, largest = 0.0, -math.inf
        for k in range(start, start + n):
            y[k] = (x[k] - p[k] - mean) / p[k]
            largest = max(largest, y[k])
        for k in range(start, start + n):
            y[k] = p[k] * math.exp(y[k] - largest)  # finite, however far
            total += y[k]
        for k in range(start, start + n):
            y[k] /= total
    return made


@lru_cache
def frames(free: bool) -> Any:
    """The polar factor of p + d, d the tangent part of x - p: of frames, or of what they span."""

    def frames(base, x):
        made = base.copy()
        n, k = base.shape[-2], base.shape[-1]
        P, Y, X = base.reshape(-1, n, k), made.reshape(-1, n, k), x.reshape(-1, n, k)
        for b in range(P.shape[0]):
            p = np.ascontiguousarray(P[b])
            w = np.ascontiguousarray(X[b]) - p
            if not w.any():
                continue
            s = _product_of(p.T, w)
            if not free:
                s = (s + s.T) / 2
            u, _, v = np.linalg.svd(p + w - _product_of(p, s), False)
            Y[b] = _product_of(u, v)
        return made

    return _compiled(frames)


@_compiled
def _product_of(A, B):
    """A B without BLAS, whose threads would start in every thread."""
    made = np.zeros((A.shape[0], B.shape[1]))
    for i in range(A.shape[0]):
        for k in range(A.shape[1]):
            for j in range(B.shape[1]):
                made[i, j] += A[i, k] * B[k, j]
    return made


@_compiled
def spd(base, x):
    """S + D + D S^-1 D / 2, D the symmetric part of x - S."""
    made = base.copy()
    n = base.shape[-1]
    S, Y, X = base.reshape(-1, n, n), made.reshape(-1, n, n), x.reshape(-1, n, n)
    for b in range(S.shape[0]):
        s = np.ascontiguousarray(S[b])
        w = np.ascontiguousarray(X[b]) - s
        if not w.any():
            continue
        d = (w + w.T) / 2
        bent = _product_of(d, np.linalg.solve(s, d))
        Y[b] = s + d + (bent + bent.T) / 4
    return made


@lru_cache(maxsize=16)
def projected(retract: Any, project: Any) -> Any:
    """A user's retraction along the tangent part of x - p; both by njit."""

    def moved(base, x):
        w = x.reshape(base.shape) - base
        if not w.any():
            return base.copy()
        return retract(base.copy(), project(base.copy(), w))

    return njit(nogil=True)(moved)


@_compiled
def symmetric(base, x):
    """S + (D + D') / 2, D = x - S."""
    made = base.copy()
    n = base.shape[-1]
    S, P = base.reshape(-1, n, n), made.reshape(-1, n, n)
    for b in range(P.shape[0]):
        for i in range(n):
            for j in range(n):
                own, other = (b * n + i) * n + j, (b * n + j) * n + i
                P[b, i, j] = S[b, i, j] + (x[own] - S[b, i, j] + x[other] - S[b, j, i]) / 2
    return made
