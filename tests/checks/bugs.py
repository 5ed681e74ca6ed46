"""Planted bugs: right gradients of seven losses, and edits of their source that people make.

A `Bug` replaces a piece of the source of a right gradient by a wrong one, and says which blocks
that spoils and by which law. ``ANY`` stands for an error without a law.
"""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastgrad import models
from tests.problems import RELU, TANH, net, net_loss

ANY = "unexplained"
L2 = 0.01


class World(NamedTuple):
    """A loss, its right gradient (a dict of blocks), where both are evaluated."""

    loss: Callable[..., float]
    grad: Callable[..., dict[str, np.ndarray]]
    theta: Any
    args: tuple[Any, ...]
    backend: str = "auto"


class Bug(NamedTuple):
    """``edits`` are (old, new) pieces of the gradient's source; ``blamed`` is what they do."""

    world: str
    name: str
    edits: tuple[tuple[str, str], ...]
    blamed: dict[str, Any]


# ---- right gradients, as one writes them -------------------------------------------------------


def softmax_net(p, X, y, l2):
    m = len(X)
    Z1 = X @ p.W1 + p.b1
    A1 = 1 / (1 + np.exp(-Z1))
    Z2 = A1 @ p.W2 + p.b2
    E = np.exp(Z2 - Z2.max(axis=1, keepdims=True))
    delta2 = E / E.sum(axis=1, keepdims=True)
    delta2[np.arange(m), y] -= 1
    delta2 = delta2 / m
    dW2 = A1.T @ delta2 + l2 * p.W2
    db2 = delta2.sum(axis=0)
    delta1 = delta2 @ p.W2.T * A1 * (1 - A1)
    dW1 = X.T @ delta1 + l2 * p.W1
    db1 = delta1.sum(axis=0)
    return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}


def deep_net(p, X, y, l2):
    (w0, w1, w2), (b0, b1, b2) = p
    m = len(X)
    a0 = 1 / (1 + np.exp(-(X @ w0 + b0)))
    a1 = 1 / (1 + np.exp(-(a0 @ w1 + b1)))
    a2 = 1 / (1 + np.exp(-(a1 @ w2 + b2)))
    delta2 = (a2 - np.eye(len(b2))[y]) / m * a2 * (1 - a2)
    delta1 = delta2 @ w2.T * a1 * (1 - a1)
    delta0 = delta1 @ w1.T * a0 * (1 - a0)
    dw2, db2 = a1.T @ delta2 + l2 * w2, delta2.sum(axis=0)
    dw1, db1 = a0.T @ delta1 + l2 * w1, delta1.sum(axis=0)
    dw0, db0 = X.T @ delta0 + l2 * w0, delta0.sum(axis=0)
    weights, biases = [dw0, dw1, dw2], [db0, db1, db2]
    names = [f"weights.{k}" for k in range(3)] + [f"biases.{k}" for k in range(3)]
    return dict(zip(names, weights + biases, strict=True))


def relu_net(p, X, T, kind, l1, scale, offset):
    m = len(X)
    Z = X @ p.W1 + p.b1
    A = np.maximum(Z, 0)
    R = (A @ p.W2 + p.b2 - T) / m
    delta = R @ p.W2.T * (Z > 0)
    dW2, db2 = A.T @ R + l1 * np.sign(p.W2), R.sum(axis=0)
    dW1, db1 = X.T @ delta + l1 * np.sign(p.W1), delta.sum(axis=0)
    return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}


def tanh_net(p, X, T, kind, l1, scale, offset):
    m = len(X)
    A = np.tanh(X @ p.W1 + p.b1)
    R = (A @ p.W2 + p.b2 - T) / m
    delta = R @ p.W2.T * (1 - A**2)
    dW2, db2 = A.T @ R, R.sum(axis=0)
    dW1, db1 = X.T @ delta, delta.sum(axis=0)
    return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}


def conv_loss(p, X, T):
    windows = np.lib.stride_tricks.sliding_window_view(X, p["K"].shape[1], axis=1)
    A = np.tanh(windows @ p["K"].T + p["c"])
    R = A.mean(axis=1) @ p["V"] - T
    return 0.5 * (R * R).sum() / len(X)


