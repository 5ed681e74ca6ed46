"""Kin of the museum's bugs: each law for errors by others, as vectors and as named numbers.

Every row is written from the mathematics of another field than the exhibit that its law was wanted for.
"""

from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.special import expit

import fastgrad as fg
from fastgrad.checks.diagnose import Evidence, diagnose


class Kin(NamedTuple):
    """A loss, a wrong gradient, where; the law of each wrong block, and words of a sentence."""

    loss: Any
    wrong: Any
    theta: Any
    laws: dict[str, str]
    said: str


def draw(seed, *shape):
    return np.random.default_rng([2912, seed]).normal(size=shape)


def between(seed, *shape, low=0.1, high=0.9):
    return np.random.default_rng([2912, seed]).uniform(low, high, shape)


def only(law):
    return {"theta": law}


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def normalised(x, axes, eps=1e-5):
    std = np.sqrt(x.var(axis=axes, keepdims=True) + eps)
    return (x - x.mean(axis=axes, keepdims=True)) / std, std


def norm_grad(x, dy, axes, kept=(1.0, 1.0), over=None):
    """The gradient of sum(dy * normalised(x)), with weights of its two terms, over other axes."""
    y, std = normalised(x, axes)
    over = axes if over is None else over
    mean, along = dy.mean(axis=over, keepdims=True), (dy * y).mean(axis=over, keepdims=True)
    return (dy - kept[0] * mean - kept[1] * y * along) / std


W12, C16, D57 = draw(1, 12), draw(2, 16), draw(3, 5, 7)
X, Y = draw(4, 30, 6), (draw(5, 30) > 0).astype(float)
ZEROS = draw(6, 12) * (np.arange(12) % 3 > 0)
P9 = between(7, 9)
COUNTS = np.floor(5 * between(8, 30))
A6 = draw(9, 6, 6) @ draw(9, 6, 6).T / 6 + np.eye(6)
R2, R3 = np.array([0.83, -1.31]), np.array([0.6, -0.9, 1.4])
CURVED = {"mu": 0.83, "log_tau": -0.41, "effects": draw(10, 7)}


def coupling(x):
    return float(x[1:] @ x[:-1])


def coupling_grad(x):
    return np.r_[x[1:], 0] + np.r_[0, x[:-1]]


def hierarchy(p):
    z = (p["effects"] - p["mu"]) * np.exp(-p["log_tau"])
    return float(
        0.5 * (z**2).sum() + 7 * p["log_tau"] + 0.3 * p["log_tau"] ** 2 + p["mu"] ** 2 / 50
    )


def hierarchy_grad(p):
    z = (p["effects"] - p["mu"]) * np.exp(-p["log_tau"])
    return {
        "mu": -z.sum() * np.exp(-p["log_tau"]) + p["mu"] / 25,
        "log_tau": 7 - (z**2).sum() + 0.6 * p["log_tau"],
        "effects": z * np.exp(-p["log_tau"]),
    }


def normal_gamma(p):
    """A line with a slope, an intercept and a precision, and priors."""
    r = Y - p["slope"] * X[:, 0] - p["intercept"]
    prior = 0.35 * p["slope"] ** 2 + 0.02 * p["intercept"] ** 2
    return float(0.5 * p["precision"] * (r @ r) - 15 * np.log(p["precision"]) + prior)


def normal_gamma_grad(p):
    r = Y - p["slope"] * X[:, 0] - p["intercept"]
    return {
        "slope": -p["precision"] * (r @ X[:, 0]) + 0.7 * p["slope"],
        "intercept": -p["precision"] * r.sum() + 0.04 * p["intercept"],
        "precision": 0.5 * (r @ r) - 15 / p["precision"],
    }


LINE = {"slope": 0.37, "intercept": -0.212, "precision": 1.43}


def ellipse(p):
    """A fit of centre, axes and turn to points."""
    c, s = np.cos(p["turn"]), np.sin(p["turn"])
    u = c * (X[:, 0] - p["x"]) + s * (X[:, 1] - p["y"])
    v = -s * (X[:, 0] - p["x"]) + c * (X[:, 1] - p["y"])
    return float((u**2 * p["a"] + v**2 * 0.5).sum() / 30)


