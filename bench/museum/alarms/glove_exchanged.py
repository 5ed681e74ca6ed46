"""GloVe: a word's gradient is the other word's vector; the indices look exchanged."""

import numpy as np

SOURCE = "stanfordnlp/GloVe#19, 2016-04-05"
REASON = "a convention misread"

rng = np.random.default_rng(27)
counts = rng.integers(1, 90, size=(4, 5)).astype(float)
weight = np.minimum(1, (counts / 50) ** 0.75)
theta = {"word": rng.normal(size=(4, 3)), "context": rng.normal(size=(5, 3))}


def residual(p):
    return p["word"] @ p["context"].T - np.log(counts)


def loss(p):
    return float(0.5 * (weight * residual(p) ** 2).sum())


def right(p):
    d = weight * residual(p)
    return {"word": d @ p["context"], "context": d.T @ p["word"]}
