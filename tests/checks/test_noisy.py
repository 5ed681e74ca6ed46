"""Screens of rough losses: what they find, what they say, and that they blame nobody wrongly."""

from dataclasses import replace

import numpy as np
import pytest

from fastgrad.checks.screen.noisy.limits import PARTS
from fastgrad.checks.screen.noisy.lines import POINTS, center_of
from fastgrad.checks.screen.noisy.second_look import _judged, part_of
from fastgrad.differences.loss import Loss
from fastgrad.differences.measured import Measured, NoiseLine
from fastgrad.differences.repeats import Repeats
from fastgrad.evaluate.backends import evaluator
from fastgrad.evaluate.protocol import Inputs
from fastgrad.evaluate.units import Units
from fastgrad.numerics.rough_slope import TELLS, rough_slope
from fastgrad.parameters.layout import flatten
from tests.checks.nets import FAULTS, changed, net, screened

LARGE = (64, 256, 256, 10)
"""85,002 parameters."""
MOST = 250


@pytest.fixture(scope="module")
def large():
    problem = net(0, LARGE, ("silu", "relu"))
    return problem, problem.grad(problem.theta)


@pytest.mark.parametrize("factor", [1.07, 0.5, -1.0])
def test_one_block_of_a_large_net_in_float32_is_named_with_its_factor(large, factor):
    problem, right = large
    report = screened(problem, changed(right, "W2", lambda a: factor * a))
    assert report.verdict == "disagrees"
    assert [b.name for b in report.blocks if b.verdict == "disagrees"] == ["W2"]
    (why,) = report.diagnoses
    assert why.law in ("scale", "sign")
    assert why.constants["factor"] == pytest.approx(factor, rel=5e-3)
    assert "along the signs of" in str(report)


def test_a_right_gradient_agrees_within_what_it_says(large):
    problem, right = large
    report = screened(problem, right)
    assert report.verdict == "agrees"
    assert report.evaluations <= MOST
    told = report.in_noise
    assert told["along"]["W2"] <= 0.01
    assert told["whole_any_shape"] <= 0.08
    assert "in a rough loss it agrees within" in str(report)
    assert "evaluations" in str(report)
    # What it says would not be missed is not: a factor off by its limit, in the block of it.
    for name in ("W1", "W2", "W3"):
        off = 1 + told["along"][name]
        report = screened(problem, changed(right, name, lambda a, off=off: off * a))
        assert report.verdict == "disagrees", name


@pytest.mark.parametrize("name", ["W1", "W2"])
def test_an_error_of_any_shape_beyond_what_is_told_is_placed(large, name):
    """It has no part along the gradient: random directions alone show it."""
    problem, right = large
    told = screened(problem, right).in_noise["any_shape"][name]
    off = np.random.default_rng(0).standard_normal(right[name].shape)
    off *= 1.5 * told * np.linalg.norm(right[name]) / np.linalg.norm(off)
    report = screened(problem, changed(right, name, lambda a: a + off))
    assert [b.name for b in report.blocks if b.verdict == "disagrees"] == [name], report


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_in_float32_are_found(fault):
    for seed in range(3):
        problem = net(seed)
        right, rng = problem.grad(problem.theta), np.random.default_rng(seed)
        report = screened(problem, FAULTS[fault](problem, right, rng), seed)
        assert report.verdict == "disagrees", (seed, report)
        assert refuted_after(report) <= MOST


def refuted_after(report):
    """Evaluations until something was refuted."""
    said = [int(said.split()[1]) for said in report.remarks if said.startswith("After ")]
    return min(said, default=report.evaluations)


def test_a_zero_row_is_refuted_before_anything_is_spent_on_narrower_limits():
    """100 seeds: 54 to 62 evaluations, at most 132; it was 134 in the median, at most 474."""
    made = []
    for seed in range(10):
        problem = net(seed)
        right, rng = problem.grad(problem.theta), np.random.default_rng(seed)
        report = screened(problem, FAULTS["a zero row"](problem, right, rng), seed)
        assert any(law.law == "zero" for law in report.diagnoses), report
        made.append(refuted_after(report))
    assert np.median(made) <= 70
    assert max(made) <= 140


def test_a_row_that_is_not_zero_but_wrong_is_found_by_parts_that_differ():
    """Parts that hold the row are off by it, the others not: no factor, and no chance."""
    problem = net(1)
    right = problem.grad(problem.theta)
    row = int(np.argmax(np.abs(right["W1"]).sum(axis=1)))

    def third(a):
        a = a.copy()
        a[row] /= 3
        return a

    report = screened(problem, changed(right, "W1", third))
    (why,) = report.diagnoses
    assert (why.block, why.law, why.constants) == ("W1", "wrong-row", {"row": row})
    assert refuted_after(report) <= MOST
    assert "along the signs of" in str(report)


