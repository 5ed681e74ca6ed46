"""Checkpoints: nothing that was finished is done again, whatever happened to the file in between."""

import os
import signal
import time
import warnings

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.cluster import fingerprints, pace
from fastgrad.cluster.question import Span
from fastgrad.cluster.store import FRAME, MARK, Answer, Store, bodies
from fastgrad.errors import CheckpointError
from tests.cluster.losses import CALLS, A, N, X, check, quartic, quartic_grad, said

PART = 10
"""Evaluations of a part, about, in these tests."""


@pytest.fixture(autouse=True)
def short_parts(monkeypatch):
    """Parts of about ten evaluations, however fast this machine is."""
    monkeypatch.setattr(pace.Pace, "size", lambda self, left, workers=1: min(left, PART))


@pytest.fixture
def undisturbed():
    return check()


def test_a_finished_run_is_read_from_its_file(tmp_path, undisturbed):
    expected, calls = undisturbed
    first, made = check(checkpoint=tmp_path / "a.fg")
    assert (said(first), made) == (said(expected), calls)
    again, made = check(checkpoint=tmp_path / "a.fg")
    assert (said(again), made) == (said(expected), 0)
    assert again.evaluations == expected.evaluations
    assert "were in the checkpoint" in again.ran


def test_a_truncated_file_loses_what_was_cut_off(tmp_path, undisturbed):
    """At 40 places: as many calls as the lost values took, and the same report."""
    expected, calls = undisturbed
    check(checkpoint=tmp_path / "a.fg")
    whole = (tmp_path / "a.fg").read_bytes()
    head = FRAME.size + len(next(bodies(whole)))
    for cut in np.linspace(head, len(whole) - 1, 40).astype(int).tolist():
        path = tmp_path / "b.fg"
        path.write_bytes(whole[:cut])
        got, made = check(checkpoint=path)
        assert said(got) == said(expected)
        kept = sum(evaluations_in(whole[:cut]))
        assert made == calls - kept
        assert check(checkpoint=path)[1] == 0  # what was cut off is whole again
        path.unlink()


def evaluations_in(known):
    from fastgrad.cluster.store import BODY

    return [int(BODY.unpack_from(body)[5]) for body in bodies(known)][1:]


def test_a_byte_that_changed_loses_its_part_alone(tmp_path, undisturbed):
    expected, _ = undisturbed
    check(checkpoint=tmp_path / "a.fg")
    whole = (tmp_path / "a.fg").read_bytes()
    head = FRAME.size + len(next(bodies(whole)))
    rng = np.random.default_rng(0)
    for at in rng.integers(head, len(whole), 40).tolist():
        spoilt = bytearray(whole)
        spoilt[at] ^= 1 << int(rng.integers(8))
        path = tmp_path / "b.fg"
        path.write_bytes(spoilt)
        got, made = check(checkpoint=path)
        assert said(got) == said(expected)
        assert made <= max(evaluations_in(whole))
        path.unlink()


@pytest.mark.slow
def test_kill_in_the_middle_of_a_write(tmp_path):
    """50 times: a process that writes without a pause is killed; all but the last record is there."""
    rng = np.random.default_rng(1)
    values = np.arange(20_000.0)
    torn = 0
    for trial in range(50):
        path = tmp_path / f"{trial}.fg"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
            child = os.fork()
        if child == 0:
            store = Store(path, {})
            for k in range(1 << 30):
                store.add(b"k" * 16, k, Span(0, values.size), Answer(values + k))
        time.sleep(0.005 + 0.01 * rng.random())
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        whole = path.read_bytes() if path.exists() else b""
        torn += bool(whole) and len(whole) != sum(FRAME.size + len(b) for b in bodies(whole))
        store = Store(path, {})
        k = 0
        while known := store.known(b"k" * 16, k):
            np.testing.assert_array_equal(known[0][1].values, values + k)
            k += 1
        assert k >= whole.count(MARK) - 2  # without the head, and the one under way
        store.add(b"k" * 16, k, Span(0, 3), Answer(values[:3]))
        store.close()
        assert Store(path, {}).known(b"k" * 16, k)


def other(x, a):
    return float(np.sum(a * x**4) + x[0] * x[-1]) + 0.0


def reading(scale):
    def loss(x, a):
        return float(scale * np.sum(a * x**4))

    return loss


@pytest.mark.parametrize(
    ("what", "named"),
    [
        ({"loss": other}, r"another loss \(its code differs\)"),
        ({"a": A + 1e-9}, "another argument a"),
        ({"backend": "auto"}, "backend='python', here it is 'auto'"),
    ],
)
def test_another_run_is_refused_by_name(tmp_path, what, named):
    check(checkpoint=tmp_path / "a.fg")
    with pytest.raises(CheckpointError, match=named):
        check(checkpoint=tmp_path / "a.fg", **what)


