"""The gradients of the models, by another way than their own: real differences in long double."""

from functools import partial

import numpy as np
import pytest

from tests.units.models import HARD_UNITS, MODELS, matters

EIGHTH_ORDER = ((1, 4 / 5), (2, -1 / 5), (3, 4 / 105), (4, -1 / 280))
"""Central difference of order 8: sum w_k (f(x + k h) - f(x - k h)) / h."""

EXTENDED = np.finfo(np.longdouble).eps < 1e-18


def difference(loss, theta, i, h):
    """The derivative by theta_i, in the precision of theta."""
    total = 0
    for k, weight in EIGHTH_ORDER:
        up, down = theta.copy(), theta.copy()
        up[i] += k * h
        down[i] -= k * h
        total += theta.dtype.type(weight) * (loss(up) - loss(down))
    return total / h


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_the_gradient_of_a_model_is_that_of_its_loss(model):
    for seed in range(3):
        theta, x, y = model.draw(seed)
        wide = theta.astype(np.longdouble)
        loss = partial(model.interpreted_loss, x=x, y=y)
        for i, got in enumerate(model.grad(theta, x, y)):
            expected = difference(loss, wide, i, abs(wide[i]) * np.longdouble(2.0**-12))
            assert got == pytest.approx(float(expected), rel=1e-11 if EXTENDED else 1e-6, abs=0)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_a_model_is_near_its_optimum_and_every_entry_matters(model):
    for seed in range(3):
        case = model.case(seed)
        assert 2 <= case.theta.size <= 5
        assert np.isfinite(model.interpreted_loss(case.theta, *case.args))
        assert matters(case).all()


def test_sizes_stand_far_apart():
    sizes = np.concatenate([np.abs(model.truth) for model in MODELS])
    assert len(MODELS) >= 34
    assert sizes.min() < 1e-20
    assert sizes.max() > 1e23
    apart = [np.ptp(np.log10(np.abs(model.truth))) for model in MODELS]
    assert np.median(apart) > 4


@pytest.mark.parametrize("model", MODELS[::10], ids=lambda m: m.name)
def test_the_compiled_loss_is_the_interpreted_one(model):
    theta, x, y = model.draw(0)
    expected = model.interpreted_loss(theta, x, y)
    assert model.loss(theta, x, y) == pytest.approx(expected, rel=1e-12, abs=0)


def test_the_likelihood_is_compiled_too():
    model = next(each for each in MODELS if each.likelihood == "poisson")
    theta, x, y = model.draw(0)
    expected = model.interpreted_loss(theta, x, y)
    assert model.loss(theta, x, y) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("hard", HARD_UNITS, ids=lambda h: h.name)
def test_the_gradient_of_a_hard_unit_is_that_of_its_loss(hard):
    """With steps of some 1/16 of a unit, powers of two, which theta can hold."""
    case = hard.case(0)

    def loss(theta):
        return float(case.loss(theta, *case.args))

    g = case.grad(case.theta, *case.args)
    scale = np.abs((g if case.typical is None else case.typical) * case.unit).max()
    tolerance = 1e-3 if "float32" in case.name else 1e-5
    for i in range(case.theta.size):
        h = 2.0 ** np.floor(np.log2(case.unit[i] / 16))
        expected = difference(loss, case.theta, i, h)
        assert g[i] * case.unit[i] / scale == pytest.approx(
            expected * case.unit[i] / scale, abs=tolerance
        )
