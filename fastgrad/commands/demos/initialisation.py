"""Zeros, random numbers, He: what a check at the first parameters cannot see."""

from collections.abc import Callable

import numpy as np

from fastgrad.checking import check_grad
from fastgrad.commands.demos.descent import train
from fastgrad.commands.demos.optimisers import adam
from fastgrad.models import digits, two_layer
from fastgrad.models.two_layer import Parameters

SCALES = {"random, 0.01": 0.01, "random, 1": 1.0, "He, sqrt(2 / n)": np.sqrt(2 / 64)}
SATURATED = 0.98
"""Outputs beyond it are clipped by somebody's safe sigmoid."""
TEACHES = (
    "A gradient check says that the gradient is right, not that the start is good: zeros pass, and "
    "their hidden units stay alike. Check after training too: a branch not taken is not checked."
)


def clipped(params: Parameters, X: np.ndarray, y: np.ndarray) -> Parameters:
    """A gradient whose author treats outputs of hidden units beyond 0.98 as flat."""
    A1 = 1 / (1 + np.exp(-(X @ params.W1 + params.b1)))
    g = two_layer.grad(params, X, y)
    return g._replace(
        W1=g.W1 * (A1.max(axis=0) < SATURATED), b1=g.b1 * (A1.max(axis=0) < SATURATED)
    )


def run(say: Callable[[str], object]) -> None:
    """Check at several starts, and a gradient whose bug shows only after training."""
    X, y = (part[:60] for part in digits())
    start = two_layer.init(64, 32, 10)
    zeros = Parameters(*(np.zeros_like(block) for block in start))
    report = check_grad(two_layer.loss, two_layer.grad, zeros, X, y)
    say(f"1. All zeros: {report.verdict}. But the columns of W1 get one and the same step:")
    params = zeros
    for _ in range(50):
        g = two_layer.grad(params, X, y)
        params = Parameters(*(block - d for block, d in zip(params, g, strict=True)))
    alike = np.ptp(params.W1, axis=1).max()
    say(
        f"   after 50 steps of descent the units still differ by {alike:.1g}: the net has one unit.\n"
    )
    rng = np.random.default_rng(0)
    say("2. Hidden outputs at other starts; near 0 or 1 a sigmoid has no slope:")
    for name, scale in SCALES.items():
        A1 = 1 / (1 + np.exp(-(X @ (scale * rng.standard_normal((64, 32))))))
        say(f"   {name:<16} from {A1.min():.3f} to {A1.max():.3f}")
    first = check_grad(two_layer.loss, clipped, start, X, y)
    say(
        f"\n3. A gradient that is flat where a unit is above {SATURATED}: at the start {first.verdict}."
    )
    trained = train(two_layer.grad, adam, epochs=30)
    both = check_grad(two_layer.loss, clipped, start, X, y, points=[start, trained])
    after = both.points[-1]
    say(f"   points=[start, trained]: {both.verdict}. After training:\n   {after!r}")
