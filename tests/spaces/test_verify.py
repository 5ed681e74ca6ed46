"""What is wrong with a space itself, or given to it, is one sentence, before the loss is called."""

import numpy as np
import pytest

import fastgrad as fg

R = np.eye(3)
x = np.array([0.6, 0.8])
STIEFEL = fg.spaces.stiefel()
sphere = fg.spaces.sphere()
S = np.diag([1.0, 2.0])


def never(*_):
    raise AssertionError("the loss was called")


def along(p, w):
    return w - (p @ w) * p


def norm(p, d):
    return (p + d) / np.linalg.norm(p + d)


def spaces():
    """A point, a space, and what is said."""
    Space = fg.Space
    yield (
        x,
        Space(lambda p, v: list(p), dim=2),
        "returned list: expected a point like the one given",
    )
    yield x, Space(lambda p, v: (p + v[0])[:1], dim=1), "of shape (1,): expected a point like"
    yield (
        x,
        Space(lambda p, v: p + v[0], dim=2),
        "dim=2 does not fit: retract moves theta in 1 direc",
    )
    yield (
        x,
        Space(lambda p, v: p + v, dim=3),
        "retract(theta, v), v of 3 numbers, raised ValueError",
    )
    yield x, Space(lambda p, v: 2 * p + v, dim=2), "is not the point: number 1 is 1.6 where"
    yield (
        x,
        Space(lambda p, v: p + v, project=lambda p, w: w / 2),
        "is no projection: twice it differs",
    )
    oblique = Space(lambda p, v: p + v, project=lambda p, w: np.array([w[0] + w[1], 0]))
    yield x, oblique, "is not orthogonal"
    yield x, Space(lambda p, d: norm(p, 2 * d), project=along), "does not start out along d"
    yield x, Space(lambda p, d: p, project=lambda p, w: 0 * w), "leaves nothing: expected a tangent"
    yield x, Space(norm, project=lambda p, w: w[:1]), "returned 1 numbers for 2"
    yield 1.1 * x, sphere, "sphere: the norm of theta differs from 1 by 0.1"
    yield 2 * R, fg.spaces.rotation(), "theta is no rotation: R'R differs from 1 by 3"
    yield np.diag([1.0, 1, -1]), fg.spaces.rotation(), "is a reflection"
    yield x, fg.spaces.rotation(), "has shape (2,): expected (..., 3, 3)"
    yield [[1, 2]], fg.spaces.pose(), "theta is list: expected an array of real numbers"
    yield np.eye(4) + np.eye(4)[::-1], fg.spaces.pose(), "is no rotation"
    yield np.array([2.0, 0, 0, 0]), fg.spaces.quaternion(), "the norm of theta differs from 1 by 1"
    yield -S, fg.spaces.spd(), "has an eigenvalue -2: expected positive ones"
    yield np.array([[1.0, 1], [0, 2]]), fg.spaces.symmetric(), "differs from its transpose"
    yield np.array([1.0, 0.0]), fg.spaces.simplex(), "expected positive numbers"
    yield np.ones((3, 2)), fg.spaces.stiefel(), "not orthonormal"
    yield x, fg.spaces.complex(), "theta is real (float64): expected complex numbers"
    yield x, fg.spaces.inner(np.array([[1.0, 2], [0, 1]])), "M is not symmetric"
    yield x, fg.spaces.inner(-np.eye(2)), "M is not positive definite"
    yield x, fg.spaces.inner(np.eye(3)), "M does not fit theta, which has 2 entries"
    yield {"a": x}, {"b": sphere}, "space: theta has no block 'b'; its blocks are 'a'"
    yield {"wheel": x}, {"wheels": sphere}, "did you mean 'wheel'?"
    yield [x, x], [sphere], "expected one for each of the 2 blocks of theta, got 1"
    yield x, {"a": sphere}, "expected one space, as theta is ndarray of shape (2,); got dict"
    yield x, "sphere", "expected a Space, a manifold of pymanopt or geomstats"
    yield x, fg.Space, "is the class Space: expected one of its objects"
    yield np.array([np.nan, 1.0]) * 1j, None, "expected finite parameters"


@pytest.mark.parametrize(("point", "space", "said"), list(spaces()))
def test_one_sentence(point, space, said):
    with pytest.raises((ValueError, TypeError)) as caught:
        fg.check_grad(never, never, point, space=space, backend="python")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


