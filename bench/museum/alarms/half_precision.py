"""sin in float16: a step of 1e-4 is below the spacing of its numbers, and every difference is zero."""

import numpy as np

SOURCE = "jax-ml/jax#39821, 2026-08-07"
REASON = "float32"

f2 = np.float16
theta = np.array([0.3, 0.9, 1.7, -0.4], f2)
C = np.array([1.0, -0.5, 2.0, 0.7])


def loss(x):
    return float((C * np.sin(x.astype(f2)).astype(float)).sum())


def right(x):
    return C * np.cos(x.astype(float))
