"""Gradients of engines of robotics, geometry and signal processing, in one line of glue each."""

import zlib
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import fastgrad as fg

SEEDS = 10
CASES = {}


def case(make):
    """Register what makes a loss, its right gradient, a point, a space, and wrong gradients by law."""
    CASES[make.__name__] = make
    return make


def known(loss, grad, point, space, **wrong):
    return SimpleNamespace(loss=loss, grad=grad, point=point, space=space, wrong=wrong)


def quadratic(rng, shape):
    """sum X (S X) + X^3 and its derivative by the entries."""
    S = rng.standard_normal((shape[0], shape[0]))
    S = S @ S.T
    return (lambda X: np.sum(X * (S @ X)) + np.sum(X**3)), (lambda X: 2 * S @ X + 3 * X**2)


def of_pymanopt(rng, manifold, shape, **wrong):
    np.random.seed(int(rng.integers(2**31)))
    loss, euclidean = quadratic(rng, shape)
    X = manifold.random_point()

    def grad(X):
        return manifold.euclidean_to_riemannian_gradient(X, euclidean(X))

    return known(
        loss,
        grad,
        X,
        manifold,
        sign=lambda X: -grad(X),
        scale=lambda X: 2 * grad(X),
        **{law: (lambda X, w=w: w(X, euclidean(X))) for law, w in wrong.items()},
    )


@case
def pymanopt_sphere(rng):
    from pymanopt.manifolds import Sphere

    return of_pymanopt(rng, Sphere(7), (7,), **{"normal-part": lambda X, g: g})


@case
def pymanopt_stiefel(rng):
    from pymanopt.manifolds import Stiefel

    return of_pymanopt(rng, Stiefel(6, 2), (6, 2), **{"normal-part": lambda X, g: g})


@case
def pymanopt_oblique(rng):
    from pymanopt.manifolds import Oblique

    return of_pymanopt(rng, Oblique(5, 3), (5, 3), **{"normal-part": lambda X, g: g})


@case
def pymanopt_rotations(rng):
    from pymanopt.manifolds import SpecialOrthogonalGroup

    return of_pymanopt(rng, SpecialOrthogonalGroup(3), (3, 3))


@case
def pymanopt_positive_definite(rng):
    from pymanopt.manifolds import SymmetricPositiveDefinite

    def halves(X, g):
        return X @ (g + g.T) @ X

    return of_pymanopt(rng, SymmetricPositiveDefinite(4), (4, 4), **{"scale ": halves})


@case
def pymanopt_grassmann(rng):
    from pymanopt.manifolds import Grassmann

    np.random.seed(int(rng.integers(2**31)))
    manifold = Grassmann(6, 2)
    S = rng.standard_normal((6, 6))
    S = S @ S.T

    def loss(X):
        return np.trace(X.T @ S @ X) ** 2

    def euclidean(X):
        return 4 * np.trace(X.T @ S @ X) * (S @ X)

    def grad(X):
        return manifold.euclidean_to_riemannian_gradient(X, euclidean(X))

    return known(loss, grad, manifold.random_point(), manifold, **{"normal-part": euclidean})


def transformed(rng):
    """|T p - z|^2 in gtsam, with the Jacobian that gtsam returns."""
    import gtsam

    p, z = rng.standard_normal((2, 3))
    T = gtsam.Pose3.Expmap(rng.standard_normal(6))

    def loss(T):
        return float(((T.transformFrom(p) - z) ** 2).sum())

    def grad(T):
        H, Hp = np.zeros((3, 6), order="F"), np.zeros((3, 3), order="F")
        e = T.transformFrom(p, H, Hp) - z  # which fills H
        return 2 * H.T @ e

    return gtsam, T, loss, grad


@case
def gtsam_pose(rng):
    gtsam, T, loss, grad = transformed(rng)

    def world(T):
        return np.linalg.inv(T.AdjointMap()).T @ grad(T)

    wrong = {
        "frame": world,
        "exchanged-halves": lambda T: np.roll(grad(T), 3),
        "degrees": lambda T: grad(T) * ([np.pi / 180] * 3 + [1] * 3),
        "sign": lambda T: -grad(T),
    }
    return known(loss, grad, T, fg.Space(gtsam.Pose3.retract, dim=6), **wrong)


@case
def gtsam_pose_as_matrix(rng):
    gtsam, T, loss, grad = transformed(rng)

    def of(f):
        return lambda M: f(gtsam.Pose3(M))

    wrong = {"frame": of(lambda T: np.linalg.inv(T.AdjointMap()).T @ grad(T))}
    return known(of(loss), of(grad), T.matrix(), fg.spaces.pose(), **wrong)