MISTAKES = {
    "retract": (lambda: fg.Space(3, dim=1), "retract is int"),
    "both": (lambda: fg.Space(norm, dim=1, project=along), "got both"),
    "neither": (lambda: fg.Space(norm), "got neither"),
    "dim": (lambda: fg.Space(norm, dim=0), "expected a whole number from 1 up"),
    "names": (lambda: fg.Space(norm, dim=2, names=["a"]), "one for each of the dim=2"),
    "gradient": (lambda: fg.Space(norm, project=along, gradient="tangent"), "expected "),
    "side": (lambda: fg.spaces.rotation("body"), "side='body': expected \"right\""),
    "order": (lambda: fg.spaces.quaternion("xywz"), "order='xywz'"),
    "pose": (lambda: fg.spaces.pose(order="v"), "order='v'"),
    "convention": (lambda: fg.spaces.complex("torch"), "expected one of 'steepest'"),
    "metric": (lambda: fg.spaces.spd(metric="log"), "metric='log'"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_options_that_do_not_exist(name):
    make, said = MISTAKES[name]
    with pytest.raises((ValueError, TypeError)) as caught:
        make()
    assert said in str(caught.value)


def test_gradients_of_another_size_say_what_was_expected():
    with pytest.raises(
        ValueError, match=r"expected shape \(3,\) or \(1, 3\) .*coordinates of theta"
    ):
        fg.check_grad(np.sum, lambda R: np.ones(5), R, space=fg.spaces.rotation(), backend="python")
    with pytest.raises(ValueError, match=r"expected shape \(2,\), of complex numbers"):
        fg.check_grad(lambda z: abs(z[0]), lambda z: z[:1], np.array([1j, 2]), backend="python")


def test_a_gradient_that_writes_to_its_point_is_told():
    def writes(R):
        R[0, 0] = 2.0
        return np.zeros(3)

    with pytest.raises(fg.errors.MutatedInputError, match="wrote to its point theta"):
        fg.check_grad(np.sum, writes, R.copy(), space=fg.spaces.rotation(), backend="python")


def test_the_dimension_is_printed():
    report = fg.check_grad(
        lambda X: X[0, 0],
        lambda X: np.eye(4)[:, :2] * [1, 0],
        np.eye(4)[:, :2],
        space=fg.spaces.stiefel(),
    )
    assert any("dimension 5 (stiefel)" in remark for remark in report.remarks)
    own = fg.Space(norm, project=along)
    report = fg.check_grad(lambda p: p[0], lambda p: along(p, np.array([1.0, 0])), x, space=own)
    assert report.verdict == "agrees"
    assert any("dimension 1 (space)" in r for r in report.remarks)


def test_what_does_not_go_with_a_space_says_so():
    given = {"space": fg.spaces.rotation(), "backend": "python"}
    with pytest.raises(ValueError, match="bounds for theta: expected None, for it moves along its"):
        fg.check_grad(never, never, R, bounds=(0, 1), **given)
    with pytest.raises(ValueError, match="bounds for theta: expected None"):
        fg.grad(np.sum, bounds=(None, 1), **given)(R)
    with pytest.raises(ValueError, match="arrays and numbers: expected no space"):
        _ = fg.grad(np.sum, space=fg.spaces.rotation()).compiled
    with pytest.raises(ValueError, match='method="complex" goes with real theta'):
        fg.check_grad(never, never, R, method="complex", **given)
    with pytest.raises(ValueError, match="names: expected one name"):
        fg.check_grad(never, never, R, names=["a", "b", "c"], **given)


def test_bounds_of_plain_blocks_beside_a_space():
    theta = {"R": R, "w": np.array([0.0, 1.0])}

    def loss(t):
        assert t["w"].min() >= 0
        return (t["R"][0] * t["w"][1]).sum() + t["w"] @ t["w"]

    def grad(t):
        return {"R": np.array([0.0, t["w"][1], -t["w"][1]]), "w": np.array([0.0, 3.0])}

    given = {"space": {"R": fg.spaces.rotation()}, "backend": "python"}
    bounds = ({"R": -np.inf, "w": 0.0}, None)
    assert fg.check_grad(loss, grad, theta, bounds=bounds, **given)
