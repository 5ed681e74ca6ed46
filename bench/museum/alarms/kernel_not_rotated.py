"""A convolution by windows: "should the kernel not be rotated?" It is, by adding up."""

import numpy as np

SOURCE = "ddbourgin/numpy-ml#27, 2019-07-14"
REASON = "a convention misread"

rng = np.random.default_rng(45)
K, C = rng.normal(size=(3, 3)), rng.normal(size=(4, 5))
theta = rng.normal(size=(6, 7))


def loss(x):
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3))
    return float((C * np.einsum("ijkl,kl->ij", windows, K)).sum())


def right(x):
    g = np.zeros_like(x)
    for i in range(4):
        for j in range(5):
            g[i : i + 3, j : j + 3] += C[i, j] * K
    return g