def conv_net(p, X, T):
    m = len(X)
    windows = np.lib.stride_tricks.sliding_window_view(X, p["K"].shape[1], axis=1)
    A = np.tanh(windows @ p["K"].T + p["c"])
    P = A.mean(axis=1)
    R = (P @ p["V"] - T) / m
    dV = P.T @ R
    dA = np.repeat((R @ p["V"].T)[:, None, :], A.shape[1], axis=1) / A.shape[1]
    dZ = dA * (1 - A**2)
    dK = np.einsum("mtc,mtk->ck", dZ, windows)
    dc = dZ.sum(axis=(0, 1))
    return {"K": dK, "c": dc, "V": dV}


def rnn_loss(p, X, T):
    h = np.zeros((len(X), len(p["b"])))
    for t in range(X.shape[1]):
        h = np.tanh(X[:, t] @ p["U"] + h @ p["W"] + p["b"])
    R = h @ p["V"] + p["c"] - T
    return 0.5 * (R * R).sum() / len(X)


def rnn_net(p, X, T):
    m, steps = X.shape[:2]
    h = [np.zeros((m, len(p["b"])))]
    for t in range(steps):
        h.append(np.tanh(X[:, t] @ p["U"] + h[t] @ p["W"] + p["b"]))
    R = (h[steps] @ p["V"] + p["c"] - T) / m
    dV, dc = h[steps].T @ R, R.sum(axis=0)
    dU, dW, db = np.zeros_like(p["U"]), np.zeros_like(p["W"]), np.zeros_like(p["b"])
    dh = R @ p["V"].T
    for t in reversed(range(steps)):
        dz = dh * (1 - h[t + 1] ** 2)
        dU += X[:, t].T @ dz
        dW += h[t].T @ dz
        db += dz.sum(axis=0)
        dh = dz @ p["W"].T
    return {"U": dU, "W": dW, "b": db, "V": dV, "c": dc}


def norm_loss(p, X, T):
    Z = X @ p["W1"] + p["b1"]
    N = (Z - Z.mean(axis=0)) / np.sqrt(Z.var(axis=0) + 1e-5)
    R = np.tanh(p["gamma"] * N + p["beta"]) @ p["W2"] - T
    return 0.5 * (R * R).sum() / len(X)


def norm_net(p, X, T):
    m = len(X)
    Z = X @ p["W1"] + p["b1"]
    sd = np.sqrt(Z.var(axis=0) + 1e-5)
    N = (Z - Z.mean(axis=0)) / sd
    A = np.tanh(p["gamma"] * N + p["beta"])
    R = (A @ p["W2"] - T) / m
    dW2 = A.T @ R
    dY = R @ p["W2"].T * (1 - A**2)
    dgamma, dbeta = (dY * N).sum(axis=0), dY.sum(axis=0)
    dN = dY * p["gamma"]
    dZ = (dN - dN.mean(axis=0) - N * (dN * N).mean(axis=0)) / sd
    dW1, db1 = X.T @ dZ, dZ.sum(axis=0)
    return {"W1": dW1, "b1": db1, "gamma": dgamma, "beta": dbeta, "W2": dW2}


