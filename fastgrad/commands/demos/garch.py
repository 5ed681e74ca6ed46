"""GARCH(1,1): estimated by descent with its recursive gradient, standard errors from the Hessian."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize

from fastgrad.arrays import Floats
from fastgrad.checking import check_grad
from fastgrad.hessian_checking import check_hessian
from fastgrad.hessians import hessian
from fastgrad.models import garch

TRUE = garch.Parameters(0.05, 0.1, 0.85)
DAYS = 3000
BOUNDS = ([0.0, 0.0, 0.0], [np.inf, 1.0, 1.0])
TEACHES = (
    "A recursion's gradient is a recursion: forget a term of it and the estimate is off while the loss "
    "still falls. At a bound only one side exists; and standard errors are no better than the Hessian."
)


def run(say: Callable[[str], object]) -> None:
    """Check, estimate, and give the standard errors."""
    returns = garch.simulate(TRUE, DAYS, seed=1)

    def loss(p: Floats) -> float:
        return float(garch.loss(garch.Parameters(p[0], p[1], p[2]), returns))

    def gradient(p: Floats) -> Floats:
        return np.array(garch.grad(garch.Parameters(p[0], p[1], p[2]), returns))

    def truncated(p: Floats) -> Floats:
        """Without the memory of dh: d h_t is taken for (1, r^2, h)."""
        h = np.empty(DAYS)
        h[0] = np.mean(returns**2)
        for t in range(1, DAYS):
            h[t] = p[0] + p[1] * returns[t - 1] ** 2 + p[2] * h[t - 1]
        by_h = 0.5 * (1 - returns**2 / h) / h / DAYS
        return np.array([by_h[1:].sum(), by_h[1:] @ returns[:-1] ** 2, by_h[1:] @ h[:-1]])

    start = np.array([0.1, 0.05, 0.8])
    say(f"{DAYS:,} days simulated with omega, alpha, beta = {', '.join(map(str, TRUE))}.\n")
    say(
        f"1. The recursive gradient: {check_grad(loss, gradient, start, backend='python').verdict}."
    )
    say(f"   Without its memory: {check_grad(loss, truncated, start, backend='python')!r}\n")
    fit = minimize(loss, start, jac=gradient, method="L-BFGS-B", bounds=np.transpose(BOUNDS))
    H = np.asarray(hessian(loss, backend="python")(fit.x))
    verdict = check_hessian(loss, H, fit.x, grad=gradient, backend="python").verdict
    errors = np.sqrt(np.diag(np.linalg.inv(H)) / DAYS)
    say(
        f"2. Estimated in {fit.nit} steps; the Hessian, beside differences of the gradient: {verdict}."
    )
    for name, value, error, true in zip(TRUE._fields, fit.x, errors, TRUE, strict=True):
        say(f"   {name:<6} {value:.4f} +- {error:.4f}   (true {true})")
    edge = np.array([0.05, 0.0, 0.9])
    report = check_grad(loss, gradient, edge, bounds=BOUNDS, backend="python")
    say(f"\n3. At alpha = 0, its bound, by one-sided differences: {report.verdict}.")
