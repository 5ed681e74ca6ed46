"""A drag of 2e4 beside a temperature of 1, one step for both: 400 failures of 400."""

import numpy as np

SOURCE = "pasteurlabs/tesseract-core#713, 2026-08-30"
REASON = "scales"

theta = {"drag": np.array([2.1e4, 1.7e4, 2.6e4]), "temperature": np.array([0.9, 1.2, 1.05])}
TOLERANCE = 1e-10


def loss(p):
    total = 0.0
    for a, T in zip(p["drag"], p["temperature"], strict=True):
        v, old = 1.0, 0.0
        for _ in range(100):
            if abs(v - old) <= TOLERANCE:
                break
            old, v = v, v - (v + a * v**2 / 1e4 - T) / (1 + 2 * a * v / 1e4)
        total += v * T
    return float(total)


def right(p):
    a, T = p["drag"] / 1e4, p["temperature"]
    v = (np.sqrt(1 + 4 * a * T) - 1) / (2 * a)
    slope = 1 + 2 * a * v
    return {"drag": -(v**2) / slope * T / 1e4, "temperature": v + T / slope}
