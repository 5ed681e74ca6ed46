"""Manifold objects of pymanopt and geomstats by their methods: stand-ins of both protocols."""

import numpy as np
import pytest

import fastgrad as fg

rng = np.random.default_rng(0)
S = rng.standard_normal((6, 6))
S = S + S.T


class Metric:
    """What geomstats calls ``manifold.metric``; an inner product scaled by a positive weight."""

    def __init__(self, weights=1.0):
        self.weights = weights

    def exp(self, tangent_vec, base_point):
        length = np.linalg.norm(tangent_vec)
        if length == 0:
            return base_point.copy()
        return np.cos(length) * base_point + np.sinc(length / np.pi) * tangent_vec

    def inner_product(self, u, w, base_point):
        return np.sum(self.weights * u * w)


class Hypersphere:
    """A manifold as geomstats has them."""

    def __init__(self, weights=1.0):
        self.metric = Metric(weights)

    def to_tangent(self, vector, base_point):
        return vector - np.vdot(base_point, vector) * base_point


class Sphere:
    """A manifold as pymanopt has them."""

    def projection(self, point, vector):
        return vector - np.vdot(point, vector) * point

    def retraction(self, point, tangent_vector):
        made = point + tangent_vector
        return made / np.linalg.norm(made)

    def inner_product(self, point, u, w):
        return np.vdot(u, w)


MANIFOLDS = {"geomstats": Hypersphere, "pymanopt": Sphere}


def point(seed):
    x = np.random.default_rng(seed).standard_normal(6)
    return x / np.linalg.norm(x)


def loss(x):
    return x @ S @ x + (x**3).sum()


def euclidean(x):
    return 2 * S @ x + 3 * x**2


def riemannian(x):
    return Sphere().projection(x, euclidean(x))


def smeared(x):
    return Sphere().projection(x, euclidean(x) + 0.7 * np.eye(6)[4])


@pytest.mark.parametrize("package", MANIFOLDS)
def test_right_gradients_agree_and_planted_errors_are_named(package):
    manifold = MANIFOLDS[package]()
    given = {"space": manifold, "backend": "python"}
    for seed in range(10):
        assert fg.check_grad(loss, riemannian, point(seed), **given)
    wrong = {
        "normal-part": euclidean,
        "smeared": smeared,
        "sign": lambda x: -riemannian(x),
        "scale": lambda x: 2 * riemannian(x),
    }
    for law, grad in wrong.items():
        report = fg.check_grad(loss, grad, point(0), **given)
        assert (report.verdict, report.diagnoses[0].law) == ("disagrees", law)
    title = type(manifold).__name__
    assert any(f"dimension 5 ({title})" in remark for remark in report.remarks)
    got = fg.grad(loss, **given)(point(3))
    assert np.abs(got - riemannian(point(3))).max() <= 1e-8


def test_an_inner_product_of_its_own_is_asked_for():
    """The gradient in <u, w> / 4 is four times that of the entries."""
    given = {"space": Hypersphere(0.25), "backend": "python"}
    x = point(1)
    assert fg.check_grad(loss, lambda x: 4 * riemannian(x), x, **given)
    report = fg.check_grad(loss, riemannian, x, **given)
    assert (report.verdict, report.diagnoses[0].law) == ("disagrees", "scale")
    assert np.abs(fg.grad(loss, **given)(x) - 4 * riemannian(x)).max() <= 1e-7


def test_manifolds_by_block_in_layers_and_monitors():
    theta = {"x": point(2), "w": np.ones(2)}
    space = {"x": Hypersphere()}

    def of_both(t):
        return loss(t["x"]) * t["w"][0] + t["w"][1] ** 2

    def grad(t, factor=1.0):
        return {"x": t["w"][0] * riemannian(t["x"]), "w": factor * np.array([loss(t["x"]), 2.0])}

    assert fg.check_grad(of_both, grad, theta, space=space, backend="python")
    report = fg.check_grad(of_both, lambda t: grad(t, 2.0), theta, space=space, backend="python")
    assert [block.verdict for block in report.blocks] == ["agrees", "disagrees"]
    assert fg.check_vjp(
        lambda x: np.array([loss(x)]), lambda c, x: c[0] * riemannian(x), point(2), space=Sphere()
    )


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"to_tangent": lambda v, base_point: 2 * v}, "is no projection: twice it differs"),
        ({"to_tangent": lambda v, base_point: v[:2]}, "returned 2 numbers for 6"),
    ],
)
def test_a_manifold_that_is_none_is_one_sentence(broken, said):
    manifold = Hypersphere()
    for name, method in broken.items():
        setattr(manifold, name, method)
    with pytest.raises((ValueError, TypeError), match=said):
        fg.check_grad(loss, riemannian, point(0), space=manifold, backend="python")
