"""Spaces beside plain coordinates, and beside the checkers of pymanopt and GTSAM."""

import contextlib
import io
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from numba import njit

import fastgrad as fg
from bench.measure import measured, seconds_of
from fastgrad.spaces.lie import exp_rotation

POINTS = 20
TARGET = "1.3"
"""Times the same in plain coordinates, at most."""
TURNS = 25
SWEEP = {"budget": None, "strategy": "sweep", "backend": "compiled"}


def in_turns(ours: Callable[[], Any], theirs: Callable[[], Any]) -> dict[str, float]:
    """The least time of either in many turns: a machine that does other things lengthens any other."""
    both = [(seconds_of(ours), seconds_of(theirs)) for _ in range(TURNS)]
    least, beside = map(min, zip(*both, strict=True))
    return {"least": least, "beside": beside}


@njit
def apart(R, P, Z):
    """Points turned, beside others, robustly."""
    total = 0.0
    for b in range(R.shape[0]):
        for i in range(P.shape[1]):
            for k in range(3):
                e = -Z[b, i, k]
                for j in range(3):
                    e += R[b, k, j] * P[b, i, j]
                total += e * e / (1 + e * e)
    return total


@njit
def by_vectors(w, R, P, Z):
    """The same of rotation vectors, R Exp(w), as one would write it by hand."""
    Q, E = np.empty_like(R), np.empty((3, 3))
    for b in range(R.shape[0]):
        x, y, z = w[b]
        s = x * x + y * y + z * z
        t = np.sqrt(s)
        A, B = (np.sin(t) / t, (1 - np.cos(t)) / s) if t > 1e-6 else (1.0, 0.5)
        E[0, 0], E[0, 1], E[0, 2] = 1 - B * (y * y + z * z), B * x * y - A * z, B * x * z + A * y
        E[1, 0], E[1, 1], E[1, 2] = B * x * y + A * z, 1 - B * (x * x + z * z), B * y * z - A * x
        E[2, 0], E[2, 1], E[2, 2] = B * x * z - A * y, B * y * z + A * x, 1 - B * (x * x + y * y)
        for i in range(3):
            for j in range(3):
                Q[b, i, j] = R[b, i, 0] * E[0, j] + R[b, i, 1] * E[1, j] + R[b, i, 2] * E[2, j]
    return apart(Q, P, Z)


def turned(count: int):
    """A check on the space, and the same of rotation vectors."""
    rng = np.random.default_rng(count)
    R = exp_rotation(rng.standard_normal((count, 3)))
    P, Z = rng.standard_normal((2, count, POINTS, 3))
    space, w = fg.spaces.rotation(), np.zeros((count, 3))
    g = fg.grad(apart, space=space)(R, P, Z)
    on_space = partial(fg.check_grad, apart, g, R, P, Z, space=space, **SWEEP)
    return on_space, partial(fg.check_grad, by_vectors, g, w, R, P, Z, **SWEEP)


@njit
def squares(z, A, b):
    total = 0.0
    for i in range(A.shape[0]):
        s = -b[i]
        for j in range(z.size):
            s += A[i, j] * z[j]
        total += s.real**2 + s.imag**2
    return total


@njit
def of_pairs(x, A, B, b, c):
    """The same by real and imaginary parts."""
    total = 0.0
    for i in range(A.shape[0]):
        real, imaginary = -b[i], -c[i]
        for j in range(A.shape[1]):
            real += A[i, j] * x[2 * j] - B[i, j] * x[2 * j + 1]
            imaginary += A[i, j] * x[2 * j + 1] + B[i, j] * x[2 * j]
        total += real**2 + imaginary**2
    return total


def complexes(count: int):
    """A check of complex theta, and the same of pairs."""
    rng = np.random.default_rng(count)
    A = rng.standard_normal((count, count)) + 1j * rng.standard_normal((count, count))
    z, b = rng.standard_normal((2, count)) + 1j * rng.standard_normal((2, count))
    g = 2 * A.conj().T @ (A @ z - b)
    parts = [part.copy() for part in (A.real, A.imag, b.real, b.imag)]
    x, gx = z.view(float).copy(), g.view(float).copy()
    plain = partial(fg.check_grad, of_pairs, gx, x, *parts, **SWEEP)
    return partial(fg.check_grad, squares, g, z, A, b, **SWEEP), plain


@njit
def wave(x, w):
    total = 0.0
    for i in range(x.size):
        total += np.cos(3 * x[i] + w[i])
    return total


