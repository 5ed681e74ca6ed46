"""Reports of every kind, quickly made."""

from dataclasses import replace

import numpy as np

import fastgrad as fg
from fastgrad.report.arrays import BlockArrays, Kept, Place

THETA = {"W": np.linspace(-1, 1, 24).reshape(6, 4), "b": np.linspace(0.5, 1, 4), "s": 0.7}


def loss(p):
    return float((p["W"] ** 2).sum() / 2 + (p["b"] ** 3).sum() + np.sin(p["s"]))


def right(p):
    return {"W": p["W"].copy(), "b": 3 * p["b"] ** 2, "s": float(np.cos(p["s"]))}


def wrong(p):
    g = right(p)
    g["W"][2] *= -1
    return {**g, "b": 2 * g["b"]}


def check(gradient=wrong, theta=THETA, **options):
    return fg.check_grad(loss, gradient, theta, backend="python", **options)


def named(*names):
    """A report whose blocks are called by these names."""
    return fg.check_grad(
        lambda p: float(sum((block**2).sum() for block in p.values())),
        lambda p: {name: 3 * block for name, block in p.items()},
        {name: np.array([1.0, -2.0]) for name in names},
        backend="python",
    )


def large(n=1_000_000, seed=0):
    """A report of a sweep over n entries, half of which are wrong."""
    rng = np.random.default_rng(seed)
    D = rng.standard_normal(n)
    off = rng.random(n) < 0.5
    allowance = np.full(n, 1e-6)
    columns = {
        "analytic": np.where(off, 2 * D, D), "numeric": D, "error_bar": allowance / 2,
        "step": np.full(n, 1e-5), "allowance": allowance,
        "verdict": np.where(off, "disagrees", "agrees"),
    }  # fmt: skip
    assert set(columns) == set(BlockArrays.__dataclass_fields__)
    shape = (n // 1000, 1000)
    small = check(right, theta={"W": np.ones((2, 2)), "b": np.ones(2), "s": 0.7})
    block = replace(small.blocks[1], name="b", shape=shape, size=n, checked=n, verdict="disagrees")
    entry = replace(small.entries[0], name="theta.layers[3].weights[123, 456]", note="n" * 80)
    kept = Kept({"b": Place(shape, 0, n)}, np.arange(n), columns)
    return replace(
        small, blocks=(block,), entries=(entry,) * 1000, _kept=kept, _convergence=None, size=n
    )
