"""A plain function means what Python means by it; an njit function what numba does."""

import time
import warnings
from contextlib import suppress

import numpy as np
import pytest
from numba import njit

import fastgrad as fg
from fastgrad.errors import LossCompilationError, LossError, MutatedInputError, PythonBackendWarning
from fastgrad.evaluate import same_meaning
from fastgrad.evaluate.deadline import TookTooLong, within
from tests.evaluate.traps import QUICK, TRAPS
from tests.losses import run_python

H = 2.0**-17


def leaves(theta):
    return list(theta.values()) if isinstance(theta, dict) else [theta]


def in_python(trap):
    """Central differences by the obvious loop; None where the function raises at theta."""
    try:
        trap.loss(trap.theta, *trap.args)
    except Exception:
        return None
    gradient = []
    for leaf in leaves(trap.theta):
        for i in range(leaf.size):
            x = leaf[i]
            values = []
            for offset in (H, -H):
                leaf[i] = x + offset
                values.append(float(trap.loss(trap.theta, *trap.args)))
            leaf[i] = x
            gradient.append((values[0] - values[1]) / (2 * H))
    return np.array(gradient)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in TRAPS]
)
def test_the_gradient_is_that_of_python(name):
    trap = TRAPS[name]
    expected = in_python(trap)
    if expected is None:
        with pytest.raises(LossError):
            fg.grad(trap.loss)(trap.theta, *trap.args)
        return
    got = np.concatenate(leaves(fg.grad(trap.loss)(trap.theta, *trap.args)))
    rtol = 2 * same_meaning.FLOAT32_ROUNDING if "singles" in name else 2e-7
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=rtol * np.abs(expected).max())
    report = fg.check_grad(trap.loss, lambda *_: like(trap.theta, expected), trap.theta, *trap.args)
    assert report.verdict != "disagrees"


def like(theta, flat):
    if not isinstance(theta, dict):
        return flat
    stops = np.cumsum([leaf.size for leaf in theta.values()])[:-1]
    return dict(zip(theta, np.split(flat, stops), strict=True))


def test_there_are_sixty_traps():
    assert len(TRAPS) >= 60


def overflows(x):
    return x[0] ** 2 * 2**70 / 2.0**70 + x[1]


def test_both_numbers_and_the_reason_are_said():
    report = fg.check_grad(overflows, lambda x: np.array([2 * x[0], 1.0]), np.array([3.0, 4.0]))
    assert report
    said = "compiled, it is 4 at the given parameters; in Python it is 13: compiled integers"
    assert said in report.remarks[0]
    with pytest.raises(LossCompilationError, match=r"compiled, it is 4 .* @numba.njit"):
        fg.grad(overflows, backend="compiled")(np.array([3.0, 4.0]))
    with pytest.warns(PythonBackendWarning, match="compiled, it is 4"):
        fg.grad(overflows)(np.array([3.0, 4.0]))


def test_njit_means_what_numba_means():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = fg.grad(njit(overflows))(np.array([3.0, 4.0]))
    np.testing.assert_allclose(got, [0, 1], atol=1e-9)


@pytest.mark.parametrize("backend", ["auto", "compiled"])
def test_an_njit_loss_that_reads_past_the_end_is_told(backend):
    @njit
    def loss(p):
        return p[0] ** 2 + p[2]

    with pytest.raises(LossError, match=r"IndexError .* past the end") as info:
        fg.grad(loss, backend=backend)(np.ones(2))
    assert isinstance(info.value.__cause__, IndexError)
    np.testing.assert_allclose(fg.grad(loss, backend=backend)(np.ones(3)), [2, 0, 1], atol=1e-8)


def test_one_that_calls_another_that_does_is_told():
    @njit
    def third(p):
        return p[2] ** 2

    @njit
    def second(p):
        return third(p) + 1.0

    @njit
    def loss(p):
        return p[0] ** 2 + second(p)

    before = len(third.signatures), len(second.signatures)
    with pytest.raises(LossError, match=r"IndexError .* past the end"):
        fg.grad(loss)(np.ones(2))
    np.testing.assert_allclose(fg.grad(loss)(np.ones(3)), [2, 0, 2], atol=1e-8)
    assert (len(third.signatures), len(second.signatures)) == tuple(n + 1 for n in before)


