"""Planted bugs are named, or honestly not; the curl test; and where to start."""

import tracemalloc
from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.checks.curl import curl
from fastgrad.checks.diagnose import Evidence, diagnose
from fastgrad.checks.diagnose.case import Case
from fastgrad.checks.diagnose.fingerprint import look_up
from fastgrad.numerics.bars import ROUNDING
from fastgrad.parameters.layout import flatten
from tests.checks import bugs
from tests.checks.bugs import ANY, BUGS, HEALTHY, NAMEABLE, Bug, planted
from tests.problems import net_problems

ARRAYS = 60
"""Arrays like the block that its laws may hold at once: 28 were seen."""
SAMPLES = (None, 32)
"""After a sweep, and after a screen."""


@cache
def world(name):
    return bugs.worlds()[name]


@cache
def differences(name):
    at = world(name)
    found = fg.grad(at.loss, backend=at.backend).estimate(at.theta, *at.args)
    layout, theta = flatten(at.theta)
    return layout, theta, flatten(found.gradient)[1], flatten(found.error)[1]


def evidence_of(bug: Bug, samples: int | None) -> list[Evidence]:
    layout, theta, D, bar = differences(bug.world)
    at = world(bug.world)
    gradient = planted(bug, at.grad)(at.theta, *at.args)
    rng = np.random.default_rng(len(bug.name))
    found = []
    for block in layout.blocks:
        inside = slice(block.start, block.stop)
        a = np.asarray(gradient[block.name], np.float64).ravel()
        d, b = D[inside], bar[inside] + ROUNDING * np.abs(np.nan_to_num(a))
        tau = 1e-5 * np.maximum(np.abs(d), np.sqrt(np.mean(d * d)))
        agrees = bool(np.all(np.abs(a - d) <= b + tau))
        at_most = a.size if agrees or samples is None else min(samples, a.size)
        chosen = np.sort(rng.choice(a.size, at_most, replace=False))
        found.append(
            Evidence(
                block.name, block.shape, theta[inside], a, chosen, d[chosen], b[chosen], agrees
            )
        )
    return found


def diagnosed(bug: Bug, samples: int | None = None):
    return diagnose(evidence_of(bug, samples), (len(world(bug.world).args[0]),))


def matches(got, expected) -> bool:
    law, constants = (expected, {}) if isinstance(expected, str) else expected
    return got.law == law and all(
        name in got.constants and got.constants[name] == pytest.approx(value, rel=1e-4)
        for name, value in constants.items()
    )


def label(bug: Bug) -> str:
    return f"{bug.world}: {bug.name}"


def test_there_are_enough_bugs():
    assert len(BUGS) >= 100
    assert len({label(bug) for bug in BUGS + HEALTHY}) == len(BUGS) + len(HEALTHY)
    assert {bug.world for bug in BUGS} == set(bugs.worlds())


@pytest.mark.parametrize("samples", SAMPLES)
@pytest.mark.parametrize("bug", BUGS, ids=label)
def test_planted_bugs_are_blamed_where_they_are_and_never_misnamed(bug, samples):
    got = diagnosed(bug, samples)
    assert {d.block for d in got} == set(bug.blamed)
    for diagnosis in got:
        unnamed = diagnosis.law == ANY
        assert unnamed or matches(diagnosis, bug.blamed[diagnosis.block]), diagnosis.sentence
        assert diagnosis.sentence.startswith(diagnosis.block)


@pytest.mark.parametrize("samples", SAMPLES)
def test_what_has_a_law_is_named(samples):
    counts: Counter[bool] = Counter()
    for bug in NAMEABLE:
        for diagnosis in diagnosed(bug, samples):
            counts[matches(diagnosis, bug.blamed[diagnosis.block])] += 1
    assert counts.total() >= 120
    assert counts[True] >= 0.95 * counts.total()


@pytest.mark.parametrize("bug", HEALTHY, ids=label)
def test_other_ways_to_write_a_right_gradient_are_not_blamed(bug):
    assert diagnosed(bug) == ()


