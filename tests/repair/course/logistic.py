"""Logistic regression with a ridge penalty, as machine learning courses write it."""

import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def loss(p, X, y, lam):
    m = len(y)
    h = sigmoid(X @ p["w"] + p["b"])
    return -(y * np.log(h) + (1 - y) * np.log(1 - h)).mean() + lam / (2 * m) * (p["w"] ** 2).sum()


def grad(p, X, y, lam):
    m = len(y)
    h = sigmoid(X @ p["w"] + p["b"])
    error = h - y
    dw = X.T @ error / m + lam / m * p["w"]
    db = error.mean()
    return {"w": dw, "b": db}


def example(seed):
    rng = np.random.default_rng(seed)
    theta = {"w": rng.normal(size=5), "b": 0.3 + 0.1 * rng.normal()}
    X = rng.normal(size=(20 + seed, 5))
    return theta, (X, rng.integers(0, 2, len(X)).astype(float), 0.7 + 0.1 * rng.random())
