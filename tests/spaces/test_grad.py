"""Numerical gradients on spaces: in the form that users write them, beside the hand-derived ones."""

import numpy as np
import pytest

import fastgrad as fg
from tests.spaces.engines import CASES


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_is_the_right_one_in_its_own_form(name):
    case = CASES[name](np.random.default_rng(1))
    got = fg.grad(case.loss, space=case.space, backend="python")(case.point)
    expected = case.grad(case.point)
    assert type(got) is type(expected)
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= 1e-8 * np.abs(expected).max()


def test_error_bars_hold_and_have_no_sign():
    case = CASES["complex wirtinger"](np.random.default_rng(1))
    found = fg.grad(case.loss, space=case.space, backend="python").estimate(case.point)
    off = found.gradient - case.grad(case.point)
    assert np.all(np.abs(off.real) <= found.error.real)
    assert np.all(found.error.imag > 0)


def squares(z):
    return (np.abs(z) ** 2).sum()


def test_complex_theta_as_it_is():
    z = np.array([1 + 2j, -3j])
    g = fg.grad(squares)
    assert np.allclose(g(z), 2 * z, atol=1e-8)
    assert g(z.astype(np.complex64)).dtype == np.complex64
    value, gradient = fg.value_and_grad(squares)(z)
    assert value == 14
    assert np.allclose(gradient, 2 * z, atol=1e-8)
    nested = {"a": z, "b": [z[:1], 2.0]}

    def loss(t):
        return squares(t["a"]) + squares(t["b"][0]) * t["b"][1]

    got = fg.grad(loss, backend="python")(nested)
    assert np.allclose(got["b"][0], 4 * z[:1], atol=1e-8)
    assert isinstance(got["b"][1], float)
    assert abs(got["b"][1] - 5) < 1e-8


def test_a_complex_number_and_a_matrix_of_them_compiled():
    def loss(z):
        return abs(z) ** 2

    assert abs(fg.grad(loss, backend="compiled")(1 + 2j) - (2 + 4j)) < 1e-8

    def of_matrix(Z):
        return (np.abs(Z @ Z.conj().T) ** 2).sum()

    Z = np.array([[1 + 1j, 2.0], [0.5j, -1]])
    expected = 4 * Z @ Z.conj().T @ Z
    got = fg.grad(of_matrix, backend="compiled")(Z)
    assert np.allclose(got, expected, atol=1e-6)


def test_structures_of_spaces_by_block():
    theta = {"R": np.eye(3), "z": np.array([1j, 2.0]), "w": np.array([3.0, 4.0])}

    def loss(t):
        return (t["R"][0] * t["w"][0]).sum() + squares(t["z"]) + (t["w"] ** 2).sum()

    got = fg.grad(loss, space={"R": fg.spaces.rotation()}, backend="python")(theta)
    assert got["R"].shape == (3,)
    assert np.allclose(got["R"], [0, 3, -3], atol=1e-8)
    assert np.allclose(got["z"], 2 * theta["z"], atol=1e-8)
    assert np.allclose(got["w"], [7, 8], atol=1e-7)


def test_one_space_stands_for_every_array_of_a_structure():
    poses = [np.eye(4), np.eye(4)]
    got = fg.grad(lambda T: T[0][0, 3] - T[1][1, 3], space=fg.spaces.pose(), backend="python")(
        poses
    )
    assert np.allclose(got, [[0, 0, 0, 1, 0, 0], [0, 0, 0, 0, -1, 0]], atol=1e-9)


def test_complex64_right_and_conjugated():
    """Of single precision: points between are complex64, and are not taken for writes."""
    rng = np.random.default_rng(2)
    B = (rng.standard_normal((5, 5)) + 1j * rng.standard_normal((5, 5))).astype(np.complex64)
    z = (rng.standard_normal(5) + 1j * rng.standard_normal(5)).astype(np.complex64)

    def loss(z, B):
        return (np.abs(B @ z) ** 2).sum()

    def grad(z, B):
        return 2 * B.conj().T @ (B @ z)

    for backend in ("python", "auto"):
        report = fg.check_grad(loss, grad, z, B, backend=backend)
        assert report.verdict == "agrees"
        assert any('df/dx + i df/dy, convention "steepest"' in said for said in report.remarks)
        wrong = fg.check_grad(loss, lambda z, B: grad(z, B).conj(), z, B, backend=backend)
        assert (wrong.verdict, wrong.diagnoses[0].law) == ("disagrees", "conjugate")


def test_a_euclidean_gradient_is_projected_and_its_normal_part_is_free():
    rng = np.random.default_rng(3)
    S, x = rng.standard_normal((6, 6)), rng.standard_normal(6)
    x /= np.linalg.norm(x)
    given = {"space": fg.spaces.sphere(gradient="euclidean"), "backend": "python"}

    def euclidean(x):
        return (S + S.T) @ x

    assert fg.check_grad(lambda x: x @ S @ x, euclidean, x, **given)
    assert fg.check_grad(lambda x: x @ S @ x, lambda x: euclidean(x) + 3 * x, x, **given)
    wrong = fg.check_grad(lambda x: x @ S @ x, lambda x: euclidean(x) + np.eye(6)[2], x, **given)
    assert (wrong.verdict, wrong.diagnoses[0].law) == ("disagrees", "smeared")


@pytest.mark.parametrize("order", ["xyzw", "wxyz"])
def test_a_gradient_by_the_four_numbers_of_a_quaternion(order):
    """Right as it is; with the real part in the other place it is named."""
    rng = np.random.default_rng(4)
    A, q = rng.standard_normal((4, 4)), rng.standard_normal(4)
    q /= np.linalg.norm(q)
    given = {"space": fg.spaces.quaternion(order), "backend": "python"}

    def grad(q):
        return (A + A.T) @ q + 3 * q**2

    def loss(q):
        return q @ A @ q + (q**3).sum()

    assert fg.check_grad(loss, grad, q, **given)
    turn = 1 if order == "xyzw" else -1
    wrong = fg.check_grad(loss, lambda q: np.roll(grad(q), turn), q, **given)
    assert (wrong.verdict, wrong.diagnoses[0].law) == ("disagrees", "exchanged-halves")
    assert "its real part is " in wrong.diagnoses[0].sentence