def test_another_closure_theta_or_version_is_refused_by_name(tmp_path, monkeypatch):
    path = tmp_path / "a.fg"
    check(loss=reading(1.0), checkpoint=path)
    with pytest.raises(CheckpointError, match="scale, which it reads, differs"):
        check(loss=reading(2.0), checkpoint=path)
    theta = {"W": np.ones((2, 2)), "b": np.zeros(2)}
    path = tmp_path / "b.fg"

    def loss(p):
        return float((p["W"] ** 2).sum() + p["b"].sum())

    def at(W):
        gradient = {"W": 2 * W, "b": np.ones(2)}
        return fg.check_grad(loss, gradient, {**theta, "W": W}, backend="python", checkpoint=path)

    at(np.ones((2, 2)))
    with pytest.raises(CheckpointError, match=r"another theta \(W differs\)"):
        at(2 * np.ones((2, 2)))
    monkeypatch.setattr(fingerprints, "__version__", "0.0")
    with pytest.raises(CheckpointError, match=r"fastgrad .*, here it is 0\.0"):
        at(np.ones((2, 2)))


def test_fingerprints_do_not_depend_on_the_process():
    from tests.losses import run_python

    code = """
import numpy as np
from fastgrad.cluster.fingerprints import of_loss, of_value
from tests.cluster.losses import quartic
value = {"a": {3, 1, 2}, "b": [np.arange(3.0), "x"], "c": np.random.default_rng(0), "d": len}
print(of_value(value), sorted(of_loss(quartic).items()))
"""
    one, two = (run_python(code, PYTHONHASHSEED=seed) for seed in "12")
    assert one == two


def test_another_gradient_is_judged_by_what_is_there(tmp_path):
    path = tmp_path / "a.fg"
    wrong, _ = check(checkpoint=path)
    mended, calls = check(quartic_grad(X, A), checkpoint=path)
    assert (wrong.verdict, mended.verdict) == ("disagrees", "agrees")
    assert calls <= 2 * PART  # what the wrong entry's own law or look was not asked for before


def test_what_was_interrupted_goes_on(tmp_path, undisturbed):
    """Ctrl-C at three places, one after another."""
    expected, calls = undisturbed
    began = CALLS.made
    for stop in (30, 61, 40):
        CALLS.last = CALLS.made + stop
        with pytest.raises(KeyboardInterrupt):
            check(checkpoint=tmp_path / "a.fg")
    CALLS.last = None
    got, _ = check(checkpoint=tmp_path / "a.fg")
    assert said(got) == said(expected)
    assert CALLS.made - began <= calls + 3 * PART


def test_a_file_in_use_and_a_file_of_somebody_else_are_refused(tmp_path):
    store = Store(tmp_path / "a.fg", {})
    with pytest.raises(CheckpointError, match="another call in this one"):
        check(checkpoint=tmp_path / "a.fg")
    store.close()
    (tmp_path / "b.fg").write_bytes(b"a letter to my mother")
    with pytest.raises(CheckpointError, match="is no checkpoint of fastgrad"):
        check(checkpoint=tmp_path / "b.fg")
    assert (tmp_path / "b.fg").read_bytes() == b"a letter to my mother"
    with pytest.raises(CheckpointError, match="there is no folder"):
        check(checkpoint=tmp_path / "no" / "b.fg")


def test_grad_goes_on_too(tmp_path):
    options = {"backend": "python", "checkpoint": tmp_path / "a.fg"}
    expected = fg.grad(quartic, backend="python")(X, A)
    before = CALLS.made
    for calls in (2 * N, 0):
        np.testing.assert_array_equal(fg.grad(quartic, **options)(X, A), expected)
        assert CALLS.made - before == calls
        before = CALLS.made
    with pytest.raises(CheckpointError, match=r"another theta"):
        fg.grad(quartic, **options)(X + 1, A)


def test_a_screen_goes_on(tmp_path):
    expected, calls = check(strategy="screen")
    for made in (calls, 0):
        got, again = check(strategy="screen", checkpoint=tmp_path / "a.fg")
        assert (said(got), again) == (said(expected), made)


def test_a_compiled_loss_goes_on(tmp_path):
    def loss(x):
        return (x**4).sum()

    g = 4 * X**3
    sweep = {"strategy": "sweep"}  # whatever the budget would allow on a machine that is busy
    reports = [fg.check_grad(loss, g, X, checkpoint=tmp_path / "a.fg", **sweep) for _ in range(2)]
    expected = fg.check_grad(loss, g, X, **sweep)
    assert said(reports[0]) == said(reports[1]) == said(expected)
    assert "were in the checkpoint" in reports[1].ran


def test_points_share_a_file(tmp_path):
    def run():
        before = CALLS.made
        report = fg.check_grad(
            quartic, quartic_grad, X, A, points=3, backend="python", checkpoint=tmp_path / "a.fg"
        )
        return [p.relative_error for p in report.points], CALLS.made - before

    (first, calls), (again, none) = run(), run()
    assert first == again
    assert calls > 0
    assert none == 0


def test_wrong_kinds_are_named():
    with pytest.raises(TypeError, match="expected something with submit"):
        check(executor=3)