def ellipse_grad(p):
    c, s = np.cos(p["turn"]), np.sin(p["turn"])
    u = c * (X[:, 0] - p["x"]) + s * (X[:, 1] - p["y"])
    v = -s * (X[:, 0] - p["x"]) + c * (X[:, 1] - p["y"])
    du, dv = 2 * u * p["a"] / 30, v / 30
    return {
        "x": (-c * du + s * dv).sum(),
        "y": (-s * du - c * dv).sum(),
        "turn": (du * v - dv * u).sum(),
        "a": (u**2).sum() / 30,
    }


OVAL = {"x": 0.2, "y": -0.13, "turn": 0.4, "a": 1.7}


def logistic(b):
    return float((np.logaddexp(0, X @ b) - Y * (X @ b)).sum())


def gaussian_process(u):
    K = np.exp(-0.5 * ((X[:14, None, :3] - X[None, :14, :3]) ** 2 * np.exp(u)).sum(-1))
    K = K + 0.3 * np.eye(14)
    y = X[:14, 3]
    return float(0.5 * y @ np.linalg.solve(K, y) + 0.5 * np.linalg.slogdet(K)[1])


def data_fit_alone(u):
    d2 = (X[:14, None, :3] - X[None, :14, :3]) ** 2 * np.exp(u)
    K0 = np.exp(-0.5 * d2.sum(-1))
    alpha = np.linalg.solve(K0 + 0.3 * np.eye(14), X[:14, 3])
    return 0.25 * np.einsum("i,j,ij,ijk->k", alpha, alpha, K0, d2)


def cells(W):
    h, found = np.zeros(2), []
    for x in X[:5, :3]:
        h = np.tanh(0.6 * h + x @ W)
        found.append(h)
    return found


def recurrent(W):
    h = cells(W)
    return float(sum((a * a).sum() for a in h) + 2 * np.array([1.0, -0.7]) @ h[-1])


def recurrent_grad(W):
    """Without what the loss reads of the last state."""
    h, g, d = cells(W), np.zeros_like(W), np.zeros(2)
    for t in range(4, -1, -1):
        dz = (d + 2 * h[t]) * (1 - h[t] ** 2)
        g, d = g + np.outer(X[t, :3], dz), 0.6 * dz
    return g


def cox(b, events):
    """Breslow's partial likelihood of five covariates."""
    eta = X[:, :5] @ b
    risk = np.logaddexp.accumulate(eta)
    return float(-(events * (eta - risk)).sum())


def cox_grad(b, events):
    x, w = X[:, :5], np.exp(X[:, :5] @ b)
    mean = np.cumsum(w[:, None] * x, axis=0) / np.cumsum(w)[:, None]
    return -((x - mean) * events[:, None]).sum(axis=0)


SEEN = (np.arange(30) % 3 > 0).astype(float)


def student(x):
    return float(2.5 * np.log1p(x @ x / 3) + np.sin(x).sum())


