"""CBOW that adds its context vectors up: their gradient is divided by their number, as of a mean."""

import numpy as np

SOURCE = "piskvorky/gensim#697, 2016-05-11"
KIND = "batch mean or sum"
LAWS = ("scale",)
SAYS = "context: 1/4 of the right one, 4 being the words of a window"

rng = np.random.default_rng(54)
WINDOWS = rng.permutation(12).reshape(3, 4)
TARGETS = np.array([2, 5, 7])
theta = {"context": rng.normal(size=(12, 3)) / 2, "out": rng.normal(size=(8, 3)) / 2}


def delta(p):
    h = p["context"][WINDOWS].sum(axis=1)
    S = h @ p["out"].T
    P = np.exp(S) / np.exp(S).sum(axis=1, keepdims=True)
    return h, P, P - np.eye(8)[TARGETS]


def loss(p):
    return float(-np.log(delta(p)[1][np.arange(3), TARGETS]).sum())


def backward(p, share):
    h, _, d = delta(p)
    g = np.zeros((12, 3))
    np.add.at(g, WINDOWS, (d @ p["out"])[:, None] * share)
    return {"context": g, "out": d.T @ h}


def right(p):
    return backward(p, 1)


def wrong(p):
    return backward(p, 1 / 4)
