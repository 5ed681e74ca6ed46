"""The h/10 test and the V of error against step: too large, too small, forward against central."""

from collections.abc import Callable

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checking import check_grad

DECADES = range(1, 16)
WIDTH = 34
"""Characters of the picture's longest bar."""
TEACHES = (
    "No step is right for all losses: the error falls with h until rounding takes over, twice as fast "
    "for central differences; where it stays as it is while h shrinks, the gradient is wrong."
)


def loss(x: Floats) -> float:
    """A smooth function of two numbers."""
    return float(np.exp(x[0]) * np.sin(x[1]))


def gradient(x: Floats) -> Floats:
    """Gradient of `loss`."""
    return np.exp(x[0]) * np.array([np.sin(x[1]), np.cos(x[1])])


def errors(x: Floats, h: float) -> tuple[float, float]:
    """Relative errors of the forward and the central difference in the first entry."""
    e, exact = np.array([h, 0.0]), gradient(x)[0]
    forward = (loss(x + e) - loss(x)) / h
    central = (loss(x + e) - loss(x - e)) / (2 * h)
    return abs(forward / exact - 1), abs(central / exact - 1)


def run(say: Callable[[str], object]) -> None:
    """Draw the V, then let the checker read the table of a right and of a wrong gradient."""
    x = np.array([0.3, 1.1])
    say("d/dx exp(x) sin(y) by differences; a longer bar has more right digits:\n")
    say(f" {'h':>6}  {'forward':<{WIDTH}}  central")
    best = [0, 0]
    for decade in DECADES:
        digits = [min(16.0, -np.log10(max(e, 1e-16))) for e in errors(x, 10.0**-decade)]
        bars = ["#" * round(max(d, 0) * 2) for d in digits]
        say(f" 1e-{decade:02}   {bars[0]:<{WIDTH}}  {bars[1]}")
        for k in (0, 1):
            best[k] = max(best[k], round(digits[k]))
    say(f"\nForward has {best[0]} digits at best, central {best[1]}.\n")
    for name, claim in (("right", gradient), ("1% too large", lambda x: 1.01 * gradient(x))):
        report = check_grad(loss, claim, x, backend="python")
        say(f"The h/10 test of a gradient that is {name}:\n{report.convergence()}\n")
