"""A convolution that passes in double, and fails in float with the same code."""

import numpy as np

SOURCE = "intel/ipex-llm#833, 2017-04-28"
REASON = "float32"

f4 = np.float32
rng = np.random.default_rng(3)
K, C = rng.normal(size=(3, 5)).astype(f4), rng.normal(size=(3, 28)).astype(f4)
theta = rng.uniform(size=32).astype(f4)


def loss(x):
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(f4), 5)
    return float((C * (K @ windows.T)).sum(dtype=f4))


def right(x):
    g = np.zeros(32)
    for k in range(5):
        g[k : k + 28] += C.T.astype(float) @ K[:, k]
    return g
