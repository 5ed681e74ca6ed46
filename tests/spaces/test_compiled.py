"""Retractions in compiled code: each beside the plain one in Python, and checks beside Python's."""

import numba
import numpy as np
import pytest

import fastgrad as fg
from fastgrad.spaces.space import Space
from tests.spaces.engines import CASES, pose_near, rotation_near

SCALES = (0.0, 1e-12, 1e-6, 0.03, 0.0999, 0.1001, 1.0, 3.0, 40.0)
"""Sizes of steps on both sides of the series, of a turn, and of several."""


def unit(x, axis=None):
    return x / np.linalg.norm(x, axis=axis, keepdims=axis is not None)


def frames(rng, n=()):
    return np.linalg.qr(rng.standard_normal((*n, 5, 2)))[0]


def definite(rng):
    B = rng.standard_normal((2, 4, 4))
    return B @ np.swapaxes(B, -1, -2) + np.eye(4)


SPACES = {
    "rotation right": (lambda rng: rotation_near(rng, (3,)), fg.spaces.rotation()),
    "rotation left": (lambda rng: rotation_near(rng), fg.spaces.rotation("left")),
    **{
        f"pose {side} {order}": (lambda rng: pose_near(rng, (3,)), fg.spaces.pose(side, order))
        for side in ("right", "left")
        for order in ("wv", "vw")
    },
    **{
        f"quaternion {side} {order}": (
            lambda rng: unit(rng.standard_normal((3, 4)), -1),
            fg.spaces.quaternion(order, side),
        )
        for side in ("right", "left")
        for order in ("xyzw", "wxyz")
    },
    "sphere": (lambda rng: unit(rng.standard_normal((3, 4))), fg.spaces.sphere()),
    "oblique": (lambda rng: unit(rng.standard_normal((2, 5, 3)), -2), fg.spaces.oblique()),
    "stiefel": (lambda rng: frames(rng, (2,)), fg.spaces.stiefel()),
    "grassmann": (lambda rng: frames(rng), fg.spaces.grassmann()),
    "simplex": (lambda rng: rng.dirichlet(np.ones(5), 2), fg.spaces.simplex()),
    "symmetric": (lambda rng: definite(rng), fg.spaces.symmetric()),
    "spd": (lambda rng: definite(rng), fg.spaces.spd()),
    "complex": (lambda rng: rng.standard_normal(4) * (1 + 2j), fg.spaces.complex()),
    "complex matrix": (lambda rng: rng.standard_normal((2, 3)) * (1 - 1j), fg.spaces.complex()),
    "inner": (lambda rng: rng.standard_normal((2, 3)), fg.spaces.inner(np.arange(1.0, 7))),
}


def called(function, base, x):
    return function(x) if base is None else function(base, x)


FIRST = ("pose left vw", "quaternion left wxyz", "simplex")


@pytest.mark.parametrize(
    "name", [n if n in FIRST else pytest.param(n, marks=pytest.mark.slow) for n in SPACES]
)
def test_the_compiled_retraction_is_the_plain_one(name):
    make, space = SPACES[name]
    rng = np.random.default_rng(0)
    chart = space.at(make(rng), "theta")
    function, base = chart.compiled()
    kept = None if base is None else base.copy()
    for scale in SCALES:
        if scale > 3 and name in ("simplex", "spd"):  # beyond floats, or of other roundings
            continue
        for _ in range(4):
            step = scale * rng.standard_normal(chart.origin.size)
            x = chart.origin + (step * base.reshape(-1) if name == "simplex" else step)
            given = x.copy()
            got, expected = called(function, base, x), np.asarray(chart.point(x.copy()))
            assert got.shape == expected.shape
            assert np.abs(got - expected).max() <= 3e-14 * (1 + scale) * np.abs(expected).max()
            assert np.array_equal(x, given)
    assert base is None or np.array_equal(base, kept)


def test_all_ready_made_spaces_are_among_these():
    titles = {space.title for _, space in SPACES.values()}
    assert titles == set(fg.spaces.__all__)
    assert all(
        type(space).compiled is not Space.compiled for _, space in list(SPACES.values())[:-3]
    )


@numba.njit
def turned(R, w):
    c, s = np.cos(w[0]), np.sin(w[0])
    return R @ np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


@numba.njit
def scaled(p, d):
    q = p + d
    return q / np.sqrt((q * q).sum())


@numba.njit
def tangent(p, w):
    return w - (p * w).sum() * p


def both(loss, grad, point, space):
    """The reports of a check compiled and in Python."""
    found = [
        fg.check_grad(loss, grad, point, space=space, backend=backend)
        for backend in ("compiled", "python")
    ]
    assert found[0].ran.startswith("Ran compiled")
    return found


def alike(compiled, plain):
    assert compiled.verdict == plain.verdict
    got, expected = (r.arrays(r.blocks[0].name).numeric for r in (compiled, plain))
    bars = sum(r.arrays(r.blocks[0].name).error_bar for r in (compiled, plain))
    assert np.all(np.abs(got - expected) <= bars)


def test_a_users_coordinates_by_njit_run_in_the_kernel():
    def loss(R):
        return R[0, 1] * R[1, 0]

    def grad(R):
        return R[0, 0] * -R[1, 0] + R[0, 1] * R[1, 1]

    space = fg.Space(turned, dim=1, names=["yaw"])
    R = rotation_near(np.random.default_rng(1))
    right = both(loss, grad, R, space)
    alike(*right)
    assert right[0].verdict == "agrees"
    wrong = both(loss, lambda R: -grad(R), R, space)
    assert [report.verdict for report in wrong] == ["disagrees"] * 2
    assert wrong[0].entries[0].name == "theta.yaw"


@pytest.mark.slow
def test_a_users_projection_by_njit_runs_in_the_kernel():
    def loss(x):
        return (x**3).sum() + x[0] * x[1]

    def euclidean(x):
        g = 3 * x**2
        g[0] += x[1]
        g[1] += x[0]
        return g

    x = unit(np.random.default_rng(2).standard_normal(6))
    space = fg.Space(scaled, project=tangent)
    right = both(loss, lambda x: tangent(x, euclidean(x)), x, space)
    alike(*right)
    assert right[0].verdict == "agrees"
    wrong = both(loss, euclidean, x, space)
    assert [report.diagnoses[0].law for report in wrong] == ["normal-part"] * 2


def test_one_in_python_alone_says_so():
    space = fg.Space(lambda p, d: scaled(p, d), project=tangent)
    x = unit(np.random.default_rng(3).standard_normal(3))
    report = fg.check_grad(lambda x: x[0], lambda x: tangent(x, np.eye(3)[0]), x, space=space)
    assert report.verdict == "agrees"
    assert "the retraction of theta is a Python function" in " ".join([report.ran, *report.remarks])


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_checks_of_engines_are_alike_compiled_and_in_python(name):
    case = CASES[name](np.random.default_rng(4))
    compiled = fg.check_grad(case.loss, case.grad, case.point, space=case.space)
    if not compiled.ran.startswith("Ran compiled"):  # the loss is one that numba cannot compile
        assert "retraction" not in " ".join([compiled.ran, *compiled.remarks])
    plain = fg.check_grad(case.loss, case.grad, case.point, space=case.space, backend="python")
    alike(compiled, plain)
