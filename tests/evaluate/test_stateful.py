"""Arguments that hold state: right numbers on any number of threads, or refused; never a crash."""

import ctypes.util
import sys
import threading

import numpy as np
import pytest
from numba import carray, njit, typeof

import fastgrad as fg
from fastgrad.errors import MutatedInputError, NondeterministicLossError, StepWarning
from fastgrad.evaluate import instances, process, schedule, sharing, writes
from fastgrad.evaluate.instances import why_not_copied
from fastgrad.evaluate.intrinsics import doubles_at
from tests.evaluate.stateful import STATEFUL, X, Y, gradient_of, typed_list
from tests.losses import evaluator_of, run_python

P = np.random.default_rng(1).normal(size=12)
QUICK = (
    "buffer in a jitclass",
    "appends points",
    "record added to",
    "told its parameters",
    "groups",
)
SOME = [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in STATEFUL]


def outcome(g, problem, argument):
    try:
        return g(P, argument, *problem.rest)
    except (MutatedInputError, NondeterministicLossError, StepWarning) as error:
        return error


@pytest.mark.filterwarnings("ignore::numba.NumbaPendingDeprecationWarning")  # of sets
@pytest.mark.parametrize("name", SOME)
def test_right_numbers_or_refused(name, monkeypatch):
    monkeypatch.setattr(sharing, "SHOWING_SECONDS", 1e-4)
    problem = STATEFUL[name]
    g = fg.grad(problem.loss)
    argument = problem.argument()
    first = outcome(g, problem, argument)
    if problem.refused or isinstance(first, Exception):
        assert problem.refused is not False
        assert isinstance(first, Exception)
        return
    if problem.refused is None:
        return
    np.testing.assert_allclose(first, gradient_of(problem, P), rtol=1e-7, atol=1e-7)
    for _ in range(20):
        np.testing.assert_array_equal(g(P, argument, *problem.rest), first)
    wrong = gradient_of(problem, P)
    wrong[3] *= 1.01
    for gradient, verdict in ((gradient_of(problem, P), "agrees"), (wrong, "disagrees")):
        assert fg.check_grad(problem.loss, gradient, P, argument, *problem.rest).verdict == verdict


@pytest.mark.filterwarnings("ignore::numba.NumbaPendingDeprecationWarning")
@pytest.mark.parametrize("name", SOME)
def test_four_threads_of_python_at_once(name):
    problem = STATEFUL[name]
    if problem.refused is not False:
        return
    g, argument = fg.grad(problem.loss), problem.argument()
    expected = g(P, argument, *problem.rest)
    got = []

    def run():
        got.extend(g(P, argument, *problem.rest) for _ in range(10))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 40
    for one in got:
        np.testing.assert_array_equal(one, expected)


SHARED = {"only read": True, "groups": True, "told its parameters": False, "stack": False}


@pytest.mark.parametrize(
    "name", ["groups", "stack", pytest.param("only read", marks=pytest.mark.slow)]
)
def test_only_what_is_only_read_is_shared(name, monkeypatch):
    monkeypatch.setattr(sharing, "SHOWING_SECONDS", 0.0)
    monkeypatch.setattr(process, "available_threads", lambda: 2)
    problem = STATEFUL[name]
    inputs = (problem.argument(), *problem.rest)
    run = evaluator_of(problem.loss, P, *inputs)
    for _ in range(3):
        run.coordinates(np.arange(12), np.full((12, 2), 1e-3))
    assert run.compiled.may_be_shared == SHARED[name]
    assert bool(run.compiled.leaves_state) == SHARED[name]
    assert not run.compiled.races


INSTANCES = [n if n == QUICK[0] else pytest.param(n, marks=pytest.mark.slow) for n in STATEFUL]
MANY = 2000
"""Evaluations enough that threads pay."""


