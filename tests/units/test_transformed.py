"""The harness of the metamorphic tests, held to itself: it says the same problem, and it sees."""

import numpy as np
import pytest

from tests.problems import Problem
from tests.units.transformed import (
    SAYINGS,
    Answer,
    Flat,
    _loosely,
    _strictly,
    differences,
    flat_problem,
    plain,
    problems,
    sayings,
)

SOME = ("debye relaxation", "hubble", "tanh 0", "deep (0.01, 0.001) 0", "true zero 0")
PLAIN = Answer(
    "disagrees", frozenset({2}), frozenset({("theta", "sign")}), 100, 1e-8, 1e-16, share=1e-5
)


@pytest.mark.parametrize("name", SOME)
def test_every_saying_says_the_same_problem(name):
    problem = flat_problem(name)
    expected = float(problem.problem.loss(compiled_theta(problem), *problem.problem.args))
    assert problem.value == pytest.approx(expected, rel=1e-14)
    for saying in sayings(problem).values():
        u = saying.u(problem.theta)
        got = float(problem.loss(u, *saying.args, *problem.problem.args))
        said = saying.factor * expected + saying.addend
        np.testing.assert_allclose(got, said, rtol=1e-4 if saying.shift.any() else 1e-11)
        np.testing.assert_allclose(
            saying.theta(u), problem.theta, rtol=1e-15, atol=2e-7 * problem.unit.max()
        )


def compiled_theta(problem):
    theta = problem.problem.theta
    if isinstance(theta, dict):
        from collections import namedtuple

        return namedtuple("Blocks", list(theta))(*theta.values())
    return theta


@pytest.mark.parametrize("name", SOME)
def test_the_gradient_of_every_saying_is_that_of_what_it_says(name):
    problem = flat_problem(name)
    for saying in sayings(problem).values():
        if saying.addend:
            continue
        u = saying.u(problem.theta)
        g = (saying.factor * saying.scale * problem.gradient(saying.theta(u)))[saying.order]
        unit = (problem.unit / saying.scale)[saying.order]
        largest = np.abs(g * unit).max()
        for j in range(u.size):
            h = max(1e-4 * unit[j], 4096 * np.spacing(abs(u[j])))
            up, down = u.copy(), u.copy()
            up[j] += h
            down[j] -= h
            f = [problem.loss(v, *saying.args, *problem.problem.args) for v in (up, down)]
            expected = (f[0] - f[1]) / (up[j] - down[j])
            assert abs(g[j] - expected) * unit[j] <= 1e-4 * largest, (saying.name, j)


def test_the_planted_entry_matters():
    for name in problems():
        problem = flat_problem(name) if name in SOME else None
        if problem is not None:
            assert problem.slope[problem.planted] != 0


def test_all_sayings_are_named():
    assert set(sayings(flat_problem("hubble"))) | {"in other blocks"} == set(SAYINGS)


def test_the_shift_leaves_zeros_at_zero():
    zeros = Problem("zeros", lambda x: (x * x).sum(), lambda x: 2 * x, np.zeros(3), ())
    problem = Flat(zeros)
    saying = sayings(problem)["shifted up to 1e9"]
    assert list(saying.theta(saying.u(problem.theta))) == [0, 0, 0]


def test_plainly_said_nothing_differs():
    problem = flat_problem("hubble")
    u = plain(problem).u(problem.theta)
    assert list(u) == list(problem.theta)
    assert _strictly(PLAIN, PLAIN, with_laws=True) == []
    assert _loosely(PLAIN, PLAIN, {2}, 1.0) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"verdict": "agrees"}, "verdict"),
        ({"verdict": "inconclusive"}, "verdict"),
        ({"blamed": frozenset({2, 3})}, "blamed"),
        ({"blamed": frozenset()}, "blamed"),
        ({"laws": frozenset({("theta", "zero")})}, "laws"),
        ({"evaluations": 121}, "evaluations"),
        ({"evaluations": 79}, "evaluations"),
    ],
)
def test_what_differs_is_named(change, expected):
    after = PLAIN._replace(**change)
    for found in (_strictly(PLAIN, after, True), _loosely(PLAIN, after, {2}, 1.0)):
        assert [text.partition(":")[0] for text in found] == [expected]


def test_a_few_evaluations_may_differ():
    few = PLAIN._replace(evaluations=10)
    assert _strictly(few, few._replace(evaluations=14), True) == []
    assert _strictly(few, few._replace(evaluations=15), True) != []


def test_where_noise_grows_a_verdict_may_be_left_open_and_never_be_turned():
    wider = PLAIN._replace(verdict="inconclusive", blamed=frozenset(), limit=1e-4)
    assert _loosely(PLAIN, wider, {2}, 1e6) == []
    assert _loosely(PLAIN, wider, {2}, 1e2) != []  # the limit grew by more than the noise
    assert _loosely(PLAIN, wider._replace(limit=1e-8), {2}, 1e6) != []  # and here not at all
    assert _loosely(PLAIN, wider._replace(limit=1e-8, open_limit=1e-4), {2}, 1e6) == []
    passed = wider._replace(verdict="agrees")
    assert _loosely(PLAIN, passed, {2}, 1e6) == []  # a smaller error than it says that it sees
    assert _loosely(PLAIN, passed._replace(limit=1e-6), {2}, 1e6) != []
    assert _loosely(PLAIN, passed._replace(limit=1e-6, open_limit=1e-4), {2}, 1e6) != []
    assert _loosely(PLAIN, wider._replace(blamed=frozenset({1})), {2}, 1e6) != []
    right = PLAIN._replace(verdict="agrees", blamed=frozenset())
    assert _loosely(right, right._replace(verdict="inconclusive", limit=1e-7), set(), 1e6) == []
    assert _loosely(right, right._replace(verdict="inconclusive"), set(), 1e6) != []
    assert _loosely(right, right._replace(verdict="disagrees", limit=0.5), set(), 1e6) != []
    open_before = wider._replace(limit=1e-6)
    assert _loosely(open_before, PLAIN, {2}, 1.0) == []  # the truth, found after all
    assert _loosely(open_before, PLAIN._replace(verdict="agrees"), {2}, 1.0) != []


def test_units_do_not_touch_a_problem_that_is_said_in_powers_of_two():
    """What the harness itself adds to a difference is nothing: scaling by 2^k is exact."""
    problem = flat_problem("hubble")
    saying = sayings(problem)["units of 2^k"]
    u = saying.u(problem.theta)
    assert problem.loss(u, *saying.args, *problem.problem.args) == problem.value


def test_differences_are_found_for_a_name():
    got = differences("hubble", "permuted", "sweep", False)
    assert isinstance(got, list)
