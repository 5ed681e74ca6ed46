"""Jacobians, Hessians and their products inside bounds, and at edges of the domain nobody told of."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numba import njit

import fastgrad as fg
from fastgrad.parameters.bounds import Box
from tests.layers.test_jacobian import chain, of_chain

LOW, HIGH = np.array([0.0, -1.0, 0.0, 0.5]), np.array([1.0, 2.0, 3.0, 4.0])
AT = np.array([0.0, 2.0, 3.0 - 1e-7, 1.0])
"""At the lower bound, at the upper, within a step of one, and far from both."""
BOUNDS = (LOW, HIGH)
SIDED = "one-sided differences: {0}[0], {0}[1] at their bounds, {0}[2] within a step of a bound"


class Recorded:
    """A function that remembers every point it was asked at, which must lie inside."""

    def __init__(self, fun, low=LOW, high=HIGH):
        self.fun, self.low, self.high, self.points = fun, low, high, []

    def __call__(self, x, *rest):
        self.points.append(x.copy())
        return self.fun(x, *rest)

    def stayed(self):
        points = np.array(self.points)
        return bool(len(points) and np.all((points >= self.low) & (points <= self.high)))


def outputs(x):
    out = [np.exp(x).sum(), np.sin(x[0] * x[1]), x[2] ** 3 * x[3], np.sqrt(x[0] + 1) * x[1]]
    return np.array(out)


def slopes(x):
    c, r = np.cos(x[0] * x[1]), np.sqrt(x[0] + 1)
    return np.array(
        [
            np.exp(x),
            [x[1] * c, x[0] * c, 0, 0],
            [0, 0, 3 * x[2] ** 2 * x[3], x[2] ** 3],
            [x[1] / 2 / r, r, 0, 0],
        ]
    )


def loss(x):
    product = np.sin(x[0] * x[1]) + x[2] ** 3 * x[0]
    return float(np.exp(x).sum() * x[3] + product + np.sqrt(1 + x[0]) * x[1])


def gradient(x):
    e, c, r = np.exp(x), np.cos(x[0] * x[1]), np.sqrt(1 + x[0])
    more = [x[1] * c + x[2] ** 3 + x[1] / 2 / r, x[0] * c + r, 3 * x[2] ** 2 * x[0], e.sum()]
    return e * x[3] + more


def hessian(x):
    e, r = np.exp(x), np.sqrt(1 + x[0])
    s, c = np.sin(x[0] * x[1]), np.cos(x[0] * x[1])
    H = np.diag(e * x[3])
    H[3] += e
    H[:, 3] += e
    H[0, 0] -= x[1] ** 2 * s + x[1] / 4 / r**3
    H[1, 1] -= x[0] ** 2 * s
    H[2, 2] += 6 * x[2] * x[0]
    for i, j, h in ((0, 1, c - x[0] * x[1] * s + 0.5 / r), (0, 2, 3 * x[2] ** 2)):
        H[i, j] += h
        H[j, i] += h
    return H


def disagreeing(report):
    return [entry.name for entry in report.entries if entry.verdict == "disagrees"]


@pytest.mark.parametrize("strategy", ["sweep", "screen"])
def test_jacobians_are_checked_inside_and_single_entries_are_named(strategy):
    fun, jac = Recorded(outputs), Recorded(slopes)
    options = {"bounds": BOUNDS, "backend": "python", "strategy": strategy}
    report = fg.check_jacobian(fun, jac, AT, **options)
    assert report, str(report)
    assert SIDED.format("x") in str(report)
    for i, j in ((0, 0), (3, 1), (2, 2), (2, 3)):
        wrong = slopes(AT)
        wrong[i, j] *= 1.001
        report = fg.check_jacobian(fun, wrong, AT, **options)
        assert disagreeing(report) == [f"out[{i}] / x[{j}]"]
    assert fun.stayed()
    assert jac.stayed()


@pytest.mark.parametrize("options", [{}, {"order": 4}, {"order": 6}, {"step": "adaptive"}])
def test_estimated_jacobians_keep_their_order_and_their_bars(options):
    fun = Recorded(outputs)
    g = fg.jacobian(fun, bounds=BOUNDS, backend="python", **options)
    np.testing.assert_allclose(g(AT), slopes(AT), rtol=1e-8, atol=1e-8)
    found = g.estimate(AT)
    assert np.all(np.abs(found.jacobian - slopes(AT)) <= found.error)
    assert found.error.max() < 1e-7
    assert fun.stayed()


@njit(cache=True)
def rooted(x):
    return np.array([np.sqrt(x[0]), x[0] * x[1], np.log(x[1])])


def test_compiled_functions_stay_inside_too():
    """Beyond their bounds these are NaN: what was asked there would show."""
    x, low = np.array([0.25, 1.0]), np.array([0.25, 1.0])
    J = np.array([[1.0, 0], [1.0, 0.25], [0, 1.0]])
    report = fg.check_jacobian(rooted, J, x, bounds=(low, None), backend="compiled")
    assert report, str(report)
    report = fg.check_jacobian(rooted, J + np.eye(3, 2), x, bounds=(low, None))
    assert set(disagreeing(report)) == {"out[0] / x[0]", "out[1] / x[1]"}


def test_inputs_of_one_colour_at_bounds_on_either_side():
    """They are moved together, each towards where there is room."""
    n = 60
    rng = np.random.default_rng(0)
    low, high = np.full(n, -1.0), np.full(n, 1.0)
    x = rng.uniform(-1, 1, n)
    x[::4], x[1::5] = -1.0, 1.0
    fun = Recorded(chain, low, high)
    options = {"bounds": (low, high), "backend": "python"}
    report = fg.check_jacobian(fun, of_chain, x, **options)
    assert report, str(report)
    wrong = of_chain(x).tolil()
    wrong[20, 20], wrong[30, 31] = 1.01 * wrong[20, 20], 0
    wrong = wrong.tocsr()
    wrong.eliminate_zeros()
    report = fg.check_jacobian(fun, wrong, x, **options)
    assert set(disagreeing(report)) == {"out[20] / x[20]", "out[30] / x[31]"}
    found = fg.jacobian(fun, sparsity=of_chain(x), **options).estimate(x)
    error = np.abs((found.jacobian - of_chain(x)).toarray())
    assert np.all(error <= found.error.toarray())
    assert fun.stayed()


@pytest.mark.parametrize("grad", [None, gradient])
def test_hessians_and_products_inside(grad):
    f, g = Recorded(loss), None if grad is None else Recorded(grad)
    options = {"grad": g, "bounds": BOUNDS, "backend": "python"}
    H = hessian(AT)
    report = fg.check_hessian(f, hessian, AT, **options)
    assert report, str(report)
    assert SIDED.format("theta") in str(report)
    wrong = H.copy()
    wrong[0, 1] *= 1.001
    report = fg.check_hessian(f, wrong, AT, **options)
    assert disagreeing(report) == ["theta[0] / theta[1]"]
    found = fg.hessian(f, **options).estimate(AT)
    assert np.all(np.abs(found.hessian - H) <= found.error)
    assert found.error.max() < 1e-6
    v = np.array([-1.0, 1.0, 0.5, 2.0])  # out of the box in two entries, into it in two
    found = fg.hvp(f, **options).estimate(AT, v)
    assert np.all(np.abs(found.hessian - H @ v) <= found.error)
    assert found.error.max() < 1e-5
    assert fg.check_hvp(f, lambda x, v: hessian(x) @ v, AT, **options)
    report = fg.check_hvp(f, lambda x, v: hessian(x) @ v + [0, 0.01, 0, 0], AT, **options)
    assert disagreeing(report) == ["theta[1]"]
    assert f.stayed()
    assert g is None or g.stayed()


def test_the_same_through_an_executor():
    """What evaluates elsewhere is asked for no point outside either."""
    with ThreadPoolExecutor(2) as pool:
        for grad in (None, gradient):
            f = Recorded(loss)
            options = {"grad": grad, "bounds": BOUNDS, "backend": "python"}
            here = fg.hessian(loss, **options).estimate(AT)
            there = fg.hessian(f, executor=pool, **options).estimate(AT)
            np.testing.assert_array_equal(here.hessian, there.hessian)
            assert grad is not None or f.stayed()
        fun = Recorded(outputs)
        options = {"bounds": BOUNDS, "backend": "python"}
        assert fg.check_jacobian(fun, slopes, AT, executor=pool, **options)
        assert fun.stayed()


def test_tangents_go_inward():
    fun = Recorded(outputs)
    options = {"bounds": ({"x": LOW}, {"x": HIGH})}
    for seed in range(3):
        report = fg.check_jvp(fun, lambda dx, x: slopes(x) @ dx, AT, seed=seed, **options)
        assert report, str(report)
    report = fg.check_jvp(fun, lambda dx, x: slopes(x) @ dx + [0, 0, 0, 0.01], AT, **options)
    assert disagreeing(report) == ["out[3]"]
    assert fun.stayed()


def test_a_kink_at_a_bound_is_none():
    """From above, |x| has the slope 1, and max(x, 0)^2 / 2 the curvature 1."""
    x = np.array([0.0, 1.0])
    options = {"bounds": (0, None), "backend": "python"}
    assert fg.check_jacobian(np.abs, np.eye(2), x, **options)
    assert not fg.check_jacobian(np.abs, np.diag([0.5, 1]), x, **options)
    report = fg.check_jacobian(np.abs, np.diag([0.5, 1]), x, backend="python")
    assert report.counts["kink: valid subgradient"] == 1

    def half(x):
        return float((np.maximum(x, 0) ** 2).sum() / 2)

    assert fg.check_hessian(half, np.eye(2), x, **options)
    assert not fg.check_hessian(half, np.diag([0.5, 1]), x, **options)


def logs(x):
    """Its second output is NaN for a negative x[1], the others are not; it raises for x[2] < 0."""
    if x[2] < 0:
        raise ValueError("negative")
    with np.errstate(invalid="ignore"):
        return np.array([np.exp(x[0] + x[1]), x[0] * x[1] * np.sqrt(x[1]) + x[1], x[2] + x[0]])


def of_logs(x):
    e = np.exp(x[0] + x[1])
    return np.array([[e, e, 0], [x[1] ** 1.5, 1.5 * x[0] * np.sqrt(x[1]) + 1, 0], [1, 0, 1.0]])


def test_entry_by_entry_at_edges_of_the_domain():
    """Only pairs without a difference are one-sided: an output that is finite is differenced as ever."""
    x = np.array([0.0, 0.0, 0.0])
    report = fg.check_jacobian(logs, of_logs, x, backend="python")
    assert report, str(report)
    sided = {entry.name for entry in report.entries if "one-sided" in entry.note}
    assert sided == {"out[1] / x[1]", *(f"out[{i}] / x[2]" for i in range(3))}
    assert "at the edge of the loss's domain, which is finite above alone" in str(report)
    wrong = of_logs(x)
    wrong[1, 1] = 1.01
    assert disagreeing(fg.check_jacobian(logs, wrong, x, backend="python")) == ["out[1] / x[1]"]
    # One told, the other not.
    low = np.array([-np.inf, 0.0, -np.inf])
    report = fg.check_jacobian(logs, of_logs, x, bounds=(low, None), backend="python")
    assert report, str(report)
    assert "x[1] at its bound" in str(report)
    assert "out[0] / x[2], out[1] / x[2], out[2] / x[2] lie at the edge" in str(report)


def edged(x):
    if x[1] < 0 or x[2] > 1:
        return np.inf
    return float(np.exp(x[0] * x[1]) + x[1] ** 3 + x[0] ** 2 * x[2] ** 2 + x[1] * x[2])


def of_edged(x):
    a, b, c = x
    e = np.exp(a * b)
    return np.array(
        [
            [b * b * e + 2 * c * c, e + a * b * e, 4 * a * c],
            [e + a * b * e, a * a * e + 6 * b, 1],
            [4 * a * c, 1, 2 * a * a],
        ]
    )


def test_hessians_at_edges_of_the_domain():
    x = np.array([0.7, 0.0, 1.0])
    report = fg.check_hessian(edged, of_edged, x, backend="python")
    assert report, str(report)
    assert "theta[1], theta[2] lie at the edge of the loss's domain" in str(report)
    wrong = of_edged(x)
    wrong[1, 2] = 1.01
    report = fg.check_hessian(edged, wrong, x, backend="python")
    assert disagreeing(report) == ["theta[1] / theta[2]"]


def cubes(x):
    if np.any(x < 0):
        raise ValueError("negative")
    return float((x**3).sum() + x[0] * x[1])


def of_cubes(x):
    if np.any(x < 0):
        raise ValueError("negative")
    return 3 * x**2 + np.array([x[1], x[0], 0])


def bends_of_cubes(x):
    return np.diag(6 * x) + np.array([[0, 1.0, 0], [1, 0, 0], [0, 0, 0]])


EDGE = "theta[0], theta[2] lie at the edge of the loss's domain"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("grad", [None, of_cubes])
def test_products_at_edges_that_nobody_told_of(grad, seed):
    """The vector points out of the domain in some entries, with some seeds in all."""
    x = np.array([0.0, 1.0, 0.0])
    options = {"grad": grad, "backend": "python", "seed": seed}
    report = fg.check_hvp(cubes, lambda x, v: bends_of_cubes(x) @ v, x, **options)
    assert report, str(report)
    assert EDGE in str(report)
    off = np.array([0, 0, 0.01])
    report = fg.check_hvp(cubes, lambda x, v: bends_of_cubes(x) @ v + off, x, **options)
    assert disagreeing(report) == ["theta[2]"]
    report = fg.check_hessian(cubes, bends_of_cubes, x, **options)
    assert report, str(report)
    found = fg.hessian(cubes, grad=grad, backend="python").estimate(x)
    assert np.all(np.abs(found.hessian - bends_of_cubes(x)) <= found.error)


@pytest.mark.parametrize("seed", range(3))
def test_tangents_at_edges_that_nobody_told_of(seed):
    def fun(x):
        return np.append(of_cubes(x), x.sum())

    def rule(v, x):
        return np.append(bends_of_cubes(x) @ v, v.sum())

    x = np.array([0.0, 1.0, 0.0])
    report = fg.check_jvp(fun, rule, x, seed=seed)
    assert report, str(report)
    report = fg.check_jvp(fun, lambda v, x: rule(v, x) * [1, 1, 1, 1.01], x, seed=seed)
    assert disagreeing(report) == ["out[3]"]


def test_a_box_and_how_far_one_may_go_in_it():
    box, theta = Box(np.array([0.0, -np.inf, 1.0]), np.array([np.inf, 2.0, 3.0])), [0.0, 2.0, 2.0]
    theta = np.array(theta)
    np.testing.assert_allclose(box.ahead(theta, np.array([1.0, -1, 2])), [np.inf, np.inf, 0.5])
    np.testing.assert_allclose(box.ahead(theta, np.array([-1.0, 1, 0])), [0, 0, np.inf])
    np.testing.assert_array_equal(box.turned(theta, np.array([-1.0, 1, 2])), [1, -1, 2])


@pytest.mark.slow
def test_no_point_outside_over_many_boxes():
    """Random boxes, narrow ones among them, and points in, at and near their faces."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        low = np.where(rng.random(4) < 0.7, rng.normal(size=4), -np.inf)
        width = 10.0 ** rng.uniform(-6, 1, 4)
        high = np.where(rng.random(4) < 0.7, np.maximum(low, -3) + width, np.inf)
        x = np.clip(rng.normal(size=4), low, high)
        near = rng.random(4) < 0.3
        x[near] = np.clip(low + 10.0 ** rng.uniform(-12, -3), low, high)[near]
        x[~np.isfinite(x)] = 0.0
        x = np.clip(x, low, high)
        options = {"bounds": (low, high), "backend": "python"}
        fun, f, g = (Recorded(part, low, high) for part in (chain, _total, _of_total))
        J = of_chain(x).toarray()
        assert fg.check_jacobian(fun, J, x, **options).verdict != "disagrees", seed
        assert fg.check_jacobian(fun, of_chain, x, **options).verdict != "disagrees", seed
        assert fg.check_hessian(f, _bends, x, **options).verdict != "disagrees", seed
        assert fg.check_hessian(f, _bends, x, grad=g, **options).verdict != "disagrees", seed
        for grad in (None, g):
            product = fg.check_hvp(f, lambda x, v: _bends(x) @ v, x, grad=grad, **options)
            assert product.verdict != "disagrees", seed
        assert fun.stayed(), seed
        assert f.stayed(), seed
        assert g.stayed(), seed


def _total(x):
    return float((x**4).sum() + np.sin(x[0] * x[1]))


def _of_total(x):
    g = 4 * x**3
    g[:2] += np.cos(x[0] * x[1]) * x[1::-1]
    return g


def _bends(x):
    H, p = np.diag(12 * x**2), x[0] * x[1]
    H[:2, :2] -= np.sin(p) * np.outer(x[1::-1], x[1::-1])
    H[0, 1] += np.cos(p)
    H[1, 0] += np.cos(p)
    return H