KIN = {
    # ---- one side of theta
    "mish for swish on the left": Kin(
        lambda x: float((W12 * np.where(x > 0, x, x * expit(x))).sum() + coupling(x)),
        lambda x: W12 * np.where(x > 0, 1, expit(x)) + coupling_grad(x),
        draw(20, 12), only("branch"), "where theta is below 0: the derivative of that branch",
    ),
    "ELU with its alpha inside": Kin(
        lambda x: float((W12 * np.where(x > 0, x, 1.3 * np.expm1(np.minimum(x, 0)))).sum()),
        lambda x: W12 * np.where(x > 0, 1, np.expm1(np.minimum(x, 0)) + 1.3),
        draw(22, 12), only("branch"), "where theta is below 0",
    ),
    "a smooth hinge": Kin(
        lambda x: float(np.where(x < 1, (1 - x) ** 3, 0).sum() + np.sin(x).sum()),
        lambda x: np.where(x < 1, -2 * (1 - x), 0) + np.cos(x),
        np.linspace(-1.2, 3.1, 13)[np.random.default_rng(3).permutation(13)], only("branch"),
        "where theta is below a value between",
    ),
    "volume above the yield stress": Kin(
        lambda s: float(np.where(s > 0, 0.5 * s**2 + 0.1 * s**4, 0.5 * s**2).sum() + coupling(s)),
        lambda s: np.where(s > 0, s + 0.4 * s**2, s) + coupling_grad(s),
        draw(23, 14), only("branch"), "where theta is above 0",
    ),
    "of a matrix": Kin(
        lambda x: float((D57 * np.where(x > 0, np.sin(x), x)).sum() + (x**2).sum()),
        lambda x: D57 * np.where(x > 0, 1 - x**2 / 2, 1) + 2 * x,
        draw(24, 5, 7), only("branch"), "where theta is above",
    ),
    # ---- zeros
    "a mask of what is not 0": Kin(
        lambda x: float((W12 * np.sin(2 * x)).sum() + coupling(x)),
        lambda x: W12 * np.where(x == 0, 1, 2 * np.cos(2 * x)) + coupling_grad(x),
        ZEROS, only("at-zero"), "all those where theta is exactly 0",
    ),
    "a quotient guarded at 0": Kin(
        lambda x: float((W12 * np.expm1(x)).sum() + coupling(x)),
        lambda x: W12 * np.where(x == 0, 0, np.exp(x)) + coupling_grad(x),
        ZEROS, only("at-zero"), "4 of 12 entries are wrong",
    ),
    "padding told by zeros": Kin(
        lambda x: float((W12 * np.cos(x - 0.3)).sum()),
        lambda x: -W12 * np.sin(x - 0.3) * np.where(x == 0, 0.5, 1) - (x == 0) * 0.1 * W12**2,
        ZEROS, only("at-zero"), "exactly 0",
    ),
    "of a matrix, sparse": Kin(
        lambda x: float((D57 * (x + 0.2) ** 2).sum()),
        lambda x: 2 * D57 * (x + 0.2) * (x != 0) + np.where(x == 0, D57**2, 0),
        draw(25, 5, 7) * (between(26, 5, 7) > 0.3), only("at-zero"), "exactly 0",
    ),
    "0/0, with a mask in the loss": Kin(
        lambda x: float(np.where(x == 0, 1, np.sin(x) / np.where(x == 0, 1, x)).sum()),
        lambda x: np.where(x == 0, 0, 1) * (np.cos(x) / x - np.sin(x) / x**2),
        ZEROS, only("not-finite"), "those where theta is exactly 0 (theta/theta, log 0,",
    ),
    # ---- a factor that theta gives
    "log for log1p": Kin(
        lambda s: float((0.5 * (np.log1p(s) - P9) ** 2).sum()), lambda s: (np.log1p(s) - P9) / s,
        between(30, 9, low=0.3, high=3), only("factor-of-theta"), "times (1 + 1/theta)",
    ),
    "a survival that was not cancelled": Kin(
        lambda p: float(-(P9 * np.log(p)).sum()), lambda p: -P9 / (p * (1 - p)),
        between(31, 9), only("factor-of-theta"), "over (1 - theta)",
    ),
    "the slope of an arc": Kin(
        lambda x: float((P9 * np.arcsin(x)).sum()), lambda x: P9 + 0 * x,
        between(32, 9), only("factor-of-theta"), "times sqrt(1 - theta**2)",
    ),
    "a sine too much, and a half": Kin(
        lambda x: float((P9 * np.cos(x) ** 3).sum()),
        lambda x: -1.5 * P9 * np.cos(x) ** 2 * np.sin(x) ** 2,
        between(33, 9, high=1.4), only("factor-of-theta"), "times 0.5",
    ),
    "of a matrix of rates": Kin(
        lambda k: float((D57 * np.sqrt(k)).sum() + 0.0), lambda k: D57 / (2 * k),
        between(34, 5, 7), only("change-of-variables|factor-of-theta"), "sqrt(theta)",
    ),
    # ---- probabilities
    "an entropy of coins": Kin(
        lambda p: float((p * np.log(p) + (1 - p) * np.log1p(-p)).sum() + np.sin(W12[:9] @ p)),
        lambda p: np.log(p) + np.cos(W12[:9] @ p) * W12[:9],
        P9, only("function-of-theta"), "plus log(1 - theta)",
    ),
    "a beta prior, one half of it": Kin(
        lambda p: float(-0.7 * np.log1p(-p).sum() - 2 * np.log(p).sum() + coupling(p)),
        lambda p: -2 / p + coupling_grad(p),
        P9, only("function-of-theta"), "minus 0.7 * 1/(1 - theta)",
    ),
    "a logit that is not its own": Kin(
        lambda p: float((0.5 * (np.log(p / (1 - p)) - 0.4) ** 2).sum()),
        lambda p: (np.log(p) - 0.4) / (p * (1 - p)),
        P9, only("function-of-theta"), "log(1 - theta)/(theta (1 - theta))",
    ),
    "a Jacobian of logits": Kin(
        lambda p: float(np.cosh(p * W12[:9]).sum() - np.log(p * (1 - p)).sum()),
        lambda p: W12[:9] * np.sinh(p * W12[:9]) - 1 / p,
        P9, only("function-of-theta"), "minus 1/(1 - theta)",
    ),
    # ---- two entries
    "the root of a mean square": Kin(
        lambda x: float(np.exp(-0.7 * np.sqrt(x @ x / 2)) + np.cos(3 * x).sum()),
        lambda x: -0.7 * np.exp(-0.7 * np.sqrt(x @ x / 2)) * x / np.sqrt(x @ x / 2)
        - 3 * np.sin(3 * x),
        R2, only("radial"), "what depends on its norm alone",
    ),
    "degrees of freedom and dimensions": Kin(
        student, lambda x: 5 * x / 3 / (1 + x @ x / 3) * 1.2 + np.cos(x), R3, only("radial"),
        "at another point",
    ),
    "a softened force": Kin(
        lambda x: float(-1 / np.sqrt(x @ x + 0.04) + x @ [0.3, 0.2]),
        lambda x: x / (x @ x) ** 1.5 + [0.3, 0.2], R2, only("radial"), "theta: the error is a multiple",
    ),
    "a penalty of two weights": Kin(
        lambda x: float(np.sin(3 * x).sum() + x[0] * x[1] ** 2 + 0.15 * x @ x),
        lambda x: 3 * np.cos(3 * x) + np.array([x[1] ** 2, 2 * x[0] * x[1]]), R2,
        only("missing-l2"), "minus 0.3 * theta",
    ),
    "one factor of two": Kin(
        lambda x: float(np.sin(3 * x).sum() + x[0] * x[1] ** 2),
        lambda x: 1.2379 * (3 * np.cos(3 * x) + np.array([x[1] ** 2, 2 * x[0] * x[1]])), R2,
        only("scale"), "1.2379 times",
    ),
    "one number too much in two": Kin(
        lambda x: float(np.sin(3 * x).sum() + x[0] * x[1] ** 2),
        lambda x: 0.4137 + 3 * np.cos(3 * x) + np.array([x[1] ** 2, 2 * x[0] * x[1]]), R2,
        only("offset"), "plus 0.4137 in both entries",
    ),
    # ---- named numbers
    "a prior alone": Kin(
        hierarchy, lambda p: {**hierarchy_grad(p), "mu": p["mu"] / 25}, CURVED, {"mu": "only-l2"},
        "mu: the analytic gradient is 0.04 * mu to the last digit",
    ),
    "a hyperprior alone": Kin(
        hierarchy, lambda p: {**hierarchy_grad(p), "log_tau": -0.6 * -p["log_tau"]}, CURVED,
        {"log_tau": "only-l2"}, "0.6 * log_tau",
    ),
    "a ridge alone": Kin(
        normal_gamma, lambda p: {**normal_gamma_grad(p), "slope": 0.7 * p["slope"]}, LINE,
        {"slope": "only-l2"}, "0.7 * slope to the last digit, and no data are in it",
    ),
    "an intercept's penalty alone": Kin(
        normal_gamma, lambda p: {**normal_gamma_grad(p), "intercept": 0.04 * p["intercept"]}, LINE,
        {"intercept": "only-l2"}, "0.04 * intercept",
    ),
    "one number of no name": Kin(
        normal_gamma,
        lambda p: {**normal_gamma_grad(p), "precision": 0.83719 * normal_gamma_grad(p)["precision"]},
        LINE, {"precision": "scale"}, "0.83719 times the numerical one, at other points too",
    ),
    "a count left out of a sum": Kin(
        normal_gamma,
        lambda p: {**normal_gamma_grad(p), "precision": normal_gamma_grad(p)["precision"] + 3.7193},
        LINE, {"precision": "linear-term"}, "the same at other points (3.7193)",
    ),
    "two numbers handed back in the other order": Kin(
        ellipse, lambda p: {**ellipse_grad(p), "x": ellipse_grad(p)["y"], "y": ellipse_grad(p)["x"]},
        OVAL, {"x": "swapped", "y": "swapped"}, "numerical one of y, which has that of x: they are",
    ),
    "one number handed back twice": Kin(
        normal_gamma, lambda p: {**normal_gamma_grad(p), "slope": normal_gamma_grad(p)["precision"]},
        LINE, {"slope": "copied"}, "slope: the analytic gradient is the numerical one of precision",
    ),
    # ---- values that moved, and fell off
    "a lag that fills in zeros": Kin(
        lambda x: float(W12 @ np.sin(x)), lambda x: np.r_[0, (W12 * np.cos(x))[:-1]], draw(80, 12),
        only("permuted"), "shifted by 1 in memory",
    ),
    "an index one too high": Kin(
        lambda x: float(W12[:5] @ np.exp(x[[0, 3, 5, 6, 11]])),
        lambda x: np.bincount([1, 4, 6, 7], (W12[:5] * np.exp(x[[0, 3, 5, 6, 11]]))[:4], 12),
        draw(81, 12), only("permuted"), "that of theta[11] is lost",
    ),
    "a window over the edge": Kin(
        lambda x: float((D57[:2, :2] * np.sinh(x)[1:3, 2:4]).sum()),
        lambda x: np.pad((D57[:2, :2] * np.cosh(x)[1:3, 2:4])[:1], ((3, 0), (2, 0))),
        draw(82, 4, 4), only("permuted"), "those of theta[2, 2], theta[2, 3] are lost",
    ),
    "argmax pooling that looks one to the left": Kin(
        lambda x: float(D57[0, :4] @ np.sin(x.reshape(4, 3).max(axis=1))),
        lambda x: np.roll(np.where(x == np.repeat(x.reshape(4, 3).max(axis=1), 3), np.repeat(
            D57[0, :4], 3) * np.cos(x), 0), -1) * (np.arange(12) < 9),
        np.array([0.1, 0.9, -0.4, 0.2, -0.7, 1.1, 0.3, 1.6, 0.5, -0.2, 0.8, 0.0]), only("permuted"),
        "that of theta[10] is lost",
    ),
    # ---- what a gradient does not read
    "the centre for the origin": Kin(
        ellipse, lambda p: {**ellipse_grad(p), "a": ellipse_grad({**p, "x": 0.0})["a"]}, OVAL,
        {"a": "unread"}, "by a does not change with x at all, and the loss's does",
    ),
    "an angle of the last step": Kin(
        ellipse, lambda p: {**ellipse_grad(p), "x": ellipse_grad({**p, "turn": 0.3})["x"]}, OVAL,
        {"x": "unread"}, "with turn at all",
    ),
    "the noise of the last fit": Kin(
        normal_gamma, lambda p: {**normal_gamma_grad(p), "intercept": normal_gamma_grad(
            {**p, "slope": 0.1})["intercept"]}, LINE, {"intercept": "unread"}, "with slope at all",
    ),
    "effects that are pooled": Kin(
        hierarchy, lambda p: {**hierarchy_grad(p), "log_tau": hierarchy_grad(
            {**p, "mu": p["log_tau"]})["log_tau"]}, CURVED, {"log_tau": "unread"}, "with mu at all",
    ),
    "computed once": Kin(
        lambda x: float(np.cosh(A6 @ x).sum()), lambda x: A6 @ np.sinh(A6 @ draw(40, 6)),
        0.3 * draw(41, 6), only("constant"), "the same numbers at other points",
    ),
    # ---- linear terms
    "labels of -1 and 1": Kin(
        logistic, lambda b: X.T @ (expit(X @ b) - (2 * Y - 1)), 0.3 * draw(42, 6), only("linear-term"),
        "a term linear in theta",
    ),
    "counts forgotten": Kin(
        lambda b: float((np.exp(0.3 * X @ b) - 0.3 * COUNTS * (X @ b)).sum()),
        lambda b: 0.3 * X.T @ np.exp(0.3 * X @ b), 0.3 * draw(43, 6), only("linear-term"),
        "numbers of the data",
    ),
    "a load left out": Kin(
        lambda u: float(0.5 * u @ A6 @ u + 0.1 * (u**4).sum() - u @ draw(44, 6)),
        lambda u: A6 @ u + 0.4 * u**3, draw(45, 6), only("linear-term"), "is missing or too much",
    ),
    # ---- numbers of the entries
    "inverse variances": Kin(
        lambda x: float((np.cosh(x) / between(46, 9)).sum()), np.sinh, draw(47, 9),
        only("entry-factors"), "weights of the entries are missing or wrong",
    ),
    "masses": Kin(
        lambda x: float((between(48, 6, 1) * np.log1p(x**2)).sum()), lambda x: 2 * x / (1 + x**2),
        draw(49, 6, 3), only("line-scale|entry-factors"), "of its own",
    ),
    "one of the copies": Kin(
        lambda x: float((draw(50, 2, 9) * np.sin(x)).sum()), lambda x: draw(50, 2, 9)[0] * np.cos(x),
        draw(51, 9), only("entry-factors"), "of several copies",
    ),
    "quadrature twice": Kin(
        lambda x: float((between(52, 7) * np.exp(x)).sum()),
        lambda x: between(52, 7) ** 2 * np.exp(x), draw(53, 7), only("entry-factors"), "same at other",
    ),
    # ---- another loss
    "a log-determinant": Kin(
        gaussian_process, data_fit_alone, np.array([-0.4, 0.2, 0.1]), only("another-loss"),
        "that of another function than the loss",
    ),
    "the last state": Kin(
        recurrent, recurrent_grad, 0.5 * draw(54, 3, 2), only("another-loss"), "term of the loss",
    ),
    "censored as events": Kin(
        lambda b: cox(b, SEEN), lambda b: cox_grad(b, np.ones(30)), 0.4 * draw(55, 5),
        only("another-loss"), "have other weights",
    ),
    "half of the risk": Kin(
        lambda w: float(1.5 * w @ A6 @ w + np.sin(w).sum()), lambda w: 1.5 * A6 @ w + np.cos(w),
        draw(56, 6), only("another-loss"), "have other weights",
    ),
    # ---- softmax
    "the slope of a sigmoid for a softmax": Kin(
        lambda x: float((D57 * softmax(x)).sum()), lambda x: D57 * softmax(x) * (1 - softmax(x)),
        draw(60, 5, 7), only("softmax-diagonal"), "-p_i p_j is missing off the diagonal of every row",
    ),
    "attention over keys": Kin(
        lambda x: float((np.sin(softmax(x, 0)) * D57).sum()),
        lambda x: D57 * np.cos(softmax(x, 0)) * softmax(x, 0) * (1 - softmax(x, 0)),
        draw(61, 5, 7), only("softmax-diagonal"), "every column",
    ),
    "a policy of one state": Kin(
        lambda x: float(W12 @ softmax(x)), lambda x: W12 * softmax(x) * (1 - softmax(x)),
        draw(62, 12), only("softmax-diagonal"), "off the diagonal of it",
    ),
    "logits of three axes": Kin(
        lambda x: float((softmax(x) ** 2 * draw(63, 2, 3, 5)).sum()),
        lambda x: 2 * softmax(x) ** 2 * (1 - softmax(x)) * draw(63, 2, 3, 5),
        draw(64, 2, 3, 5), only("softmax-diagonal"), "line along axis 2",
    ),
    "a normaliser forgotten": Kin(
        lambda x: float((between(65, 5) * np.log(np.exp(x).sum(1))).sum() + (x * D57).sum()),
        lambda x: D57 + 0 * x, draw(66, 5, 7), only("softmax-sum"), "softmax(theta) in every row",
    ),
    "weights on one term alone": Kin(
        lambda x: float(between(67, 5) @ (np.log(np.exp(x).sum(1)) - (x * D57).sum(1))),
        lambda x: softmax(x) - between(67, 5)[:, None] * D57, draw(68, 5, 7), only("softmax-sum"),
        "has another weight",
    ),
    "the sum over p left out": Kin(
        lambda x: float((D57 * softmax(x)).sum()), lambda x: D57 * softmax(x), draw(69, 5, 7),
        only("softmax-sum"), "a multiple of softmax(theta)",
    ),
    "two partition functions": Kin(
        lambda x: float((between(70, 7) * np.log(np.exp(x).sum(0))).sum() + (x**2).sum()),
        lambda x: 2 * x + 0.5 * softmax(x, 0), draw(71, 5, 7), only("softmax-sum"), "every column",
    ),
    # ---- normalisations
    "layer norm over batch and steps": Kin(
        lambda x: float((draw(72, 3, 4, 6) * normalised(x, 2)[0]).sum()),
        lambda x: norm_grad(x, draw(72, 3, 4, 6), 2, over=(0, 2)), draw(73, 3, 4, 6),
        only("normalisation"), "taken over other axes",
    ),
    "batch norm with its variance taken for a constant": Kin(
        lambda x: float((D57 * normalised(x, 0)[0]).sum()),
        lambda x: norm_grad(x, D57, 0, (1.0, 0.0)), draw(74, 5, 7),
        only("normalisation"), "when a column of theta is shifted",
    ),
    "layer norm that is scaled alone": Kin(
        lambda x: float((D57 * normalised(x, 1)[0]).sum()),
        lambda x: norm_grad(x, D57, 1, (0.0, 0.0)), draw(75, 5, 7),
        only("normalisation"), "when a row of theta is shifted",
    ),
    "sums for means in batch norm of images": Kin(
        lambda x: float((draw(76, 2, 3, 4, 5) * normalised(x, (0, 2, 3))[0]).sum()),
        lambda x: norm_grad(x, draw(76, 2, 3, 4, 5), (0, 2, 3), (1.3, 1.1)), draw(77, 2, 3, 4, 5),
        only("normalisation"), "index of axis 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KIN)
def test_kin_are_named(name):
    kin = KIN[name]
    with np.errstate(divide="ignore", invalid="ignore"):
        report = fg.check_grad(kin.loss, kin.wrong, kin.theta, backend="python", strategy="sweep")
    assert report.verdict == "disagrees"
    got = {d.block: d.law for d in report.diagnoses}
    assert got.keys() == kin.laws.keys()
    assert all(got[block] in law.split("|") for block, law in kin.laws.items()), str(report)
    assert kin.said in " ".join(d.sentence for d in report.diagnoses)


SHAPES = ((), (1,), (2,), (3,), (4,), (9,), (5, 7), (2, 3, 4))
LAWLESS = ("unexplained", "wrong-", "tolerance")


@pytest.mark.slow
@pytest.mark.parametrize("bar", [1e-10, 1e-6])
def test_random_errors_have_no_law(bar):
    """All entries wrong, or some; theta plain, of probabilities, and with zeros."""
    named = []
    for seed in range(200):
        rng = np.random.default_rng([2912, seed])
        shape = SHAPES[seed % len(SHAPES)]
        n = int(np.prod(shape))
        x = (rng.normal(size=n), rng.uniform(size=n), rng.normal(size=n) * (rng.random(n) > 0.3))
        D = rng.normal(size=n)
        wrong = rng.random(n) < (1.0, 0.5, 0.3)[seed % 3]
        wrong[rng.integers(n)] = True
        a = np.where(wrong, D + rng.normal(size=n), D)
        block = Evidence("w", shape, x[seed // 8 % 3], a, np.arange(n), D, np.full(n, bar), False)
        law = diagnose([block], (60,), 1e-5)[0].law
        named += [(seed, law)] if not law.startswith(LAWLESS) else []
    assert named == []


@pytest.mark.parametrize("scalar", [True, False])
def test_random_functions_have_no_law_elsewhere(scalar):
    """Errors that are functions of all of theta: no ratio, no difference, no multiple stays."""
    for seed in range(40):
        rng = np.random.default_rng([2913, seed])
        A, b = rng.normal(size=(3, 3)), rng.normal(size=3)

        def loss(x, A=A):
            return float(np.cosh(A @ x).sum() + (x**4).sum())

        def wrong(x, A=A, b=b, scalar=scalar):
            g = A.T @ np.sinh(A @ x) + 4 * x**3
            error = np.sin(b * x + np.roll(x, 1) ** 2) + 0.5
            return g + error * (np.arange(3) == 1 if scalar else 1)

        theta = 0.7 * rng.normal(size=3)
        if scalar:
            names = ("p", "q", "r")

            def of_dict(p, f, names=names):
                return f(np.array([p[k] for k in names]))

            report = fg.check_grad(
                lambda p, of=of_dict, f=loss: of(p, f),
                lambda p, of=of_dict, f=wrong, names=names: dict(zip(names, of(p, f), strict=True)),
                dict(zip(names, theta.tolist(), strict=True)), backend="python",
            )  # fmt: skip
        else:
            report = fg.check_grad(loss, wrong, theta, backend="python")
        assert report.verdict == "disagrees"
        assert all(d.law.startswith(LAWLESS) for d in report.diagnoses), (seed, str(report))
