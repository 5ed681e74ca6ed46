"""The hinge and its kinks: a linear SVM, and a Gaussian-kernel one trained in the primal."""

from collections.abc import Callable

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checking import check_grad
from fastgrad.models import svm

LAMBDA, WIDTH = 0.01, 1.0
STEPS = 600
TEACHES = (
    "Examples on the margin are kinks of the hinge: there every slope between the two sides is right, "
    "and outside it a sign of the margin the wrong way round is found as anywhere else."
)


def kernel_loss(alpha: Floats, K: Floats, y: Floats) -> float:
    """lambda / 2 alpha' K alpha + mean hinge of y K alpha (O. Chapelle, *Neural Computation*, 2007)."""
    f = K @ alpha
    return 0.5 * LAMBDA * (alpha @ f) + np.maximum(0.0, 1.0 - y * f).mean()


def kernel_subgradient(alpha: Floats, K: Floats, y: Floats) -> Floats:
    """Subgradient of `kernel_loss`: examples on the margin count as beyond it."""
    f = K @ alpha
    inside = (1.0 - y * f > 0.0).astype(np.float64)
    return LAMBDA * f - K @ (inside * y) / y.size


def run(say: Callable[[str], object]) -> None:
    """Check both, train the second by its subgradient, and check it again at its kinks."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 2))
    y = np.where((X**2).sum(axis=1) < 1.4, 1, -1)
    params = svm.Parameters(np.array([1.0, 0.0]), 0.0)
    X[0], X[1] = (float(y[0]), 0.3), (float(y[1]), -0.7)  # both exactly on the margin
    report = check_grad(svm.loss, svm.grad, params, X, (y > 0).astype(np.int64), 0.1)
    say(f"1. A linear SVM with two examples on its margin: {report.verdict}.\n")
    K = np.exp(-((X[:, None] - X) ** 2).sum(axis=2) / (2 * WIDTH**2))
    alpha, sign = np.zeros(60), y.astype(np.float64)
    say("2. A Gaussian kernel, descent by the subgradient with steps 4 / sqrt(t):")
    for t in range(1, STEPS + 1):
        alpha = alpha - 4.0 / np.sqrt(t) * kernel_subgradient(alpha, K, sign)
        if t in (1, 10, 100, STEPS):
            right = np.mean(np.sign(K @ alpha) == sign)
            say(f"   step {t:>3}: loss {kernel_loss(alpha, K, sign):.4f}, {100 * right:.0f}% right")
    alpha *= 1 / np.abs((K @ alpha)[5])  # example 5 is on the margin now
    for name, claim, at in (
        ("with example 5 on the margin", kernel_subgradient, alpha),
        ("negated, and off the margin", lambda *given: -kernel_subgradient(*given), 1.01 * alpha),
    ):
        report = check_grad(kernel_loss, claim, at, K, sign)
        kinks = sum("kink" in e.verdict for e in report.entries)
        say(f"3. Its subgradient, {name}: {report.verdict}, {kinks} entries at a kink.")
