"""What is read in a loss's source: held to differences where it is a slope, and to what mends bugs."""

import numpy as np
import pytest

from bench.museum import exhibits
from fastgrad.repair.edits import plain
from fastgrad.repair.of_loss import of_the_loss
from fastgrad.repair.operators.borrowed import SLOPES
from fastgrad.repair.source import unit_of
from tests.repair.mending import mended_exhibit

SECONDS = 60.0
"""Of a search in a test: far more than it takes, for machines that are busy."""
L1, L2 = 0.7, 0.3


def loss(w, X, y):
    r = X @ w - y
    data = 0.5 * np.mean(r**2)
    ridge = L2 / 4 * (w @ w) - L2 * np.sum(w**2) / 3
    return float(data + ridge + L1 * np.abs(w).sum() + L1 * np.linalg.norm(w) * 2)


def gradient(theta, X, y):
    r = X @ theta - y
    return X.T @ r / len(y)


TERMS = (
    lambda w: L2 / 4 * (w @ w),
    lambda w: -L2 * np.sum(w**2) / 3,
    lambda w: L1 * np.abs(w).sum(),
    lambda w: L1 * np.linalg.norm(w) * 2,
)
AT = np.array([0.4, -1.3, 0.8])


def slope(f, x, h=1e-6):
    return np.array([(f(x + h * e) - f(x - h * e)) / (2 * h) for e in np.eye(x.size)])


@pytest.fixture
def read():
    return of_the_loss([unit_of((loss,))], [unit_of((gradient,))])


def test_the_slopes_of_a_losss_penalties_are_those_of_its_terms_in_the_gradients_names(read):
    got = [
        eval(plain(text), {"np": np, "L1": L1, "L2": L2, "theta": AT}) for text in read.penalties
    ]
    for term in TERMS:
        assert any(np.allclose(found, slope(term, AT), atol=1e-8) for found in got)
    assert len(got) == len(TERMS)
    assert plain(read.penalties[0]) == "L2 / 2 * theta"  # as one would write it


def test_what_the_gradient_has_is_not_borrowed_and_what_it_has_not_is(read):
    assert "L1 * np.abs(theta).sum()" in read.expressions
    assert "L2 / 4" in read.expressions
    assert not {"X @ theta - y", "X @ theta", "theta", "y", "r"} & set(read.expressions)
    assert {"mean", "norm", "abs"} <= read.functions
    assert read.constants == ("0.5",)
    assert set(read.counts) == {"2", "4", "8", "3", "6"}


@pytest.mark.parametrize("name", SLOPES)
def test_every_slope_is_that_of_its_function_by_its_value_or_its_argument(name):
    f = np.linalg.norm if name == "norm" else getattr(np, name, None)
    x = np.array([0.3, 1.7, 0.9])
    if name == "logaddexp":
        expected = slope(lambda v: np.logaddexp(0, v).sum(), x)
    elif name == "maximum":
        expected = slope(lambda v: np.maximum(v, 0).sum(), x)
    else:
        expected = slope(lambda v: np.sum(f(v)), x)
    values = x if name in ("logaddexp", "maximum", "norm") else f(x)
    for form in SLOPES[name]:
        if form == "{v} * (1 - {v})":  # of the logistic function, which is made of exp
            sigmoid = 1 / (1 + np.exp(-x))
            expected, values = slope(lambda v: (1 / (1 + np.exp(-v))).sum(), x), sigmoid
        got = [eval(form.format(v="v", np="np"), {"np": np, "v": v}) for v in (x, values)]
        assert any(np.allclose(one, expected, rtol=1e-7) for one in got), form


BORROWED = {
    "censored_l2": "L2",
    "l1_value_is_l2": "np.linalg.norm(w)",
    "pool_argmax_unpadded": "np.pad(x, PAD, constant_values=-9)",
    "logit_normal": "x / (1 - x)",
}
"""Real bugs, and what the edit that mends each takes from the loss."""


@pytest.mark.parametrize(
    "exhibit", [e for e in exhibits() if e.name in BORROWED], ids=lambda e: e.name
)
def test_what_the_loss_says_mends_a_gradient_that_does_not_say_it(exhibit, tmp_path):
    assert mended_exhibit(exhibit, tmp_path, SECONDS).outcome == "right"
