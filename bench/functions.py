"""Functions with exact gradients, on which methods are compared by digits and evaluations."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Vector = np.ndarray


class Function(NamedTuple):
    name: str
    group: str
    loss: Callable[[Vector], float]
    gradient: Callable[[Vector], Vector]
    x: Vector


def sphere_of_logs(x):
    return (np.log(1.0 + x**2) ** 2).sum()


def log_sum_exp(x):
    return np.log(np.exp(x).sum())


def beale(x):
    a, b = x
    return sum((c - a + a * b**k) ** 2 for k, c in ((1, 1.5), (2, 2.25), (3, 2.625)))


def beale_gradient(x):
    a, b = x
    terms = [(c - a + a * b**k, k) for k, c in ((1, 1.5), (2, 2.25), (3, 2.625))]
    return np.array(
        [
            sum(2 * r * (b**k - 1) for r, k in terms),
            sum(2 * r * a * k * b ** (k - 1) for r, k in terms),
        ]
    )


def himmelblau(x):
    a, b = x
    return (a**2 + b - 11) ** 2 + (a + b**2 - 7) ** 2


def himmelblau_gradient(x):
    a, b = x
    p, q = a**2 + b - 11, a + b**2 - 7
    return np.array([4 * a * p + 2 * q, 2 * p + 4 * b * q])


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def rosenbrock_gradient(x):
    from bench.problems import rosenbrock_gradient

    return rosenbrock_gradient(x)


def powell(x):
    a, b, c, d = x
    return (a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4


def powell_gradient(x):
    a, b, c, d = x
    p, q, r, s = 2 * (a + 10 * b), 10 * (c - d), 4 * (b - 2 * c) ** 3, 40 * (a - d) ** 3
    return np.array([p + s, 10 * p + r, q - 2 * r, -q - s])


def float32_inside(x):
    return float((np.tanh(x.astype(np.float32)) ** 2).sum(dtype=np.float32))


def tanh_squared_gradient(x):
    return 2 * np.tanh(x) * (1 - np.tanh(x) ** 2)


def rough(relative):
    """exp with an error of this relative size that jumps about, as of a solver that stops early."""

    def loss(x):
        wiggle = np.sin(1e10 * x) + np.sin(3.7e11 * x)
        return (np.exp(x) * (1.0 + relative * wiggle)).sum()

    return loss


def fixed_point(x):
    """sum of cos-like fixed points y = cos(y) / 2 + x, iterated to 1e-9 only."""
    return iterated(x)[0].sum()


def fixed_point_gradient(x):
    """Of the iterates, as the loss computes them: that of their limit is 1e-9 off, which no
    difference can tell."""
    return iterated(x)[1]


def iterated(x):
    y, slope = np.zeros_like(x), np.zeros_like(x)
    for _ in range(200):
        following, slope = np.cos(y) / 2 + x, 1 - np.sin(y) / 2 * slope
        done = np.abs(following - y).max() < 1e-9
        y = following
        if done:
            break
    return y, slope


def trapezoid(x):
    """int_0^1 exp(-x t) dt by 2,000 strips, summed in float32."""
    t = np.linspace(0.0, 1.0, 2001)
    values = np.exp(-x[:, None] * t).astype(np.float32)
    return float((values[:, 1:] + values[:, :-1]).sum(dtype=np.float32) / np.float32(4000))


def trapezoid_gradient(x):
    t = np.linspace(0.0, 1.0, 2001)
    values = -t * np.exp(-x[:, None] * t)
    return (values[:, 1:] + values[:, :-1]).sum(axis=1) / 4000


N = 20
"""Entries where the formula does not say; fixed costs of a method are shared by them."""
SCALES = np.logspace(-4, 4, N)
MIXED = np.logspace(-6, 6, N)
POINTS = np.linspace(-1.9, 1.9, N)
POSITIVE = np.linspace(0.3, 5.0, N)
NEAR_ZERO = np.logspace(-6, -2, N)


def _smooth() -> list[tuple]:
    return [
        ("exp", lambda x: np.exp(x).sum(), np.exp, POINTS),
        ("sin", lambda x: np.sin(x).sum(), np.cos, POINTS),
        ("tanh", lambda x: np.tanh(x).sum(), lambda x: 1 - np.tanh(x) ** 2, POINTS),
        ("cube", lambda x: (x**3).sum(), lambda x: 3 * x**2, POINTS),
        ("log", lambda x: np.log(x).sum(), lambda x: 1 / x, POSITIVE),
        ("Gauss", lambda x: np.exp(-(x**2)).sum(), lambda x: -2 * x * np.exp(-(x**2)), POINTS),
        ("logs", sphere_of_logs, lambda x: 4 * x * np.log(1 + x**2) / (1 + x**2), POINTS),
        ("log-sum-exp", log_sum_exp, lambda x: np.exp(x) / np.exp(x).sum(), POINTS),
        ("Beale", beale, beale_gradient, np.array([1.0, 1.0])),
        ("Himmelblau", himmelblau, himmelblau_gradient, np.array([0.5, -1.2])),
        ("Rosenbrock", rosenbrock, rosenbrock_gradient, np.array([-1.2, 1.0, 0.3, 0.8])),
        ("Powell", powell, powell_gradient, np.array([3.0, -1.0, 0.5, 1.0])),
    ]


def _badly_scaled() -> list[tuple]:
    a = SCALES
    return [
        ("quadratic", lambda x: (a * x**2).sum(), lambda x: 2 * a * x, POINTS),
        ("x^2, x mixed", lambda x: (x**2).sum(), lambda x: 2 * x, MIXED),
        ("exp(x / a)", lambda x: np.exp(x / a).sum(), lambda x: np.exp(x / a) / a, a / 3),
        ("log cosh, x large", lambda x: np.logaddexp(x, -x).sum(), np.tanh, 1e4 * POINTS),
        ("sin(1e4 x)", lambda x: np.sin(1e4 * x).sum(), lambda x: 1e4 * np.cos(1e4 * x), POINTS),
        ("sin(1e-4 x)", lambda x: np.sin(x / 1e4).sum(), lambda x: np.cos(x / 1e4) / 1e4, POINTS),
        ("1e-8 exp", lambda x: 1e-8 * np.exp(x).sum(), lambda x: 1e-8 * np.exp(x), POINTS),
        ("1e8 exp", lambda x: 1e8 * np.exp(x).sum(), lambda x: 1e8 * np.exp(x), POINTS),
    ]


def _noisy() -> list[tuple]:
    return [
        ("exp (1 + 1e-12)", rough(1e-12), np.exp, POINTS),
        ("exp (1 + 1e-9)", rough(1e-9), np.exp, POINTS),
        ("exp (1 + 1e-6)", rough(1e-6), np.exp, POINTS),
        ("float32 inside", float32_inside, tanh_squared_gradient, POINTS),
        ("fixed point", fixed_point, fixed_point_gradient, POINTS),
        ("float32 integral", trapezoid, trapezoid_gradient, POSITIVE),
    ]


def _near_poles() -> list[tuple]:
    x = NEAR_ZERO
    return [
        ("log at 1e-6", lambda x: np.log(x).sum(), lambda x: 1 / x, x),
        ("1 / x at 1e-6", lambda x: (1 / x).sum(), lambda x: -1 / x**2, x),
        ("sqrt at 1e-6", lambda x: np.sqrt(x).sum(), lambda x: 0.5 / np.sqrt(x), x),
        ("x log x at 1e-6", lambda x: (x * np.log(x)).sum(), lambda x: 1 + np.log(x), x),
        ("log(1 - x) at 1", lambda x: np.log(1 - x).sum(), lambda x: -1 / (1 - x), 1 - x),
        (
            "tan at pi / 2",
            lambda x: np.tan(x).sum(),
            lambda x: 1 / np.cos(x) ** 2,
            np.pi / 2 - 10 * x,
        ),
    ]


def _large_offsets() -> list[tuple]:
    return [
        ("1e4 + exp", lambda x: 1e4 + np.exp(x).sum(), np.exp, POINTS),
        ("1e8 + x^2", lambda x: 1e8 + (x**2).sum(), lambda x: 2 * x, POINTS),
        (
            "1e12 + 1e6 sin",
            lambda x: 1e12 + 1e6 * np.sin(x).sum(),
            lambda x: 1e6 * np.cos(x),
            POINTS,
        ),
        ("(x - 1e6)^2", lambda x: ((x - 1e6) ** 2).sum(), lambda x: 2 * (x - 1e6), 1e6 + POINTS),
        ("exp(x - 1e4)", lambda x: np.exp(x - 1e4).sum(), lambda x: np.exp(x - 1e4), 1e4 + POINTS),
    ]


GROUPS = {
    "smooth": _smooth(),
    "badly scaled": _badly_scaled(),
    "noisy": _noisy(),
    "near poles": _near_poles(),
    "large offsets": _large_offsets(),
}
FUNCTIONS = tuple(
    Function(name, group, loss, gradient, np.asarray(x, np.float64))
    for group, members in GROUPS.items()
    for name, loss, gradient, x in members
)
