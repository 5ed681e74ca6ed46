"""An embedding: what a repeated index sends back overwrites what it sent before."""

import numpy as np

SOURCE = "pymc-devs/pytensor#2242, 2026-06-18"
KIND = "embeddings with repeated rows"
LAWS = ("wrong-row",)
SAYS = "rows of repeated indices are wrong: add, do not assign"

rng = np.random.default_rng(4)
index = np.array([0, 3, 3, 5, 1, 3, 0, 6])
C = rng.normal(size=(8, 3))
theta = rng.normal(size=(9, 3))


def loss(W):
    return float((C * np.tanh(W[index])).sum())


def right(W):
    g = np.zeros_like(W)
    np.add.at(g, index, C * (1 - np.tanh(W[index]) ** 2))
    return g


def wrong(W):
    g = np.zeros_like(W)
    g[index] = C * (1 - np.tanh(W[index]) ** 2)
    return g
