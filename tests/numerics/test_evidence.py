"""Evidence that adds up: no alarm for symmetric noise at any time, and soon one for a bias."""

import numpy as np
import pytest

from fastgrad.numerics.evidence import LAMBDAS, Evidence

NOISES = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "Cauchy": lambda rng, n: rng.standard_cauchy(n),
    "two values": lambda rng, n: rng.choice([-1.0, 1.0], n),
    "of changing size": lambda rng, n: rng.standard_normal(n) * np.exp(2 * rng.standard_normal(n)),
}


def naive(residuals, shift, tau):
    """The evidence of one hypothesis, product by product from every beginning."""
    total, K = 0.0, len(residuals)
    for side in (1.0, -1.0):
        for bet in LAMBDAS:
            factors = [1 + np.tanh(bet * (side * r - shift) / tau) for r in residuals]
            total += sum(np.prod(factors[j:]) / ((j + 1) * (j + 2)) for j in range(K))
    return np.log10(total / 2 / LAMBDAS.size)


def test_it_is_what_the_products_are():
    residuals = np.random.default_rng(0).normal(0.5, 1, 12)
    evidence = Evidence(["one"])
    for r in residuals:
        evidence.add(np.array([r]), np.array([0.1]), np.array([1.0]))
    assert evidence.total == pytest.approx(naive(residuals, 0.1, 1.0), rel=1e-10)


@pytest.mark.parametrize("name", NOISES)
@pytest.mark.parametrize("bias", [0.0, 0.3, -0.3])
def test_alarms_of_symmetric_noise_are_as_rare_as_was_said(name, bias):
    """600 runs of 120 checks at alpha = 0.05, of a bias that the null allows: at most 5% alarm."""
    rng, runs, alpha = np.random.default_rng(1), 600, 0.05
    evidence = Evidence([str(k) for k in range(runs)])  # each is a run: looked at one by one
    alarmed = np.zeros(runs, bool)
    for _ in range(120):
        residuals = bias + NOISES[name](rng, runs)
        evidence.add(residuals, np.full(runs, 0.3), np.ones(runs))
        alarmed |= evidence.each >= -np.log10(alpha)
    assert alarmed.mean() <= alpha


def test_a_bias_is_found_however_late_it_begins():
    for begins, within in ((0, 40), (300, 80)):
        rng, evidence = np.random.default_rng(2), Evidence(["right", "wrong"])
        for k in range(begins + within):
            residuals = rng.standard_normal(2) + np.array([0.0, 3.0 * (k >= begins)])
            evidence.add(residuals, np.full(2, 0.1), np.ones(2))
        assert evidence.total > 3
        assert evidence.names[evidence.strongest] == "wrong"
        evidence.forget(evidence.strongest)
        assert evidence.total < 3


def test_overwhelming_residuals_leave_numbers():
    evidence = Evidence(["one"])
    for r in (1e300, -1e300, 0.0, 1e300):
        evidence.add(np.array([r]), np.array([0.0]), np.array([1e-300]))
    assert np.isfinite(evidence.total)
