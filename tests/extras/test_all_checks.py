"""Every check and every estimate goes through executors and checkpoints, and is as without."""

import re

import numpy as np
import pytest
from scipy import sparse

import fastgrad as fg
from fastgrad.cluster import pace, spread
from fastgrad.errors import CheckpointError, ExecutorError
from tests.cluster.executors import Shuffled
from tests.cluster.losses import CALLS, A, N, X, check, quartic, quartic_grad

PART = 7
x, a = X[:6], A[:6]


@pytest.fixture(autouse=True)
def everything_goes_out(monkeypatch):
    """Parts of seven evaluations, and no question too brief."""
    monkeypatch.setattr(spread, "WORTH_SENDING", 0.0)
    monkeypatch.setattr(spread, "REPEATS", 3)
    monkeypatch.setattr(pace.Pace, "size", lambda self, left, workers=1: min(left, PART))


def outputs(x, a):
    CALLS.count()
    return np.stack([a * x**3, np.sin(x) * x[::-1]])


def jacobian_of(x, a):
    n = x.size
    turned = np.diag(np.cos(x) * x[::-1]) + np.diag(np.sin(x))[:, ::-1]
    return np.stack([np.diag(3 * a * x**2), turned]).reshape(2, n, n)


def hessian_of(x, a):
    H = np.diag(12 * a * x**2)
    H[0, -1] = H[-1, 0] = 1.0
    return H


def pulled_back(c, x, a):
    """Wrong by 1% for a."""
    own = c[0] * 3 * a * x**2 + c[1] * np.cos(x) * x[::-1] + (c[1] * np.sin(x))[::-1]
    return own, 1.01 * c[0] * x**3


def pushed_forward(tangents, x, a):
    dx, da = tangents
    return np.stack([3 * a * x**2 * dx + x**3 * da, np.cos(x) * x[::-1] * dx])


def noisy(x, a, seed=0):
    return quartic(x, a) * (1 + 0.01 * np.random.default_rng(seed).standard_normal())


def noisy_grad(x, a, seed=0):
    return quartic_grad(x, a) * (1 + 0.01 * np.random.default_rng(seed).standard_normal())


def banded(x):
    CALLS.count()
    return x**3 + np.append(x[1:], 0.0)


band = sparse.csr_array(np.diag(3 * x**2) + np.diag(np.ones(5), 1))
python = {"backend": "python"}

CHECKS = {
    "vjp": lambda **o: fg.check_vjp(
        outputs, pulled_back, x, a, cotangents=2, strategy="sweep", **o
    ),
    "jvp": lambda **o: fg.check_jvp(outputs, pushed_forward, x, a, tangents=2, **o),
    "jacobian": lambda **o: fg.check_jacobian(
        outputs, 1.01 * jacobian_of(x, a), x, a, strategy="sweep", **python, **o
    ),
    "sparse jacobian": lambda **o: fg.check_jacobian(banded, band, x, **python, **o),
    "screened jacobian": lambda **o: fg.check_jacobian(
        outputs, jacobian_of(x, a) + np.eye(6)[2], x, a, strategy="screen", **python, **o
    ),
    "hessian": lambda **o: fg.check_hessian(quartic, hessian_of, x, a, **python, **o),
    "hessian by grad": lambda **o: fg.check_hessian(
        quartic, hessian_of, x, a, grad=counted_grad, **python, **o
    ),
    "hessian within bounds": lambda **o: fg.check_hessian(
        quartic, hessian_of, x, a, bounds=(x[0], None), **python, **o
    ),
    "jacobian within bounds": lambda **o: fg.check_jacobian(
        outputs, jacobian_of(x, a), x, a, bounds=(x[0], None), strategy="sweep", **python, **o
    ),
    "hvp": lambda **o: fg.check_hvp(
        quartic, lambda x, v, a: hessian_of(x, a) @ v, x, a, **python, **o
    ),
    "booster": lambda **o: fg.check_grad(
        quartic,
        lambda x, a: (quartic_grad(x, a), 12 * a * x**2),
        x,
        a,
        strategy="sweep",
        **python,
        **o,
    ),
    "seeds": lambda **o: fg.check_grad(noisy, noisy_grad, x, a, seeds=range(6), **o),
}

ESTIMATES = {
    "jacobian": lambda **o: fg.jacobian(outputs, **python, **o)(x, a),
    "sparse jacobian": lambda **o: fg.jacobian(banded, sparsity=band, **python, **o)(x).toarray(),
    "jacobian with bars": lambda **o: fg.jacobian(outputs, **python, **o).estimate(x, a).error,
    "hessian": lambda **o: fg.hessian(quartic, **python, **o)(x, a),
    "hessian by grad": lambda **o: fg.hessian(quartic, grad=counted_grad, **python, **o)(x, a),
    "hvp": lambda **o: fg.hvp(quartic, **python, **o)(x, a, a),
    "value_and_grad": lambda **o: fg.value_and_grad(quartic, **python, **o)(x, a)[1],
}


def counted_grad(x, a):
    CALLS.count()
    return quartic_grad(x, a)


def told(report):
    """All of a report, and of those on its points, but for the time that it took."""
    return re.sub(r"'seconds': [^,]+", "", repr(report.to_dict()))


def made_by(call, **through):
    before = CALLS.made
    return call(**through), CALLS.made - before


