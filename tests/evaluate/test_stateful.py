"""Arguments that hold state: right numbers on any number of threads, or refused; never a crash."""

import threading

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.errors import MutatedInputError, NondeterministicLossError
from fastgrad.evaluate import compiled
from tests.evaluate.stateful import STATEFUL, gradient_of

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


@pytest.mark.parametrize("name", SOME)
def test_right_numbers_or_refused(name, monkeypatch):
    monkeypatch.setattr(compiled, "SHOWING_SECONDS", 1e-4)
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


def test_there_are_twenty_four():
    assert len(STATEFUL) >= 24
