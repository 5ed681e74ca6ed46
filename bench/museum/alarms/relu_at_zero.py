"""ReLU at exactly 0: the central difference says 0.5, the convention 0."""

import numpy as np

SOURCE = "HomericIntelligence/Odyssey#2077, 2025-11-27"
REASON = "kinks"

theta = np.zeros(4)
C = np.array([1.0, 2.0, -0.5, 0.3])


def loss(x):
    return float(C @ np.maximum(x, 0))


def right(x):
    return C * (x > 0)