def always_pays(monkeypatch):
    """Threads are taken whatever a launch costs just now."""
    monkeypatch.setattr(sharing, "SHOWING_SECONDS", 0.0)
    monkeypatch.setattr(schedule, "pays", lambda work, threads: threads > 1)


def many_steps(count=MANY):
    return np.arange(count) % 12, np.random.default_rng(2).normal(size=(count, 2)) * 1e-3


@pytest.mark.filterwarnings("ignore::numba.NumbaPendingDeprecationWarning")  # of sets
@pytest.mark.parametrize("name", INSTANCES)
def test_each_thread_has_an_instance_of_its_own(name, monkeypatch):
    """Bit for bit what one thread alone makes, in every launch; and the one passed is only read."""
    problem = STATEFUL[name]
    if problem.refused is not False or name == "keeps the data":
        return
    always_pays(monkeypatch)
    inputs = (problem.argument(), *problem.rest)
    alone = evaluator_of(problem.loss, P, *inputs, threads=1)
    expected = alone.coordinates(*many_steps())
    assert alone.sharing.most == 1
    for threads in (2, 4):
        monkeypatch.setattr(schedule, "available_threads", lambda count=threads: count)
        run = evaluator_of(problem.loss, P, *inputs, threads=threads)
        for _ in range(5):
            np.testing.assert_array_equal(run.coordinates(*many_steps()), expected)
        assert not run.compiled.races
        if not run.compiled.leaves_state:
            assert (
                run.ran == f"Ran compiled, on {threads} threads, each with an instance of its own"
            )
            assert len(run.rows.own) == threads
        along = evaluator_of(problem.loss, P, *inputs, threads=1).along(P, np.linspace(0, 1, MANY))
        np.testing.assert_array_equal(run.along(P, np.linspace(0, 1, MANY)), along)


@pytest.mark.slow
def test_without_copies_threads_disturb_each_other(monkeypatch):
    """The fault that copies are there to prevent, planted: all threads write to one buffer."""
    always_pays(monkeypatch)
    monkeypatch.setattr(schedule, "available_threads", lambda: 4)
    problem = STATEFUL["buffer in a jitclass"]
    inputs = (problem.argument(), *problem.rest)
    expected = evaluator_of(problem.loss, P, *inputs, threads=1).coordinates(*many_steps())
    spoiled = {}
    for copies in (writes.copied, lambda value, _: value):
        monkeypatch.setattr(writes, "copied", copies)
        spoiled[copies] = 0
        run = evaluator_of(problem.loss, P, *inputs, threads=4)
        for _ in range(20):
            got = run.coordinates(*many_steps())
            spoiled[copies] += run.compiled.races or not np.array_equal(got, expected)
            run.compiled.races = False
    own, shared = spoiled.values()
    assert own == 0
    assert shared > 0


@pytest.mark.slow
def test_what_two_ways_lead_to_is_not_copied(monkeypatch):
    """Copies would be two where the loss knows one; and what is large is not copied either."""
    always_pays(monkeypatch)
    monkeypatch.setattr(schedule, "available_threads", lambda: 2)
    buffer = np.zeros(400)
    for argument, most, why in (
        (typed_list(buffer, buffer), 1 << 26, "two ways"),
        (typed_list(buffer), 1 << 10, "a copy would take more"),
    ):
        monkeypatch.setattr(instances, "COPIED_BYTES", most)
        assert why in why_not_copied((argument,), (typeof(argument),))
        run = evaluator_of(STATEFUL["buffer in a List"].loss, P, argument, X, Y)
        run.coordinates(*many_steps(400))
        run.coordinates(*many_steps())
        assert run.ran == "Ran compiled, on one thread, as threads would share its state"
        assert any(why in remark for remark in run.remarks)
    monkeypatch.undo()
    apart, both = typed_list(np.zeros(3), np.ones(3)), (typeof(argument), typeof(buffer))
    assert why_not_copied((apart, buffer), both) == ""
    assert "two ways" in why_not_copied((apart, apart[0]), both)