def worlds() -> dict[str, World]:
    """Every loss with its right gradient, at parameters where nothing vanishes."""
    rng = np.random.default_rng(7)
    X = rng.normal(size=(24, 6))
    y5 = rng.integers(0, 5, 24)
    T = rng.normal(size=(24, 3))
    series = rng.normal(size=(12, 11))
    sequences = rng.normal(size=(12, 6, 3))
    out = rng.normal(size=(12, 4))
    two = models.two_layer.init(6, 7, 5, seed=1)
    deep = models.deep.init((5, 5, 5, 5), seed=2)
    conv = {"K": rng.normal(size=(4, 3)), "c": rng.normal(size=4), "V": rng.normal(size=(4, 4))}
    rnn = {
        "U": 0.5 * rng.normal(size=(3, 5)),
        "W": 0.5 * rng.normal(size=(5, 5)),
        "b": 0.1 * rng.normal(size=5),
        "V": rng.normal(size=(5, 4)),
        "c": rng.normal(size=4),
    }
    norm = {
        "W1": rng.normal(size=(6, 5)),
        "b1": rng.normal(size=5),
        "gamma": 1 + 0.3 * rng.normal(size=5),
        "beta": 0.3 * rng.normal(size=5),
        "W2": rng.normal(size=(5, 3)),
    }
    plain, l1 = (1.0, 0.0), 0.01
    return {
        "softmax": World(models.two_layer.loss, softmax_net, two, (X, y5, L2)),
        "deep": World(models.deep.loss, deep_net, deep, (X[:, :5], y5, L2)),
        "relu": World(net_loss, relu_net, net(3), (X, T, RELU, l1, *plain)),
        "tanh": World(net_loss, tanh_net, net(4), (X, T, TANH, 0.0, *plain)),
        "conv": World(conv_loss, conv_net, conv, (series, out), "python"),
        "rnn": World(rnn_loss, rnn_net, rnn, (sequences, out), "python"),
        "norm": World(norm_loss, norm_net, norm, (X, T), "python"),
    }


def planted(bug: Bug, grad: Callable[..., Any]) -> Callable[..., dict[str, np.ndarray]]:
    """The gradient with the bug's edits in its source; each must occur exactly once."""
    source = inspect.getsource(grad)
    for old, new in bug.edits:
        assert source.count(old) == 1, f"{bug.name}: {old!r} occurs {source.count(old)} times"
        source = source.replace(old, new)
    names: dict[str, Any] = {"np": np, "rng": np.random.default_rng(11)}
    exec(source, names)
    return names[grad.__name__]


# ---- the bugs ----------------------------------------------------------------------------------


def l2_is(word: str, weight: float) -> tuple[str, dict[str, float]]:
    return word, {"lambda": weight}


def scale(factor: float, **place: float) -> tuple[str, dict[str, float]]:
    return ("sign" if factor == -1 else "scale"), {"factor": factor, **place}


def scale_l2(factor: float, rest: float = L2) -> tuple[str, dict[str, float]]:
    """``factor * D + lambda * W``, when the penalty is right."""
    return ("sign+l2" if factor == -1 else "scale+l2"), {
        "factor": factor,
        "lambda": rest * (1 - factor),
    }


def edit(world: str, name: str, old: str, new: str, **blamed: Any) -> Bug:
    return Bug(world, name, ((old, new),), blamed)


def edits(world: str, name: str, *pairs: tuple[str, str], **blamed: Any) -> Bug:
    return Bug(world, name, pairs, blamed)


def returned(world: str, name: str, block: str, new: str, law: Any) -> Bug:
    """What is returned for one block goes through ``new`` first."""
    return Bug(world, name, ((f'"{block}": d{block}', f'"{block}": {new}'),), {block: law})


ALL4 = ("W1", "b1", "W2", "b2")
lost = dict.fromkeys