@case
def gtsam_rotation(rng):
    import gtsam

    p, z = rng.standard_normal((2, 3))
    R = gtsam.Rot3.Expmap(rng.standard_normal(3))

    def loss(R):
        return float(((R.rotate(p) - z) ** 3).sum())

    def grad(R):
        H, Hp = np.zeros((3, 3), order="F"), np.zeros((3, 3), order="F")
        e = R.rotate(p, H, Hp) - z  # which fills H
        return H.T @ (3 * e**2)

    wrong = {"frame": lambda R: R.matrix() @ grad(R), "degrees": lambda R: np.pi / 180 * grad(R)}
    return known(loss, grad, R, fg.Space(gtsam.Rot3.retract, dim=3), **wrong)


@case
def gtsam_graph(rng):
    import gtsam

    noise = gtsam.noiseModel.Unit.Create(6)
    graph = gtsam.NonlinearFactorGraph()
    poses = [gtsam.Pose3.Expmap(rng.standard_normal(6) / 2) for _ in range(3)]
    graph.add(gtsam.PriorFactorPose3(0, gtsam.Pose3(), noise))
    for k in range(2):
        between = gtsam.Pose3.Expmap(rng.standard_normal(6) / 2)
        graph.add(gtsam.BetweenFactorPose3(k, k + 1, between, noise))

    def values(poses):
        made = gtsam.Values()
        for k, pose in enumerate(poses):
            made.insert(k, pose)
        return made

    def grad(poses):
        g = graph.linearize(values(poses)).gradientAtZero()
        return [g.at(k) for k in range(len(poses))]

    def confused(poses):
        g = grad(poses)
        g[1] = np.roll(g[1], 3)
        return g

    space = [fg.Space(gtsam.Pose3.retract, dim=6)] * 3
    return known(
        lambda T: graph.error(values(T)), grad, poses, space, **{"exchanged-halves": confused}
    )


@case
def pinocchio_pose(rng):
    import pinocchio as pin

    M = pin.SE3.Random()
    p, z = rng.standard_normal((2, 3))

    def grad(M):
        e = 2 * M.rotation.T @ (M.act(p) - z)
        return np.concatenate([e, np.cross(p, e)])

    space = fg.Space(
        lambda M, v: M * pin.exp6(v), dim=6, names=["vx", "vy", "vz", "wx", "wy", "wz"]
    )
    wrong = {
        "frame": lambda M: np.linalg.inv(M.toActionMatrix()).T @ grad(M),
        "exchanged-halves": lambda M: np.roll(grad(M), 3),
        "sign": lambda M: -grad(M),
    }
    return known(lambda M: float(((M.act(p) - z) ** 2).sum()), grad, M, space, **wrong)


def humanoid(rng):
    import pinocchio as pin

    model = pin.buildSampleModelHumanoid()
    data = model.createData()
    q = pin.integrate(model, pin.neutral(model), rng.standard_normal(model.nv) / 2)
    return pin, model, data, q, fg.Space(lambda q, v: pin.integrate(model, q, v), dim=model.nv)


@case
def pinocchio_gravity(rng):
    pin, model, data, q, space = humanoid(rng)

    def grad(q):
        return pin.computeGeneralizedGravity(model, data, q).copy()

    def loss(q):
        return pin.computePotentialEnergy(model, data, q)

    return known(loss, grad, q, space, sign=lambda q: -grad(q), scale=lambda q: 2 * grad(q))


@case
def pinocchio_reach(rng):
    pin, model, data, q, space = humanoid(rng)
    joint, z = model.njoints - 1, rng.standard_normal(3)

    def place(q):
        pin.forwardKinematics(model, data, q)
        return data.oMi[joint]

    def grad(q):
        J = pin.computeJointJacobian(model, data, q, joint)[:3]
        M = place(q)
        return 2 * J.T @ M.rotation.T @ (M.translation - z)

    return known(
        lambda q: float(((place(q).translation - z) ** 2).sum()),
        grad,
        q,
        space,
        sign=lambda q: -grad(q),
    )


def signal(rng):
    B = rng.standard_normal((4, 4)) + 1j * rng.standard_normal((4, 4))
    return B, rng.standard_normal(4) + 1j * rng.standard_normal(4)


def in_conventions(name, grad, point, loss, space):
    """Gradients in the other conventions, as people hand them over."""
    conjugate = {"conjugate": lambda z: grad(z).conj(), "convention": lambda z: grad(z) / 2}
    return known(
        loss, grad, point, space, **conjugate, **{"convention ": lambda z: grad(z).conj() / 2}
    )


@case
def torch_complex(rng):
    import torch

    B, z = signal(rng)
    B = torch.from_numpy(B)

    def value(z):
        return ((B @ z).abs() ** 2).sum() + (B @ z).real.pow(3).sum()

    def grad(z):
        w = torch.from_numpy(z).requires_grad_()
        value(w).backward()
        return w.grad.numpy()

    return in_conventions("torch", grad, z, lambda z: float(value(torch.from_numpy(z))), None)


