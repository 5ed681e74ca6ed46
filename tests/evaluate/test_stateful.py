"""Arguments that hold state: right numbers on any number of threads, or refused; never a crash."""

import ctypes.util
import sys
import threading

import numpy as np
import pytest
from numba import carray, njit

import fastgrad as fg
from fastgrad.errors import MutatedInputError, NondeterministicLossError
from fastgrad.evaluate import process, sharing
from fastgrad.evaluate.intrinsics import doubles_at
from tests.evaluate.stateful import STATEFUL, gradient_of
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
    except (MutatedInputError, NondeterministicLossError) as error:
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
from fastgrad.errors import MutatedInputError, NondeterministicLossError
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
