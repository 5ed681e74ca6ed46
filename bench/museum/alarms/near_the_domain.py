"""A density that raises outside its domain, and differences that reach outside: flaky tests."""

import numpy as np
from scipy.special import betaln, digamma

SOURCE = "JuliaStats/StatsFuns.jl#215, 2026-07-28"
REASON = "bounds"

theta = {"z": 3e-6, "a": 2.0, "b": 3.0}


def loss(p):
    if not 0 < p["z"] < 1:
        raise ValueError(f"z = {p['z']} is not in (0, 1)")
    value = (p["a"] - 1) * np.log(p["z"]) + (p["b"] - 1) * np.log1p(-p["z"])
    return float(value - betaln(p["a"], p["b"]))


def right(p):
    z, a, b = p["z"], p["a"], p["b"]
    both = digamma(a + b)
    return {
        "z": (a - 1) / z - (b - 1) / (1 - z),
        "a": np.log(z) - digamma(a) + both,
        "b": np.log1p(-z) - digamma(b) + both,
    }