def screened(count: int):
    """A screen on a sphere, and one of as many plain numbers."""
    rng = np.random.default_rng(count)
    x, w = rng.standard_normal((2, count))
    x /= np.linalg.norm(x)
    g = -3 * np.sin(3 * x + w)
    space = fg.spaces.sphere()
    screen = {"budget": None, "strategy": "screen", "backend": "compiled"}
    on_space = partial(fg.check_grad, wave, space.tangent(x, g), x, w, space=space, **screen)
    return on_space, partial(fg.check_grad, wave, g, x, w, **screen)


PAIRS: dict[str, tuple[Callable[[int], Any], int, int]] = {
    "sweep of rotations, beside rotation vectors": (turned, 20, 3),
    "sweep of many rotations, beside rotation vectors": (turned, 200, 3),
    "sweep of complex numbers, beside pairs": (complexes, 50, 2),
    "sweep of many complex numbers, beside pairs": (complexes, 150, 2),
    "screen on a sphere, beside plain numbers": (screened, 6000, 1),
}


@pytest.mark.parametrize("what", PAIRS)
def test_beside_plain_coordinates(what, benchmark, quick):
    make, count, entries = PAIRS[what]
    on_space, plain = make(5 if quick else count)
    assert plain().verdict == "agrees"
    target = TARGET if what.startswith("sweep") else ""
    facts = {"table": "spaces", "what": what, "n": count * entries, "target": target}
    report = measured(benchmark, on_space, rival="plain coordinates", **facts)
    assert report.verdict == "agrees"
    if not benchmark.disabled:
        benchmark.extra_info.update(in_turns(on_space, plain))


def on_sphere(rng: np.random.Generator):
    pytest.importorskip("pymanopt")
    import pymanopt
    from pymanopt.manifolds import Sphere

    manifold, S = Sphere(50), rng.standard_normal((50, 50))
    S = S + S.T

    @pymanopt.function.numpy(manifold)
    def cost(x):
        return x @ S @ x

    @pymanopt.function.numpy(manifold)
    def euclidean(x):
        return 2 * S @ x

    problem = pymanopt.Problem(manifold, cost, euclidean_gradient=euclidean)
    x = rng.standard_normal(50)
    return manifold, problem, S, x / np.linalg.norm(x)


def test_a_check_of_pymanopt(benchmark):
    """What it says is a figure of a slope, the same for right and wrong; with some NumPys it raises."""
    manifold, problem, S, x = on_sphere(np.random.default_rng(0))
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot
    from pymanopt.tools.diagnostics import check_gradient

    said = "a figure"

    def theirs():
        np.random.seed(0)
        with contextlib.redirect_stdout(io.StringIO()):
            check_gradient(problem, x)
        pyplot.close("all")

    try:
        theirs()
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    facts = {"table": "spaces", "what": "check of a gradient on a sphere", "n": 50}
    facts |= {"rival": f"pymanopt check_gradient ({said})", "target": ""}
    call = partial(
        fg.check_grad,
        lambda x: x @ S @ x,
        lambda x: manifold.euclidean_to_riemannian_gradient(x, 2 * S @ x),
        x,
        space=manifold,
        backend="python",
    )
    report = measured(benchmark, call, **facts)
    assert report.verdict == "agrees"
    if said == "a figure" and not benchmark.disabled:
        benchmark.extra_info.update(in_turns(call, theirs))


def test_a_derivative_of_gtsam(benchmark):
    gtsam = pytest.importorskip("gtsam")
    from gtsam.utils.numerical_derivative import numericalDerivative11

    rng = np.random.default_rng(1)
    T, (p, z) = gtsam.Pose3.Expmap(rng.standard_normal(6)), rng.standard_normal((2, 3))

    def loss(T):
        return float(((T.transformFrom(p) - z) ** 2).sum())

    H, Hp = np.zeros((3, 6), order="F"), np.zeros((3, 3), order="F")
    exact = 2 * (T.transformFrom(p, H, Hp) - z) @ H  # which fills H

    def theirs():
        return numericalDerivative11(loss, T)[0]

    g = fg.grad(loss, space=fg.Space(gtsam.Pose3.retract, dim=6), backend="python")
    facts = {"table": "spaces", "what": "gradient by a Pose3", "n": 6, "target": ""}
    facts |= {"rival": "GTSAM numericalDerivative11"}
    got = measured(benchmark, lambda: g(T), **facts)
    if not benchmark.disabled:
        benchmark.extra_info.update(in_turns(lambda: g(T), theirs))
    size = np.abs(exact).max()
    benchmark.extra_info["error"] = float(np.abs(got - exact).max() / size)
    benchmark.extra_info["their_error"] = float(np.abs(theirs() - exact).max() / size)
    assert benchmark.extra_info["error"] <= 1e-8