def test_one_that_calls_itself_and_others_by_closure():
    @njit
    def power(x, n):
        return 1.0 if n == 0 else x * power(x, n - 1)

    def made(helper):
        return njit(lambda p: helper(p[0], 3) + p[-1])

    np.testing.assert_allclose(fg.grad(made(power))(np.ones(2)), [3, 1], atol=1e-8)


def test_two_changes_of_sign_are_not_taken_for_none():
    """The call from Python gets copies: it would undo what the first evaluation is watched for."""

    def flips(x, data):
        data[0] = -data[0]
        return (x * x).sum()

    with pytest.raises(MutatedInputError, match="its argument data"):
        fg.grad(flips)(np.ones(2), np.ones(3))


def test_values_that_differ_by_rounding_are_the_same():
    """A perfect fit: what is left is rounding, and differs by half of itself."""
    rng = np.random.default_rng(0)
    X, w = rng.normal(size=(50, 8)), rng.normal(size=8)
    fitted = X @ w

    def loss(w, X, y):
        total = 0.0
        for i in range(y.size):
            total += (np.dot(X[i], w) - y[i]) ** 2
        return total

    report = fg.check_grad(loss, lambda w, X, y: 2 * X.T @ (X @ w - y), w, X, fitted)
    assert report.verdict != "disagrees"
    assert not any("Python" in remark for remark in report.remarks)


def test_a_key_is_in_a_dict_and_not_among_its_values():
    @njit
    def loss(w, cfg):
        penalty = cfg["l1"] * np.abs(w).sum() if "l1" in cfg else 0.0
        return w @ w + penalty + (100.0 if "l2" in cfg else 0.0)

    np.testing.assert_allclose(fg.grad(loss)(np.ones(2), {"l1": 0.5}), 2.5, rtol=1e-8)


def test_iteration_over_a_dict_is_refused_where_it_would_give_values():
    @njit
    def loss(p):
        total = 0.0
        for block in p:
            total += block.sum()
        return total

    theta = {"a": np.ones(2), "b": np.ones(2)}
    with pytest.raises(LossCompilationError, match="iterates over a dict"):
        fg.grad(loss, backend="compiled")(theta)


def test_an_attribute_of_a_dict_is_compiled_code_alone():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = fg.grad(lambda p: (p.a**2).sum() + p["b"])({"a": np.ones(2), "b": 1.0})
    np.testing.assert_allclose(got["a"], 2, rtol=1e-8)


def test_a_function_that_fails_compiled_and_takes_records_gets_them():
    with pytest.warns(PythonBackendWarning):
        got = fg.grad(lambda p: sorted([p.a, p["b"]], key=abs)[0] ** 2)({"a": 3.0, "b": 4.0})
    assert got["a"] == pytest.approx(6.0)


def test_what_is_held_against_python_is_held_once(monkeypatch):
    calls = []

    def loss(x):
        return (x * x).sum()

    called = same_meaning.called_from_python
    monkeypatch.setattr(same_meaning, "QUICK_SECONDS", np.inf)
    monkeypatch.setattr(
        same_meaning, "called_from_python", lambda *a: calls.append(1) or called(*a)
    )
    for _ in range(3):
        fg.grad(loss)(np.ones(3))
    assert len(calls) == 1
    fg.grad(loss)(np.ones(4))
    assert len(calls) == 2
    assert fg.check_grad(loss, lambda x: 2 * x, np.ones(3)).evaluations == (
        fg.check_grad(loss, lambda x: 2 * x, np.ones(3)).evaluations
    )


def test_a_call_that_takes_too_long_is_given_up_and_said(monkeypatch):
    def slow(x):
        total = 0.0
        for _ in range(3_000_000):
            total += x[0] * x[0] * 1e-6
        return total

    monkeypatch.setattr(same_meaning, "CALL_SECONDS", 0.02)
    report = fg.check_grad(slow, lambda x: 6 * x, np.ones(1))
    assert report
    assert any("not held against Python" in remark for remark in report.remarks)