def conjugates(np_like, derive, rng, start):
    B, z = signal(rng)

    def value(z):
        y = np_like.dot(B, z)
        return np_like.sum(np_like.abs(y) ** 2) + np_like.sum(np_like.real(y) ** 3)

    slope = derive(value)
    space = fg.spaces.complex("conjugate")
    return in_conventions(
        "conjugate", lambda z: np.array(slope(start(z))), z, lambda z: float(value(start(z))), space
    )


@case
def jax_complex(rng):
    import jax

    jax.config.update("jax_enable_x64", True)
    return conjugates(jax.numpy, jax.grad, rng, jax.numpy.asarray)


@case
def autograd_complex(rng):
    import autograd

    return conjugates(autograd.numpy, autograd.grad, rng, np.asarray)


@case
def scipy_rotation(rng):
    p, z = rng.standard_normal((2, 3))
    R = Rotation.from_rotvec(rng.standard_normal(3))

    def grad(R):
        return np.cross(p, R.inv().apply(2 * (R.apply(p) - z)))

    space = fg.Space(lambda R, w: R * Rotation.from_rotvec(w), dim=3, names=["wx", "wy", "wz"])
    wrong = {
        "frame": lambda R: R.apply(grad(R)),
        "frame ": lambda R: (R.inv() ** 2).apply(grad(R)),  # by the transposed rotation
        "degrees": lambda R: np.pi / 180 * grad(R),
        "scale": lambda R: grad(R) / 2,
    }
    return known(lambda R: ((R.apply(p) - z) ** 2).sum(), grad, R, space, **wrong)


@case
def scipy_rotation_on_the_left(rng):
    p, z = rng.standard_normal((2, 3))
    R = Rotation.from_rotvec(rng.standard_normal(3))

    def of(f):
        return lambda M: f(Rotation.from_matrix(M))

    def world(R):
        return np.cross(R.apply(p), 3 * (R.apply(p) - z) ** 2)

    wrong = {
        "frame": of(lambda R: R.inv().apply(world(R))),
        "degrees": of(lambda R: 180 / np.pi * world(R)),
    }
    loss, space = of(lambda R: ((R.apply(p) - z) ** 3).sum()), fg.spaces.rotation(side="left")
    return known(loss, of(world), R.as_matrix(), space, **wrong)


@case
def torch_quaternion(rng):
    import torch

    p, z = torch.from_numpy(rng.standard_normal((2, 3)))

    def value(q):
        v, w = q[:3], q[3]
        t = 2 * torch.linalg.cross(v, p)
        return ((p + w * t + torch.linalg.cross(v, t) - z) ** 3).sum()

    def grad(q):
        w = torch.from_numpy(q).requires_grad_()
        value(w).backward()
        return w.grad.numpy()

    q = rng.standard_normal(4)
    wrong = {"exchanged-halves": lambda q: np.roll(grad(q), 1)}  # w first
    loss = lambda q: float(value(torch.from_numpy(q)))  # noqa: E731
    return known(loss, grad, q / np.linalg.norm(q), fg.spaces.quaternion(), **wrong)


@case
def jax_euclidean_on_a_sphere(rng):
    import jax

    jax.config.update("jax_enable_x64", True)
    S = rng.standard_normal((5, 5))

    def loss(x):
        return x @ S @ x + (x**3).sum()

    slope, x = jax.grad(loss), rng.standard_normal(5)
    space = fg.spaces.sphere(gradient="euclidean")

    def one_off(x):
        return np.array(slope(x)) + 0.5 * np.eye(5)[3]

    wrong = {"smeared": one_off, "sign": lambda x: -np.array(slope(x))}
    return known(
        lambda x: float(loss(x)),
        lambda x: np.array(slope(x)),
        x / np.linalg.norm(x),
        space,
        **wrong,
    )


@case
def torch_symmetric(rng):
    import torch

    A, B = rng.standard_normal((2, 4, 4))
    A, P = torch.from_numpy(A + A.T), B @ B.T + np.eye(4)

    def value(P):
        return torch.logdet(P) + (A * (P @ P)).sum()

    def grad(P):
        w = torch.from_numpy(P).requires_grad_()
        value(w).backward()
        return w.grad.numpy()

    def by_pairs(P):  # the derivative by one of the two entries that are one
        return 2 * grad(P) - np.diag(np.diag(grad(P)))

    wrong = {
        "off-diagonal": by_pairs,
        "off-diagonal ": lambda P: (grad(P) + np.diag(np.diag(grad(P)))) / 2,
        "one-triangle": lambda P: np.tril(by_pairs(P)),
        "one-triangle ": lambda P: np.triu(grad(P)),
        "metric": lambda P: P @ grad(P) @ P,
    }
    loss = lambda P: float(value(torch.from_numpy(P)))  # noqa: E731
    return known(loss, grad, P, fg.spaces.spd(), **wrong)


