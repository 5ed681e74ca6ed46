"""A field of 3.1e5 in float32, whose last place is 0.03, beside fields of order 1."""

import numpy as np

SOURCE = "climate-analytics-lab/jax-gcm#820, 2026-09-15"
REASON = "scales"

f4 = np.float32
rng = np.random.default_rng(6)
C = rng.normal(size=8).astype(f4)
theta = {
    "energy": (3.1e5 + 1e4 * rng.normal(size=8)).astype(f4),
    "q": rng.normal(size=8).astype(f4),
}


def loss(p):
    se = p["energy"].astype(f4) / f4(3e5)
    return float((C * np.tanh(se) * p["q"].astype(f4)).sum(dtype=f4))


def right(p):
    se, q = p["energy"].astype(float) / 3e5, p["q"].astype(float)
    return {"energy": C * (1 - np.tanh(se) ** 2) * q / 3e5, "q": C * np.tanh(se)}