@pytest.mark.parametrize("kind", CHECKS)
def test_a_check_is_the_same_through_workers_and_from_a_file(kind, tmp_path):
    call = CHECKS[kind]
    expected, calls = made_by(call)
    with Shuffled(3) as pool:
        got, made = made_by(call, executor=pool, checkpoint=tmp_path / "a.fg")
        assert pool.answers > 2
    # where outputs are read as theta's, what is called once to see their shapes is called by each
    assert told(got) == told(expected)
    assert calls <= made <= calls + pool.answers
    again, made = made_by(call, checkpoint=tmp_path / "a.fg")
    assert told(again) == told(expected)
    assert (
        made < calls / 4
    )  # the backward passes and gradients under test, and the shapes of outputs


@pytest.mark.parametrize("kind", ESTIMATES)
def test_an_estimate_is_the_same_through_workers_and_from_a_file(kind, tmp_path):
    call = ESTIMATES[kind]
    expected = call()
    with Shuffled(3) as pool:
        np.testing.assert_array_equal(call(executor=pool, checkpoint=tmp_path / "a.fg"), expected)
        assert pool.answers > 1
    again, made = made_by(call, checkpoint=tmp_path / "a.fg")
    np.testing.assert_array_equal(again, expected)
    assert made <= 2  # the shapes of outputs, and the value of a loss


def test_other_functions_and_inputs_are_refused_by_name(tmp_path):
    CHECKS["hessian by grad"](checkpoint=tmp_path / "a.fg")
    with pytest.raises(CheckpointError, match="another function grad"):
        fg.check_hessian(
            quartic, hessian_of, x, a, grad=quartic_grad, checkpoint=tmp_path / "a.fg", **python
        )
    CHECKS["vjp"](checkpoint=tmp_path / "b.fg")
    with pytest.raises(CheckpointError, match=r"another theta \(a differs\)"):
        fg.check_vjp(outputs, pulled_back, x, a + 1, checkpoint=tmp_path / "b.fg")
    with pytest.raises(CheckpointError, match="another loss"):
        fg.check_vjp(other_outputs, pulled_back, x, a, checkpoint=tmp_path / "b.fg")
    # another backward pass is judged by what is there, and so is another cotangent, by its own
    mended = fg.check_vjp(
        outputs,
        lambda c, x, a: (pulled_back(c, x, a)[0], c[0] * x**3),
        x,
        a,
        cotangents=2,
        strategy="sweep",
        checkpoint=tmp_path / "b.fg",
    )
    assert mended.verdict == "agrees"
    assert CHECKS["vjp"](seed=1, checkpoint=tmp_path / "b.fg").verdict == "disagrees"


def other_outputs(x, a):
    return outputs(x, a) + 0.0


def test_what_was_judged_of_a_jacobian_is_kept_when_the_executor_breaks():
    def broken(after):
        with Shuffled(0, breaks_after=after) as pool:
            return fg.check_jacobian(
                outputs, 1.01 * jacobian_of(X, A), X, A, strategy="sweep", executor=pool, **python
            )

    report = broken(14)
    (words,) = [remark for remark in report.remarks if "entries judged" in remark]
    assert f" of {2 * N * N:,} entries judged: the executor broke (BrokenProcessPool)" in words
    assert 0 < report.checked < 2 * N * N
    assert report.verdict == "disagrees"
    with pytest.raises(ExecutorError, match="evaluations made: the executor broke"):
        broken(1)


def test_what_does_not_go_together_is_refused():
    with Shuffled() as pool:
        for option in ({"executor": pool}, {"checkpoint": "a.fg"}):
            with pytest.raises(ValueError, match="does not go with method"):
                check(method="complex", **option)
            with pytest.raises(ValueError, match="does not go with samples"):
                check(quartic_grad, samples=20, **option)
            with pytest.raises(ValueError, match='goes with real differences, not with method="co'):
                fg.grad(quartic, method="complex", **option)
        assert pool.answers == 0


def test_what_of_a_layer_cannot_be_sent_is_named():
    import threading

    lock = threading.Lock()

    def layer(x, a):
        with lock:
            return outputs(x, a)

    with Shuffled() as pool, pytest.raises(ExecutorError, match="lock, which layer reads"):
        fg.check_vjp(layer, pulled_back, x, a, executor=pool)

    def backward(c, x, a):  # stays here
        with lock:
            return pulled_back(c, x, a)

    with Shuffled() as pool:
        report = fg.check_vjp(outputs, backward, x, a, strategy="sweep", executor=pool)
        assert pool.answers > 2
    assert told(report) == told(fg.check_vjp(outputs, pulled_back, x, a, strategy="sweep"))


def test_a_campaign_of_parts_keeps_them_apart(tmp_path):
    """The same question, asked under another label, is another."""
    from fastgrad.cluster.campaign import campaign
    from fastgrad.evaluate.protocol import Inputs
    from fastgrad.evaluate.python import PythonEvaluator
    from fastgrad.parameters.layout import flatten

    layout, flat = flatten(x)
    inputs = Inputs(layout, flat, (a,))

    def values(label, loss):
        with campaign(None, tmp_path / "a.fg", quartic, lambda: inputs, {}) as through:
            part = through.within(label)
            run = part.evaluator(PythonEvaluator(loss, inputs), loss, inputs, {})
            return run.along(flat, np.array([0.0, 1.0]))

    one = values("one", quartic)
    np.testing.assert_array_equal(values("two", lambda x, a: 2 * quartic(x, a)), 2 * one)
    before = CALLS.made
    np.testing.assert_array_equal(values("one", quartic), one)
    assert CALLS.made == before
