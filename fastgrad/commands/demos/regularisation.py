"""L2 forgotten, L1 at exact zeros, and the zeros that L1 makes."""

from collections.abc import Callable

import numpy as np

from fastgrad.checking import check_grad
from fastgrad.models import logistic
from fastgrad.models.logistic import Parameters

L1, L2 = 0.02, 0.1
STEPS, RATE = 200, 0.5
TEACHES = (
    "The penalty belongs in the loss and in the gradient, once each. At an exact zero of an L1 term any "
    "slope from -lambda to lambda is right, and a checker that knows kinks does not complain."
)


def without_penalty(params: Parameters, X: np.ndarray, y: np.ndarray, l2: float) -> Parameters:
    """Gradient of the data's part alone."""
    return logistic.grad(params, X, y)


def shortest(params: Parameters, X: np.ndarray, y: np.ndarray, l2: float, l1: float) -> Parameters:
    """The subgradient of least length: at a zero, what the L1 term cannot balance."""
    data, g = logistic.grad(params, X, y, l2), logistic.grad(params, X, y, l2, l1)
    return g._replace(w=np.where(params.w == 0, data.w - np.clip(data.w, -l1, l1), g.w))


def run(say: Callable[[str], object]) -> None:
    """Forget an L2 term, then descend with L1 to exact zeros and check there."""
    rng = np.random.default_rng(0)
    X, true = rng.standard_normal((150, 10)), np.array([2.0, -1.5, 1.0] + [0.0] * 7)
    y = (rng.random(150) < 1 / (1 + np.exp(-X @ true))).astype(np.int64)
    params = Parameters(rng.standard_normal(10), 0.1)
    report = check_grad(logistic.loss, without_penalty, params, X, y, L2)
    say(
        f"1. L2 in the loss and not in the gradient: {report.verdict}.\n   "
        f"{report.diagnoses[0].sentence}\n"
    )
    say(f"2. Descent with L1 = {L1}, each step followed by a shrinkage to zero:")
    params = logistic.init(10)
    for step in range(STEPS + 1):
        if step % 50 == 0:
            zeros = int(np.sum(params.w == 0))
            say(
                f"   step {step:>3}: loss {logistic.loss(params, X, y, 0.0, L1):.5f}, {zeros} zeros"
            )
        g = logistic.grad(params, X, y)
        w = params.w - RATE * g.w
        w = np.sign(w) * np.maximum(np.abs(w) - RATE * L1, 0)
        params = Parameters(w, float(params.b - RATE * g.b))
    report = check_grad(logistic.loss, shortest, params, X, y, 0.0, L1)
    kink = next(entry for entry in report.entries if entry.verdict.startswith("kink"))
    say(
        f"\n3. The shortest subgradient there, 0 at the zeros: {report.verdict}.\n"
        f"   {kink.name}: {kink.analytic:.4f}, {kink.verdict}; {kink.note}."
    )
