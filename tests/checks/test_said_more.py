"""What reports say of values that take turns, of laws that hold at every point, of pairs of boosters."""

import numpy as np
import pytest

import fastgrad as fg

SEEDS = range(20)


def eigenvector(seed):
    """A loss of an eigenvector whose sign depends on the bits of its argument, and theta."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((4, 4))

    def loss(p):
        v = np.linalg.eigh(A + A.T + np.diag(p))[1][:, 0]
        v *= np.sign(v[np.abs(v).argmax()])
        flip = np.random.default_rng(np.frombuffer(p.tobytes(), np.uint64)).random() < 0.5
        return float((-v if flip else v).sum() + p @ p)

    return loss, rng.standard_normal(4)


def test_signs_that_flip_from_point_to_point_are_said():
    said = 0
    for seed in SEEDS:
        loss, theta = eigenvector(seed)
        report = fg.check_grad(loss, lambda p: 2 * p, theta, backend="python")
        assert report.verdict == "inconclusive"
        said += "the loss takes one of 2 values" in str(report)
    assert said >= 0.9 * len(SEEDS)


def test_a_jump_or_noise_is_no_choice_of_levels():
    def jump(x):
        return float((x**2).sum() + (x[0] > 0.5))

    def noisy(x):
        return float((x**2).sum() + 1e-6 * np.sin(1e12 * x.sum()))

    for loss in (jump, noisy):
        report = fg.check_grad(loss, lambda x: 2 * x, np.array([0.5, 1.0]), backend="python")
        assert "takes one of" not in str(report)


def test_a_law_that_holds_at_every_point_says_so():
    def loss(a):
        return np.sin(np.deg2rad(a)).sum()

    theta = np.array([10.0, 20.0, 70.0])
    report = fg.check_grad(loss, lambda a: np.cos(np.deg2rad(a)), theta, points=3)
    assert report.diagnoses[0].sentence.endswith("So it is at all 3 points.")
    assert "So it is at all 3 points." in str(report)

    def twice_here(a):
        right = np.deg2rad(1.0) * np.cos(np.deg2rad(a))
        return 2 * right if a[0] == theta[0] else 3 * right

    report = fg.check_grad(loss, twice_here, theta, points=3)
    assert "So it is" not in report.diagnoses[0].sentence


def logistic(seed):
    rng = np.random.default_rng(seed)
    labels = (rng.random(12) < 0.5).astype(float)

    def loss(s, y):
        return (np.log1p(np.exp(s)) - y * s).sum()

    def objective(s, y):
        p = 1 / (1 + np.exp(-s))
        return p - y, p * (1 - p)

    return loss, objective, rng.standard_normal(12), labels


@pytest.mark.parametrize("seed", range(5))
def test_gradient_and_hessian_of_boosters_are_checked_in_one_call(seed):
    loss, objective, scores, labels = logistic(seed)
    report = fg.check_grad(loss, objective, scores, labels)
    assert report
    assert [point.verdict for point in report.points] == ["agrees", "agrees"]
    twice = fg.check_grad(
        loss, lambda s, y: (objective(s, y)[0], 2 * objective(s, y)[1]), scores, labels
    )
    assert [point.verdict for point in twice.points] == ["agrees", "disagrees"]
    assert twice.diagnoses[0].law == "scale"
    one = fg.check_grad(
        loss, lambda s, y: (-objective(s, y)[0], objective(s, y)[1]), scores, labels
    )
    assert one.points[0].verdict == "disagrees"
    assert one.points[0].diagnoses[0].law == "sign"


def test_what_is_not_on_the_diagonal_of_the_hessian_is_noticed():
    def loss(s):
        return (s.sum() ** 2) / 2

    report = fg.check_grad(loss, lambda s: (np.full(5, s.sum()), np.ones(5)), np.arange(5.0))
    assert [point.verdict for point in report.points] == ["agrees", "disagrees"]


def test_a_given_step_that_does_not_judge_is_said():
    def lattice(x):
        return float(x + 0.3 * abs(x % 2 - 1))

    report = fg.check_grad(lattice, lambda x: 1.0, 0.5, step=4.3, backend="python")
    assert report.verdict == "disagrees"
    assert (
        "The given step is not the one that judged 1 of 1 entries (first theta: 4.3 given"
        in str(report)
    )
    right = fg.check_grad(lattice, lambda x: 0.7, 0.5, step=1e-3, backend="python")
    assert right.entries[0].step == pytest.approx(1e-3)
    assert "The given step" not in str(right)


@pytest.mark.parametrize("limit", [0.5, 0.1, 2.0])
def test_a_gradient_clipped_by_its_norm_is_told_from_a_wrong_one(limit):
    rng = np.random.default_rng(0)
    theta = {"W": rng.standard_normal((4, 3)), "b": rng.standard_normal(3)}

    def loss(p):
        return float((p["W"] ** 3).sum() + np.sin(p["W"].sum(axis=0) * p["b"]).sum())

    def right(p):
        slope = np.cos(p["W"].sum(axis=0) * p["b"])
        return {"W": 3 * p["W"] ** 2 + slope * p["b"], "b": slope * p["W"].sum(axis=0)}

    g = right(theta)
    size = np.sqrt(sum((block**2).sum() for block in g.values()))
    assert size > limit
    clipped = {name: block * (limit / (size + 1e-6)) for name, block in g.items()}
    report = fg.check_grad(loss, clipped, theta, backend="python")
    assert f"clipped at norm {limit:g}, and the derivation is right" in report.diagnoses[0].sentence
    halved = {name: 0.5 * block for name, block in g.items()}
    assert "clipped" not in str(fg.check_grad(loss, halved, theta, backend="python"))


def two_layers(p, X, y):
    return float(((np.tanh(X @ p["W1"]) @ p["W2"] - y) ** 2).mean())


def slopes_of_two_layers(p, X, y):
    H = np.tanh(X @ p["W1"])
    R = 2 * (H @ p["W2"] - y) / y.size
    return {"W1": X.T @ (R @ p["W2"].T * (1 - H**2)), "W2": H.T @ R}


def test_units_that_the_initialisation_does_not_tell_apart_are_said():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 4)), rng.standard_normal((20, 2))
    constant = {"W1": np.full((4, 3), 0.1), "W2": np.full((3, 2), 0.1)}
    report = fg.check_grad(two_layers, slopes_of_two_layers, constant, X, y, backend="python")
    assert report
    assert "All columns of W1 are the same, and so are those of its gradient" in str(report)
    assert "All rows of W2 are the same" in str(report)

    def swapped(p, X, y):  # units exchanged in one layer: at this theta nothing shows it
        g = slopes_of_two_layers(p, X, y)
        return {**g, "W1": g["W1"][:, ::-1]}

    assert fg.check_grad(two_layers, swapped, constant, X, y, backend="python")
    random = {name: rng.standard_normal(block.shape) for name, block in constant.items()}
    right = fg.check_grad(two_layers, slopes_of_two_layers, random, X, y, backend="python")
    assert right
    assert "are the same" not in str(right)
    assert not fg.check_grad(two_layers, swapped, random, X, y, backend="python")


def test_a_factor_is_the_length_of_what_the_loss_reads_from_outside():
    """As a script has its data: X is a global or in a closure, read by a helper."""
    X = np.random.default_rng(0).normal(size=(47, 3))

    def outputs(w):
        return X @ w

    def loss(w):
        return float((outputs(w) ** 2).mean())

    w = np.array([0.3, -1.0, 0.7])
    report = fg.check_grad(loss, lambda w: 2 * X.T @ outputs(w), w, backend="python")
    assert "47 (= m) times" in report.diagnoses[0].sentence
    assert "m = 47 is the length of X, which the loss reads" in report.diagnoses[0].sentence


@pytest.mark.parametrize(
    ("power", "text"),
    [(-1.0, "exp(log_scale)"), (-2.0, "exp(2 log_scale)"), (1.0, "exp(-log_scale)")],
)
def test_a_factor_is_made_of_another_parameter(power, text):
    """The scale of residuals forgotten in the derivative by what is scaled."""
    rng = np.random.default_rng(1)
    A, y = rng.normal(size=(30, 4)), rng.normal(size=30)
    theta = {"w": rng.normal(size=4), "log_scale": 0.37}

    def loss(p):
        return float(((A @ p["w"] - y) ** 2).sum() * np.exp(power * p["log_scale"]))

    def grad(p):
        r = A @ p["w"] - y
        return {"w": 2 * A.T @ r, "log_scale": power * loss(p)}

    report = fg.check_grad(loss, grad, theta, backend="python")
    assert [d.block for d in report.diagnoses] == ["w"]
    assert f"(= {text}) times" in report.diagnoses[0].sentence
    assert "log_scale is 0.37: perhaps left out of a product" in report.diagnoses[0].sentence


def test_a_factor_that_two_parameters_may_make_is_not_named_by_either():
    A = np.random.default_rng(1).normal(size=(30, 4))
    theta = {"w": np.ones(4), "a": 0.6, "b": -0.3, "tiny": 1e-250}

    def loss(p):
        return float(((A @ p["w"]) ** 2).sum() * np.exp(-p["a"]) + p["b"] + p["tiny"])

    def grad(p):
        r = A @ p["w"]
        return {"w": 2 * A.T @ r, "a": -float(r @ r) * np.exp(-p["a"]), "b": 1.0, "tiny": 1.0}

    report = fg.check_grad(loss, grad, theta, backend="python")
    assert "exp(" not in report.diagnoses[0].sentence
    assert report.diagnoses[0].constants["factor"] == pytest.approx(np.exp(0.6))