@pytest.mark.slow
def test_lawless_errors_are_named_by_no_law_at_other_parameters():
    """Bugs without a law, at other parameters and with bars from 1e-11 to 1e-8."""
    named = total = 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        for bug in bugs.UNEXPLAINED:
            at = world(bug.world)
            layout, theta = flatten(at.theta)
            theta = theta + rng.normal(size=theta.size)
            place = layout.given(theta)
            right, wrong = at.grad(place, *at.args), planted(bug, at.grad)(place, *at.args)
            evidence = []
            for block in layout.blocks:
                if bug.blamed.get(block.name) != ANY:
                    continue
                bar = np.full(block.size, 10.0 ** rng.uniform(-11, -8))
                D = right[block.name].ravel() + bar / 6 * rng.normal(size=block.size).clip(-5, 5)
                x, a = theta[block.start : block.stop], wrong[block.name].ravel()
                where = np.sort(rng.choice(block.size, min(32, block.size), replace=False))
                evidence.append(
                    Evidence(block.name, block.shape, x, a, where, D[where], bar[where], False)
                )
            for diagnosis in diagnose(evidence, (24,)):
                total += 1
                # What obeys the law "right, but for these" is a fact, not a reason.
                named += not diagnosis.law.startswith((ANY, "wrong-"))
    assert total >= 300
    assert named == 0


# ---- sentences ---------------------------------------------------------------------------------


def sentence(world_name: str, name: str, block: str) -> str:
    (bug,) = (bug for bug in BUGS if (bug.world, bug.name) == (world_name, name))
    (found,) = (d.sentence for d in diagnosed(bug) if d.block == block)
    return found


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (
            ("softmax", "no L2 in W2", "W2"),
            "W2: the analytic gradient is the numerical one minus 0.01 * W2: the L2 term "
            "(lambda = 0.01) is missing.",
        ),
        (("softmax", "L2 on b2", "b2"), "plus 0.01 * b2: an L2 term (lambda = 0.01) too much"),
        (
            ("softmax", "no 1/m", "W2"),
            "24 (= m) times the data's part, with the L2 term (lambda = 0.01)",
        ),
        (("tanh", "b1 negated", "b1"), "b1: every entry has the wrong sign"),
        (("tanh", "sum for mean", "b1"), "24 (= m) times the numerical one"),
        (("tanh", "a dead column", "W1"), "W1[:, 3]: column 3 is zero."),
        (("softmax", "a row doubled", "W2"), "W2[4, :]: in row 4 the analytic gradient is 2 times"),
        (("softmax", "two classes exchanged", "W2"), "columns 1 and 3 exchanged, is the"),
        (("tanh", "one bias negated", "b1"), "1 of 8 entries is wrong (b1[5])"),
        (("softmax", "no sigmoid'", "W1"), "the cosine with the numerical gradient is"),
    ],
)
def test_sentences_say_what_to_do(where, said):
    assert said in sentence(*where)


def test_the_place_to_start_is_the_failing_block_nearest_the_output():
    said = sentence("softmax", "no sigmoid'", "W1")
    assert "Start here: of the blocks that fail, W1 (with b1) is nearest the output" in said
    assert "W2 and b2 are right, so look at the step of the backward pass from there" in said
    said = sentence("deep", "w2 not transposed", "weights.1")
    assert "Start here: of the blocks that fail, weights.1 (with biases.1)" in said
    assert "weights.2 and biases.2 are right" in said
    assert "Start here" not in sentence("deep", "w2 not transposed", "weights.0")
    assert "Start here" not in sentence("softmax", "no L2 in W2", "W2")


# ---- laws on little evidence -------------------------------------------------------------------


def block(g, a, *, theta=None, bar=1e-9, name="w", agrees=False, samples=None) -> Evidence:
    g, a = np.asarray(g, float), np.asarray(a, float)
    theta = np.linspace(-1, 1.3, g.size) if theta is None else np.asarray(theta, float).ravel()
    where = np.arange(g.size) if samples is None else np.asarray(samples)
    return Evidence(
        name, g.shape, theta, a.ravel(), where, g.ravel()[where], np.full(where.size, bar), agrees
    )


G = np.array([0.3, -1.2, 0.7, 2.1, -0.4, 0.9, 1.7, -2.3, 0.05])
W = np.array([1.0, -0.5, 0.25, 2.0, -1.5, 0.8, -0.3, 0.6, 1.1])


