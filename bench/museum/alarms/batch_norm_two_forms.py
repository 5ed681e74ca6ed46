"""Batch norm's backward pass in a form that looks another and is the same."""

import numpy as np

SOURCE = "BVLC/caffe#3912, 2016-03-29"
REASON = "a convention misread"

rng = np.random.default_rng(26)
C = rng.normal(size=(8, 3))
theta = rng.normal(size=(8, 3))


def loss(x):
    return float((C * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)).sum())


def right(x):
    std = np.sqrt(x.var(axis=0) + 1e-5)
    y = (x - x.mean(axis=0)) / std
    return (C - C.mean(axis=0) - (C * y).mean(axis=0) * y) / std