PENALTIES = [
    edit("softmax", "no L2 in W2", " + l2 * p.W2", "", W2=l2_is("missing-l2", L2)),
    edit("softmax", "no L2 in W1", " + l2 * p.W1", "", W1=l2_is("missing-l2", L2)),
    edits(
        "softmax",
        "no L2 anywhere",
        (" + l2 * p.W2", ""),
        (" + l2 * p.W1", ""),
        W1=l2_is("missing-l2", L2),
        W2=l2_is("missing-l2", L2),
    ),
    edit("softmax", "L2 doubled", "l2 * p.W2", "2 * l2 * p.W2", W2=l2_is("extra-l2", L2)),
    edit("softmax", "L2 halved", "l2 * p.W2", "0.5 * l2 * p.W2", W2=l2_is("missing-l2", L2 / 2)),
    edit("softmax", "L2 subtracted", "+ l2 * p.W1", "- l2 * p.W1", W1=l2_is("missing-l2", 2 * L2)),
    edit(
        "softmax",
        "L2 on b2",
        "delta2.sum(axis=0)",
        "delta2.sum(axis=0) + l2 * p.b2",
        b2=l2_is("extra-l2", L2),
    ),
    edits(
        "softmax",
        "L2 on both biases",
        ("delta2.sum(axis=0)", "delta2.sum(axis=0) + l2 * p.b2"),
        ("delta1.sum(axis=0)", "delta1.sum(axis=0) + l2 * p.b1"),
        b1=l2_is("extra-l2", L2),
        b2=l2_is("extra-l2", L2),
    ),
    edit(
        "softmax",
        "L1 for L2",
        "l2 * p.W2",
        "l2 * np.sign(p.W2)",
        W2=("missing-l2+extra-l1", {"lambda": L2, "lambda1": L2}),
    ),
    edit(
        "softmax", "L2 over m", "l2 * p.W2", "l2 / m * p.W2", W2=l2_is("missing-l2", L2 * 23 / 24)
    ),
    edit("relu", "no L1 in W1", " + l1 * np.sign(p.W1)", "", W1=("missing-l1", {"lambda1": 0.01})),
    edit(
        "relu",
        "L1 subtracted",
        "+ l1 * np.sign(p.W2)",
        "- l1 * np.sign(p.W2)",
        W2=("missing-l1", {"lambda1": 0.02}),
    ),
    edit(
        "relu",
        "L2 for L1",
        "l1 * np.sign(p.W2)",
        "l1 * p.W2",
        W2=("extra-l2+missing-l1", {"lambda": 0.01, "lambda1": 0.01}),
    ),
    edit(
        "deep",
        "no L2 in the last layer",
        " + l2 * w2",
        "",
        **{"weights.2": l2_is("missing-l2", L2)},
    ),
    edit(
        "deep",
        "penalty alone",
        "X.T @ delta0 + l2 * w0",
        "l2 * w0",
        **{"weights.0": l2_is("only-l2", L2)},
    ),
    edit(
        "tanh",
        "weight decay",
        "dW2, db2 = A.T @ R",
        "dW2, db2 = A.T @ R + 0.05 * p.W2",
        W2=l2_is("extra-l2", 0.05),
    ),
]

