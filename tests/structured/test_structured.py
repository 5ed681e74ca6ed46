"""Every structure against the plain sweep of the same loss, which is the naive oracle."""

from functools import partial

import numba
import numpy as np
import pytest
from scipy.optimize import minimize

import fastgrad as fg
from fastgrad.evaluate.backends import evaluator
from fastgrad.evaluate.protocol import Inputs
from fastgrad.parameters.layout import flatten
from tests.structured.nets import cases, chain_grad, incremental_net, net_data, net_theta

CASES = cases()


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request):
    return request.param


def vector(gradient):
    return flatten(gradient)[1]


@pytest.mark.parametrize(
    "options",
    [{}, *(pytest.param(o, marks=pytest.mark.slow) for o in ({"order": 4}, {"method": "forward"}))],
    ids=str,
)
def test_it_is_the_gradient_of_the_plain_loss(case, options):
    got = vector(fg.grad(case.structured, **options)(case.theta, *case.args))
    expected = vector(fg.grad(case.structured, structure=False, **options)(case.theta, *case.args))
    tolerance = 1e-5 if options.get("method") == "forward" else 1e-7
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def test_each_coordinate_is_a_difference_of_the_plain_loss(case):
    layout, flat = flatten(case.theta)
    inputs = Inputs(layout, flat, case.args)
    run = evaluator(case.structured, inputs)
    plain = evaluator(case.structured, inputs, structure=False)
    rng = np.random.default_rng(0)
    indices = rng.integers(flat.size, size=40)  # with repeats, and in no order
    offsets = 2.0**-14 * rng.choice([-2.0, -1.0, 0.0, 1.0, 3.0], size=(40, 3))
    got = run.coordinates(indices, offsets)
    expected = plain.coordinates(indices, offsets) - plain.value()
    # A layered difference has another truncation, of order h^2.
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(got[offsets == 0], 0.0)


def test_options_reach_a_structured_loss(case):
    gradient = fg.grad(case.structured)
    _, flat = flatten(case.theta)
    mask = np.arange(flat.size) % 2 == 0
    part = vector(fg.grad(case.structured, trainable=mask)(case.theta, *case.args))
    whole = vector(gradient(case.theta, *case.args))
    np.testing.assert_allclose(part[mask], whole[mask], rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(part[~mask], 0.0)
    stepped = vector(fg.grad(case.structured, step=1e-5)(case.theta, *case.args))
    np.testing.assert_allclose(stepped, whole, rtol=1e-6, atol=1e-6)
    value, _ = fg.value_and_grad(case.structured)(case.theta, *case.args)
    assert value == case.structured(case.theta, *case.args)


def test_a_right_gradient_agrees_and_the_report_says_how(case):
    claimed = fg.grad(case.structured)(case.theta, *case.args)
    report = fg.check_grad(case.structured, claimed, case.theta, *case.args, strategy="sweep")
    assert report.verdict == "agrees", report
    assert any(case.structured.kind in remark for remark in report.remarks)
    report = fg.check_grad(
        case.structured, claimed, case.theta, *case.args, strategy="sweep", structure=False
    )
    assert not any("structure" in remark for remark in report.remarks)


def test_a_wrong_entry_is_found(case):
    flat = vector(fg.grad(case.structured)(case.theta, *case.args))
    flat[3] += 1e-6 * np.abs(flat).max()
    report = fg.check_grad(
        case.structured, flat, case.theta, *case.args, strategy="sweep", rtol=1e-8
    )
    assert report.verdict == "disagrees"
    layout, _ = flatten(case.theta)
    assert report.entries[0].name == layout.name(3)


def test_threads_do_not_change_a_difference(case):
    layout, flat = flatten(case.theta)
    indices = np.arange(flat.size)
    offsets = np.full((flat.size, 2), 2.0**-17) * [1, -1]
    got = []
    for threads in (1, 2):
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        inputs = Inputs(layout, flat, case.args)
        options = {} if case.structured.kind == "separable" else {"threads": threads}
        run = case.structured.around(
            partial(evaluator, case.structured.loss, inputs), inputs, **options
        )
        got.append(run.coordinates(indices, offsets))
        got.append(run.coordinates(indices, offsets))
    for values in got[1:]:
        np.testing.assert_array_equal(values, got[0])


def test_inputs_are_left_alone(case):
    before = flatten(case.theta)[1], [np.copy(a) for a in case.args]
    fg.grad(case.structured)(case.theta, *case.args)
    np.testing.assert_array_equal(flatten(case.theta)[1], before[0])
    for value, kept in zip(case.args, before[1], strict=True):
        np.testing.assert_array_equal(value, kept)


def test_differences_are_more_accurate_than_values():
    x = np.random.default_rng(0).normal(size=2000)
    from fastgrad.structured import Separable
    from tests.structured.nets import chain_terms

    structured = Separable(chain_terms, "detect")
    expected = chain_grad(x)
    errors = [
        np.abs(fg.grad(structured, structure=structure)(x) - expected).max()
        for structure in (True, False)
    ]
    assert errors[0] < errors[1] / 10


def test_scipy_takes_a_structured_loss():
    X, y = net_data()
    net = incremental_net()
    layout, start = flatten(net_theta())

    def loss(x, X, y):
        return net(layout.rebuild(x), X, y)

    def jac(x, X, y):
        return vector(fg.grad(net)(layout.rebuild(x), X, y))

    result = minimize(loss, start, args=(X, y), jac=jac, method="L-BFGS-B", options={"maxiter": 20})
    assert result.fun < 0.1 * loss(start, X, y)


def test_scipy_takes_a_structured_loss_of_a_vector_as_it_is():
    from fastgrad.structured import Incremental
    from tests.structured.nets import residual, squares, squares_delta

    X, y = net_data()
    structured = Incremental(squares, residual, squares_delta)
    result = minimize(structured, np.zeros(5), args=(X, y), jac=fg.grad(structured))
    expected = np.linalg.lstsq(X, y, rcond=None)[0]
    np.testing.assert_allclose(result.x, expected, atol=1e-5)


def test_another_argument_and_another_backend_run_the_plain_loss():
    X, y = net_data()
    net, theta = incremental_net(), net_theta()
    got = fg.grad(net, argnum=1)(theta, X, y)
    expected = fg.grad(net, argnum=1, structure=False)(theta, X, y)
    np.testing.assert_array_equal(got, expected)
