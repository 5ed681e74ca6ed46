"""Errors as people of many fields make them: found, named, and never by another name."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import fastgrad as fg


class Planted(NamedTuple):
    """A loss, a wrong gradient, where; the law, and words of its sentence."""

    loss: Callable[[Any], float]
    wrong: Callable[[Any], Any]
    theta: Any
    law: str
    said: str


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def positive(seed, *shape):
    return np.random.default_rng(seed).uniform(0.3, 2.0, shape)


def checked(planted: Planted, **options):
    return fg.check_grad(
        planted.loss, planted.wrong, planted.theta, backend="python", strategy="sweep", **options
    )


def found(planted: Planted, **options):
    """The laws and the sentences of a check, joined."""
    report = checked(planted, **options)
    assert report.verdict == "disagrees"
    return {d.law for d in report.diagnoses}, " ".join(d.sentence for d in report.diagnoses)


# ---- losses and right gradients --------------------------------------------------------------------


def coupled(x):
    """sum x^3 and products of neighbours."""
    return float((x**3).sum() + x[1:] @ x[:-1])


def coupled_grad(x):
    g = 3 * x**2
    g[:-1] += x[1:]
    g[1:] += x[:-1]
    return g


def of_exp(m):
    return coupled(np.exp(m))


def of_exp_grad(m):
    return coupled_grad(np.exp(m)) * np.exp(m)


def waves(x):
    return float(np.sin(x).sum() + x.flat[0] * x.flat[1])


def waves_grad(x):
    g = np.cos(x)
    g.flat[0] += x.flat[1]
    g.flat[1] += x.flat[0]
    return g


def cosh(x):
    return float(np.cosh(x).sum())


def pairs(points):
    """1/r^2 between all pairs of points."""
    d = points[:, None] - points[None]
    r2 = (d**2).sum(-1) + np.eye(len(points))
    return float((1 / r2)[np.triu_indices(len(points), 1)].sum())


def forces(points, partners=np.ones_like):
    d = points[:, None] - points[None]
    r2 = (d**2).sum(-1) + np.eye(len(points))
    return (partners(-2 / r2**2)[..., None] * d).sum(1)


def rayleigh(A):
    return lambda x: float(x @ A @ x / (x @ x))


def symmetric(seed, n):
    A = draw(seed, n, n)
    return A + A.T


def lower(S):
    L = np.tril(S)
    return float((L**3).sum() + (L @ np.arange(len(S))).sum())


def lower_grad(S):
    return np.tril(3 * np.tril(S) ** 2 + np.arange(len(S)))


POOL = draw(91, 2, 3)
SCATTERED = np.random.default_rng(9).permutation(np.linspace(-1.1, 1.3, 17))
C = draw(50, 8, 4)
KEPT = draw(3, 6)
MASK = np.array([1.0, 0.0] * 8)
WEIGHTS = np.where(np.arange(40) % 3 == 0, 3.0, 1.0)
HARTREE = 27.2114
TURN = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])

ROWS = {
    # ---- the loss is constant
    "a closure over the weights": Planted(
        lambda W: 1.5, lambda W: 2 * W, draw(5, 3, 4), "unused", "does not change with theta at all"
    ),
    "a net that is asked for its own loss": Planted(
        lambda p: 0.3,
        lambda p: {"W": p["W"], "b": p["b"] + 1},
        {"W": draw(1, 2, 3), "b": draw(2, 3)},
        "unused",
        "does not change with W, b at all: does it use its argument?",
    ),
    "a copy that is perturbed": Planted(
        lambda x: float((KEPT**2).sum()), lambda x: 2 * x, draw(3, 6), "unused",
        "does it use its argument?",
    ),
    "an integer of the argument": Planted(
        lambda x: float(np.floor(x).sum()), np.ones_like, draw(4, 5) + 0.01, "unused", "at all"
    ),
    # ---- other variables
    "by log(theta)": Planted(
        coupled, lambda x: x * coupled_grad(x), positive(6, 7), "change-of-variables",
        "is the derivative by log(theta)",
    ),
    "by sigma where log sigma is fitted": Planted(
        of_exp, lambda m: coupled_grad(np.exp(m)), 0.5 * draw(46, 8), "change-of-variables",
        "is the derivative by exp(theta)",
    ),
    "by softplus": Planted(
        lambda u: coupled(np.log1p(np.exp(u))), lambda u: coupled_grad(np.log1p(np.exp(u))),
        draw(7, 6), "change-of-variables", "is the derivative by softplus(theta)",
    ),
    "by a probability": Planted(
        lambda u: coupled(1 / (1 + np.exp(-u))), lambda u: coupled_grad(1 / (1 + np.exp(-u))),
        draw(8, 6), "change-of-variables", "is the derivative by sigmoid(theta)",
    ),
    "by a precision": Planted(
        coupled, lambda v: -(v**2) * coupled_grad(v), positive(9, 6), "change-of-variables",
        "is the derivative by 1/theta",
    ),
    "by a variance": Planted(
        coupled, lambda s: coupled_grad(s) / (2 * s), positive(10, 6), "change-of-variables",
        "is the derivative by theta**2",
    ),
    "by log10 of a rate": Planted(
        coupled, lambda k: np.log(10) * k * coupled_grad(k), positive(11, 6), "change-of-variables",
        "log10(theta)",
    ),
    "ascent by log(theta)": Planted(
        coupled, lambda x: -x * coupled_grad(x), positive(12, 7), "change-of-variables",
        "minus the derivative by log(theta)",
    ),
    "a log-Jacobian of exp": Planted(
        lambda x: float(-draw(47, 9) @ np.sin(x)), lambda x: -draw(47, 9) * np.cos(x) + np.exp(x),
        draw(48, 9), "function-of-theta", "plus exp(theta)",
    ),
    "a prior 1/theta": Planted(
        waves, lambda x: waves_grad(x) - 2 / x, positive(13, 8), "function-of-theta",
        "minus 2 * 1/theta",
    ),
    "a quartic penalty": Planted(
        waves, lambda x: waves_grad(x) + 0.1 * x**3, draw(14, 9), "function-of-theta",
        "plus 0.1 * theta**3",
    ),
    # ---- factors and their names
    "averaged over 39 steps, in float32": Planted(
        waves, lambda x: (waves_grad(x) / 39).astype(np.float32), draw(7, 12), "scale", "1/39 times"
    ),
    "averaged over 365 days, in float32": Planted(
        waves, lambda x: (waves_grad(x) / 365).astype(np.float32), draw(8, 12), "scale", "1/365"
    ),
    "summed over 1797 rows, in float32": Planted(
        waves, lambda x: (waves_grad(x) * 1797).astype(np.float32), draw(9, 12), "scale", "1797 times"
    ),
    "averaged over 23 tokens": Planted(
        waves, lambda x: waves_grad(x) / 23, draw(10, 9), "scale", "1/23 times"
    ),
    "a sum for a mean of entries": Planted(
        lambda Z: float(np.mean(np.sin(Z) ** 2)), lambda Z: np.sin(2 * Z), draw(68, 5, 4), "scale",
        "20 is the number of entries of theta: perhaps a sum for a mean",
    ),
    "1 / sqrt(d) forgotten": Planted(
        lambda k: float(np.sinh(k).sum()), lambda k: np.cosh(k) * np.sqrt(8), draw(78, 3, 2, 8),
        "scale", "sqrt(8)",
    ),
    "degrees": Planted(
        lambda x: float(np.sin(np.deg2rad(x)).sum()), lambda x: np.cos(np.deg2rad(x)),
        90 * draw(79, 6), "scale", "180/pi",
    ),
    "hartree": Planted(waves, lambda x: HARTREE * waves_grad(x), draw(80, 7), "scale", "hartree"),
    "bohr": Planted(
        waves, lambda x: 0.529177 * waves_grad(x), draw(81, 7), "scale", "bohr and angstrom"
    ),
    "kJ/mol for eV": Planted(
        waves, lambda x: 96.4853 * waves_grad(x), draw(82, 7), "scale", "electron volt and kJ/mol"
    ),
    "calories": Planted(waves, lambda x: waves_grad(x) / 4.184, draw(83, 7), "scale", "calorie"),
    "basis points": Planted(
        waves, lambda x: 1e-4 * waves_grad(x), draw(84, 7), "scale", "basis points"
    ),
    "log10 for ln": Planted(waves, lambda x: waves_grad(x) / np.log(10), draw(85, 7), "scale", "ln 10"),
    "a flat factor that is an L2 term too": Planted(
        lambda w: float((w**2).sum()), lambda w: 2.2 * w, draw(42, 6), "scale",
        "1.1 times the numerical one; at this theta that is the same as",
    ),
    # ---- within rtol, and approximately
    "a sign with noise": Planted(
        cosh, lambda x: -np.sinh(x) * (1 + 1e-6 * draw(3, 20)), draw(72, 20), "sign", "wrong sign"
    ),
    "a factor with noise": Planted(
        cosh, lambda x: 300 * np.sinh(x) * (1 + 1e-9 * draw(3, 20)), draw(73, 20), "scale", "300 times"
    ),
    "a factor, roughly": Planted(
        cosh, lambda x: 0.25 * np.sinh(x) * (1 + 3e-3 * draw(3, 20)), draw(74, 20), "scale",
        "about 0.25 times the numerical one, to",
    ),
    # ---- part of the entries
    "one layer of two has the wrong sign": Planted(
        cosh, lambda x: np.sinh(x) * np.where((np.arange(12) >= 3) & (np.arange(12) < 9), -1, 1),
        draw(25, 12), "sign", "theta[3:9]: there the analytic gradient has the wrong sign",
    ),
    "the second layer is doubled": Planted(
        cosh, lambda x: np.sinh(x) * np.where(np.arange(12) >= 8, 2, 1), draw(26, 12), "scale",
        "theta[8:]: there the analytic gradient is 2 times",
    ),
    "class weights": Planted(
        lambda x: float((WEIGHTS * np.cosh(x)).sum()), np.sinh, draw(73, 40), "scale",
        "14 of 40 entries are wrong (theta[0], theta[3], theta[6], theta[9], ...): there the analytic "
        "gradient is 1/3 times the numerical one; the others are right",
    ),
    "sample weights of two": Planted(
        lambda x: float((np.where(np.arange(30) % 2, 2.0, 1.0) * np.cosh(x)).sum()), np.sinh,
        draw(74, 30), "scale", "15 of 30 entries are wrong",
    ),
    "the bias is not scaled": Planted(
        cosh, lambda W: np.sinh(W) * np.r_[1, 1.25 * np.ones(4)], draw(65, 4, 5), "scale",
        "theta[:, 1:]: there the analytic gradient is 1.25 times",
    ),
    "the tail of a kernel": Planted(
        lambda V: float(np.sinh(V).sum()),
        lambda V: np.cosh(V) * np.where((np.arange(70) >= 64) & (np.arange(3)[:, None] >= 1), 0.5, 1),
        draw(77, 3, 70), "scale", "theta[1:, 64:]: there the analytic gradient is 0.5 (= 1/2) times",
    ),
    "the tail of a kernel is zero": Planted(
        lambda V: float(np.sinh(V).sum()), lambda V: np.cosh(V) * (np.arange(70) < 64),
        draw(78, 2, 70), "zero", "the last 6 of 70, after the last multiple of 64: the tail of a block",
    ),
    "one head of four": Planted(
        lambda V: float(np.sinh(V).sum()),
        lambda V: np.cosh(V) * np.array([1, 1, -1, 1])[:, None, None], draw(79, 4, 3, 5), "sign",
        "in axis 0, index 2",
    ),
    "a truncated recursion": Planted(
        lambda X: float((np.cumsum(X, 1) ** 2).sum()), lambda X: 2 * np.cumsum(X, 1),
        draw(66, 3, 5, 2), "wrong-range",
        "theta[:, :4, :] is wrong, without a law, and all else is right: what flows back over axis 1",
    ),
    "one entry set to 0": Planted(
        lambda x: float((x**4).sum() + x[1:] @ x[:-1]),
        lambda x: np.maximum(4 * x**3 + np.r_[x[1:], 0] + np.r_[0, x[:-1]], 0.0),
        np.array([1, 2, 0.7, -1.3, 1.9, 0.4, 2.2, 1.1]), "zero", "1 of 8 entries is wrong (theta[3])",
    ),
    "exchanged, of two": Planted(
        lambda x: float((x**3).sum()), lambda x: 3 * x[::-1] ** 2, np.linspace(0.5, 2, 2), "permuted",
        "theta[0] and theta[1] are exchanged",
    ),
    "exchanged, of three": Planted(
        lambda x: float((x**3).sum()), lambda x: 3 * x[[1, 0, 2]] ** 2, np.linspace(0.5, 2, 3),
        "permuted", "theta[0] and theta[1] are exchanged",
    ),
    "doubled, one of four": Planted(
        lambda x: float((x**3).sum()), lambda x: 3 * x**2 * [2, 1, 1, 1], np.linspace(0.5, 2, 4),
        "scale", "1 of 4 entries is wrong (theta[0]): there the analytic gradient is 2 times",
    ),
    "the tail of a kernel, in one head": Planted(
        lambda V: float(np.sinh(V).sum()),
        lambda V: np.cosh(V) * np.where(
            (np.arange(70) >= 64)[:, None] & (np.arange(2) >= 1)[:, None, None], 0.5, 1),
        draw(93, 2, 70, 4), "scale", "theta[1, 64:, :]: there the analytic gradient is 0.5 (= 1/2)",
    ),
    "the world's frame for the body's": Planted(
        lambda y: float(np.sin(y).sum()), lambda y: np.cos(y) @ TURN.T, draw(94, 4, 3), "frame",
        "all by one rotation, of 36.87 degrees",
    ),
    "a density on a simplex": Planted(
        lambda p: float(((p / p.sum()) ** 3).sum()), lambda p: 3 * p**2,
        np.array([0.1, 0.2, 0.3, 0.25, 0.15]), "normal-part", "say so by space=fg.spaces.simplex()",
    ),
    "exchanged, of five": Planted(
        lambda x: float((x**3).sum()), lambda x: 3 * x[[1, 0, 2, 3, 4]] ** 2, np.linspace(0.5, 2, 5),
        "permuted", "theta[0] and theta[1] are exchanged",
    ),
    "doubled, one of two": Planted(
        lambda x: float((x**3).sum()), lambda x: 3 * x**2 * [2, 1], np.linspace(0.5, 2, 2), "scale",
        "1 of 2 entries is wrong (theta[0]): there the analytic gradient is 2 times",
    ),
    "a mask": Planted(
        lambda x: float(np.sinh(x * MASK).sum()), np.cosh, draw(57, 16), "masked",
        "zero at 8 entries where the analytic one is not",
    ),
    "a clip": Planted(
        lambda x: float(np.sinh(np.clip(x, -0.6, 0.6)).sum()), np.cosh, np.linspace(-1, 1.05, 42),
        "masked", "the loss clips theta outside [-b, b], b = 0.6",
    ),
    "a ReLU": Planted(
        lambda x: float(np.sinh(np.maximum(x, 0)).sum()), np.cosh, draw(58, 16), "masked",
        "flat where theta is below 0, as a ReLU is",
    ),
    "conjugated": Planted(
        lambda z: float(np.sin(z).sum()), lambda z: np.cos(z) * np.tile([1, -1], 5), draw(76, 10),
        "conjugate", "every second entry has the wrong sign",
    ),
    "a clip of one entry": Planted(
        lambda x: float((x**2).sum() / 2), lambda x: np.clip(x, -1, 1),
        np.array([0.13, -0.31, 2.27, 0.52]), "clipped", "clipped at 1",
    ),
    "a clip of two, on both sides": Planted(
        lambda x: float((x**2).sum() / 2), lambda x: np.clip(x, -0.5, 0.5),
        np.array([0.13, -0.31, 2.27, -0.77]), "clipped", "clipped at 0.5",
    ),
    "one clipped parameter": Planted(
        lambda x: float(np.sinh(np.clip(x, -0.6, 0.6)).sum()), np.cosh,
        np.array([0.1, -0.3, 0.7, 0.5]), "wrong-entries", "the loss is flat there, as by a clip",
    ),
    "a leaky slope forgotten": Planted(
        lambda x: float(np.where(x < 0, 0.1 * x, x).sum()), np.ones_like, draw(60, 14), "scale",
        "where theta is below 0: there the analytic gradient is 10 times",
    ),
    "one branch of an activation": Planted(
        lambda x: float(np.where(x < 0, 0.3 * x**2, x**2).sum()),
        lambda x: np.where(x < 0, x * np.exp(x), 2 * x), draw(61, 14), "factor-of-theta",
        "where theta is below 0: there the analytic gradient is the numerical one times 1.66667 * exp",
    ),
    "beyond a threshold": Planted(
        lambda x: float((x**3).sum()), lambda x: 3 * x**2 * np.where(x > 0.4, 1.7, 1), SCATTERED,
        "scale", "where theta is above a value between",
    ),
    "one branch of a piecewise quadratic": Planted(
        lambda x: float(np.where(x < 0, 0.3 * x**2, x**2).sum()), lambda x: 2 * x, SCATTERED,
        "scale", "where theta is below 0",
    ),
    "average pooling, tiled for repeated": Planted(
        lambda x: float((POOL * np.sin(x.reshape(2, 2, 3, 2).mean((1, 3)))).sum()),
        lambda x: np.tile(POOL * np.cos(x.reshape(2, 2, 3, 2).mean((1, 3))) / 4, (2, 2)),
        draw(64, 4, 6), "permuted", "sorted, both are the same numbers",
    ),
    "an L1 penalty for a norm": Planted(
        lambda w: float(np.sin(w).sum() + 0.7 * np.sqrt((w**2).sum())),
        lambda w: np.cos(w) + 0.7 * np.sign(w), draw(67, 8), "missing-l2+extra-l1",
        "the derivative of 0.7 norm(theta) is missing and an L1 term (lambda = 0.7) too much.",
    ),
    # ---- lines
    "the mean of batch norm": Planted(
        lambda x: float((C * np.sin(x)).sum()), lambda x: C * np.cos(x) + draw(52, 4), draw(51, 8, 4),
        "line-offset", "plus a constant in every column",
    ),
    "a constant in every row": Planted(
        lambda x: float((C * np.sin(x)).sum()), lambda x: C * np.cos(x) + draw(53, 8, 1),
        draw(52, 8, 4), "line-offset", "plus a constant in every row",
    ),
    "couplings with fixed marginals": Planted(
        lambda x: float((C * np.sin(x)).sum()),
        lambda x: C * np.cos(x) + draw(54, 8, 1) + draw(55, 4), positive(53, 8, 4), "marginal-offset",
        "a constant for each row and one for each column",
    ),
    "a simplex": Planted(
        lambda p: float((p**2).sum() / p.sum() ** 2), lambda p: 2 * p,
        positive(58, 6) / positive(58, 6).sum(), "normal-part",
        "theta sums to 1, and the analytic gradient is right but for its normal part",
    ),
    # ---- symmetry
    "one triangle": Planted(
        lower, lambda S: (lower_grad(S) + lower_grad(S).T) / 2, symmetric(26, 5), "triangle",
        "reads the lower triangle",
    ),
    "doubled off the diagonal": Planted(
        cosh, lambda S: np.sinh(S) * (2 - np.eye(4)), symmetric(27, 4), "off-diagonal",
        "right on the diagonal and twice",
    ),
    "half a neighbour list": Planted(
        pairs, lambda P: forces(P, np.triu), draw(75, 5, 3), "not-shift-free+wrong-range",
        "when all rows of theta are shifted alike",
    ),
    "an external field on one side": Planted(
        pairs, lambda P: forces(P) + 0.1 * draw(80, 6, 3), draw(76, 6, 3), "not-shift-free",
        "a reaction force is missing",
    ),
    "an unprojected sphere": Planted(
        rayleigh(symmetric(70, 6)), lambda x: 2 * symmetric(70, 6) @ x / (x @ x), draw(71, 6),
        "not-projected", "along theta alone",
    ),
    "a normalisation that was not differentiated": Planted(
        lambda x: float((draw(48, 6, 3) * x / np.sqrt((x**2).sum(0))).sum()), lambda x: draw(48, 6, 3),
        draw(49, 6, 3), "not-scale-free", "with the length of a column",
    ),
    # ---- derivatives of another order
    "a hessian": Planted(
        lambda x: float((np.cosh(x) + x**3).sum()), lambda x: np.cosh(x) + 6 * x, draw(74, 9),
        "hessian", "equals the second derivative",
    ),
    "a Newton step": Planted(cosh, np.tanh, draw(75, 9), "newton", "a Newton step"),
    # ---- scalars by name
    "a named angle": Planted(
        lambda p: float(np.sin(np.deg2rad(p["angle"])) * p["r"]),
        lambda p: {
            "angle": np.cos(np.deg2rad(p["angle"])) * p["r"],
            "r": np.sin(np.deg2rad(p["angle"])),
        },
        {"angle": 7.3, "r": 0.4}, "scale", "angle: the analytic gradient is 57.2958 (= 180/pi) times",
    ),
    "vega per cent": Planted(
        lambda p: float(p["spot"] * np.sin(p["vol"]) + p["vol"] ** 2),
        lambda p: {
            "spot": np.sin(p["vol"]), "vol": (p["spot"] * np.cos(p["vol"]) + 2 * p["vol"]) / 100,
        },
        {"spot": 1.7, "vol": 0.3}, "scale", "vol: the analytic gradient is 0.01 (= 1/100) times",
    ),
    "theta a trading day": Planted(
        lambda p: float(np.exp(-p["r"] * p["t"])),
        lambda p: {
            "r": -p["t"] * np.exp(-p["r"] * p["t"]), "t": -p["r"] * np.exp(-p["r"] * p["t"]) / 252,
        },
        {"r": 0.3, "t": 0.7}, "scale", "1/252",
    ),
    "a log-Jacobian forgotten": Planted(
        lambda p: float(np.exp(p["mu"]) + p["log_sigma"] ** 2 * p["mu"] - p["log_sigma"]),
        lambda p: {
            "mu": np.exp(p["mu"]) + p["log_sigma"] ** 2, "log_sigma": 2 * p["log_sigma"] * p["mu"],
        },
        {"mu": 0.7, "log_sigma": 0.2}, "offset", "plus 1 exactly: perhaps the log-Jacobian",
    ),
    "one factor for three numbers": Planted(
        lambda p: float(p["a"] ** 2 * p["b"] + np.sin(p["c"])),
        lambda p: {
            "a": 2.7137 * p["a"] * p["b"], "b": 1.35685 * p["a"] ** 2, "c": 1.35685 * np.cos(p["c"]),
        },
        {"a": 1.2, "b": 0.7, "c": 0.4}, "scale", "as well",
    ),
    "a score with the wrong sign": Planted(
        lambda p: float(np.log(p["sigma"]) + 0.5 * ((1.3 - p["mu"]) / p["sigma"]) ** 2),
        lambda p: {
            "mu": (1.3 - p["mu"]) / p["sigma"] ** 2,
            "sigma": 1 / p["sigma"] - (1.3 - p["mu"]) ** 2 / p["sigma"] ** 3,
        },
        {"mu": 0.4, "sigma": 1.1}, "sign", "mu: it has the wrong sign",
    ),
    "two sums of one price": Planted(
        lambda t: float(np.sin(t["price"]).sum() + np.cos(t["demand"]).sum()),
        lambda t: {"price": 2 * np.cos(t["price"]), "demand": -2 * np.sin(t["demand"])},
        {"price": draw(1, 4), "demand": draw(2, 4)}, "scale", "so it is for demand",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_errors_are_named(name):
    planted = ROWS[name]
    laws, sentences = found(planted)
    assert planted.said in sentences
    assert planted.law in laws


def test_one_entry_of_the_wrong_sign_among_unlike_ones_is_named():
    """Two causes at once: what is exactly minus the right one is said beside."""
    A, x = draw(95, 6, 6), draw(96, 6)

    def wrong(x):
        g = A.T @ np.sinh(A @ x)
        return np.where(np.arange(6) == 1, -g, g * (1 + 0.3 * np.sin(np.arange(6) + x)))

    _, said = found(Planted(lambda x: float(np.cosh(A @ x).sum()), wrong, x, "", ""))
    assert "theta[1] has the wrong sign exactly" in said


def test_a_factor_in_single_precision_60_bars_off_is_named():
    X, w = draw(97, 40, 6).astype("f4"), draw(98, 6).astype("f4")

    def loss(w):
        return np.float32(np.cosh(X @ w).sum())

    def wrong(w):
        return np.float32(1.05) * X.T @ np.sinh(X @ w)

    report = fg.check_grad(loss, wrong, w, backend="python")
    assert [d.law for d in report.diagnoses] == ["scale"]
    assert "1.05 times the numerical one" in report.diagnoses[0].sentence


def test_an_approximation_is_not_called_broken_and_the_rtol_that_would_do_is_told():
    """Far pairs taken together, as trees and meshes do: forces of no potential, off by 0.4%."""

    def potential(p):
        d = p[:, None] - p[None]
        return float(np.triu(np.log((d**2).sum(-1) + 1e-2), 1).sum())

    def clustered(p):
        d = p[:, None] - p[None]
        r2 = (d**2).sum(-1) + 1e-2
        rough = 1 + 2e-3 * np.sin(4 * r2 + 0.3 * p[:, :1]) * (r2 > 2)
        return (2 / r2[..., None] * rough[..., None] * d).sum(1)

    report = fg.check_grad(potential, clustered, draw(99, 30, 2), backend="python")
    assert [d.law for d in report.diagnoses] == ["tolerance"]
    assert "the code is broken" not in str(report)
    assert fg.check_grad(
        potential, clustered, draw(99, 30, 2), backend="python", rtol=report.smallest_rtol
    )


def test_the_smallest_rtol_that_would_do_is_told():
    report = checked(Planted(cosh, lambda x: np.sinh(x) * (1 + 3.5e-5), draw(72, 20), "", ""))
    assert 3.5e-5 <= report.smallest_rtol <= 3.7e-5
    assert f"It would agree with rtol={report.smallest_rtol:g}" in str(report)


def test_a_numerical_gradient_has_the_name_and_the_signature_of_its_loss():
    def rosen(x, k=2.0):
        return float(k * (x**2).sum())

    g = fg.grad(rosen)
    assert (repr(g), g.__name__) == ("grad(rosen)", "rosen")
    assert list(inspect.signature(g).parameters) == ["x", "k"]
