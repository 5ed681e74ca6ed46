"""Matrix factorisation from ratings, a Gaussian mixture, and a layer normalisation."""

import numpy as np


def ratings_loss(p, users, items, r, lam):
    e = (p["U"][users] * p["V"][items]).sum(axis=1) + p["c"][items] - r
    return 0.5 * np.sum(e**2) + 0.5 * lam * (np.sum(p["U"] ** 2) + np.sum(p["V"] ** 2))


def ratings_grad(p, users, items, r, lam):
    e = (p["U"][users] * p["V"][items]).sum(axis=1) + p["c"][items] - r
    dU, dV, dc = np.zeros_like(p["U"]), np.zeros_like(p["V"]), np.zeros_like(p["c"])
    np.add.at(dU, users, e[:, None] * p["V"][items])
    np.add.at(dV, items, e[:, None] * p["U"][users])
    np.add.at(dc, items, e)
    return {"U": dU + lam * p["U"], "V": dV + lam * p["V"], "c": dc}


def ratings_example(seed):
    rng = np.random.default_rng(seed)
    theta = {"U": rng.normal(size=(6, 3)), "V": rng.normal(size=(5, 3)), "c": rng.normal(size=5)}
    n = 24 + seed
    users, items = rng.integers(0, 6, n), rng.integers(0, 5, n)
    return theta, (users, items, rng.normal(size=n), 0.2 + 0.1 * rng.random())


def log_joint(p, x):
    s = np.exp(p["log_s"])
    return (
        p["a"] - np.log(np.exp(p["a"]).sum()) - 0.5 * ((x[:, None] - p["mu"]) / s) ** 2 - p["log_s"]
    )


def mixture_loss(p, x):
    L = log_joint(p, x)
    top = L.max(axis=1, keepdims=True)
    return -(top[:, 0] + np.log(np.exp(L - top).sum(axis=1))).sum()


def mixture_grad(p, x):
    L = log_joint(p, x)
    W = np.exp(L - L.max(axis=1, keepdims=True))
    R = W / W.sum(axis=1, keepdims=True)
    s = np.exp(p["log_s"])
    z = (x[:, None] - p["mu"]) / s
    prior = np.exp(p["a"]) / np.exp(p["a"]).sum()
    da = len(x) * prior - R.sum(axis=0)
    dmu = -(R * z / s).sum(axis=0)
    dlog_s = -(R * (z**2 - 1)).sum(axis=0)
    return {"a": da, "mu": dmu, "log_s": dlog_s}


def mixture_example(seed):
    rng = np.random.default_rng(seed)
    theta = {name: rng.normal(size=3) for name in ("a", "mu")} | {"log_s": 0.2 * rng.normal(size=3)}
    return theta, (rng.normal(size=30 + seed),)


def layer_norm_loss(p, X, t):
    mu = X.mean(axis=1, keepdims=True)
    xhat = (X - mu) / np.sqrt(X.var(axis=1, keepdims=True) + 1e-3)
    y = p["gain"] * xhat + p["bias"]
    return np.sum(np.logaddexp(0, y @ p["v"]) - t * (y @ p["v"])) / len(X)


def layer_norm_grad(p, X, t):
    m = X.shape[0]
    mu = X.mean(axis=1, keepdims=True)
    xhat = (X - mu) / np.sqrt(X.var(axis=1, keepdims=True) + 1e-3)
    y = p["gain"] * xhat + p["bias"]
    delta = (1 / (1 + np.exp(-(y @ p["v"]))) - t) / m
    dv = y.T @ delta
    dy = np.outer(delta, p["v"])
    return {"gain": (dy * xhat).sum(axis=0), "bias": dy.sum(axis=0), "v": dv}


def layer_norm_example(seed):
    rng = np.random.default_rng(seed)
    theta = {name: rng.normal(size=6) for name in ("gain", "bias", "v")}
    n = 17 + seed
    return theta, (rng.normal(size=(n, 6)), rng.integers(0, 2, n).astype(float))
