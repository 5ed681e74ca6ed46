"""Upsampling by copies: one of the copies' gradients is taken, where all are to be added."""

import numpy as np

SOURCE = "eriklindernoren/ML-From-Scratch a2806c6 UpSampling2D, 2026-11-30"
KIND = "pooling and ties"
LAWS = ("entry-factors",)
SAYS = "each entry lacks what three of its four copies send back"

rng = np.random.default_rng(40)
C = rng.normal(size=(6, 8))
theta = rng.normal(size=(3, 4))


def up(x):
    return x.repeat(2, axis=0).repeat(2, axis=1)


def loss(x):
    return float((C * np.sin(up(x))).sum())


def right(x):
    d = C * np.cos(up(x))
    return d[::2, ::2] + d[1::2, ::2] + d[::2, 1::2] + d[1::2, 1::2]


def wrong(x):
    return (C * np.cos(up(x)))[::2, ::2]