FACTORS = [
    edit(
        "softmax",
        "no 1/m",
        "delta2 / m",
        "delta2",
        W1=scale_l2(24),
        b1=scale(24),
        W2=scale_l2(24),
        b2=scale(24),
    ),
    edit(
        "softmax",
        "1/m twice",
        "delta2 / m",
        "delta2 / m**2",
        W1=scale_l2(1 / 24),
        b1=scale(1 / 24),
        W2=scale_l2(1 / 24),
        b2=scale(1 / 24),
    ),
    edit(
        "softmax",
        "m - 1 for m",
        "delta2 / m",
        "delta2 / (m - 1)",
        W1=scale_l2(24 / 23),
        b1=scale(24 / 23),
        W2=scale_l2(24 / 23),
        b2=scale(24 / 23),
    ),
    edit(
        "softmax",
        "delta2 negated",
        "delta2 / m",
        "-delta2 / m",
        W1=scale_l2(-1),
        b1=scale(-1),
        W2=scale_l2(-1),
        b2=scale(-1),
    ),
    edit(
        "softmax",
        "stale W2 in backprop",
        "delta2 @ p.W2.T",
        "delta2 @ (0.9 * p.W2).T",
        W1=scale_l2(0.9),
        b1=scale(0.9),
    ),
    edits(
        "softmax",
        "no 1/m and no L2",
        ("delta2 / m", "delta2"),
        (" + l2 * p.W2", ""),
        W1=scale_l2(24),
        b1=scale(24),
        W2=("scale+l2", {"factor": 24.0, "lambda": -24 * L2}),
        b2=scale(24),
    ),
    edit("softmax", "mean for sum in b2", "delta2.sum(", "delta2.mean(", b2=scale(1 / 24)),
    edit(
        "tanh",
        "the 2 of the square",
        "- T) / m",
        "- T) * 2 / m",
        **{name: scale(2) for name in ALL4},
    ),
    edit("tanh", "half of it", "- T) / m", "- T) / (2 * m)", **{name: scale(0.5) for name in ALL4}),
    edit("tanh", "sum for mean", "- T) / m", "- T)", **{name: scale(24) for name in ALL4}),
    edit(
        "tanh",
        "mean over outputs too",
        "- T) / m",
        "- T) / T.size",
        **{name: scale(1 / 3) for name in ALL4},
    ),
    edit(
        "tanh",
        "ascent",
        "(A @ p.W2 + p.b2 - T)",
        "(T - A @ p.W2 - p.b2)",
        **{name: scale(-1) for name in ALL4},
    ),
    edit(
        "tanh", "one sign lost in backprop", "delta = R", "delta = -R", W1=scale(-1), b1=scale(-1)
    ),
    returned("tanh", "b1 negated", "b1", "-db1", scale(-1)),
    returned("tanh", "loss scaling left on", "W1", "128 * dW1", scale(128)),
    returned("tanh", "clipped by norm", "W2", "dW2 * (0.2 / np.linalg.norm(dW2))", ("scale", {})),
    returned("tanh", "W1 averaged over inputs", "W1", "dW1 / 6", scale(1 / 6)),
    edit("conv", "mean pooling not undone", " / A.shape[1]\n", "\n", K=scale(9), c=scale(9)),
    edit(
        "rnn", "no 1/m in the output layer", "h[steps].T @ R,", "m * h[steps].T @ R,", V=scale(12)
    ),
    edit(
        "norm",
        "dgamma halved",
        "(dY * N).sum(axis=0)",
        "(dY * N).sum(axis=0) / 2",
        gamma=scale(0.5),
    ),
    edit(
        "norm",
        "gamma forgotten in backprop",
        'dN = dY * p["gamma"]',
        "dN = dY",
        W1=("line-scale", {"axis": 1.0}),
    ),
    edit(
        "norm",
        "sd forgotten in backprop",
        "(dN * N).mean(axis=0)) / sd",
        "(dN * N).mean(axis=0))",
        W1=("line-scale", {"axis": 1.0}),
    ),
    edit(
        "tanh",
        "inputs scaled in the forward pass only",
        "X.T @ delta",
        "(X * np.array([1, 2, 4, 0.5, 3, 1.5])).T @ delta",
        W1=("line-scale", {"axis": 0.0}),
    ),
    edits(
        "tanh",
        "different bugs in different blocks",
        ('"W1": dW1', '"W1": -dW1'),
        ('"b1": db1', '"b1": 0 * db1'),
        ('"W2": dW2', '"W2": dW2 + 0.01 * p.W2'),
        W1=scale(-1),
        b1=("zero", {}),
        W2=l2_is("extra-l2", 0.01),
    ),
]

