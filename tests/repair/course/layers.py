"""A two-layer ReLU net made of layers, each a forward and a backward function with a cache."""

import numpy as np


def affine_forward(x, w, b):
    return x @ w + b, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    dx = dout @ w.T
    dw = x.T @ dout
    db = np.sum(dout, axis=0)
    return dx, dw, db


def relu_forward(x):
    return np.maximum(0, x), x


def relu_backward(dout, cache):
    x = cache
    return dout * (x > 0)


def softmax_loss(scores, y):
    n = scores.shape[0]
    shifted = scores - np.max(scores, axis=1, keepdims=True)
    probs = np.exp(shifted)
    probs /= np.sum(probs, axis=1, keepdims=True)
    value = -np.sum(np.log(probs[np.arange(n), y])) / n
    dscores = probs.copy()
    dscores[np.arange(n), y] -= 1
    dscores /= n
    return value, dscores


def loss(p, X, y, reg):
    hidden, _ = relu_forward(affine_forward(X, p["W1"], p["b1"])[0])
    data, _ = softmax_loss(affine_forward(hidden, p["W2"], p["b2"])[0], y)
    return data + 0.5 * reg * (np.sum(p["W1"] ** 2) + np.sum(p["W2"] ** 2))


def grad(p, X, y, reg):
    a1, fc1_cache = affine_forward(X, p["W1"], p["b1"])
    hidden, relu_cache = relu_forward(a1)
    scores, fc2_cache = affine_forward(hidden, p["W2"], p["b2"])
    _, dscores = softmax_loss(scores, y)
    grads = {}
    dhidden, grads["W2"], grads["b2"] = affine_backward(dscores, fc2_cache)
    da1 = relu_backward(dhidden, relu_cache)
    _, grads["W1"], grads["b1"] = affine_backward(da1, fc1_cache)
    grads["W1"] += reg * p["W1"]
    grads["W2"] += reg * p["W2"]
    return grads


def example(seed):
    rng = np.random.default_rng(seed)
    theta = {
        "W1": rng.normal(size=(5, 6)),
        "b1": rng.normal(size=6),
        "W2": rng.normal(size=(6, 4)),
        "b2": rng.normal(size=4),
    }
    n = 15 + seed
    return theta, (rng.normal(size=(n, 5)), rng.integers(0, 4, n), 0.05 + 0.01 * rng.random())
