"""A net as a class: `forward` fills a cache that `backward` reads."""

import numpy as np


class Network:
    def __init__(self, decay=0.0):
        self.decay = decay
        self.cache = {}

    def forward(self, p, X):
        z1 = X @ p["W1"] + p["b1"]
        a1 = np.tanh(z1)
        z2 = a1 @ p["W2"] + p["b2"]
        self.cache = {"X": X, "a1": a1, "z2": z2}
        return z2

    def loss(self, p, X, t):
        out = self.forward(p, X)
        penalty = 0.5 * self.decay * (np.sum(p["W1"] ** 2) + np.sum(p["W2"] ** 2))
        return np.sum((out - t) ** 2) / (2 * len(X)) + penalty

    def backward(self, p, t):
        a1 = self.cache["a1"]
        m = a1.shape[0]
        d2 = (self.cache["z2"] - t) / m
        gW2 = a1.T @ d2 + self.decay * p["W2"]
        gb2 = d2.sum(axis=0)
        d1 = (d2 @ p["W2"].T) * (1 - a1**2)
        gW1 = self.cache["X"].T @ d1 + self.decay * p["W1"]
        gb1 = d1.sum(axis=0)
        return {"W1": gW1, "b1": gb1, "W2": gW2, "b2": gb2}

    def gradient(self, p, X, t):
        self.forward(p, X)
        return self.backward(p, t)


net = Network(decay=0.03)
loss, grad = net.loss, net.gradient


def example(seed):
    rng = np.random.default_rng(seed)
    theta = {
        "W1": rng.normal(size=(4, 5)),
        "b1": rng.normal(size=5),
        "W2": rng.normal(size=(5, 3)),
        "b2": rng.normal(size=3),
    }
    n = 14 + seed
    return theta, (rng.normal(size=(n, 4)), rng.normal(size=(n, 3)))