PLACES = [
    edit(
        "deep",
        "dw1 transposed, penalty right",
        "a0.T @ delta1",
        "delta1.T @ a0",
        **{"weights.1": l2_is("transposed+right-l2", L2)},
    ),
    edit(
        "deep",
        "dw1 transposed, no penalty",
        "a0.T @ delta1 + l2 * w1",
        "delta1.T @ a0",
        **{"weights.1": l2_is("transposed+missing-l2", L2)},
    ),
    edit(
        "deep",
        "dw1 transposed",
        "weights, biases = [dw0, dw1",
        "weights, biases = [dw0, dw1.T",
        **{"weights.1": ("transposed", {})},
    ),
    edit(
        "deep",
        "biases of two layers swapped",
        "[db0, db1,",
        "[db1, db0,",
        **{"biases.0": ("swapped", {}), "biases.1": ("swapped", {})},
    ),
    edit(
        "deep",
        "weights never reversed",
        "[dw0, dw1, dw2]",
        "[dw2, dw1, dw0]",
        **{"weights.0": ("swapped", {}), "weights.2": ("swapped", {})},
    ),
    edit(
        "deep",
        "db2 stored twice",
        "[db0, db1, db2]",
        "[db0, db2, db2]",
        **{"biases.1": ("copied", {})},
    ),
    edit("rnn", "dW transposed", "dW += h[t].T @ dz", "dW += dz.T @ h[t]", W=("transposed", {})),
    edit("conv", "convolution for correlation", '"K": dK', '"K": dK[:, ::-1]', K=("reversed", {})),
    edit(
        "norm",
        "gamma and beta swapped",
        "dgamma, dbeta = (dY * N).sum(axis=0), dY.sum(axis=0)",
        "dbeta, dgamma = (dY * N).sum(axis=0), dY.sum(axis=0)",
        gamma=("swapped", {}),
        beta=("swapped", {}),
    ),
    returned(
        "tanh",
        "reshaped in Fortran order",
        "W1",
        'dW1.ravel().reshape(dW1.shape, order="F")',
        ("memory-order", {}),
    ),
    returned(
        "tanh",
        "flattened in Fortran order",
        "W1",
        'dW1.ravel("F").reshape(dW1.shape)',
        ("memory-order", {}),
    ),
    returned("softmax", "classes reversed", "W2", "dW2[:, ::-1]", ("reversed", {})),
    returned("softmax", "off by one column", "W2", "np.roll(dW2, 1, axis=1)", ("rolled", {})),
    returned("tanh", "off by one in the flat vector", "W1", "np.roll(dW1, -1)", ("rolled", {})),
    returned(
        "tanh",
        "off by five in the flat vector",
        "W1",
        "np.roll(dW1, 5)",
        ("rolled", {"shift": 5.0}),
    ),
    returned("softmax", "two classes exchanged", "W2", "dW2[:, [0, 3, 2, 1, 4]]", ("permuted", {})),
    returned(
        "tanh",
        "hidden units in another order",
        "W1",
        "dW1[:, [3, 1, 0, 7, 5, 2, 4, 6]]",
        ("permuted", {}),
    ),
    edits(
        "tanh",
        "packed biases first",
        (
            '    return {"W1": dW1, "b1": db1,',
            "    flat = np.concatenate([db1, dW1.ravel()])\n"
            '    dW1, db1 = flat[:48].reshape(6, 8), flat[48:]\n    return {"W1": dW1, "b1": db1,',
        ),
        W1=("misplaced", {}),
        b1=("misplaced", {}),
    ),
    edits(
        "tanh",
        "reversed and doubled",
        ('"W1": dW1', '"W1": 2 * dW1[::-1]'),
        W1=("reversed+scale", {"factor": 2.0}),
    ),
]

PARTS = [
    returned("tanh", "a dead column", "W1", "dW1 * (np.arange(8) != 3)", ("zero", {"column": 3.0})),
    returned(
        "tanh", "a dead row", "W1", "dW1 * (np.arange(6) != 2)[:, None]", ("zero", {"row": 2.0})
    ),
    returned(
        "softmax",
        "a row doubled",
        "W2",
        "dW2 * (1 + (np.arange(7) == 4))[:, None]",
        scale(2, row=4.0),
    ),
    returned(
        "softmax",
        "a column negated",
        "W1",
        "dW1 * (1 - 2 * (np.arange(7) == 0))",
        scale(-1, column=0.0),
    ),
    edits(
        "softmax",
        "a dead column and no L2",
        (" + l2 * p.W1", ""),
        ('"W1": dW1', '"W1": dW1 * (np.arange(7) != 5)'),
        W1=("missing-l2+zero", {"lambda": L2, "column": 5.0}),
    ),
    edits(
        "softmax",
        "a row without data",
        ("X.T @ delta1", "(X * (np.arange(6) != 1)).T @ delta1"),
        W1=("only-l2", {"row": 1.0, "lambda": L2}),
    ),
    edits(
        "tanh",
        "a sign and a dead column",
        ('"W1": dW1', '"W1": -dW1 * (np.arange(8) != 6)'),
        W1=("sign+zero", {"factor": -1.0, "column": 6.0}),
    ),
    returned(
        "tanh",
        "one bias negated",
        "b1",
        "db1 * (1 - 2 * (np.arange(8) == 5))",
        scale(-1, entries=1.0),
    ),
    returned(
        "tanh",
        "one bias off by 1%",
        "b1",
        "db1 * (1 + 0.01 * (np.arange(8) == 5))",
        ("wrong-entries", {"entries": 1.0}),
    ),
    returned(
        "softmax",
        "a column of noise",
        "W1",
        "dW1 + rng.normal(size=(6, 7)) * (np.arange(7) == 2)",
        ("wrong-column", {"column": 2.0}),
    ),
]

