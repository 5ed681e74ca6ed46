"""A cell in double whose kernel calls a maximum that casts to float."""

import numpy as np

SOURCE = "pytorch/extension-cpp#42, 2019-09-10"
REASON = "float32"

rng = np.random.default_rng(4)
C, W = rng.normal(size=6), rng.normal(size=(5, 6))
theta = rng.normal(size=5)


def loss(x):
    z = x @ W
    low = np.minimum(z, 0).astype(np.float32)
    return float(C @ (np.maximum(z, 0).astype(np.float32) + np.expm1(low)))


def right(x):
    z = x @ W
    return W @ (C * np.where(z > 0, 1, np.exp(np.minimum(z, 0))))
