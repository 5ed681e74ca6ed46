"""Attacks on softmax regression: inputs moved along the sign of the gradient in them."""

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.models.softmax import Parameters

EPSILON = 0.08
"""How far a pixel of [0, 1] may be moved."""
OVERSHOOT = 1.5
"""All steps together go so many times as far, and are cut off: else the last would not bend back."""


def input_gradient(params: Parameters, X: Floats, y: np.ndarray) -> Floats:
    """Gradient of `softmax.loss` in X: W applied to the error of the outputs."""
    P = np.exp(X @ params.W + params.b)
    P /= P.sum(axis=1, keepdims=True)
    return (P - np.eye(10)[y]) @ params.W.T / len(X)


def attacked(params: Parameters, X: Floats, y: np.ndarray, steps: int) -> Floats:
    """FGSM with one step (Goodfellow et al., 2015), PGD with several (Madry et al., 2018)."""
    moved = X.copy()
    for _ in range(steps):
        moved += OVERSHOOT * EPSILON / steps * np.sign(input_gradient(params, moved, y))
        moved = np.clip(moved, np.maximum(X - EPSILON, 0), np.minimum(X + EPSILON, 1))
    return moved
