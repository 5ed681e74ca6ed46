"""An LSTM over a short sequence, and an AR(1) model with a compiled recursion."""

import numpy as np
from numba import njit


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def step(x, h, c, p):
    z = np.concatenate([x, h]) @ p["W"] + p["b"]
    n = h.size
    i, f, o, g = (
        sigmoid(z[:n]),
        sigmoid(z[n : 2 * n]),
        sigmoid(z[2 * n : 3 * n]),
        np.tanh(z[3 * n :]),
    )
    c_next = f * c + i * g
    return o * np.tanh(c_next), c_next, (i, f, o, g)


def lstm_loss(p, X, t):
    h = c = np.zeros(len(t))
    for x in X:
        h, c, _ = step(x, h, c, p)
    return 0.5 * np.sum((h - t) ** 2)


def lstm_grad(p, X, t):
    n = len(t)
    h, c, saved = np.zeros(n), np.zeros(n), []
    for x in X:
        h_prev, c_prev = h, c
        h, c, gates = step(x, h, c, p)
        saved.append((x, h_prev, c_prev, c, gates))
    dW, db = np.zeros_like(p["W"]), np.zeros_like(p["b"])
    dh, dc = h - t, np.zeros(n)
    for x, h_prev, c_prev, c, (i, f, o, g) in reversed(saved):
        tc = np.tanh(c)
        do = dh * tc
        dc = dc + dh * o * (1 - tc**2)
        di, df, dg = dc * g, dc * c_prev, dc * i
        dz = np.concatenate([di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)])
        dW += np.outer(np.concatenate([x, h_prev]), dz)
        db += dz
        dh = p["W"][len(x) :] @ dz
        dc = dc * f
    return {"W": dW, "b": db}


def lstm_example(seed):
    rng = np.random.default_rng(seed)
    theta = {"W": 0.6 * rng.normal(size=(7, 16)), "b": 0.3 * rng.normal(size=16)}
    return theta, (rng.normal(size=(5 + seed, 3)), rng.normal(size=4))


@njit
def ar_loss(p, y):
    total = 0.0
    for t in range(1, y.size):
        e = y[t] - p[0] - p[1] * y[t - 1]
        total += 0.5 * np.exp(-p[2]) * e**2 + 0.5 * p[2]
    return total


@njit
def ar_grad(p, y):
    g = np.zeros(3)
    for t in range(1, y.size):
        e = y[t] - p[0] - p[1] * y[t - 1]
        w = np.exp(-p[2])
        g[0] -= w * e
        g[1] -= w * e * y[t - 1]
        g[2] += 0.5 - 0.5 * w * e**2
    return g


def ar_example(seed):
    rng = np.random.default_rng(seed)
    return np.array([0.2, 0.5, -0.3]) + 0.1 * rng.normal(size=3), (rng.normal(size=40 + seed),)
