"""Losses whose slope depends on the step, each with its right gradient: one function a kind.

Kinks and single precision, points coarser than theta, jumps, values printed to a few decimals, solvers
stopped at a tolerance; and smooth ones, for comparison.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

f4 = np.float32


class Rough(NamedTuple):
    kind: str
    loss: Callable[[np.ndarray], float]
    theta: np.ndarray
    gradient: np.ndarray


def relu_float32(rng):
    X, v = rng.normal(size=(100, 5)).astype(f4), rng.normal(size=5).astype(f4)
    y, W = rng.normal(size=100).astype(f4), (0.5 * rng.normal(size=(5, 5))).astype(f4)

    def loss(w):
        hidden = np.maximum(X @ w.astype(f4).reshape(5, 5), f4(0))
        return float(((hidden @ v - y) ** 2).mean(dtype=f4))

    X, v, y, W = (a.astype(float) for a in (X, v, y, W))
    Z = X @ W
    back = 2 / 100 * (np.maximum(Z, 0) @ v - y)[:, None] * v * (Z > 0)
    return loss, W.ravel(), (X.T @ back).ravel()


def smooth_float32(rng):
    w, x = rng.normal(size=6).astype(f4), rng.normal(size=6).astype(f4)
    offset = f4(rng.choice([0, 1, 30]))
    y = w.astype(float) * np.cos(x.astype(float))
    return lambda t: float(offset + (w * np.sin(t.astype(f4))).sum(dtype=f4)), x.astype(float), y


def dead_zone_float32(rng):
    """A dead zone of soft thresholding around one entry, narrower than float32 needs as a step."""
    x = rng.normal(size=5)
    x[2] = 0.3
    x = x.astype(f4).astype(float)

    def loss(t):
        t = t.astype(f4)
        z = t[2] - f4(x[2])
        soft = np.sign(z) * np.maximum(np.abs(z) - f4(4e-4), f4(0))
        return float(f4(1) + f4(0.5) * (t @ t) + f4(0.05) * soft)

    return loss, x, x.copy()


def pose_float32(rng):
    points, base = rng.normal(size=(20, 3)), (10 * rng.normal(size=3)).astype(f4)
    target = points + 0.1 * rng.normal(size=(20, 3)) + rng.normal(size=3)

    def loss(t):
        moved = (base + t.astype(f4)).astype(float) - base.astype(float)
        return float(((points + moved - target) ** 2).sum())

    return loss, np.zeros(3), 2 * (points - target).sum(axis=0)


def far_points(rng):
    size = 10.0 ** rng.choice([7, 9, 11])
    x = size * np.array([1.0, 0.7, 1e-7])
    z, R = x + rng.normal(size=3), np.linalg.qr(rng.normal(size=(3, 3)))[0]
    return lambda t: float(2 * ((x + R @ t - z) ** 2).sum()), np.zeros(3), 4 * R.T @ (x - z)


def jump_in_noise(rng):
    """A cut-off that is crossed within the step that noise asks for."""
    x, a = rng.normal(size=3), 3e3 * rng.normal(size=3)
    place = 10 ** rng.uniform(-4.5, -3.5)

    def loss(t):
        y = t - x
        noise = hash(tuple(t.tolist())) % 1000003 / 500001.5 - 1
        smooth = a @ y + 3e5 * y @ y + 8e5 * (y**3).sum()
        return float(smooth + 0.005 * (y[0] > place) + 3e-4 * noise)

    return loss, x, a


def weak_kink(rng):
    place = 10 ** rng.uniform(-7, -5)
    loss = lambda t: float(2.6e6 + 2 * t[0] + 100 * t[0] ** 2 + 2e-3 * max(t[0] - place, 0))  # noqa: E731
    return loss, np.zeros(1), np.array([2.0])


def printed(rng):
    w, x = rng.normal(size=4), rng.normal(size=4)
    return lambda t: float(f"{w @ np.sin(t):.6f}"), x, w * np.cos(x)


def printed_coarsely(rng):
    """Two decimals of -24,000, with slopes of a few of its grains."""
    w, x = 0.1 * rng.normal(size=4), rng.normal(size=4)
    return lambda t: float(f"{-24000 + w @ np.sin(t):.2f}"), x, w * np.cos(x)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def bisection(rng):
    x, tolerance = rng.normal(size=5), 10.0 ** rng.choice([-6, -5, -4, -3])

    def root(t, tolerance):
        low, high = t.max() - 3, t.max() + 3
        while high - low > tolerance:
            middle = (low + high) / 2
            low, high = (middle, high) if sigmoid(t - middle).sum() > 1 else (low, middle)
        return (low + high) / 2

    exact = root(x, 1e-14)
    s = sigmoid(x - exact)
    weight = s * (1 - s)
    return lambda t: float(root(t, tolerance) ** 2), x, 2 * exact * weight / weight.sum()


def saw(rng):
    period, x = 10 ** rng.uniform(-5, -4), rng.uniform(0.3, 2, 3) * rng.choice([-1, 1], 3)
    w = rng.uniform(0.5, 2, 3) * rng.choice([-1, 1], 3)
    return lambda t: float(w @ (t - 2 * ((t + period / 2) % period - period / 2))), x, w


def fixed_point(rng, tolerance, n=4, coupling=0.3):
    B, c, x = coupling * rng.normal(size=(n, n)), rng.normal(size=n), rng.normal(size=n)

    def solve(t, tolerance):
        u = np.zeros(n)
        for _ in range(500):
            before, u = u, np.tanh(t + B @ u)
            if np.linalg.norm(u - before) < tolerance * np.linalg.norm(u):
                break
        return u

    D = np.diag(1 - solve(x, 1e-15) ** 2)
    right = np.linalg.solve(np.eye(n) - D @ B, D).T @ c
    return lambda t: float(c @ solve(t, tolerance)), x, right


def fixed_point_tight(rng):
    return fixed_point(rng, 1e-8)


def fixed_point_loose(rng):
    return fixed_point(rng, 1e-4)


def power_iteration(rng):
    A = rng.normal(size=(4, 4))
    A, x = A + A.T + np.diag([6.0, 2, 1, 0]), 0.3 * rng.normal(size=4)

    def loss(t):
        M, v = A + np.diag(t), np.full(4, 0.5)
        for _ in range(10_000):
            w = M @ v
            w /= np.linalg.norm(w)
            change, v = min(np.linalg.norm(w - v), np.linalg.norm(w + v)), w
            if change < 1e-8:
                break
        return float(v @ M @ v)

    values, vectors = np.linalg.eigh(A + np.diag(x))
    return loss, x, vectors[:, np.abs(values).argmax()] ** 2


def tanh_regression(rng):
    X, y, w = rng.normal(size=(30, 5)), rng.normal(size=30), rng.normal(size=5)
    z = np.tanh(X @ w)
    right = 2 / 30 * X.T @ ((z - y) * (1 - z**2))
    return lambda t: float(((np.tanh(X @ t) - y) ** 2).mean()), w, right


def relu_regression(rng):
    X, y, w = rng.normal(size=(30, 5)), rng.normal(size=30), rng.normal(size=5)
    right = 2 / 30 * X.T @ ((np.maximum(X @ w, 0) - y) * (X @ w > 0))
    return lambda t: float(((np.maximum(X @ t, 0) - y) ** 2).mean()), w, right


def rosenbrock(rng):
    x = rng.normal(size=5)
    g = np.zeros(5)
    g[:-1] = -400 * x[:-1] * (x[1:] - x[:-1] ** 2) - 2 * (1 - x[:-1])
    g[1:] += 200 * (x[1:] - x[:-1] ** 2)
    return (
        lambda t: float((100 * (t[1:] - t[:-1] ** 2) ** 2 + (1 - t[:-1]) ** 2).sum()),
        x,
        g,
    )


def logarithms(rng):
    x = 10 ** rng.uniform(-6, 0, 5)
    return lambda t: float(np.log(t).sum()) if (t > 0).all() else np.nan, x, 1 / x


def stiff_and_slow(rng):
    k, x = np.array([1, 30, 1, 5, 100.0]), rng.uniform(0.2, 6, 5)
    return lambda t: float((np.sin(k * t) / k).sum()), x, np.cos(k * x)


def lennard_jones(rng):
    x = np.arange(6) * 1.1 + 0.05 * rng.normal(size=6)

    def loss(t):
        d = np.abs(t[:, None] - t[None, :])[np.triu_indices(6, 1)]
        d = d[d < 2.5]
        return float((4 * (d**-12 - d**-6)).sum())

    apart = x[:, None] - x[None, :]
    d = np.abs(apart) + np.eye(6)
    force = 4 * (-12 * d**-13 + 6 * d**-7) * np.sign(apart) * (d < 2.5)
    return loss, x, force.sum(axis=1)


SINGLE = (relu_float32, smooth_float32, dead_zone_float32, pose_float32)
SMOOTH = (
    tanh_regression,
    relu_regression,
    rosenbrock,
    logarithms,
    stiff_and_slow,
    lennard_jones,
    fixed_point_tight,
    power_iteration,
)
SOLVERS = (bisection, saw)
OTHERS = (far_points, jump_in_noise, weak_kink, printed)
KINDS = (*SINGLE, *SMOOTH, *SOLVERS, *OTHERS)
"""All but those that no difference can tell: printed_coarsely, and fixed_point_loose, which is the
smooth function that a tolerance leaves."""


def rough(kinds: tuple[Callable, ...], seeds: range) -> Iterator[Rough]:
    for kind in kinds:
        for seed in seeds:
            loss, theta, gradient = kind(np.random.default_rng([seed, len(kind.__name__)]))
            yield Rough(kind.__name__, loss, np.asarray(theta, float), gradient)
