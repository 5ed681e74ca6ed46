"""A loss by a solver that stops at a tolerance: its values scatter by that, and lines are averaged."""

import numpy as np
import pytest

from tests.checks.nets import screened

COUNT, ROOTS = 200, 20


class Solved:
    """The roots of x^3 + x = (W theta)_j by bisection, from brackets that move with theta."""

    def __init__(self, seed: int, tolerance: float):
        rng = np.random.default_rng(seed)
        self.W = rng.normal(size=(ROOTS, COUNT)) / np.sqrt(COUNT)
        self.target, self.tolerance = rng.normal(size=ROOTS), tolerance
        self.theta = rng.normal(size=COUNT)

    def roots(self, theta, tolerance):
        right = self.W @ theta
        low, high = -2 - np.abs(right), 2 + 1.1 * np.abs(right)
        while np.max(high - low) > tolerance:
            middle = (low + high) / 2
            above = middle**3 + middle > right
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        return (low + high) / 2

    def loss(self, theta):
        return float(np.sum((self.roots(theta, self.tolerance) - self.target) ** 2))

    def grad(self, theta):
        x = self.roots(theta, 1e-14)
        return self.W.T @ (2 * (x - self.target) / (3 * x**2 + 1))


def verdicts(tolerance, factor, seeds):
    found = []
    for seed in seeds:
        problem = Solved(seed, tolerance)
        report = screened(problem, factor * problem.grad(problem.theta), seed)
        found.append(report.verdict)
    return found


@pytest.mark.parametrize("tolerance", [1e-3, 1e-4, 1e-5, 1e-6])
def test_a_right_gradient_agrees_and_a_factor_is_found(tolerance):
    right = verdicts(tolerance, 1.0, range(3))
    assert "disagrees" not in right
    assert right.count("agrees") >= 2
    assert verdicts(tolerance, 1.1, range(3)) == ["disagrees"] * 3


@pytest.mark.slow
@pytest.mark.parametrize("tolerance", [1e-3, 1e-4, 1e-5, 1e-6])
def test_a_right_gradient_is_never_refuted(tolerance):
    right = verdicts(tolerance, 1.0, range(100, 120))
    assert right.count("disagrees") == 0
    assert right.count("agrees") >= 10
    assert verdicts(tolerance, 1.1, range(100, 120)).count("disagrees") >= 19
