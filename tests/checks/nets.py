"""Nets in single precision with hand-written gradients, and what goes wrong with such gradients."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

import fastgrad as fg

CLASSES, INPUTS, BATCH = 10, 64, 128


def relu(z):
    return np.maximum(z, 0)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


ACTIVATIONS = {
    "relu": (relu, lambda z: (z > 0).astype(z.dtype)),
    "silu": (lambda z: z * sigmoid(z), lambda z: sigmoid(z) * (1 + z * (1 - sigmoid(z)))),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
}
MISTAKEN = {"relu": np.ones_like, "silu": sigmoid, "tanh": lambda z: 1 - np.tanh(z)}
"""Derivatives that people write."""
KINDS = [("silu", "relu"), ("relu", "relu"), ("tanh", "tanh"), ("silu", "silu")]


@dataclass(frozen=True)
class Net:
    """A net of dense layers with a softmax: weights W1, b1, W2, ... and a batch.

    ``dtype`` is what the loss computes in; "bfloat16" rounds every layer to its eight digits.
    """

    theta: dict
    X: np.ndarray
    y: np.ndarray
    kinds: tuple
    dtype: str = "float32"
    mistaken: int = -1
    """A layer whose derivative is mistaken."""

    @property
    def layers(self):
        """Those that have an activation."""
        return len(self.theta) // 2 - 1

    def with_other_batch(self, rng):
        y = rng.integers(0, self.theta[f"b{self.layers + 1}"].size, self.y.size)
        return replace(self, X=rng.normal(size=self.X.shape), y=y)

    def rounded(self, a):
        a = np.asarray(a, np.float64 if self.dtype == "float64" else np.float32)
        if self.dtype != "bfloat16":
            return a
        return ((a.view(np.uint32) + 0x8000) & 0xFFFF0000).view(np.float32)

    def forward(self, theta):
        h, z, layers = [self.rounded(self.X)], [], len(self.theta) // 2
        for k in range(1, layers + 1):
            W, b = self.rounded(theta[f"W{k}"]), self.rounded(theta[f"b{k}"])
            z.append(self.rounded(h[-1] @ W + b))
            h.append(
                self.rounded(ACTIVATIONS[self.kinds[k - 1]][0](z[-1])) if k < layers else z[-1]
            )
        return z, h

    def loss(self, theta):
        top = self.forward(theta)[0][-1]
        if self.dtype == "bfloat16":  # as autocast does, the softmax is in single precision
            top = np.float32(top)
        top = top - top.max(axis=1, keepdims=True)
        lost = np.log(np.exp(top).sum(axis=1)) - top[np.arange(self.y.size), self.y]
        return lost.mean()

    def grad(self, theta):
        z, h = self.forward(theta)
        top = z[-1] - z[-1].max(axis=1, keepdims=True)
        d = np.exp(top)
        d /= d.sum(axis=1, keepdims=True)
        d[np.arange(self.y.size), self.y] -= 1
        d = d / d.dtype.type(self.y.size)
        g = {}
        for k in range(len(z), 0, -1):
            g[f"W{k}"], g[f"b{k}"] = h[k - 1].T @ d, d.sum(axis=0)
            if k > 1:
                kind = self.kinds[k - 2]
                slope = MISTAKEN[kind] if k - 2 == self.mistaken else ACTIVATIONS[kind][1]
                d = (d @ self.rounded(theta[f"W{k}"]).T) * slope(z[k - 2])
        return {name: g[name] for name in theta}


def net(seed: int, sizes=(INPUTS, 64, 64, CLASSES), kinds=None, dtype="float32") -> Net:
    rng, own = np.random.default_rng(seed), np.float64 if dtype == "float64" else np.float32
    theta = {}
    for k, (n, m) in enumerate(pairwise(sizes), 1):
        theta[f"W{k}"] = own(rng.normal(size=(n, m)) * np.sqrt(2 / n))
        theta[f"b{k}"] = own(0.01 * rng.normal(size=m))
    X = rng.normal(size=(BATCH, sizes[0]))
    y = rng.integers(0, sizes[-1], BATCH)
    return Net(theta, X, y, KINDS[seed % len(KINDS)] if kinds is None else kinds, dtype)


def screened(problem, gradient, seed=0, **options):
    """The screen of a gradient of a problem that has a loss and a theta, without a budget."""
    return fg.check_grad(
        problem.loss,
        gradient,
        problem.theta,
        backend="python",
        strategy="screen",
        budget=None,
        seed=seed,
        **options,
    )


def changed(gradient: dict, name: str, by: Callable) -> dict:
    return {**gradient, name: by(gradient[name]).astype(gradient[name].dtype)}


def _zero_row(a, rng):
    """One row of which the gradient is of about the size of the others': that of a dead unit is zero."""
    sizes = np.sqrt((a.reshape(a.shape[0], -1) ** 2).sum(axis=1))
    alive = np.flatnonzero(sizes > 0.5 * np.sqrt(np.mean(sizes**2)))
    a = a.copy()
    a[rng.choice(alive)] = 0
    return a


def _one_of(net, rng, which):
    return str(rng.choice([name for name, a in net.theta.items() if which(name, a)]))


def _any(net, rng):
    return _one_of(net, rng, lambda name, a: True)


def _weights(net, rng):
    return _one_of(net, rng, lambda name, a: a.ndim > 1)


def _bias(net, rng):
    return _one_of(net, rng, lambda name, a: name[0] == "b")


FAULTS = {
    "1% too large": lambda net, g, rng: changed(g, _weights(net, rng), lambda a: 1.01 * a),
    "10% too large": lambda net, g, rng: changed(g, _weights(net, rng), lambda a: 1.1 * a),
    "the sign": lambda net, g, rng: changed(g, _any(net, rng), lambda a: -a),
    "zero": lambda net, g, rng: changed(g, _any(net, rng), lambda a: 0 * a),
    "twice": lambda net, g, rng: changed(g, _any(net, rng), lambda a: 2 * a),
    "no L2": lambda net, g, rng: {
        k: a - a.dtype.type(0.01) * net.theta[k] if a.ndim > 1 else a for k, a in g.items()
    },
    "a mistaken derivative": lambda net, g, rng: replace(
        net, mistaken=int(rng.integers(net.layers))
    ).grad(net.theta),
    "the bias's mean": lambda net, g, rng: changed(g, _bias(net, rng), lambda a: a / net.y.size),
    "a zero row": lambda net, g, rng: changed(g, _weights(net, rng), lambda a: _zero_row(a, rng)),
    "a stale minibatch": lambda net, g, rng: net.with_other_batch(rng).grad(net.theta),
}
"""A gradient that is wrong, of a net (of this file or of bench/noise.py), its right one, and a generator
of random numbers."""