@pytest.mark.parametrize(
    ("g", "a", "law"),
    [
        (3.0, -3.0, "sign"),
        (3.0, 6.0, "scale"),
        (3.0, 3.7, ANY),
        (3.0, 0.0, "zero"),
        ([3.0, 4.0], [3.9, 5.2], "scale"),  # to nine digits in both
        ([3.0, 3.0001], [3.9, 3.90013], ANY),  # that says nothing where they are alike
        ([3.0, 4.0], [3.9, 5.3], ANY),
        ([3.0, 4.0, 5.0], [3.9, 5.2, 6.5], "scale"),
        (np.zeros(0), np.zeros(0), ANY),
    ],
)
def test_few_entries_allow_few_laws(g, a, law):
    assert diagnose([block(g, a)])[0].law == law


def test_two_coefficients_are_not_fitted_to_four_or_five_numbers():
    for k, law in ((4, ANY), (5, ANY), (6, "scale+l2")):
        g, w = G[:k], W[:k]
        assert diagnose([block(g, 1.7 * g - 0.3 * w, theta=w)])[0].law == law


def test_no_law_for_errors_near_the_bars():
    for size, law in ((20, ANY), (1e4, "missing-l2")):
        bar = 0.01 * np.abs(W).mean() / size
        got = diagnose([block(G, G - 0.01 * W, theta=W, bar=bar)])[0]
        assert got.law == law
        assert ("error bars" in got.sentence) == (law == ANY)


def test_laws_that_the_parameters_cannot_tell_apart_are_both_said():
    ones = np.ones(G.size)
    got = diagnose([block(G, G + 0.01, theta=ones)])[0]
    assert got.law == "extra-l2"
    assert "at this theta that is the same as the numerical one plus 0.01: a const" in got.sentence
    assert "extra-" not in got.sentence


def test_zero_biases_hide_a_missing_l2():
    healthy = block(G[:4], G[:4], theta=np.zeros(4), name="b", agrees=True)
    got = diagnose([block(G, G - 0.01 * W, theta=W), healthy])
    assert len(got) == 1
    assert "b is all zero, which hides such an error there." in got[0].sentence


def test_a_dead_column_is_not_taken_for_a_function_of_the_values():
    g = np.outer(np.arange(1.0, 7.0), [1.0, -1.0])  # two classes: opposite signs
    got = diagnose([block(g, g * [0, 1])])[0]
    assert (got.law, got.constants) == ("zero", {"column": 0.0})


def test_zeros_are_not_found_in_another_block():
    nothing, other = np.zeros(9), block(G, np.zeros(9), name="v")
    got = diagnose([block(nothing, G), other])
    assert [d.law for d in got] == ["spurious", "zero"]


def test_lambda_over_m_has_a_name():
    got = diagnose([block(G, G - 0.1 / 30 * W, theta=W)], dims=(30,))[0]
    assert got.constants["lambda"] == 0.1 / 30
    assert "minus 0.1/30 * w" in got.sentence


def test_differences_that_are_not_finite_are_no_evidence():
    g = G.copy()
    g[2] = np.nan
    assert diagnose([block(g, -G)])[0].law == "sign"


def test_big_blocks_are_fast_and_few_wrong_entries_among_them_found():
    rng = np.random.default_rng(0)
    g, w = rng.normal(size=(2, 400, 500))
    a = g - 0.001 * w
    a[17] = 0.0
    got = diagnose([block(g, a, theta=w)])[0]
    assert (got.law, got.constants) == ("missing-l2+zero", {"lambda": 0.001, "row": 17.0})


def test_laws_of_a_large_block_take_no_square_of_its_memory():
    """One weight for each entry and line would be 0.8 GB here, and 8 GB at a million entries."""
    rng = np.random.default_rng(0)
    g, w = rng.normal(size=(2, 400, 500))
    evidence = block(g, g + rng.normal(size=g.shape), theta=w)
    tracemalloc.start()
    got = diagnose([evidence], rtol=1e-5)[0]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert got.law == ANY
    assert peak <= ARRAYS * g.nbytes


def test_entries_that_were_located_are_counted_among_all():
    rng = np.random.default_rng(1)
    g = rng.normal(size=(100, 80))
    a = g.copy()
    wrong = np.arange(20) * 379
    a.flat[wrong] += 0.1 * rng.normal(size=20)
    samples = np.union1d(wrong, rng.choice(g.size, 32))
    evidence = replace(block(g, a, samples=samples, name="W1"), located=True)
    got = diagnose([evidence])[0]
    assert got.law == "wrong-entries"
    assert "W1: 20 of 8,000 entries are wrong (W1[0, 0], W1[4, 59], " in got.sentence


