"""Only what is trained is perturbed; the gradient of a constant is nobody's business."""

from collections.abc import Callable

import numpy as np

from fastgrad.checking import check_grad
from fastgrad.gradient import grad
from fastgrad.models import linear

TEACHES = (
    "Say what is trained: constants are not perturbed, not counted and not compared, whatever stands in "
    "their gradient; and a check of all blocks says where the difference is."
)


def without_intercept(params: linear.Parameters, X: np.ndarray, y: np.ndarray) -> linear.Parameters:
    """Gradient of a model whose intercept is kept: what it says of b is a placeholder."""
    return linear.grad(params, X, y)._replace(b=-999.0)


def run(say: Callable[[str], object]) -> None:
    """Check a model with an intercept that is kept, with and without saying so."""
    rng = np.random.default_rng(0)
    X, w = rng.standard_normal((40, 3)), np.array([1.0, -2.0, 0.5])
    theta = linear.Parameters(w=rng.standard_normal(3), b=2.0)
    y = X @ w + 2.0
    say("y = X w + b, with b = 2 known: only w is trained, and the gradient says -999 for b.\n")
    report = check_grad(linear.loss, without_intercept, theta, X, y)
    say(
        f"1. All of theta: {report.verdict}, in "
        f"{', '.join(b.name for b in report.blocks if b.verdict == 'disagrees')}.\n"
    )
    report = check_grad(linear.loss, without_intercept, theta, X, y, trainable="w")
    say(
        f'2. trainable="w": {report.verdict}; {report.checked} entries, '
        f"{report.evaluations} evaluations.\n"
    )
    g = grad(linear.loss, trainable="w")(theta, X, y)
    say(f'3. fg.grad(loss, trainable="w") moves w alone, and says of b: {g.b}.\n')
    mask = linear.Parameters(w=np.array([True, False, True]), b=False)
    report = check_grad(linear.loss, without_intercept, theta, X, y, trainable=mask)
    say(
        f"4. Booleans shaped like theta, w[1] kept as well: {report.verdict}, {report.checked} entries."
    )