VALUES = [
    returned("tanh", "b1 never computed", "b1", "np.zeros(8)", ("zero", {})),
    returned("tanh", "all but the sign lost", "W2", "np.sign(dW2)", ("sign-only", {})),
    returned("tanh", "absolute values", "W1", "np.abs(dW1)", ("absolute", {})),
    returned("tanh", "rectified", "W1", "np.maximum(dW1, 0)", ("rectified", {})),
    returned("tanh", "squared", "W1", "dW1**2", ("squared", {})),
    returned("softmax", "clipped", "W1", "np.clip(dW1, -0.02, 0.02)", ("clipped", {"limit": 0.02})),
    returned("softmax", "half precision", "W1", "dW1.astype(np.float16)", ("rounded", {})),
    returned("softmax", "printed with four decimals", "W1", "np.round(dW1, 4)", ("rounded", {})),
    returned("softmax", "theta returned", "W2", "p.W2", ("theta", {})),
    returned("tanh", "summed over all axes", "b1", "np.full(8, db1.sum())", ("repeated", {})),
    returned(
        "tanh", "one row broadcast", "W1", "np.zeros((6, 8)) + dW1.mean(axis=0)", ("repeated", {})
    ),
    returned("tanh", "an epsilon added", "W1", "dW1 + 1e-3", ("offset", {"offset": 1e-3})),
    returned(
        "tanh",
        "not a number",
        "W1",
        "np.where(dW1 == dW1[2, 3], np.nan, dW1)",
        ("not-finite", {"entries": 1.0}),
    ),
    edit(
        "norm",
        "b1 without the mean's part",
        "X.T @ dZ, dZ.sum(axis=0)",
        "X.T @ dZ, (dN / sd).sum(axis=0)",
        b1=("spurious", {}),
    ),
]

