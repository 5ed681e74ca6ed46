"""A linear layer in float32 under gradcheck's step of 1e-6: -0.3576 beside -0.3512."""

import numpy as np

SOURCE = "pytorch/pytorch#5351, 2018-02-22"
REASON = "float32"

f4 = np.float32
rng = np.random.default_rng(0)
W, b, C = rng.normal(size=(2, 2)).astype(f4), rng.normal(size=2).astype(f4), np.array([1, -0.7], f4)
theta = rng.uniform(size=(1, 2)).astype(f4)


def loss(x):
    return float((C * (x.astype(f4) @ W + b)).sum(dtype=f4))


def right(x):
    return (C @ W.T)[None]