@case
def jax_weighted(rng):
    """The control of a discretised equation, in L2: its mass matrix M weighs gradients."""
    import jax
    from scipy import sparse
    from scipy.sparse.linalg import spsolve

    jax.config.update("jax_enable_x64", True)
    n = 8
    M = sparse.diags([1 / 6, 2 / 3, 1 / 6], [-1, 0, 1], (n, n), format="csc") / n
    w = rng.standard_normal(n)

    def loss(u):
        return (w * jax.numpy.sin(u)).sum() / n

    slope = jax.grad(loss)
    wrong = {
        "without-weights": lambda u: np.array(slope(u)),
        "weights-twice": lambda u: spsolve(M, spsolve(M, np.array(slope(u)))),
        "weights-twice ": lambda u: M @ np.array(slope(u)),
    }
    u, space = rng.standard_normal(n), fg.spaces.inner(M)
    right = lambda u: spsolve(M, np.array(slope(u)))  # noqa: E731
    return known(lambda u: float(loss(u)), right, u, space, **wrong)


def check(found, grad):
    return fg.check_grad(found.loss, grad, found.point, space=found.space, backend="python")


def made(name, seed):
    return CASES[name](np.random.default_rng([seed, zlib.crc32(name.encode())]))


@pytest.mark.parametrize("name", CASES)
def test_right_gradients_agree_at_ten_seeds(name):
    for seed in range(SEEDS):
        found = made(name, seed)
        report = check(found, found.grad)
        assert report.verdict == "agrees", report


KINDS = {
    "conjugate": {"conjugate"},
    "half": {"convention", "scale"},
    "transposed, world for body, left for right": {"frame"},
    "w first": {"exchanged-halves"},
    "degrees": {"degrees"},
    "Euclidean for Riemannian, a projection forgotten": {"normal-part", "smeared"},
    "another metric": {"metric"},
    "off-diagonals doubled or halved": {"off-diagonal"},
    "one triangle": {"one-triangle"},
    "weights missing or twice": {"without-weights", "weights-twice"},
}


def test_all_kinds_of_errors_are_planted():
    laws = {law.strip() for name in CASES for law in made(name, 0).wrong}
    assert all(laws & kind for kind in KINDS.values())
    assert len(CASES) + len(LINEAR) >= 20


def test_planted_errors_are_found_and_nine_of_ten_named():
    """Seen: all of 55."""
    named = Counter()
    for name in CASES:
        found = made(name, 0)
        for law, grad in found.wrong.items():
            report = check(found, grad)
            assert report.verdict == "disagrees", (name, law)
            right = report.diagnoses[0].law == law.strip()
            named[right] += 1
    assert named[True] >= 0.9 * named.total()
    assert named.total() >= 40


LINEAR = {
    "MatrixMult": lambda p, rng: p.MatrixMult(rng.standard_normal((5, 4)) + 1j, dtype="complex128"),
    "FirstDerivative": lambda p, rng: p.FirstDerivative(12, dtype="float64"),
    "Laplacian": lambda p, rng: p.Laplacian((6, 5), dtype="float64"),
    "FFT": lambda p, rng: p.signalprocessing.FFT(16, dtype="complex128"),
    "Convolve1D": lambda p, rng: p.signalprocessing.Convolve1D(
        12, rng.standard_normal(3), offset=1
    ),
    "CausalIntegration": lambda p, rng: p.CausalIntegration(10, dtype="float64"),
    "Diagonal": lambda p, rng: p.Diagonal(rng.standard_normal(8) + 1j * rng.standard_normal(8)),
}


def operator(name, seed):
    import pylops

    rng = np.random.default_rng(seed)
    A = LINEAR[name](pylops, rng)
    x = rng.standard_normal(A.shape[1])
    if np.issubdtype(A.dtype, np.complexfloating):
        x = x + 1j * rng.standard_normal(A.shape[1])
    return A, x


@pytest.mark.parametrize("name", LINEAR)
def test_operators_of_pylops_are_adjoint_to_rounding(name):
    for seed in range(SEEDS):
        A, x = operator(name, seed)
        report = fg.check_vjp(A.matvec, lambda c, x, A=A: A.rmatvec(c), x)
        assert report.verdict == "agrees", report
        assert "Adjoint to rounding" in report.remarks[0]


@pytest.mark.parametrize("name", ["MatrixMult", "Diagonal"])
def test_transposed_operators_are_named(name):
    A, x = operator(name, 0)
    report = fg.check_vjp(A.matvec, lambda c, x: A.rmatvec(c.conj()).conj(), x)
    assert report.verdict == "disagrees"
    assert "A.T where A.H is expected" in report.diagnoses[0].sentence
