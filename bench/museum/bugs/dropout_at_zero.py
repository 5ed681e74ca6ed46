"""Dropout read off output / input: an input of 0 that was dropped gets its gradient all the same."""

import numpy as np

SOURCE = "kaldi-asr/kaldi#3890, 2020-01-29"
KIND = "missing term"
LAWS = ("at-zero",)
SAYS = "entries that are 0 are wrong, dropped or not, all others right"

rng = np.random.default_rng(51)
C, SCALE = rng.normal(size=10), np.array([0, 2.0, 0, 2, 2, 0, 2, 0, 0, 2])
theta = rng.normal(size=10) * np.array([0, 0, 1, 1, 1, 1, 0, 0, 1, 1])


def loss(x):
    return float((C * np.sin(x * SCALE)).sum())


def right(x):
    return C * np.cos(x * SCALE) * SCALE


def wrong(x):
    above, y = C * np.cos(x * SCALE), x * SCALE
    return np.where(x == 0, above, y / np.where(x == 0, 1, x) * above)
