"""Executors: the answer is that of one process, whoever answers, in any order, and whatever breaks."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest

import fastgrad as fg
from fastgrad.cluster import engines, pace, spread, worker
from fastgrad.cluster.dispatch import AHEAD
from fastgrad.cluster.question import Part, Question, Span, left_over
from fastgrad.errors import ExecutorError, LossError
from fastgrad.evaluate.protocol import Evaluator
from tests.cluster.executors import KilledWorker, Mortal, Shuffled
from tests.cluster.losses import CALLS, A, N, X, check, quartic, quartic_grad, said

PART = 7


@pytest.fixture(autouse=True)
def everything_goes_out(monkeypatch):
    """Parts of seven evaluations, and no question too brief."""
    monkeypatch.setattr(spread, "WORTH_SENDING", 0.0)
    monkeypatch.setattr(pace.Pace, "size", lambda self, left, workers=1: min(left, PART))


@pytest.mark.parametrize("strategy", ["sweep", "screen"])
def test_the_answer_is_the_same_in_any_order(strategy):
    expected, calls = check(strategy=strategy)
    for seed in range(4):
        with Shuffled(seed, workers=1 + seed % 3, forgets=seed % 2 == 1) as pool:
            got, made = check(strategy=strategy, executor=pool)
            assert pool.answers > calls / PART / 2
        assert said(got) == said(expected)
        assert (got.evaluations, made) == (expected.evaluations, calls)
        assert "workers of a Shuffled" in got.ran


def test_a_gradient_and_its_estimate_are_the_same():
    with Shuffled() as pool:
        g = fg.grad(quartic, backend="python")
        h = fg.grad(quartic, backend="python", executor=pool)
        np.testing.assert_array_equal(h(X, A), g(X, A))
        value, gradient = fg.value_and_grad(quartic, backend="python", executor=pool)(X, A)
        assert value == quartic(X, A)
        np.testing.assert_array_equal(gradient, g(X, A))
        got, expected = h.estimate(X, A), g.estimate(X, A)
        np.testing.assert_array_equal(got.gradient, expected.gradient)
        np.testing.assert_array_equal(got.error, expected.error)
        assert got.evaluations == expected.evaluations
        np.testing.assert_array_equal(h.bind(A)(X), g(X, A))


def structure(p, a):
    return float((p["W"] ** 4).sum() + a * p["b"].sum())


def test_structures_of_theta_travel():
    theta = {"W": np.arange(6.0).reshape(2, 3), "b": np.ones(2)}
    expected = fg.grad(structure, backend="python")(theta, 2.0)
    with Shuffled() as pool:
        got = fg.grad(structure, backend="python", executor=pool)(theta, 2.0)
    for name in theta:
        np.testing.assert_array_equal(got[name], expected[name])


def test_a_job_travels_once_a_worker(monkeypatch):
    """A large argument is not sent with every part; a worker that lacks it gets it again."""
    monkeypatch.setattr(engines, "SMALL_JOB", 1 << 10)
    large = np.linspace(1.0, 2.0, 100_000)

    with Shuffled() as pool:
        fg.grad(weighed, backend="python", executor=pool)(X, large)
        assert 2 * large.nbytes < pool.bytes < 5 * large.nbytes  # of 17 parts
    with Shuffled(forgets=True) as pool:
        got = fg.grad(weighed, backend="python", executor=pool)(X, large)
    np.testing.assert_array_equal(got, fg.grad(weighed, backend="python")(X, large))


def weighed(x, weights):
    return float((x**2).sum() * weights[0])


@pytest.mark.parametrize("answers", [3, 9])
def test_what_was_judged_is_kept_when_the_executor_breaks(answers):
    with Shuffled(breaks_after=answers) as pool:
        report, _ = check(executor=pool)
        found = [r for r in report.remarks if "entries judged" in r]
    judged = report.checked
    assert 0 < judged < N
    assert found == [
        f"{judged} of {N} entries judged: the executor broke (BrokenProcessPool); "
        "pass a dask Client, which replaces workers."
    ]
    assert report.blocks[0].checked == judged
    numeric = report.arrays("theta").numeric
    known = np.isfinite(numeric)
    assert np.count_nonzero(known) == judged
    expected = check()[0].arrays("theta").numeric.copy()
    first = check(quartic_grad(X, A))[0].arrays("theta").numeric  # by the first step of every entry
    expected[np.arange(N) != 17] = first[np.arange(N) != 17]
    np.testing.assert_array_equal(numeric[known], expected[known])
    # one of these does not agree at the first step, and is looked at again in this process
    wrong = {entry.name for entry in report.entries if entry.verdict == "disagrees"}
    assert wrong == ({"theta[17]"} if known[17] else set())
    assert report.verdict == ("disagrees" if known[17] else "inconclusive")


def test_what_was_answered_before_it_broke_is_in_the_checkpoint(tmp_path):
    expected, calls = check()
    with Shuffled(breaks_after=9) as pool:
        _, before = check(executor=pool, checkpoint=tmp_path / "a.fg")
    got, made = check(checkpoint=tmp_path / "a.fg")
    assert said(got) == said(expected)
    assert before + made == calls


def test_grad_says_how_far_it_came():
    """Of 60 entries, three of which were asked first for noise."""
    with (
        Shuffled(breaks_after=5) as pool,
        pytest.raises(ExecutorError, match=r"of 114 evaluations made: the executor broke"),
    ):
        fg.grad(quartic, backend="python", executor=pool)(X, A)


def brittle(x, a):
    if x[17] > X[17] and np.array_equal(x[18:], X[18:]) and np.array_equal(x[:17], X[:17]):
        raise KilledWorker
    return quartic(x, a)


class Deadly(Shuffled):
    """A pool whose workers die of `KilledWorker`, which a loss raises in the place of a crash."""

    def submit(self, function, *args):
        return super().submit(dies, function, *args)


def dies(function, *args):
    found = function(*args)
    if isinstance(getattr(found, "outside", None), str) and "KilledWorker" in found.outside:
        raise KilledWorker
    return found


def test_an_entry_that_kills_every_worker_is_found_and_named():
    with Deadly() as pool:
        report, _ = check(loss=brittle, executor=Mortal(pool))
    said_of = [r for r in report.remarks if "killed every worker" in r]
    assert len(said_of) == 1
    assert "at theta[17] +" in said_of[0]
    assert [e.name for e in report.entries if e.verdict != "agrees"] == ["theta[17]"]
    assert report.entries[0].verdict == "inconclusive"
    assert report.checked == N
    with Deadly() as pool, pytest.raises(LossError, match=r"killed every worker .* theta\[17\]"):
        fg.grad(brittle, backend="python", step=1e-5, executor=Mortal(pool))(X, A)


def raising(x, a):
    if x[9] > X[9]:
        raise ZeroDivisionError("of its own")
    return quartic(x, a)


def test_what_the_loss_raises_is_told_as_in_one_process():
    expected, _ = check(loss=raising)
    for seed in range(3):
        with Shuffled(seed) as pool:
            got, _ = check(loss=raising, executor=pool)
        assert said(got) == said(expected)


def writes(x, a):
    if x[30] > X[30]:
        a[0] += 1.0
    return quartic(x, a)


def test_errors_come_back_as_they_are():
    with Shuffled() as pool, pytest.raises(fg.errors.MutatedInputError, match="its argument a"):
        fg.grad(writes, backend="python", executor=pool)(X, A.copy())


def test_what_cannot_be_sent_is_named():
    lock = threading.Lock()

    def loss(x, a):
        return quartic(x, a) + 0.0 * lock.locked()

    with Shuffled() as pool, pytest.raises(ExecutorError, match="lock, which loss reads"):
        fg.grad(loss, backend="python", executor=pool)(X, A)
    with Shuffled() as pool, pytest.raises(ExecutorError, match="the argument a cannot be sent"):
        fg.grad(quartic_of, backend="python", executor=pool)(X, [threading.Lock()])


def quartic_of(x, a):
    return quartic(x, A)


def test_ctrl_c_cancels_and_leaves_the_executor_usable():
    with Shuffled() as pool:
        CALLS.last = CALLS.made + 40
        # In the pool's thread it is a BaseException that ends nothing but the part.
        with pytest.raises(KeyboardInterrupt):
            check(executor=pool, loss=interrupting)
        CALLS.last = None
        expected, _ = check()
        got, _ = check(executor=pool)
    assert said(got) == said(expected)


INTERRUPT = threading.Event()


def interrupting(x, a):
    import _thread

    if CALLS.made + 1 == CALLS.last and threading.current_thread() is not threading.main_thread():
        CALLS.last = None
        _thread.interrupt_main()
    return quartic(x, a)


def test_threads_need_nothing_sent():
    lock = threading.Lock()

    def loss(x, a):
        with lock:
            return quartic(x, a)

    with ThreadPoolExecutor(3) as pool:
        got, made = check(loss=loss, executor=pool)
    expected, calls = check(loss=loss)
    assert (said(got), made) == (said(expected), calls)


class Threads(Evaluator):
    """A loss that is the number of threads it may use."""

    def coordinates(self, indices, offsets):
        return np.full(offsets.shape, float(numba.get_num_threads()))

    def along(self, direction, offsets):
        return np.full(offsets.shape, float(numba.get_num_threads()))


def test_what_is_compiled_on_the_way_is_no_cost_of_evaluations(monkeypatch):
    """A file would tell it to a budget: the same check, resumed, would find its loss too slow."""
    clock = {"now": 0.0, "compiling": 0.0}
    monkeypatch.setattr("time.perf_counter", lambda: clock["now"])
    monkeypatch.setattr(worker, "seconds_compiling", lambda: clock["compiling"])

    class Compiles(Threads):
        def coordinates(self, indices, offsets):
            clock["now"] += 5.0
            clock["compiling"] += 4.0
            return np.zeros(offsets.shape)

    part = Part(np.zeros(1, np.intp), np.zeros((1, 2)))
    assert worker.answered(Compiles(X), part, None).seconds == 1.0


def test_workers_use_their_share_of_threads():
    part = Part(np.zeros(1, np.intp), np.zeros((1, 2)))
    before = numba.get_num_threads()
    for threads, expected in ((1, 1), (10**6, numba.config.NUMBA_NUM_THREADS), (None, before)):
        answer = worker.answered(Threads(X), part, threads)
        assert answer.values.tolist() == [expected, expected]
        assert numba.get_num_threads() == before
    given = []

    class Recording:
        _max_workers = max(1, (os.cpu_count() or 1) // 2)

        def submit(self, function, *args):
            given.append(args)

    engine = engines.Engine(Recording())
    engine.submit(engines.Sent(worker.Job(quartic, None, {})), part)
    assert given[0][-1] == (os.cpu_count() or 1) // Recording._max_workers


def test_compiled_losses_go_out_too():
    with Shuffled() as pool:
        got = fg.grad(compiled, executor=pool)(X, A)
    np.testing.assert_array_equal(got, fg.grad(compiled)(X, A))


def compiled(x, a):
    return (a * x**4).sum()


def test_progress_is_told_of_every_evaluation(monkeypatch):
    seen = []

    class Bar:
        def __init__(self, run, label, expected):
            run.advance = seen.append

        def __enter__(self):
            pass

        def __exit__(self, *_):
            pass

    monkeypatch.setattr("fastgrad.slopes.progress_bar", Bar)
    with Shuffled() as pool:
        fg.grad(quartic, backend="python", progress=True, executor=pool)(X, A)
    assert sum(seen) == 2 * N


@pytest.mark.parametrize("strategy", ["sweep", "screen"])
def test_the_bar_of_a_check_counts_what_workers_made(monkeypatch, strategy, capsys):
    """As far as it goes in one process, with the time that is left by the pace of all workers."""
    from rich.progress import Progress

    ended = []
    stopped = Progress.stop

    def stop(bar):
        ended.extend((task.completed, task.total, task.speed) for task in bar.tasks)
        stopped(bar)

    monkeypatch.setattr(Progress, "stop", stop)
    check(strategy=strategy, progress=True)
    (alone,), _ = ended[:], ended.clear()
    with Shuffled() as pool:
        report, _ = check(strategy=strategy, progress=True, executor=pool)
    ((completed, total, speed),) = ended
    assert (completed, total) == alone[:2]
    assert 2 * N * (strategy == "sweep") <= completed <= report.evaluations
    assert speed > 0
    assert "ETA" in capsys.readouterr().err


def test_parts_of_a_question_are_the_question():
    question = Question(np.array([3, 5, 8]), np.arange(6.0).reshape(3, 2))
    for span in (Span(0, 6), Span(2, 4), Span(1, 4)):
        part = question.part(span)
        np.testing.assert_array_equal(part.offsets.ravel(), np.arange(span.start, span.stop))
        expected = np.repeat([3, 5, 8], 2)[span.start : span.stop]
        np.testing.assert_array_equal(np.repeat(part.places, part.offsets.shape[1]), expected)
    rng = np.random.default_rng(0)
    for _ in range(50):
        known = [Span(a, a + b) for a, b in rng.integers(1, 10, (3, 2)).tolist()]
        covered = np.zeros(20, bool)
        for span in known + left_over(20, known):
            assert span in known or not covered[span.start : span.stop].any()
            covered[span.start : span.stop] = True
        assert covered.all()


def test_parts_take_a_second_and_get_shorter_at_the_end():
    model = pace.Pace()
    size = PACE_SIZE
    assert size(model, 1000) == 1000  # nothing is known
    model.saw(10, 0.5)
    assert size(model, 1000) == 20
    assert size(model, 1000, 2) == 20
    assert size(model, 40, 2) == 10
    assert size(model, 1, 2) == 1
    assert size(model, 10**8, 10_000) * model.seconds >= 10_000 * pace.CLIENT_SECONDS - 1e-9
    assert AHEAD >= 2


PACE_SIZE = pace.Pace.size