def test_a_missing_penalty_is_named_with_its_lambda():
    problem = net(2)
    wrong = FAULTS["no L2"](problem, problem.grad(problem.theta), None)
    report = screened(problem, wrong)
    laws = {d.block: d for d in report.diagnoses}
    assert {"W1", "W2"} <= {b for b, d in laws.items() if d.law == "missing-l2"}
    assert laws["W2"].constants["lambda"] == pytest.approx(0.01, rel=0.1)


@pytest.mark.parametrize("block", ["W2", "b1"])
def test_a_constant_in_every_entry_is_named(block):
    problem = net(3)
    right = problem.grad(problem.theta)
    constant = 0.2 * float(np.sqrt(np.mean(right[block] ** 2)))
    report = screened(problem, changed(right, block, lambda a: a + np.float32(constant)))
    assert report.verdict == "disagrees"
    (why,) = [d for d in report.diagnoses if d.block == block]
    assert why.law == "offset"
    assert why.constants["offset"] == pytest.approx(constant, rel=0.1)


@pytest.mark.parametrize(("axis", "what"), [(0, "row"), (1, "column")])
def test_a_line_of_the_wrong_sign_is_placed(axis, what):
    problem = net(1)
    right = problem.grad(problem.theta)
    others = tuple(k for k in (0, 1) if k != axis)
    line = int(np.argmax(np.abs(right["W2"]).sum(axis=others)))

    def turned(a):
        a = a.copy()
        np.moveaxis(a, axis, 0)[line] *= -1
        return a

    report = screened(problem, changed(right, "W2", turned))
    (why,) = report.diagnoses
    assert (why.block, why.law, why.constants) == ("W2", f"wrong-{what}", {what: line})


def test_a_zero_row_is_named():
    problem = net(2)
    right, rng = problem.grad(problem.theta), np.random.default_rng(0)
    wrong = FAULTS["a zero row"](problem, right, rng)
    (block,) = [name for name in right if not np.array_equal(right[name], wrong[name])]
    (row,) = np.flatnonzero((right[block] != wrong[block]).any(axis=1))
    (why,) = screened(problem, wrong).diagnoses
    assert (why.block, why.law, why.constants) == (block, "zero", {"row": row})


def test_right_gradients_in_noise_are_not_refuted():
    for seed in range(6):
        for dtype in ("float32", "bfloat16"):
            problem = net(seed, dtype=dtype)
            report = screened(problem, problem.grad(problem.theta), seed)
            assert report.verdict != "disagrees", (seed, dtype, report)


def counted(seeds, dtype, fault=None):
    """Verdicts of screens of right gradients, or of one fault; "late" if that took over `MOST`."""
    verdicts = []
    for seed in seeds:
        problem = net(seed, dtype=dtype)
        gradient, rng = problem.grad(problem.theta), np.random.default_rng(seed)
        if fault is not None:
            gradient = FAULTS[fault](problem, gradient, rng)
        report = screened(problem, gradient, seed)
        late = fault is not None and dtype == "float32" and refuted_after(report) > MOST
        verdicts.append("late" if late else report.verdict)
    return verdicts


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "count", "most"),
    [("float64", 400, 0.0), ("float32", 500, 0.02), ("bfloat16", 200, 0.03)],
)
def test_no_false_alarm_in_screens(dtype, count, most):
    verdicts = counted(range(1000, 1000 + count), dtype)
    assert verdicts.count("disagrees") == 0
    assert verdicts.count("inconclusive") <= most * len(verdicts)


ROWS_IN_BFLOAT16 = 94
"""Of 100 zero rows, where eight digits tell less: 96 were found, the others beyond the stated limits."""


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_found_in_99_of_100(fault, dtype):
    if (dtype, fault) == ("bfloat16", "1% too large"):
        pytest.skip("beyond what its digits tell")
    least = ROWS_IN_BFLOAT16 if (dtype, fault) == ("bfloat16", "a zero row") else 99
    assert counted(range(100, 200), dtype, fault).count("disagrees") >= least


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "least"), [("float32", 0.97), ("bfloat16", 0.8)])
def test_a_factor_as_large_as_the_limit_that_is_stated_is_found(dtype, least):
    """In bfloat16 79 of 90 were: the sd of a limit is told from a few lines, and parts are rougher."""
    found = []
    for seed in range(500, 515):
        problem = net(seed, dtype=dtype)
        right = problem.grad(problem.theta)
        told = screened(problem, right, seed).in_noise["along"]
        for name, limit in told.items():
            wrong = changed(right, name, lambda a, c=1 + limit: np.float32(c) * a)
            found.append(screened(problem, wrong, seed).verdict == "disagrees")
    assert np.mean(found) >= least


# a line


def test_bars_of_a_rough_line_hold_what_it_errs_by():
    """A slope that is a random walk, as kinks make it, beside rounding."""
    off = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        at = rng.uniform(-1, 1, 4000)
        jump = rng.normal(size=4000) * 0.02
        base = (np.abs(at) * jump).sum()

        def f(t, at=at, jump=jump, rng=rng, base=base):
            kinked = np.array([(np.abs(x - at) * jump).sum() for x in t]) - base
            return 3 * t + kinked + 1e-7 * rng.standard_normal(t.size)

        found = rough_slope(f, 0.0, 1e-7, (2.0**-12, 2.0**-30, 0.25))
        true = 3 + (np.sign(-at) * jump).sum()
        off.append(abs(found.value - true) / found.bar)
    assert np.mean(np.array(off) > 1) <= 0.02
    assert max(off) < 4
    assert np.median(off) > 0.02  # and are no wider than they must be