# ---- the curl test -----------------------------------------------------------------------------


@pytest.mark.parametrize("known", [False, True])
def test_right_gradients_have_no_curl_and_scaled_blocks_have(known):
    for seed in range(8):
        for problem in net_problems(seed):
            if problem.name.startswith(("tiny", "1e8", "plus", "relu at zero", "tanh at zero")):
                continue
            layout, theta = flatten(problem.theta)

            def gradient(x, layout=layout, problem=problem):
                return flatten(problem.grad(layout.given(x), *problem.args))[1]

            def broken(x, layout=layout, gradient=gradient):
                first = np.arange(x.size) < layout.blocks[0].size
                return gradient(x) * np.where(first, -1.0, 1.0)

            at = gradient(theta) if known else None
            right = curl(gradient, theta, seed, at)
            assert right.conservative, problem.name
            assert right.value < 1e-5 or "l1" in problem.name
            if problem.name.startswith("l1 at zeros"):
                continue  # a kink at theta itself hides the rest
            wrong = curl(broken, theta, seed, None if at is None else broken(theta))
            assert not wrong.conservative, problem.name
            assert "no function" in wrong.sentence


def test_the_gradient_of_another_loss_has_no_curl():
    got = curl(lambda x: 2 * x + 0.1, np.linspace(-1, 1, 7), seed=0)
    assert got.conservative
    assert "different loss" in got.sentence


def test_a_gradient_that_is_not_finite_has_no_curl_to_tell():
    got = curl(lambda x: np.full_like(x, np.inf), np.zeros(3), seed=0)
    assert got.conservative
    assert "cannot be told" in got.sentence


def test_values_are_looked_up_in_a_pool_of_another_size():
    """Where all blocks are searched, entries that are right have their places in none of them alone."""
    right = np.arange(1.0, 9.0)
    case = Case("W", (8,), np.ones(8), right.copy(), np.arange(8), right, np.full(8, 1e-9))
    assert look_up(case, np.append(right, 99.0)) is None


ELSEWHERE = {
    "labels off by one": {"another-loss", "linear-term"},
    "labels forgotten": {"another-loss", "linear-term"},
    "temperature": {"another-loss"},
}
"""Bugs of the softmax net that obey no law, and are gradients of another function than its loss."""


def test_no_other_lawless_bug_is_named_where_the_gradient_can_be_asked_elsewhere():
    for bug in bugs.UNEXPLAINED:
        if bug.world != "softmax":
            continue
        at = world(bug.world)
        gradient = planted(bug, at.grad)
        report = fg.check_grad(at.loss, gradient, at.theta, *at.args, backend="python")
        laws = {d.law for d in report.diagnoses if d.explains and d.law != "random"}
        assert {law for law in laws if not law.startswith("not-")} == ELSEWHERE.get(bug.name, set())


def noisily(factor: float, part: float, size: int, sampled: int, located: bool) -> str:
    """The law of a block of which the first entry alone is wrong by a factor, known to a part."""
    g = np.random.default_rng(size).uniform(0.5, 2.0, size)
    a = g.copy()
    a[0] *= factor
    seen = np.arange(sampled)
    D = g[seen] * (1 + 0.3 * part)
    block = Evidence("w", (size,), np.ones(size), a, seen, D, part * g[seen], False, located)
    return diagnose([block])[0].law


@pytest.mark.parametrize(
    ("factor", "part", "expected"),
    [
        (-1.0, 1e-8, "sign"),
        (-1.0, 1e-3, "sign"),
        (-1.0005, 1e-3, "sign"),
        (-1.005, 1e-3, ""),
        (2.7, 1e-3, ""),
        (-1.0, 0.05, "sign"),
        (-1.0, 0.07, ""),
    ],
)
@pytest.mark.parametrize("located", [False, True])
def test_a_sign_is_told_in_noise_that_hides_other_factors(factor, part, expected, located):
    """Of one entry among right ones, and of one that a screen located."""
    law = noisily(factor, part, 20, 1 if located else 20, located)
    assert (law == "sign") == (expected == "sign")
