"""Spaces in layers, Hessians, monitors and checks over seeds and points: planted errors found."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.errors import MutatedInputError, StructureMismatchError
from tests.spaces.engines import CASES, pose_near, rotation_near

ROTATION = {"R": fg.spaces.rotation()}


def act(R, P, b):
    """Points moved by a rotation and a shift."""
    return P @ R.T + b


def backward(c, R, P, b, frame="body", double=None):
    """Its backward pass; by w of R Exp(w)."""
    g = np.cross(P, c @ R) if frame == "body" else np.cross(P @ R.T, c)
    if double is not None:
        g[double] *= 2
    return g.sum(axis=0), c @ R, c.sum(axis=0)


def inputs(seed=0):
    rng = np.random.default_rng(seed)
    return rotation_near(rng), rng.standard_normal((4, 3)), rng.standard_normal(3)


def test_a_layer_of_a_rotation_and_of_arrays():
    for seed in range(5):
        report = fg.check_vjp(act, backward, *inputs(seed), space=ROTATION, seed=seed)
        assert report.verdict == "agrees", report
    assert [block.shape for block in report.blocks] == [(3,), (4, 3), (3,)]
    as_list = [fg.spaces.rotation(), None, None]
    assert fg.check_vjp(act, backward, *inputs(), space=as_list)


def test_the_frame_of_a_backward_pass_is_named():
    def world(c, R, P, b):
        return backward(c, R, P, b, "world")

    report = fg.check_vjp(act, world, *inputs(), space=ROTATION)
    assert [block.verdict for block in report.blocks] == ["disagrees", "agrees", "agrees"]
    assert report.diagnoses[0].law == "frame"


def test_for_which_outputs_the_gradient_of_a_rotation_fails():
    def wrong(c, R, P, b):
        return backward(c, R, P, b, double=1)

    report = fg.check_vjp(act, wrong, *inputs(), space=ROTATION)
    assert "Wrong for row 1 of out alone" in report.diagnoses[0].sentence


def chain(Ts, p):
    return (Ts[0] @ Ts[1] @ np.append(p, 1))[:3]


def of_chain(c, Ts, p):
    q = Ts[1][:3, :3] @ p + Ts[1][:3, 3]
    first = Ts[0][:3, :3].T @ c
    second = Ts[1][:3, :3].T @ first
    grads = np.cross(q, first), first, np.cross(p, second), second
    return [np.concatenate(grads[:2]), np.concatenate(grads[2:])], second


def test_a_list_of_poses_as_one_input():
    def exchanged(c, Ts, p):
        (one, other), gp = of_chain(c, Ts, p)
        return [one, np.roll(other, 3)], gp

    rng = np.random.default_rng(1)
    given = [pose_near(rng), pose_near(rng)], rng.standard_normal(3)
    assert fg.check_vjp(chain, of_chain, *given, space={"Ts": fg.spaces.pose()})
    report = fg.check_vjp(chain, exchanged, *given, space={"Ts": [fg.spaces.pose()] * 2})
    assert [(d.block, d.law) for d in report.diagnoses] == [("Ts.1", "exchanged-halves")]


def test_complex_inputs_of_another_convention_beside_plain_ones():
    rng = np.random.default_rng(2)
    A = rng.standard_normal((3, 4)) + 1j * rng.standard_normal((3, 4))
    z = rng.standard_normal(4) + 1j * rng.standard_normal(4)

    def scaled(z, w):
        return w * (A @ z)

    def steepest(c, z, w):
        return w * (A.conj().T @ c), np.real(np.vdot(c, A @ z))

    def conjugate(c, z, w):
        gz, gw = steepest(c, z, w)
        return gz.conj(), gw

    space = {"z": fg.spaces.complex("conjugate")}
    assert fg.check_vjp(scaled, conjugate, z, 2.0, space=space)
    assert fg.check_vjp(scaled, steepest, z, 2.0)
    report = fg.check_vjp(scaled, steepest, z, 2.0, space=space)
    assert [(d.block, d.law) for d in report.diagnoses] == [("z", "conjugate")]


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (
            {"Q": fg.spaces.rotation()},
            "the function has no block 'Q'; its blocks are 'R', 'P', 'b'",
        ),
        (fg.spaces.rotation(), "expected spaces by the names of the inputs, 'R', 'P', 'b'"),
        ({"R": {"a": fg.spaces.rotation()}}, "expected one space, as R is ndarray"),
        ([fg.spaces.rotation()], "expected one for each of the 3 blocks of the function, got 1"),
        ({"P": fg.spaces.rotation()}, "is no rotation|has shape"),
        ("R", "space for the inputs is str"),
    ],
)
def test_spaces_for_inputs_that_do_not_exist(space, said):
    with pytest.raises((ValueError, TypeError), match=said):
        fg.check_vjp(act, backward, *inputs(), space=space)


def test_a_backward_pass_that_writes_to_its_point():
    class Angle:
        def __init__(self, values):
            self.values = values

        def __array__(self, dtype=None, copy=None):
            return np.array(self.values, dtype)

    def writes(c, angle):
        angle.values[0] = 1.0
        return c[:1]

    space = fg.Space(lambda p, v: Angle(p.values + v), dim=1)
    with pytest.raises(MutatedInputError, match="writes wrote to its input angle: expected it to"):
        fg.check_vjp(lambda angle: np.cos(angle.values), writes, Angle(np.zeros(1)), space=space)


TRACE = np.random.default_rng(3).standard_normal((3, 3))


def trace(R):
    return (TRACE * R).sum()


def slope(R):
    M = R.T @ TRACE
    return np.array([M[2, 1] - M[1, 2], M[0, 2] - M[2, 0], M[1, 0] - M[0, 1]])


def curvature(R):
    """Of tr(A' R Exp(w)): tr(M' [w]^2) / 2 = (w' M w - |w|^2 tr M) / 2, M = R'A."""
    M = R.T @ TRACE
    return (M + M.T) / 2 - np.trace(M) * np.eye(3)


@pytest.mark.parametrize("grad", [None, slope])
def test_the_hessian_along_a_rotation(grad):
    def one_wrong(R):
        return curvature(R) + np.diag([0, 1e-3, 0])

    def unsymmetric(R):  # the derivative of the body's slope, without the part of its frame
        M = R.T @ TRACE
        return M.T - np.trace(M) * np.eye(3)

    R = rotation_near(np.random.default_rng(4))
    given = {"grad": grad, "space": fg.spaces.rotation(), "backend": "python"}
    assert fg.check_hessian(trace, curvature, R, **given)
    report = fg.check_hessian(trace, one_wrong, R, **given)
    assert report.verdict == "disagrees"
    assert report.entries[0].name == "theta.wy / theta.wy"
    report = fg.check_hessian(trace, unsymmetric, R, **given)
    assert report.verdict == "disagrees"
    assert any("is not symmetric" in remark for remark in report.remarks)
    if grad is not None:
        wrong = {**given, "grad": lambda R: -slope(R)}
        assert fg.check_hessian(trace, curvature, R, **wrong).subject != "Hessian"
    with pytest.raises(StructureMismatchError, match=r"shape \(9, 9\): expected \(3, 3\)"):
        fg.check_hessian(trace, lambda R: np.eye(9), R, **given)


def test_the_hessian_on_a_sphere_and_of_complex_numbers():
    rng = np.random.default_rng(5)
    S = rng.standard_normal((5, 5))
    S, x = S + S.T, rng.standard_normal(5)
    x /= np.linalg.norm(x)

    def riemannian(x):
        P = np.eye(5) - np.outer(x, x)
        return P @ (2 * S - 2 * (x @ S @ x) * np.eye(5)) @ P

    given = {"space": fg.spaces.sphere(), "backend": "python"}
    assert fg.check_hessian(lambda x: x @ S @ x, riemannian, x, **given)
    assert not fg.check_hessian(lambda x: x @ S @ x, lambda x: 2 * S, x, **given)

    B = rng.standard_normal((2, 3)) + 1j * rng.standard_normal((2, 3))
    H, z = 2 * B.conj().T @ B, rng.standard_normal(3) + 1j * rng.standard_normal(3)
    pairs = np.kron(H.real, np.eye(2)) + np.kron(H.imag, [[0, -1], [1, 0]])

    def squares(z):
        return (np.abs(B @ z) ** 2).sum()

    for grad in (None, lambda z: H @ z):
        assert fg.check_hessian(squares, pairs, z, grad=grad, backend="python")
        assert not fg.check_hessian(squares, pairs.T + 1e-3, z, grad=grad, backend="python")
    assert fg.check_hvp(squares, lambda z, v: H @ v, z, backend="python")
    assert not fg.check_hvp(squares, lambda z, v: H.conj() @ v, z, backend="python")


MONITORED = ("rotations", "poses vw", "stiefel", "complex conjugate")


@pytest.mark.parametrize("name", MONITORED)
def test_a_monitor_is_quiet_about_right_gradients_and_alarms_at_wrong_ones(name):
    """Of all 22 spaces of the engines none alarms in 30 checks; errors of a part in 17 at most."""
    case = CASES[name](np.random.default_rng(1))
    quiet = fg.Monitor(case.loss, case.grad, every=1, on_alarm="raise", space=case.space)
    for step in range(12):
        quiet(step, case.point)
    for law, wrong in case.wrong.items():
        monitor = fg.Monitor(case.loss, wrong, every=1, on_alarm="record", space=case.space)
        for step in range(20):
            if monitor(step, case.point).alarm:
                break
        report = monitor.records[-1].alarm.report
        assert report.verdict == "disagrees", law
        assert report.diagnoses[0].law == law.strip()


def test_a_monitor_of_a_pose_that_descends_beside_large_numbers():
    """Coordinates have units of their own, whatever the sizes of other blocks."""
    rng = np.random.default_rng(6)
    P, Z = rng.standard_normal((2, 5, 3))
    space = {"T": fg.spaces.pose()}

    def apart(theta):
        T = theta["T"]
        return ((P @ T[:3, :3].T + T[:3, 3] - Z) ** 2).sum() + (theta["far"] / 1e6 - 1) ** 2

    def grad(theta, factor=1.0):
        T = theta["T"]
        e = 2 * (P @ T[:3, :3].T + T[:3, 3] - Z)
        body = e @ T[:3, :3]
        g = np.concatenate([np.cross(P, body).sum(axis=0), body.sum(axis=0)])
        g[0] *= factor
        return {"T": g, "far": 2 * (theta["far"] / 1e6 - 1) / 1e6}

    theta, pose = {"T": pose_near(rng), "far": 3e6}, fg.spaces.pose()
    quiet = fg.Monitor(apart, grad, every=1, on_alarm="raise", space=space)
    for step in range(40):
        quiet(step, theta)
        theta = {**theta, "T": pose.retract(theta["T"], -0.02 * grad(theta)["T"])}
    off = fg.Monitor(apart, lambda t: grad(t, 1.5), every=1, on_alarm="record", space=space)
    theta["T"] = pose_near(rng)
    while not off.records or not off.records[-1].alarm:
        off(len(off.records), theta)
        assert len(off.records) < 40
    assert off.records[-1].alarm.report.entries[0].name == "T.wx"


def noisy(R, seed):
    """tr(A' R) with noise in A."""
    noise = 0.1 * np.random.default_rng(seed).standard_normal((3, 3))
    return ((TRACE + noise) * R).sum()


def drawn_slope(R, seed, frame="body"):
    noise = 0.1 * np.random.default_rng(seed + 999).standard_normal((3, 3))
    M = R.T @ (TRACE + noise) if frame == "body" else (TRACE + noise) @ R.T
    return np.array([M[2, 1] - M[1, 2], M[0, 2] - M[2, 0], M[1, 0] - M[0, 1]])


def test_means_over_seeds_and_samples_of_a_rotation():
    """A right one at 20 starts of the seeds; one in the other frame is biased, and named."""
    R, space = rotation_near(np.random.default_rng(7)), fg.spaces.rotation()

    def world(R, seed):
        return drawn_slope(R, seed, "world")

    for k in range(20):
        report = fg.check_grad(noisy, drawn_slope, R, seeds=range(40 * k, 40 * k + 40), space=space)
        assert report.verdict == "agrees", report
    assert report.blocks[0].shape == (3,)
    wrong = fg.check_grad(noisy, world, R, seeds=range(40), space=space)
    assert wrong.verdict == "disagrees"
    assert wrong.diagnoses[0].law == "frame"
    assert wrong.diagnoses[0].sentence.endswith("all of it agrees, in the mean over 40 seeds.")

    def small(R, seed):
        return 1.2 * drawn_slope(R, seed)

    wrong = fg.check_grad(noisy, small, R, seeds=range(40), space=space)
    assert (wrong.verdict, wrong.diagnoses[0].law) == ("disagrees", "biased")

    rng = np.random.default_rng(8)
    answers = {"body": 0, "world": 0}
    for frame in answers:

        def sampled(R, frame=frame):
            return drawn_slope(R, int(rng.integers(2**31)), frame)

        report = fg.check_grad(trace, sampled, R, samples=200, space=space)
        answers[frame] = report.verdict
    assert answers == {"body": "agrees", "world": "disagrees"}


def test_complex_gradients_over_seeds():
    def loss(z, seed):
        return (np.abs(z) ** 2).sum() * (1 + 0.03 * np.random.default_rng(seed).standard_normal())

    def grad(z, seed):
        return 2 * z * (1 + 0.03 * np.random.default_rng(seed + 5000).standard_normal())

    z = np.array([1 + 2j, -0.5 + 1j])
    assert fg.check_grad(loss, grad, z, seeds=range(40))
    wrong = fg.check_grad(loss, lambda z, seed: grad(z, seed).conj(), z, seeds=range(40))
    assert (wrong.verdict, wrong.diagnoses[0].law) == ("disagrees", "conjugate")


def test_points_that_are_given_lie_on_the_space():
    rng = np.random.default_rng(9)
    R, space = rotation_near(rng), fg.spaces.rotation()

    def right_at_first(R_):
        return slope(R_) if np.array_equal(R_, R) else slope(R_.T)

    given = {"space": space, "backend": "python"}
    assert fg.check_grad(trace, slope, R, points=3, **given)
    assert fg.check_grad(trace, slope, R, points=[rotation_near(rng)], **given)
    report = fg.check_grad(trace, right_at_first, R, points=[rotation_near(rng)], **given)
    assert [point.verdict for point in report.points] == ["agrees", "disagrees"]
    with pytest.raises(ValueError, match="theta is no rotation"):
        fg.check_grad(trace, slope, R, points=[2 * R], **given)


def test_a_checkpoint_belongs_to_a_point_and_a_space(tmp_path):
    rng, path = np.random.default_rng(10), tmp_path / "rotations.ckpt"
    R, given = rotation_near(rng), {"backend": "python", "checkpoint": path}
    right, left = fg.spaces.rotation(), fg.spaces.rotation(side="left")
    first = fg.check_grad(trace, slope, R, space=right, **given)
    again = fg.check_grad(trace, slope, R, space=right, **given)
    assert (
        (again.verdict, again.entries)
        == (first.verdict, first.entries)
        == ("agrees", again.entries)
    )
    wrong = fg.check_grad(trace, lambda R: -slope(R), R, space=right, **given)
    assert wrong.verdict == "disagrees"
    for point, space in ((R.T, right), (R, left)):
        with pytest.raises(
            fg.errors.CheckpointError, match=r"another theta \((the point|the space)"
        ):
            fg.check_grad(trace, slope, point, space=space, **given)


def test_a_structure_of_points_compiled_is_that_of_python():
    rng = np.random.default_rng(11)
    theta = {"R": rotation_near(rng), "T": pose_near(rng, (2,)), "z": np.array([1j, 2.0])}
    theta["w"] = np.array([3.0, 4.0])
    space = {"R": fg.spaces.rotation(), "T": fg.spaces.pose()}

    def loss(p):
        moved = (p["R"][0] * p["w"][0]).sum() * p["T"][1, 0, 3] + p["T"][0, 1, 2]
        return moved + (np.abs(p["z"]) ** 2).sum() * p["w"][1]

    got = fg.grad(loss, space=space, backend="compiled")(theta)
    expected = fg.grad(loss, space=space, backend="python")(theta)
    assert {name: part.shape for name, part in got.items()} == {
        **{"R": (3,), "T": (2, 6), "z": (2,), "w": (2,)}
    }
    for name, part in expected.items():
        assert np.abs(got[name] - part).max() <= 1e-9
