"""Complex steps: exact to rounding, in Python and compiled, and refused where a loss is not analytic."""

import numpy as np
import pytest
from numba import njit

import fastgrad as fg

X = np.array([0.3, -1.2, 2.0, 0.7])


def smooth(x):
    return (np.exp(x) * np.sin(x)).sum() + x[0] * x[1] * x[2] / (1.0 + x[3] * x[3])


def slope(x):
    q = 1 + x[3] ** 2
    more = np.array([x[1] * x[2], x[0] * x[2], x[0] * x[1], -2 * x[3] * x[0] * x[1] * x[2] / q]) / q
    return np.exp(x) * (np.sin(x) + np.cos(x)) + more


@pytest.mark.parametrize("backend", ["python", "compiled"])
def test_exact_to_rounding_in_one_evaluation_an_entry(backend):
    g = fg.grad(smooth, method="complex", backend=backend)
    np.testing.assert_allclose(g(X), slope(X), rtol=1e-14, atol=1e-14)
    found = g.estimate(X)
    assert np.all(np.abs(found.gradient - slope(X)) <= found.error)
    assert found.evaluations <= X.size + 10
    value, gradient = g.value_and_grad(X)
    assert value == pytest.approx(smooth(X))
    np.testing.assert_array_equal(gradient, g(X))


def blocks(p, c):
    return c * (p["a"] ** 2).sum() * p["b"]


def test_structures_and_arguments():
    p = {"a": np.array([1.0, 2.0]), "b": 3.0}
    g = fg.grad(blocks, method="complex", backend="python", trainable="a")(p, 2.0)
    np.testing.assert_allclose(g["a"], 12 * p["a"], rtol=1e-14)
    assert g["b"] == 0

    @njit
    def compiled(p, c):
        return c * (p.a * p.a).sum() * p.b

    g = fg.grad(compiled, method="complex")(p, 2.0)
    np.testing.assert_allclose(g["a"], 12 * p["a"], rtol=1e-14)
    assert g["b"] == pytest.approx(10.0, rel=1e-14)
    g = fg.grad(lambda c, x: (c * x * x).sum(), method="complex", argnum=1, backend="python")(
        2.0, X
    )
    np.testing.assert_allclose(g, 4 * X, rtol=1e-14)


SILENT = {
    "abs": lambda x: np.abs(x).sum() + 0j * x[0],
    "norm": lambda x: np.linalg.norm(x) + 0j * x[0],
    "vdot": lambda x: np.vdot(x, x),
    "real": lambda x: x.real.sum() + 0j * x[0],
    "conj": lambda x: (x * np.conj(x)).sum(),
    "a comparison": lambda x: (x * (x.imag == 0)).sum(),
    "no complex number": lambda x: np.abs(x).sum(),
    "a cast": lambda x: float(np.sum(x)),
}


@pytest.mark.parametrize("name", SILENT)
def test_losses_that_are_silently_wrong_are_refused(name):
    loss = SILENT[name]
    with pytest.raises(ValueError, match="method") as caught:
        fg.grad(loss, method="complex", backend="python")(X)
    for word in ("does not do with complex numbers", 'method="central" takes any'):
        assert word in str(caught.value)


def test_powers_of_negative_numbers_compiled():
    """numba takes them by the polar form: slopes of 1e84. NumPy multiplies."""

    def cubes(x):
        return (x**3).sum()

    np.testing.assert_allclose(
        fg.grad(cubes, method="complex", backend="python")(X), 3 * X**2, rtol=1e-14
    )
    with pytest.raises(ValueError, match="powers of negative numbers"):
        fg.grad(njit(cubes), method="complex")(X)


@pytest.mark.parametrize("backend", ["python", "compiled"])
def test_as_the_referee_of_a_check(backend):
    """It tells an error of 1e-10, which no real difference does."""
    options = {"backend": backend, "rtol": 1e-12}
    report = fg.check_grad(smooth, slope, X, method="complex", **options)
    assert report, str(report)
    assert "Judged by complex steps" in str(report)
    wrong = slope(X)
    wrong[2] *= 1 + 1e-10
    report = fg.check_grad(smooth, wrong, X, method="complex", **options)
    assert [e.name for e in report.entries if e.verdict == "disagrees"] == ["theta[2]"]
    assert fg.check_grad(smooth, wrong, X, backend=backend).verdict == "agrees"


@njit
def absolute(x):
    return x[0] * np.abs(x).sum()  # complex for complex x, and wrong


@pytest.mark.parametrize("backend", ["python", "compiled"])
def test_a_referee_refuses_with_the_reason(backend):
    slopes = X[0] * np.sign(X) + np.abs(X).sum() * np.eye(4)[0]
    assert fg.check_grad(absolute, slopes, X, backend=backend)
    with pytest.raises(ValueError, match="along a random direction complex steps give") as caught:
        fg.check_grad(absolute, slopes, X, method="complex", backend=backend)
    assert "(it uses abs)" in str(caught.value)


def test_options_that_do_not_go_with_it():
    with pytest.raises(ValueError, match="step goes with real differences"):
        fg.grad(smooth, method="complex", step=1e-3)
    for option in ({"bounds": (0, None)}, {"step": 1e-3}, {"points": 2}, {"scale": 2.0}):
        with pytest.raises(ValueError, match=f"{next(iter(option))} goes with real differences"):
            fg.check_grad(smooth, slope, X, method="complex", **option)
    with pytest.raises(ValueError, match='expected "central" or "complex"'):
        fg.check_grad(smooth, slope, X, method="forward")
