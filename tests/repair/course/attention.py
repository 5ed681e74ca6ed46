"""One head of self-attention with a quadratic cost."""

import numpy as np


def softmax(S):
    E = np.exp(S - S.max(axis=1, keepdims=True))
    return E / E.sum(axis=1, keepdims=True)


def loss(p, X, T):
    Q, K, V = X @ p["Wq"], X @ p["Wk"], X @ p["Wv"]
    A = softmax(Q @ K.T / np.sqrt(Q.shape[1]))
    return 0.5 * np.sum((A @ V - T) ** 2)


def softmax_backward(dA, A):
    return A * (dA - np.sum(dA * A, axis=1, keepdims=True))


def grad(p, X, T):
    Q, K, V = X @ p["Wq"], X @ p["Wk"], X @ p["Wv"]
    root = np.sqrt(Q.shape[1])
    A = softmax(Q @ K.T / root)
    dO = A @ V - T
    dV = A.T @ dO
    dA = dO @ V.T
    dS = softmax_backward(dA, A) / root
    dQ = dS @ K
    dK = dS.T @ Q
    return {"Wq": X.T @ dQ, "Wk": X.T @ dK, "Wv": X.T @ dV}


def example(seed):
    rng = np.random.default_rng(seed)
    theta = {name: 0.6 * rng.normal(size=(5, 4)) for name in ("Wq", "Wk", "Wv")}
    n = 6 + seed
    return theta, (rng.normal(size=(n, 5)), rng.normal(size=(n, 4)))