def test_what_only_threads_show_is_found_and_run_on_one(monkeypatch):
    """A buffer that nobody told of: each thread's value is what another has just written."""
    loss = hidden_buffer()
    p = np.linspace(1.0, 2.0, 40)
    expected = fg.grad(loss)(p)
    run = evaluator_of(loss, p, threads=4)
    got = run.coordinates(np.arange(40), np.tile([1e-3, -1e-3], (40, 1)))
    alone = evaluator_of(loss, p, threads=1)
    np.testing.assert_array_equal(
        got, alone.coordinates(np.arange(40), np.tile([1e-3, -1e-3], (40, 1)))
    )
    np.testing.assert_allclose(expected, 2 * p, rtol=1e-7)
    if run.compiled.races:
        assert any("threads disturb each other" in r for r in run.remarks)


def hidden_buffer():
    """A loss with a buffer at an address that it has as a number."""
    memory = np.zeros(1000)
    HELD.append(memory)
    address = memory.ctypes.data

    @njit
    def loss(p):
        buffer = carray(doubles_at(address), (1000,))
        for _ in range(200):
            for i in range(p.size):
                buffer[i] = p[i]
        total = 0.0
        for i in range(p.size):
            total += buffer[i] * buffer[i]
        return total

    return loss


HELD = []
"""Memory that compiled code knows by its address."""


STRESS = """
import gc, os, threading, time, warnings
import numpy as np
warnings.simplefilter("ignore")
import fastgrad as fg
from fastgrad.errors import MutatedInputError, NondeterministicLossError, StepWarning
from tests.evaluate.stateful import STATEFUL, X, gradient_of

P = np.random.default_rng(1).normal(size=12)
names = [n for n in STATEFUL if STATEFUL[n].refused is False]
names = [os.environ["STRESS_LOSS"]] if "STRESS_LOSS" in os.environ else names
until = time.monotonic() + float(os.environ["STRESS_SECONDS"])
wrong, rounds = [], 0

def stress(name, argument):
    problem = STATEFUL[name]
    for _ in range(3):
        got = fg.grad(problem.loss)(P.copy(), argument, *problem.rest)
        if not np.allclose(got, gradient_of(problem, P), rtol=1e-7, atol=1e-7):
            wrong.append(name)

while rounds == 0 or time.monotonic() < until:
    for name in names:
        argument = STATEFUL[name].argument()
        threads = [threading.Thread(target=stress, args=(name, argument)) for _ in range(4)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        gc.collect()
        junk = [np.full(12, np.nan) for _ in range(100)]  # where a kept theta that was freed lay
        if hasattr(argument, "p") and argument.p.size == 12:
            assert np.abs(argument.p - P).max() < 1e-3, name
        for kept in argument if name == "appends points" else ():
            assert np.abs(kept - P).max() < 1e-3, name
        del argument, junk
    rounds += 1
assert not wrong, wrong
print(rounds, "rounds")
"""


def heap_checks():
    """Environment in which glibc fills freed memory and checks its lists."""
    library = ctypes.util.find_library("c_malloc_debug")
    preload = {"LD_PRELOAD": library} if library else {}
    return {"MALLOC_PERTURB_": "165", "MALLOC_CHECK_": "3", **preload}


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's own checks")
@pytest.mark.parametrize(
    "options",
    [
        pytest.param(
            {"STRESS_SECONDS": "0", "STRESS_LOSS": "told its parameters"},
            id="one",
            marks=pytest.mark.slow,
        ),
        pytest.param({"STRESS_SECONDS": "600"}, id="all", marks=pytest.mark.slow),
    ],
)
def test_the_heap_stays_whole_under_many_threads(options):
    assert "rounds" in run_python(STRESS, 1500, **heap_checks(), **options)


def test_there_are_twenty_four():
    assert len(STATEFUL) >= 24