def test_a_line_that_starts_too_fine_finds_its_step():
    """Noise is taken for roughness now and then: 1 of 100 lines stay at fine steps, where 5 did."""
    stayed = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)

        def f(t, rng=rng):
            return np.sin(t + 0.3) - np.sin(0.3) + 1e-7 * rng.standard_normal(t.size)

        found = rough_slope(f, 0.0, 1e-7, (2.0**-15, 2.0**-32, 0.25))
        assert abs(found.value - np.cos(0.3)) <= found.bar
        stayed += found.step <= 2.0**-13
    assert stayed <= 4


@pytest.mark.parametrize("jump", [0.0, 1e-5, 1e-2])
def test_a_kink_among_near_points_does_not_move_the_center(jump):
    """Second differences at all steps are taken with it: they would show a kink where there is none."""
    problem, off = net(0), []
    layout, flat = flatten(problem.theta)
    for seed in range(100):
        rng = np.random.default_rng(seed)
        values = (
            jump * np.abs(POINTS) + 1e-2 * POINTS + 1e-7 * rng.standard_normal((2, POINTS.size))
        )
        lines = tuple(NoiseLine(1e-7, 1.0 + line) for line in values)
        measured = replace(Measured(Repeats(1.0)), lines=lines)
        loss = Loss(
            evaluator(lambda x: 1.0, Inputs(layout, flat), backend="python"),
            layout,
            None,
            Units.of(flat, layout),
            measured,
        )
        off.append(abs(center_of(loss) - 1.0))
    assert np.max(off) <= 3e-7


def test_parts_are_uneven_by_chance_less_than_once_in_300():
    rng, uneven = np.random.default_rng(0), 0
    for _ in range(3000):
        values, apart, changes = rng.standard_normal((3, PARTS))
        uneven += _judged(values, 0 * changes, apart).is_uneven(0.0)
    assert uneven <= 10
    one_row = np.array([40.0, 0.0, 20.0, 20.0, 20.0, 20.0]) + rng.standard_normal(PARTS)
    told = _judged(one_row, np.zeros(PARTS), rng.standard_normal(PARTS))
    assert told.is_uneven(0.0)
    assert not told.is_one


@pytest.mark.parametrize("seed", range(8))
def test_a_line_of_treads_is_looked_along_wider_steps(seed):
    """Sums of order 1 that are rounded to a last place stand still over steps that are finer."""
    rng = np.random.default_rng(seed)
    at, slopes, tread = rng.uniform(0, 1, 300), 1 + rng.normal(size=300), 2.0**-7
    base = (slopes * np.round(at / tread)).sum() * tread

    def f(t):
        return (slopes * np.round((at + t[:, None]) / tread)).sum(axis=1) * tread - base

    finest, few = 1e-4, (2.0**-10, 2.0**-30, 1.0)
    told = rough_slope(f, 0.0, finest, few, coarse=True)
    assert abs(told.value - slopes.sum()) <= told.bar <= TELLS * slopes.sum()
    narrow = rough_slope(f, 0.0, finest, few)
    assert narrow.bar > 2 * told.bar


OPEN_BEFORE = 1009, 1030, 1054, 1059
"""Seeds of right nets in bfloat16 whose biases were left open, for all steps lay within a tread."""
BLAMED_BY_TREADS = 1197, 1249, 1281
"""And of those in which all lines shared an error, by treads or a kink nearer than all steps."""


@pytest.mark.parametrize("seed", OPEN_BEFORE + BLAMED_BY_TREADS)
def test_right_nets_in_bfloat16_agree(seed):
    problem = net(seed, dtype="bfloat16")
    report = screened(problem, problem.grad(problem.theta), seed)
    assert report.verdict == "agrees", report
    assert max(report.in_noise["along"].values()) <= 0.5


@pytest.mark.parametrize("fault", ["zero", "the bias's mean", "10% too large"])
def test_faults_in_bfloat16_are_found_that_were_missed(fault):
    for seed in (109, 156, 168):
        problem = net(seed, dtype="bfloat16")
        right, rng = problem.grad(problem.theta), np.random.default_rng(seed)
        report = screened(problem, FAULTS[fault](problem, right, rng), seed)
        assert report.verdict == "disagrees", (seed, report)


def test_parts_cover_a_block():
    layout, _ = flatten({"W": np.ones((6, 5)), "b": np.ones(40), "s": np.ones(3)})
    for block in layout.blocks:
        parts = [part_of(block, k) for k in range(PARTS)]
        for first, second in zip(parts[::2], parts[1::2], strict=True):
            assert (first | second).all()
            assert block.size < 2 * PARTS or not (first & second).any()