UNEXPLAINED = [
    edit("softmax", "no sigmoid'", " * A1 * (1 - A1)", "", W1=ANY, b1=ANY),
    edit("softmax", "sigmoid' at Z", "* A1 * (1 - A1)", "* Z1 * (1 - Z1)", W1=ANY, b1=ANY),
    edit("softmax", "tanh' for sigmoid'", "* A1 * (1 - A1)", "* (1 - A1**2)", W1=ANY, b1=ANY),
    edit("softmax", "half of sigmoid'", "* A1 * (1 - A1)", "* A1", W1=ANY, b1=ANY),
    edit(
        "softmax",
        "labels off by one",
        "[np.arange(m), y]",
        "[np.arange(m), (y + 1) % 5]",
        W1=ANY,
        b1=ANY,
        W2=ANY,
        b2=ANY,
    ),
    edit(
        "softmax",
        "labels forgotten",
        "delta2[np.arange(m), y] -= 1",
        "pass",
        W1=ANY,
        b1=ANY,
        W2=ANY,
        b2=ANY,
    ),
    edit("softmax", "b1 from the first example", "delta1.sum(axis=0)", "delta1[0]", b1=ANY),
    edit(
        "softmax", "b1 from the wrong axis", "delta1.sum(axis=0)", "delta1.sum(axis=1)[:7]", b1=ANY
    ),
    edit(
        "softmax",
        "momentum added",
        "A1.T @ delta2",
        "A1.T @ delta2 + 0.9 * rng.normal(size=(7, 5))",
        W2=ANY,
    ),
    edit("softmax", "1 - A1 for A1", "dW2 = A1.T", "dW2 = (1 - A1).T", W2=ANY),
    edit("softmax", "half of the batch", "X.T @ delta1", "X[:12].T @ delta1[:12]", W1=ANY),
    edit("softmax", "examples shuffled", "X.T @ delta1", "X[::-1].T @ delta1", W1=ANY),
    edit(
        "softmax",
        "stale parameters",
        "Z1 = X @ p.W1 + p.b1",
        "Z1 = X @ (p.W1 * 0.999) + p.b1",
        W1=ANY,
        b1=ANY,
        W2=ANY,
        b2=ANY,
    ),
    edit(
        "softmax",
        "temperature",
        "Z2 - Z2.max(axis=1, keepdims=True)",
        "Z2 / 2",
        W1=ANY,
        b1=ANY,
        W2=ANY,
        b2=ANY,
    ),
    edit(
        "softmax",
        "normalised over the batch",
        "E.sum(axis=1, keepdims=True)",
        "E.sum(axis=0)",
        W1=ANY,
        b1=ANY,
        W2=ANY,
        b2=ANY,
    ),
    edit(
        "deep",
        "w2 not transposed",
        "w2.T",
        "w2",
        **{"weights.0": ANY, "weights.1": ANY, "biases.0": ANY, "biases.1": ANY},
    ),
    edit(
        "deep",
        "another layer's weights",
        "w2.T",
        "w1.T",
        **{"weights.0": ANY, "weights.1": ANY, "biases.0": ANY, "biases.1": ANY},
    ),
    edit(
        "deep",
        "another layer's activation",
        "delta1 @ w1.T * a0 * (1 - a0)",
        "delta1 @ w1.T * a1 * (1 - a1)",
        **{"weights.0": ANY, "biases.0": ANY},
    ),
    edit(
        "deep",
        "no sigmoid' at the output",
        "/ m * a2 * (1 - a2)",
        "/ m",
        **{f"{kind}.{k}": ANY for kind in ("weights", "biases") for k in range(3)},
    ),
    edit(
        "deep",
        "an activation one layer late",
        "a0.T @ delta1",
        "a1.T @ delta1",
        **{"weights.1": ANY},
    ),
    edit(
        "deep",
        "delta accumulated",
        "delta0 = delta1",
        "delta0 = delta2 + delta1",
        **{"weights.0": ANY, "biases.0": ANY},
    ),
    edit("relu", "no relu'", " * (Z > 0)", "", W1=ANY, b1=ANY),
    edit("relu", "leaky relu'", "* (Z > 0)", "* np.where(Z > 0, 1, 0.1)", W1=ANY, b1=ANY),
    edit(
        "relu",
        "dropout mask missing in backward",
        "* (Z > 0)",
        "* (Z > 0) * (rng.random(Z.shape) < 0.8)",
        W1=ANY,
        b1=ANY,
    ),
    edit(
        "rnn",
        "truncated backpropagation",
        "in reversed(range(steps))",
        "in (steps - 1, steps - 2)",
        U=ANY,
        W=ANY,
        b=ANY,
    ),
    edit("rnn", "W not transposed", 'dz @ p["W"].T', 'dz @ p["W"]', U=ANY, W=ANY, b=ANY),
    edit("rnn", "h one step late", "dW += h[t].T", "dW += h[t + 1].T", W=ANY),
    edit("rnn", "only the last step", "db += dz", "db = dz", b=ANY),
    edit("conv", "only the first window", "dZ.sum(axis=(0, 1))", "dZ[:, 0].sum(axis=0)", c=ANY),
    edit(
        "norm",
        "mean held constant",
        "dN - dN.mean(axis=0) - N",
        "dN - N",
        W1=ANY,
        b1=("spurious", {}),
    ),
    edit("norm", "variance held constant", " - N * (dN * N).mean(axis=0)", "", W1=ANY),
    edit("norm", "dgamma from Z", "(dY * N)", "(dY * Z)", gamma=ANY),
]

HEALTHY = [
    edit("softmax", "softmax without its shift", "Z2 - Z2.max(axis=1, keepdims=True)", "Z2"),
    edit("relu", "relu' from A", "(Z > 0)", "(A > 0)"),
    edit("relu", "relu'(0) = 1", "(Z > 0)", "(Z >= 0)"),
    returned("softmax", "single precision", "W1", "dW1.astype(np.float32)", None)._replace(
        blamed={}
    ),
    edit("tanh", "sech^2 by cosh", "* (1 - A**2)", "/ np.cosh(X @ p.W1 + p.b1) ** 2"),
    edit("deep", "matrices by einsum", "a0.T @ delta1", 'np.einsum("mi,mj->ij", a0, delta1)'),
]

NAMEABLE = PENALTIES + FACTORS + PLACES + PARTS + VALUES
BUGS = NAMEABLE + UNEXPLAINED
