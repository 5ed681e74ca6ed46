"""What users of other packages reported, as small losses of our own: the right answer, and its kin."""

import numpy as np
import pytest
from numba import njit

import fastgrad as fg
from fastgrad.errors import MutatedInputError

# ---- parameters of unlike units in one vector (AMICI#3226, openturns#3105) --------------------------


def arrhenius(p, T, y):
    return float(((np.log(p[0]) - p[1] / (8.314 * T) + p[2] * T - y) ** 2).sum())


def arrhenius_grad(p, T, y):
    r = 2 * (np.log(p[0]) - p[1] / (8.314 * T) + p[2] * T - y)
    return np.array([(r / p[0]).sum(), (-r / (8.314 * T)).sum(), (r * T).sum()])


def discharge(p, t, y):
    """R in ohm, C in farad, U in volt, a leak in ampere."""
    return float(((p[2] * np.exp(-t / (p[0] * p[1])) + 1e6 * p[3] - y) ** 2).sum())


def discharge_grad(p, t, y):
    e = np.exp(-t / (p[0] * p[1]))
    r = 2 * (p[2] * e + 1e6 * p[3] - y)
    slope = (r * p[2] * e * t).sum() / (p[0] * p[1])
    return np.array([slope / p[0], slope / p[1], (r * e).sum(), 1e6 * r.sum()])


def covariance(p, d, y):
    """A variogram: length in metres, of micrometres; variance; nugget."""
    return float(((p[1] * (1 - np.exp(-((d / p[0]) ** 2) / 2)) + p[2] - y) ** 2).sum())


def covariance_grad(p, d, y):
    z = (d / p[0]) ** 2
    e = np.exp(-z / 2)
    r = 2 * (p[1] * (1 - e) + p[2] - y)
    return np.array([-(r * p[1] * e * z).sum() / p[0], (r * (1 - e)).sum(), r.sum()])


def unlike_units():
    T = np.linspace(280, 400, 25)
    t = np.geomspace(1e-7, 2e-5, 40)
    d = np.linspace(1e-7, 9e-6, 30)
    return {
        "a rate of 1e13 beside an energy": (
            *(arrhenius, arrhenius_grad, np.array([1e13, 8e4, 2e-3])),
            (T, np.log(1.2e13) - 7.9e4 / (8.314 * T)),
        ),
        "a circuit of picofarads": (
            *(discharge, discharge_grad, np.array([1e6, 4.7e-12, 5.0, 3e-8])),
            (t, 4.8 * np.exp(-t / 5e-6) + 0.02),
        ),
        "a length of micrometres": (
            *(covariance, covariance_grad, np.array([3e-6, 1.4, 0.1])),
            (d, 1.5 * (1 - np.exp(-((d / 2.8e-6) ** 2) / 2)) + 0.12),
        ),
    }


UNLIKE = unlike_units()


@pytest.mark.parametrize("strategy", ["sweep", "screen"])
@pytest.mark.parametrize("name", UNLIKE)
def test_units_of_other_parameters_hide_no_sign_and_no_percent(name, strategy):
    loss, gradient, theta, args = UNLIKE[name]
    options = {"backend": "python", "strategy": strategy}
    right = gradient(theta, *args)
    assert fg.check_grad(loss, right, theta, *args, **options).verdict == "agrees"
    for k in range(theta.size):
        for factor in (-1.0, 0.0, 1.01):
            wrong = right.copy()
            wrong[k] *= factor
            report = fg.check_grad(loss, wrong, theta, *args, **options)
            blamed = [e.name for e in report.entries if e.verdict == "disagrees"]
            assert blamed == [f"theta[{k}]"], (factor, str(report))


@pytest.mark.parametrize("name", UNLIKE)
@pytest.mark.parametrize("unit", [1e-9, 1e-3, 1e3, 1e9])
def test_a_right_gradient_agrees_by_as_many_evaluations_in_any_unit(name, unit):
    """The first parameter, measured in a unit of its own."""
    loss, gradient, theta, args = UNLIKE[name]
    units = np.ones_like(theta)
    units[0] = unit

    def said(p, *args):
        return loss(p * units, *args)

    def slope(p, *args):
        return gradient(p * units, *args) * units

    plain = fg.check_grad(loss, gradient, theta, *args, backend="python")
    report = fg.check_grad(said, slope, theta / units, *args, backend="python")
    assert report.verdict == "agrees"
    assert report.evaluations <= plain.evaluations + 8


# ---- slopes that are right one by one, and no subgradient (tensorflow#62435, chainer#7911) ----------

