"""Stencils against polynomials they must differentiate exactly, and against the stated noise."""

import numpy as np
import pytest

from fastgrad.numerics.stencils import BACKWARD, CENTRAL, FORWARD, stencil

ALL = [FORWARD, BACKWARD, *CENTRAL.values()]


@pytest.mark.parametrize("method", ALL, ids=lambda m: f"{m.name}{m.order}")
def test_exact_on_polynomials_up_to_its_order(method):
    x, h = np.array([0.5, -1.25]), np.array([0.25, 0.5])
    for degree in range(method.order + 1):
        offsets = method.offsets(h)
        values = (x[:, None] + offsets) ** degree
        got = np.array(
            [method.combine(values[k : k + 1], x[k] ** degree, x[k : k + 1], offsets[k : k + 1])[0]
             for k in range(2)]
        )  # fmt: skip
        expected = degree * x ** max(degree - 1, 0)
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("method", ALL, ids=lambda m: f"{m.name}{m.order}")
def test_error_falls_with_its_order(method):
    x = np.array([0.3])

    def error(h: float) -> float:
        offsets = method.offsets(np.array([h]))
        got = method.combine(np.exp(x[:, None] + offsets), float(np.exp(x[0])), x, offsets)
        return abs(float(got[0]) - float(np.exp(x[0])))

    assert np.log2(error(0.2) / error(0.1)) == pytest.approx(method.order, abs=0.15)


@pytest.mark.parametrize("method", ALL, ids=lambda m: f"{m.name}{m.order}")
def test_noise_gain_is_the_sd_of_pure_noise(method):
    rng = np.random.default_rng(0)
    x, h = np.zeros(20_000), np.ones(20_000)
    values = rng.standard_normal((x.size, len(method.multiples)))
    if method.needs_value:  # the noise of the shared value, drawn afresh for each
        base = rng.standard_normal(x.size)
        values -= base[:, None]
    got = method.combine(values, 0.0, x, method.offsets(h)).std()
    assert got == pytest.approx(method.noise_gain, rel=0.03)


def test_division_is_by_the_step_really_taken():
    x, h = np.array([1e4]), np.array([1e-9])
    offsets = CENTRAL[2].offsets(h)
    values = x[:, None] + offsets
    assert CENTRAL[2].combine(values, 0.0, x, offsets)[0] == 1.0


@pytest.mark.parametrize(
    ("method", "order", "words"),
    [
        ("complex", 2, '"central", "forward" or "backward"'),
        ("midpoint", 2, '"central", "forward" or "backward"'),
        ("central", 3, "2, 4 or 6"),
        ("forward", 4, "central"),
    ],
)
def test_what_does_not_exist_is_refused_by_naming_what_does(method, order, words):
    with pytest.raises(ValueError, match=words):
        stencil(method, order)