PROFILED = """
import sys
from fastgrad.evaluate.deadline import TookTooLong, within

def forever():
    while True:
        pass

within(10.0, lambda: 0)
try:
    within(0.01, forever)
except TookTooLong:
    pass
calls = []
sys.setprofile(lambda frame, event, argument: calls.append(event))
(lambda: 0)()
sys.setprofile(None)
print(calls.count("call"))
"""


def test_a_program_that_was_given_a_deadline_can_be_profiled():
    """Python hung in its first call, where an interruption was taken back."""
    assert run_python(PROFILED).split() == ["1"]


def test_a_deadline_interrupts_and_leaves_nothing_behind():
    def forever():
        while True:
            try:
                while True:
                    pass
            except Exception:  # it is none
                pass

    for _ in range(3):
        with pytest.raises(TookTooLong):
            within(0.01, forever)
    began = time.perf_counter()
    for k in range(300):
        with suppress(TookTooLong):  # on a busy core
            assert within(1e-4, lambda k=k: k) == k
    sum(range(100_000))  # where an exception that was still to come would surface
    assert time.perf_counter() > began


def test_what_is_read_from_outside_is_what_it_is_now():
    scope = {"np": np, "scale": 1.0, "table": np.ones(2), "helper": njit(lambda x: x)}
    exec("def loss(x):\n    return scale * helper((table * x).sum())\n", scope)
    loss = scope["loss"]

    def got():
        return fg.grad(loss)(np.ones(2))[0]

    assert got() == pytest.approx(1.0)
    scope["scale"] = 2.0
    assert got() == pytest.approx(2.0)
    scope["table"][0] = 5.0
    assert got() == pytest.approx(10.0)
    scope["helper"] = njit(lambda x: 3 * x)
    assert got() == pytest.approx(30.0)
    scope["scale"] = 1.0
    assert got() == pytest.approx(15.0)


def test_closures_are_read_now_and_equal_ones_share_a_compilation():
    from fastgrad.evaluate.adapters import dispatcher

    def make(scale):
        def loss(x):
            return scale * (x * x).sum()

        def rescale(value):
            nonlocal scale
            scale = value

        return loss, rescale

    (loss, rescale), (other, _) = make(1.0), make(1.0)
    assert dispatcher(loss) is dispatcher(other)
    assert fg.grad(loss)(np.ones(2))[0] == pytest.approx(2.0)
    rescale(4.0)
    assert fg.grad(loss)(np.ones(2))[0] == pytest.approx(8.0)
    assert fg.grad(other)(np.ones((2, 2)))[0, 0] == pytest.approx(2.0)  # types of its own
    assert fg.grad(make(True)[0])(np.ones(2))[0] == pytest.approx(2.0)


def test_a_default_and_an_attribute_of_a_module_are_read_now():
    import types

    config = types.ModuleType("config")
    config.lam = 1.0
    scope = {"config": config}
    exec("def loss(x, k=1.0):\n    return k * config.lam * (x * x).sum()\n", scope)
    loss = scope["loss"]
    assert fg.grad(loss)(np.ones(2))[0] == pytest.approx(2.0)
    config.lam = 3.0
    assert fg.grad(loss)(np.ones(2))[0] == pytest.approx(6.0)
    loss.__defaults__ = (2.0,)
    assert fg.grad(loss)(np.ones(2))[0] == pytest.approx(12.0)


def test_njit_keeps_what_it_froze_and_the_report_says_so():
    scope = {"njit": njit, "lam": 1.0}
    exec("@njit\ndef loss(x):\n    return lam * (x * x).sum()\n", scope)
    loss = scope["loss"]
    assert fg.check_grad(loss, lambda x: 2 * x, np.ones(2)).remarks == ()
    scope["lam"] = 2.0
    report = fg.check_grad(loss, lambda x: 2 * x, np.ones(2))
    assert report
    assert "lam, which loss reads from outside, has changed" in report.remarks[0]
    loss.recompile()
    report = fg.check_grad(loss, lambda x: 4 * x, np.ones(2))
    assert report
    assert report.remarks == ()
