"""Causal attention of fewer queries than keys: forward aligned at the end, backward at the start."""

import numpy as np

SOURCE = "xlite-dev/ffpa-attn#300, 2026-08-08"
KIND = "softmax and attention"
LAWS = ("not-shift-free",)
SAYS = "q, k and v are wrong: keys that the mask of the forward pass lets in get no gradient"

rng = np.random.default_rng(23)
C = rng.normal(size=(2, 3))
theta = {"q": rng.normal(size=(2, 3)), "k": rng.normal(size=(5, 3)), "v": rng.normal(size=(5, 3))}
SEEN = np.arange(2)[:, None] + 3 >= np.arange(5)


def weights(p):
    S = np.where(SEEN, p["q"] @ p["k"].T / np.sqrt(3), -np.inf)
    E = np.exp(S - S.max(axis=1, keepdims=True))
    return E / E.sum(axis=1, keepdims=True)


def loss(p):
    return float((C * (weights(p) @ p["v"])).sum())


def backward(p, seen):
    P = weights(p) * seen
    dP = C @ p["v"].T
    dS = P * (dP - (weights(p) * dP).sum(axis=1, keepdims=True)) / np.sqrt(3)
    return {"q": dS @ p["k"], "k": dS.T @ p["q"], "v": P.T @ C}


def right(p):
    return backward(p, SEEN)


def wrong(p):
    return backward(p, np.arange(2)[:, None] >= np.arange(5))