TIED = {
    "the two largest of four alike": (
        lambda x: float(np.sort(x)[-2:].sum()), lambda x: (x >= np.sort(x)[-2]) * 1.0, np.full(4, 0.3),
        np.array([1.0, 1.0, 0.0, 0.0]),
    ),
    "the least distance": (
        lambda x: float(np.min((x - 2.0) ** 2)), lambda x: 2 * (x - 2.0) * (x == x.min()),
        np.full(3, 1.5), np.array([-1.0, 0.0, 0.0]),
    ),
    "a norm by its largest entry": (
        lambda x: float(np.abs(x).max()), lambda x: np.sign(x) * (np.abs(x) == np.abs(x).max()),
        np.array([0.7, -0.7, 0.7, 0.2]), np.array([0.5, -0.5, 0.0, 0.0]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TIED)
def test_a_mask_of_all_that_is_tied_is_no_subgradient(name):
    loss, mask, x, valid = TIED[name]
    report = fg.check_grad(loss, mask, x, backend="python")
    assert report.verdict == "disagrees"
    assert report.diagnoses[0].law == "ties"
    assert fg.check_grad(loss, valid, x, backend="python").verdict == "agrees"


# ---- few parameters and slow evaluations (datascience.SE 1036) --------------------------------------


SLOW = {
    "named scalars": (
        lambda p: p["a"] ** 2 * np.sin(p["b"]) + p["c"],
        lambda p: {"a": 2 * p["a"] * np.sin(p["b"]), "b": p["a"] ** 2 * np.cos(p["b"]), "c": 1.0},
        {"a": 1.3, "b": 0.4, "c": -2.0}, 0.3,
    ),
    "one number": (lambda x: float(np.exp(x)), lambda x: float(np.exp(x)), 0.7, 0.6),
    "a matrix": (
        lambda W: float(np.tanh(W).sum() + W[0, 0] * W[1, 2]),
        lambda W: 1 - np.tanh(W) ** 2 + np.array([[W[1, 2], 0, 0], [0, 0, W[0, 0]]]),
        np.array([[0.3, -0.2, 0.9], [1.1, 0.5, -0.7]]), 0.4,
    ),
}  # fmt: skip


@pytest.mark.parametrize("factor", [1.0, -1.0])
@pytest.mark.parametrize("name", SLOW)
def test_few_parameters_of_a_slow_loss_get_their_verdict_in_time(clock, name, factor):
    slow, gradient, theta, cost = SLOW[name]

    def loss(p):
        clock.passes(cost)
        return slow(p)

    def claimed(p):
        g = gradient(p)
        return {k: factor * v for k, v in g.items()} if isinstance(g, dict) else factor * g

    report = fg.check_grad(loss, claimed, theta, backend="python")
    assert report.verdict == ("agrees" if factor == 1.0 else "disagrees")
    assert clock.now <= 1.2 * 10


# ---- a loss that does not use its argument (deep-learning-from-scratch#85) ---------------------------


class TwoLayers:
    """The net of the book: its loss reads its own weights."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.W = rng.normal(size=(3, 2))
        self.x, self.t = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))

    def loss(self):
        return float(((self.x @ self.W - self.t) ** 2).sum())

    def gradient(self):
        return 2 * self.x.T @ (self.x @ self.W - self.t)


NET = TwoLayers()
FROZEN = {"W": NET.W.copy(), "b": np.zeros(2)}

UNUSED = {
    "a net's own weights": (lambda W: NET.loss(), lambda W: NET.gradient(), NET.W.copy(), "theta"),
    "a dict of the module in place of the argument": (
        lambda p: float((FROZEN["W"] ** 2).sum() + FROZEN["b"].sum()),
        lambda p: {"W": 2 * p["W"], "b": np.ones(2)}, {"W": NET.W.copy(), "b": np.ones(2)}, "W, b",
    ),
    "a threshold of the argument": (
        lambda w: float((NET.x[:, 0] > w.sum() - 9.1).mean()), lambda w: w, np.array([0.3, 0.2]),
        "theta",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNUSED)
def test_a_loss_that_does_not_use_its_argument_is_asked_whether_it_does(name):
    loss, gradient, theta, said = UNUSED[name]
    report = fg.check_grad(loss, gradient, theta, backend="python")
    assert report.verdict == "disagrees"
    assert {diagnosis.law for diagnosis in report.diagnoses} == {"unused"}
    assert f"does not change with {said} at all: does it use its argument?" in str(report)
    assert "L2 term" not in str(report)


# ---- the derivative by another variable (scikit-learn#11113, #26502) --------------------------------

LENGTHS = np.array([0.4, 1.7, 2.2, 0.9])


def kernel(p):
    return float((np.exp(-(p["length"] ** 2)) * p["amplitude"]).sum() + p["noise"] ** 2)


def kernel_grad(p):
    e = np.exp(-(p["length"] ** 2))
    return {
        "length": -2 * p["length"] * e * p["amplitude"],
        "amplitude": e.sum(),
        "noise": 2 * p["noise"],
    }


def mixture(p):
    return float((p**3).sum() + p[1:] @ p[:-1])


def mixture_grad(p):
    return 3 * p**2 + np.r_[p[1:], 0] + np.r_[0, p[:-1]]


OTHER_VARIABLES = {
    "log of the length scales alone": (
        kernel, lambda p: {**kernel_grad(p), "length": p["length"] * kernel_grad(p)["length"]},
        {"length": LENGTHS, "amplitude": 1.3, "noise": 0.2}, "the derivative by log(length)",
    ),
    "logit of a probability": (
        mixture, lambda p: p * (1 - p) * mixture_grad(p), np.array([0.1, 0.35, 0.6, 0.8, 0.25]),
        "the derivative by logit(theta)",
    ),
    "sigma where its square is a parameter": (
        mixture, lambda v: 2 * np.sqrt(v) * mixture_grad(v), LENGTHS, "the derivative by sqrt(theta)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER_VARIABLES)
def test_the_variable_is_named_and_nothing_is_called_broken(name):
    loss, gradient, theta, said = OTHER_VARIABLES[name]
    report = fg.check_grad(loss, gradient, theta, backend="python")
    assert report.verdict == "disagrees"
    assert said in report.diagnoses[0].sentence
    assert "no function" not in str(report)
    assert "broken" not in str(report)


# ---- factors below 1/8 in single precision (datascience.SE 30850) -----------------------------------


def scaled(factor, block):
    def gradient(p):
        g = {"W": np.cos(p["W"]), "b": 3 * p["b"] ** 2}
        g[block] = g[block] / factor
        return {name: part.astype(np.float32) for name, part in g.items()}

    return gradient


@pytest.mark.parametrize(
    ("factor", "block", "said"),
    [(128, "W", "1/128 times"), (50, "b", "0.02 (= 1/50) times"), (1 / 60, "W", "60 times")],
)
def test_factors_are_named_in_single_precision(factor, block, said):
    rng = np.random.default_rng(0)
    theta = {"W": rng.normal(size=(4, 5)), "b": rng.normal(size=6)}

    def loss(p):
        return float(np.sin(p["W"]).sum() + (p["b"] ** 3).sum())

    report = fg.check_grad(loss, scaled(factor, block), theta, backend="python")
    assert [d.block for d in report.diagnoses] == [block]
    assert said in report.diagnoses[0].sentence


# ---- one count, and one entry that spoils no other --------------------------------------------------


def test_headline_reason_and_table_count_the_same_entries():
    x = np.array([1.0, 2.0, 3.0])
    right = 3 * x**2
    wrong = right * [1 + 1e-7, 1.05, 1 - 1e-7]
    report = fg.check_grad(lambda x: float((x**3).sum()), wrong, x, backend="python")
    assert [e.name for e in report.entries if e.verdict == "disagrees"] == ["theta[1]"]
    assert "1 of 3 entries" in str(report)
    assert "3 of 3" not in str(report)
    assert "2 of 3" not in str(report)


@pytest.mark.parametrize("poison", [-9.2e18, np.iinfo(np.int64).min, np.nan, 1e300])
def test_a_poisoned_entry_of_the_gradient_spoils_no_other(poison):
    x = np.random.default_rng(0).normal(size=20)
    wrong = np.cos(x)
    wrong[7] = poison
    report = fg.check_grad(lambda x: float(np.sin(x).sum()), wrong, x, backend="python")
    assert report.counts == {"agrees": 19, "disagrees": 1}
    assert report.entries[0].name == "theta[7]"


def test_a_jump_beside_one_entry_spoils_no_other():
    x = np.random.default_rng(1).normal(size=12)
    x[4] = 1.0

    def loss(x):
        return float(np.sin(x).sum() + 0.5 * (x[4] > 1.0))

    report = fg.check_grad(loss, np.cos, x, backend="python")
    assert report.counts["agrees"] == 11
    wrong = np.cos(x)
    wrong[5] *= 1.001
    report = fg.check_grad(loss, wrong, x, backend="python")
    assert [e.name for e in report.entries if e.verdict == "disagrees"] == ["theta[5]"]


# ---- writes that the sweep itself would undo ---------------------------------------------------------


@njit
def writes_where_another_moves(x, start, place):
    if x[start.size - 1] > start[-1]:
        x[place] = 7.0
    return (x * x).sum()


@pytest.mark.parametrize("place", [0, 2, 4])
@pytest.mark.parametrize("backend", ["compiled", "python"])
def test_a_write_that_perturbing_the_entry_would_undo_is_seen(place, backend):
    x = np.linspace(0.3, 1.1, 6)
    loss = (
        writes_where_another_moves if backend == "compiled" else writes_where_another_moves.py_func
    )
    with pytest.raises(MutatedInputError, match=rf"theta\[{place}\]"):
        fg.check_grad(loss, lambda x, *_: 2 * x, x, x.copy(), place, backend=backend)


# ---- single precision inside -----------------------------------------------------------------------


def test_a_dot_product_in_single_precision_agrees():
    """Steps are capped for kinks alone: wider ones agree, and the bar falls with them."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        x, y = rng.uniform(size=(2, 200)).astype(np.float32)

        def loss(x, y=y):
            return float(np.dot(x.astype(np.float32), y))

        report = fg.check_grad(loss, y.astype(float), x.astype(float), backend="python")
        assert report.verdict == "agrees", seed


def test_buffers_in_single_precision_call_no_right_gradient_wrong():
    open_ones = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        X, C, W = rng.normal(size=(20, 4)), rng.normal(size=(20, 3)), 0.5 * rng.normal(size=(4, 3))

        def loss(W, X=X, C=C):
            out = np.empty(C.shape, np.float32)
            out[:] = np.tanh(X @ W)
            return float((out * C).sum())

        right = X.T @ (C * (1 - np.tanh(X @ W) ** 2))
        report = fg.check_grad(loss, right, W, backend="python")
        assert report.verdict != "disagrees", seed
        open_ones += report.verdict != "agrees"
        wrong = right.copy()
        wrong.flat[np.abs(right).argmax()] *= 1.1
        assert fg.check_grad(loss, wrong, W, backend="python").verdict == "disagrees"
    assert open_ones <= 3


def test_near_the_zero_of_a_squared_residual_bars_hold():
    """Rounding grows with the distance from theta, by orders beyond that at theta itself."""

    def loss(x):
        return float(((1 - np.exp(-x)) ** 2).sum())

    for size in (7e-13, 1e-10, 1e-7):
        x = np.array([-size, 2 * size])
        right = 2 * -np.expm1(-x) * np.exp(-x)
        found = fg.grad(loss, backend="python").estimate(x)
        assert np.all(np.abs(found.gradient - right) <= found.error), size
        assert fg.check_grad(loss, right, x, backend="python").verdict != "disagrees"


# ---- solvers, and constants inside -------------------------------------------------------------------


def test_an_integrator_that_stops_at_a_tolerance_is_named_beside_the_error():
    from scipy.integrate import solve_ivp

    def loss(p):
        out = solve_ivp(lambda t, y: [-p[0] * y[0] + p[1]], (0, 2), [p[2]], rtol=1e-3, atol=1e-6)
        return float(out.y[0, -1] ** 2)

    p = np.array([0.8, 0.3, 1.5])
    e = np.exp(-2 * p[0])
    y = p[2] * e + p[1] / p[0] * (1 - e)
    by_rate = -2 * p[2] * e - p[1] / p[0] ** 2 * (1 - e) + 2 * p[1] / p[0] * e
    right = 2 * y * np.array([by_rate, (1 - e) / p[0], e])
    report = fg.check_grad(loss, right, p, backend="python")
    assert report.verdict != "agrees"
    assert "tolerance" in str(report)
    assert "broken" not in str(report)


def test_a_small_constant_inside_a_logarithm_is_no_factor_from_one_to_one():
    rng = np.random.default_rng(0)
    z, t = rng.normal(size=(4, 3)), np.eye(3)[[0, 2, 1, 1]]

    def loss(z):
        p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        return float(-(t * np.log(p + 1e-3)).sum())

    softmax = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    report = fg.check_grad(loss, softmax - t, z, backend="python")
    assert report.verdict == "disagrees"
    assert "from 1 to 1" not in str(report)
    assert "the norm 1 times" not in str(report)


# ---- what is said of entries that do nothing is not said of all ---------------------------------------


def test_a_loss_that_uses_other_entries_is_not_called_constant():
    """Of a screen's sample, and of all that is no kink, every difference is 0."""
    E, used = np.random.default_rng(0).normal(size=(300, 20)), np.array([3, 17])

    def of_two_rows(E):
        return float((E[used] ** 3).sum())

    wrong = np.zeros_like(E)
    wrong[used] = 3 * E[used] ** 2
    wrong[100] = 1.0
    report = fg.check_grad(of_two_rows, wrong, E, backend="python", strategy="screen", budget=None)
    assert report.verdict == "disagrees"
    assert "theta[100, :]" in str(report)
    assert "does it use its argument" not in str(report)

    def kinked(x):
        return float(np.abs(x[:2]).sum())

    x = np.array([0.0, 0.0, 0.3, 0.4])
    report = fg.check_grad(kinked, np.array([0.2, 0.1, 1.0, 1.0]), x, backend="python")
    assert report.counts["disagrees"] == 2
    assert "does it use its argument" not in str(report)
    constant = fg.check_grad(lambda E: 1.5, wrong, E, backend="python", strategy="screen")
    assert "does it use its argument" in str(constant)
