"""Thetas without a space that look like they had one are asked about."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.spaces.lie import exp_rotation
from tests.spaces.engines import pose_near

rng = np.random.default_rng(0)
S = rng.standard_normal((5, 5))
S = S + S.T
x = rng.standard_normal(5)
x /= np.linalg.norm(x)


def rayleigh(x):
    return x @ S @ x / (x @ x)


def unprojected(x):
    return 2 * S @ x


def test_a_projection_that_is_missing_asks_for_the_sphere():
    report = fg.check_grad(rayleigh, unprojected, x, backend="python")
    sentence = report.diagnoses[0].sentence
    assert "the part that normalising removes" in sentence
    assert "theta has norm 1: if it lives on the sphere, say so" in sentence


def test_points_that_leave_the_sphere_ask_for_it():
    def right_on_it(x):
        return 2 * (S @ x - (x @ S @ x) * x)

    report = fg.check_grad(rayleigh, right_on_it, x, points=2, backend="python")
    assert report.verdict == "disagrees"
    assert report.remarks[0].startswith(
        "theta has norm 1: if it lives on the sphere, say so, by space"
    )
    assert fg.check_grad(
        rayleigh, right_on_it, x, points=3, space=fg.spaces.sphere(), backend="python"
    )


C = rng.standard_normal((5, 5))
X = np.linalg.qr(rng.standard_normal((5, 2)))[0]


def invariant(X):
    return np.trace(np.linalg.solve(X.T @ X, X.T @ S @ X))


ON_SETS = {
    "the Riemannian gradient of a loss of all vectors": (
        *(lambda x: x @ S @ x, lambda x: 2 * (S @ x - (x @ S @ x) * x), x),
        *("has norm 1", "the tangent part of the numerical one", "sphere"),
    ),
    "a frame, the projection forgotten": (
        *(invariant, lambda X: 2 * S @ X, X),
        *("has orthonormal columns", "right but for its normal part", "stiefel"),
    ),
    "a frame, by a loss of all matrices": (
        *(lambda X: (S @ X * X).sum(), lambda X: 2 * (S @ X - X @ (X.T @ S @ X)), X),
        *("has orthonormal columns", "the tangent part of the numerical one", "stiefel"),
    ),
    "a symmetric matrix, by both triangles": (
        *(lambda P: (P * C).sum(), lambda P: (C + C.T) / 2, S.copy()),
        *("is symmetric", "the tangent part of the numerical one", "symmetric"),
    ),
    "a distribution": (
        *(lambda p: (p**3).sum(), lambda p: 3 * p**2 - (3 * p**2).mean(), np.arange(1.0, 5) / 10),
        *("sums to 1", "the tangent part of the numerical one", "simplex"),
    ),
}


@pytest.mark.parametrize("name", ON_SETS)
def test_gradients_that_are_right_along_a_set_ask_for_it(name):
    loss, grad, theta, looks, part, space = ON_SETS[name]
    report = fg.check_grad(loss, grad, theta, backend="python")
    assert (report.verdict, report.diagnoses[0].law) == ("disagrees", "normal-part")
    for said in (f"theta {looks}", part, f"space=fg.spaces.{space}()"):
        assert said in report.diagnoses[0].sentence
    if "tangent" in part:
        kind = getattr(fg.spaces, space)()
        assert fg.check_grad(loss, grad, theta, space=kind, backend="python")


def test_a_norm_of_one_alone_asks_for_nothing():
    for seed in range(10):
        wrong = 2 * S @ x + 0.1 * np.random.default_rng(seed).standard_normal(5)
        report = fg.check_grad(lambda x: x @ S @ x, wrong, x, backend="python")
        assert report.diagnoses[0].law != "normal-part"


@pytest.mark.parametrize("refusal", ["raises", "is not a number"])
def test_a_loss_that_refuses_every_neighbour_asks_for_its_set(refusal):
    def strict(P):
        if np.array_equal(P, P.T):
            return (P * S).sum()
        if refusal == "raises":
            raise ValueError("not symmetric")
        return np.nan

    report = fg.check_grad(strict, lambda P: S, S.copy(), backend="python")
    assert report.verdict == "inconclusive"
    assert any("theta is symmetric: if it lives on the symmetric" in r for r in report.remarks)


def test_six_numbers_for_sixteen_ask_for_a_space():
    with pytest.raises(ValueError, match=r"a gradient in a tangent space\? Say which by space="):
        fg.check_grad(lambda T: T[0, 3], lambda T: np.zeros(6), pose_near(rng), backend="python")
    batch = pose_near(rng, (5,))
    with pytest.raises(
        ValueError, match=r"\(6 numbers for 16 each: a gradient in tangent spaces\?"
    ):
        fg.check_grad(lambda T: T[0, 0, 3], np.zeros((5, 6)), batch, backend="python")
    with pytest.raises(ValueError, match=r"got \(6, 5\)$"):
        fg.check_grad(lambda T: T[0, 0, 3], np.zeros((6, 5)), batch, backend="python")


class Angle:
    """A point of a class of its own, which is no array."""


def test_an_object_that_is_no_array_asks_for_a_space():
    with pytest.raises(TypeError, match=r"theta is Angle: .* takes space=fg.Space\(retract, dim"):
        fg.check_grad(lambda a: 0.0, lambda a: np.zeros(1), Angle(), backend="python")
    with pytest.raises(TypeError) as caught:
        fg.check_grad(lambda a: 0.0, lambda a: np.zeros(1), "text", backend="python")
    assert "space=" not in str(caught.value)


B = rng.standard_normal((4, 4)) + 1j * rng.standard_normal((4, 4))
PAIRS = rng.standard_normal(8)


def of_pairs(x):
    return (np.abs(B @ x.view(complex)) ** 2).sum() + (np.real(B @ x.view(complex)) ** 3).sum()


def by_pairs(x, conjugate=True, factor=1.0):
    y = B @ x.view(complex)
    g = factor * (2 * B.conj().T @ y + B.conj().T @ (3 * np.real(y) ** 2))
    return (g.conj() if conjugate else g).view(float)


TURNS = exp_rotation(rng.standard_normal((4, 3)))
POINTS, TARGETS = rng.standard_normal((2, 4, 3))


def of_vectors(w):
    moved = np.einsum("bij,bj->bi", TURNS @ exp_rotation(w), POINTS)
    return ((moved - TARGETS) ** 3).sum()


def by_vectors(w, frame="body"):
    force = 3 * (np.einsum("bij,bj->bi", TURNS, POINTS) - TARGETS) ** 2
    body = np.cross(POINTS, np.einsum("bji,bj->bi", TURNS, force))
    return body if frame == "body" else np.einsum("bij,bj->bi", TURNS, body)


def moved_alike(x):
    return (np.sin(x) * TARGETS).sum()


M = S @ S


def of_matrix(P):
    return (M * (P @ P)).sum()


def by_matrix(P, part=lambda g: g):
    return part(M @ P.T + P.T @ M)


def doubled(g):
    return 2 * g - np.diag(np.diag(g))


ZEROS, SYMMETRIC = np.zeros((4, 3)), S + 5 * np.eye(5)
WITHOUT_SPACE = {
    "pairs, conjugated": (of_pairs, by_pairs, PAIRS, "conjugate", "every second entry"),
    "pairs, half of it": (
        *(of_pairs, lambda x: by_pairs(x, factor=0.5), PAIRS),
        *("convention", "half of the right one"),
    ),
    "world for body": (
        *(of_vectors, lambda w: by_vectors(w, "world"), ZEROS),
        *("frame", "the norm is right and the direction is not: it is in another frame"),
    ),
    "one frame for all": (
        *(moved_alike, lambda x: (np.cos(x) * TARGETS) @ TURNS[0], POINTS),
        *("frame", "all by one rotation, of "),
    ),
    "doubled off the diagonal": (
        *(of_matrix, lambda P: by_matrix(P, doubled), SYMMETRIC),
        *("off-diagonal", "twice the numerical one off it"),
    ),
    "one triangle": (
        *(of_matrix, lambda P: by_matrix(P, np.tril), SYMMETRIC),
        *("one-triangle", "has its lower triangle alone, which is right"),
    ),
    "one triangle for both": (
        *(of_matrix, lambda P: by_matrix(P, lambda g: np.triu(doubled(g))), SYMMETRIC),
        *("one-triangle", "upper triangle alone, which is twice the right one off the diagonal"),
    ),
    "degrees": (
        *(moved_alike, lambda x: np.pi / 180 * np.cos(x) * TARGETS, POINTS),
        *("scale", "perhaps degrees taken for radians"),
    ),
    **{
        f"a unit, {factor}": (
            *(moved_alike, lambda x, f=factor: f * np.cos(x) * TARGETS, POINTS),
            *("scale", f"perhaps {said}"),
        )
        for factor, said in (
            (0.529177, "bohr and angstrom"),
            (27.2114, "hartree and electron volt"),
            (96.4853, "electron volt and kJ/mol"),
            (4.184, "calorie and joule"),
        )
    },
}


@pytest.mark.parametrize("name", WITHOUT_SPACE)
def test_conventions_are_named_without_a_space(name):
    loss, grad, theta, law, said = WITHOUT_SPACE[name]
    report = fg.check_grad(loss, grad, theta, backend="python")
    assert report.verdict == "disagrees"
    assert report.diagnoses[0].law == law
    assert said in report.diagnoses[0].sentence


def test_no_frame_is_seen_where_norms_differ_or_signs_alone():
    for seed in range(20):
        wrong = np.random.default_rng(seed).standard_normal((4, 3))
        wrong *= np.linalg.norm(by_vectors(ZEROS), axis=1)[:, None] / 2
        report = fg.check_grad(of_vectors, wrong, ZEROS, backend="python")
        assert report.diagnoses[0].law != "frame"
    signs = by_vectors(ZEROS) * [[1, -1, 1], [-1, 1, 1], [1, 1, 1], [1, 1, -1]]
    assert fg.check_grad(of_vectors, signs, ZEROS, backend="python").diagnoses[0].law != "frame"
