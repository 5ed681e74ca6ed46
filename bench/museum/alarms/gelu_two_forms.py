"""GELU with x taken out of the bracket: taken for another approximation, and the same function."""

import numpy as np

SOURCE = "deepspeedai/Megatron-DeepSpeed#84, 2022-09-06"
REASON = "a convention misread"

rng = np.random.default_rng(41)
C, A = rng.normal(size=9), 0.79788456
theta = rng.normal(size=9)


def loss(x):
    return float((C * 0.5 * x * (1 + np.tanh(A * (x + 0.044715 * x**3)))).sum())


def right(x):
    t = np.tanh(A * x * (1 + 0.044715 * x * x))
    return C * (0.5 * x * (1 - t * t) * (A + 3 * 0.044715 * A * x * x) + 0.5 * (1 + t))
