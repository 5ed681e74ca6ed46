"""Screening and locating: evaluations counted, errors found, nothing falsely blamed."""

import time
import tracemalloc

import numba
import numpy as np
import pytest
from numba import njit

import fastgrad as fg
from bench.checked import FAULTS, correct
from fastgrad.checks.claim import Claim
from fastgrad.checks.given_gradient import flat_gradient
from fastgrad.checks.rules import Rule
from fastgrad.checks.screen.residuals import Residuals
from fastgrad.differences.directions import WEAKEST, Directions
from fastgrad.differences.lines import Lines
from fastgrad.differences.noise_lines import measure_loss
from fastgrad.evaluate.backends import evaluator
from fastgrad.evaluate.protocol import Inputs
from fastgrad.evaluate.units import Units
from fastgrad.parameters.layout import flatten
from tests.checks import nets
from tests.problems import TANH, Net, data, net, net_grad, net_loss

SEEDS = 20
SIZES = (784, 120, 10)
"""A tanh net of 95,410 parameters in 4 blocks."""


@pytest.fixture(scope="module")
def large():
    theta = net(0, *SIZES)
    args = (*data(0, 20, SIZES[0], SIZES[2]), TANH, 0.0, 1.0, 0.0)
    return theta, args, net_grad(theta, *args)


def screened(large, gradient, seed=0, **options):
    theta, args, _ = large
    return fg.check_grad(
        net_loss, gradient, theta, *args, strategy="screen", budget=None, seed=seed, **options
    )


@njit
def cubes(x):
    return (x * x * x).sum()


@njit
def two_blocks_of_cubes(p):
    return (p.a * p.a * p.a).sum() + (p.b * p.b * p.b).sum()


@njit
def bent(x, away):
    return (x * x + np.abs(x - 1 - away)).sum() / x.size


@njit
def logarithms(x):
    return np.log(x).sum()


# directions


def test_directions_are_reproducible_of_unit_variance_and_attenuate_no_entry():
    scale = 2.0 ** np.random.default_rng(0).integers(-60, 60, size=200_000)
    v = Directions(scale, None, seed=1).draw(3)
    np.testing.assert_array_equal(v, Directions(scale, None, seed=1).draw(3))
    assert np.abs(v / scale).min() >= WEAKEST
    assert (v / scale).var() == pytest.approx(1.0, rel=0.01)
    assert abs((v / scale).mean()) < 0.01
    assert not np.array_equal(v, Directions(scale, None, seed=2).draw(3))


def test_directions_leave_constants_alone():
    mask = np.arange(10) % 2 == 0
    v = Directions(np.ones(10), mask, seed=0).draw(0, 2, 8)
    assert np.flatnonzero(v).tolist() == [2, 4, 6]


# the screen


def test_a_correct_gradient_takes_at_most_60_evaluations(large):
    made = []
    for seed in range(6):
        report = screened(large, net_grad, seed)
        assert report.verdict == "agrees"
        assert report.strategy == "screen"
        assert all(block.detection_limit < 1e-4 for block in report.blocks)
        assert "missed with probability at most 1e-06" in str(report)
        made.append(report.evaluations)
    assert max(made) <= 60
    assert np.mean(made) <= 50  # 46 of 20 seeds, at most 55


def test_six_blocks_take_at_most_60_evaluations_in_nets_of_all_kinds():
    """24 seeds: 42 to 60, 50 in the mean; they were 56 to 72, with limits 1.7 times as wide."""
    made = []
    for seed in range(8):
        problem = nets.net(seed, dtype="float64")
        report = nets.screened(problem, problem.grad(problem.theta), seed)
        assert report.verdict == "agrees"
        assert max(block.detection_limit for block in report.blocks) <= 2e-6
        made.append(report.evaluations)
    assert np.mean(made) <= 55
    assert max(made) <= 60


@pytest.mark.parametrize("fault", nets.FAULTS)
def test_what_is_wrong_is_known_within_250_evaluations(fault):
    """20 seeds: 24 to 54, up to 138 of a mistaken derivative, wherever the search for its place ends."""
    for seed in range(2):
        problem = nets.net(seed, dtype="float64")
        right, rng = problem.grad(problem.theta), np.random.default_rng(seed)
        report = nets.screened(problem, nets.FAULTS[fault](problem, right, rng), seed)
        assert report.verdict == "disagrees"
        made = [int(said.split()[1]) for said in report.remarks if said.startswith("After ")]
        assert made
        assert min(made) <= 150


@pytest.mark.parametrize("error", [0.0, 1e-3])
def test_a_bend_at_twice_the_step_is_told_from_an_error(error):
    """Truncation of two bars from afar is half a bar at the step itself; an error stands at both."""
    h, theta = 2.0**-12, np.full(10, 0.75)
    bar = 6 * np.spacing(10.0) / np.sqrt(12) / (np.sqrt(2) * h)
    cubic = 2 * bar / h**2 / 10

    def loss(x):
        return float(np.sum(x) + cubic * np.sum((x - theta) ** 3) + 2.5)

    layout, flat = flatten(theta)
    run = evaluator(loss, Inputs(layout, flat, ()), backend="python")
    around = measure_loss(run, layout, None, Units.of(flat, layout))
    claim = Claim(*flat_gradient(np.full(10, 1.0 + error), layout))
    read = Residuals(Lines(around), claim, Rule(1e-5)).confirmed
    reading = read(np.ones(10), h)
    assert reading.bends == (error == 0.0)
    assert reading.alarms == reading.proves == (error != 0.0)
    assert not read(np.ones(10), h / 2).bends


@pytest.mark.slow
def test_no_false_alarm_in_1000_screens():
    for k in range(1000):
        seed = k % 50
        theta, kind = net(seed, 12, 10, 4), k % 4
        args = (*data(seed, 10, 12, 4), kind, 0.0, 1.0, 0.0)
        report = fg.check_grad(
            net_loss, net_grad, theta, *args, strategy="screen", budget=None, seed=k
        )
        assert report.verdict != "disagrees", (k, repr(report))


def test_errors_of_three_detection_limits_are_found(large):
    _, _, right = large
    limits = {b.name: b.detection_limit for b in screened(large, net_grad).blocks}
    found = 0
    for seed in range(30):
        rng = np.random.default_rng(1000 + seed)
        name = ("W1", "b1", "W2", "b2")[seed % 4]
        block = getattr(right, name).copy()
        place = tuple(int(rng.integers(size)) for size in block.shape)
        rms = float(np.sqrt(np.mean(block**2)))
        block[place] += 3 * limits[name] * rms * rng.choice([-1.0, 1.0])
        report = screened(large, right._replace(**{name: block}), seed, rtol=0)
        expected = f"{name}[{', '.join(map(str, place))}]"
        found += report.verdict == "disagrees" and report.entries[0].name == expected
    assert found >= 29


@pytest.mark.parametrize(
    ("wrong", "mean"),
    [
        (1, 100),
        pytest.param(2, 120, marks=pytest.mark.slow),
        (5, 160),
        pytest.param(10, 230, marks=pytest.mark.slow),
        pytest.param(20, 400, marks=pytest.mark.slow),
    ],
)
def test_wrong_entries_are_located(large, wrong, mean):
    right = large[2]
    layout, flat = flatten(right)
    rms = {b.name: float(np.sqrt(np.mean(flat[b.start : b.stop] ** 2))) for b in layout.blocks}
    counts = []
    for seed in range(SEEDS):
        rng = np.random.default_rng(1000 + seed)
        chosen = rng.choice(flat.size, wrong, replace=False)
        a = flat.copy()
        for i in chosen:
            size = rms[layout.block_at(int(i)).name] * 10 ** rng.uniform(-1, 1)
            a[i] += size * rng.choice([-1.0, 1.0])
        report = screened(large, a, seed)
        blamed = {e.name for e in report.entries if e.verdict == "disagrees"}
        assert blamed == {layout.name(int(i)) for i in chosen}
        counts.append(report.evaluations)
    assert np.mean(counts) <= mean
    assert max(counts) <= 1.4 * mean


def whole_block(right, rng):
    return right._replace(W2=2 * right.W2), "W2: all 16 entries looked at are wrong"


def one_row(right, rng):
    W1, k = right.W1.copy(), int(rng.integers(784))
    W1[k] *= 2
    return right._replace(W1=W1), f"W1: row {k} is wrong"


def one_column(right, rng):
    W1, k = right.W1.copy(), int(rng.integers(120))
    W1[:, k] = 0
    return right._replace(W1=W1), f"W1: column {k} is wrong"


def three_and_a_block(right, rng):
    W1 = right.W1.copy()
    W1.reshape(-1)[rng.choice(W1.size, 3, replace=False)] += 0.1
    return right._replace(W1=W1, W2=2 * right.W2), "W1: 3 wrong entries were located"


@pytest.mark.parametrize(
    ("plant", "mean"),
    [
        (whole_block, 160),
        (one_row, 230),
        pytest.param(one_column, 240, marks=pytest.mark.slow),
        pytest.param(three_and_a_block, 430, marks=pytest.mark.slow),
    ],
)
def test_structured_errors_are_told_as_such(large, plant, mean):
    counts = []
    for seed in range(SEEDS):
        gradient, said = plant(large[2], np.random.default_rng(1000 + seed))
        report = screened(large, gradient, seed)
        assert report.verdict == "disagrees"
        assert said in str(report)
        wrong = {b.name for b in report.blocks if b.verdict == "disagrees"}
        assert wrong == {n for n in Net._fields if getattr(gradient, n) is not getattr(large[2], n)}
        counts.append(report.evaluations)
    assert np.mean(counts) <= mean


@pytest.mark.parametrize("fault", FAULTS)
def test_a_search_that_comes_back_to_a_block_known_entry_by_entry_ends(fault):
    """A direction still alarmed when all 40 entries had been checked: none was left to sample."""
    for problem in correct(range(1)):
        g = FAULTS[fault](problem, problem.gradient(problem.theta, *problem.args))
        report = fg.check_grad(problem.loss, g, problem.theta, *problem.args, strategy="screen")
        assert report.verdict == "disagrees" or problem.kind == "float32"
        assert report.verdict != "agrees"


def test_dense_errors_stop_and_are_estimated(large):
    right = large[2]
    spoilt = np.random.default_rng(0).random(right.W1.shape) < 0.5
    report = screened(large, right._replace(W1=np.where(spoilt, 1.5, 1.0) * right.W1))
    assert report.verdict == "disagrees"
    assert "of the block is wrong" in str(report) or "of a random sample" in str(report)


def test_errors_below_rtol_do_not_matter(large):
    right = large[2]
    noise = 1 + 1e-7 * np.random.default_rng(0).normal(size=right.W1.shape)
    assert screened(large, right._replace(W1=noise * right.W1)).verdict == "agrees"


def test_a_float32_gradient_is_no_alarm(large):
    gradient = Net(*(block.astype(np.float32) for block in large[2]))
    assert screened(large, gradient).verdict == "agrees"


def test_constants_are_never_blamed(large):
    right = large[2]
    report = screened(large, right._replace(W1=2 * right.W1), trainable=["b1", "W2", "b2"])
    assert report.verdict == "agrees"
    assert report.blocks[0].checked == 0


def test_the_same_seed_gives_the_same_report(large):
    right = large[2]
    reports = [screened(large, right._replace(W2=1.1 * right.W2), seed=5) for _ in range(2)]
    assert reports[0].entries == reports[1].entries
    assert reports[0].evaluations == reports[1].evaluations


def test_an_error_within_rtol_is_seen_and_does_not_matter(large):
    W1 = large[2].W1.copy()
    place = np.unravel_index(np.abs(W1).argmax(), W1.shape)
    W1[place] *= 1 + 5e-6
    report = screened(large, large[2]._replace(W1=W1))
    assert report.verdict == "agrees"
    assert report.blocks[0].checked >= 1


@pytest.mark.parametrize("bad", [[3], [3, 4, 5, 499], range(500)], ids=["one", "four", "all"])
def test_entries_that_are_not_finite_are_wrong_and_hide_nothing(bad):
    x = np.random.default_rng(0).normal(size=500)
    g = 3 * x * x
    g[list(bad)] = np.nan
    if len(bad) == 1:
        g[77] += 0.1
    report = fg.check_grad(cubes, g, x, strategy="screen")
    blamed = {e.index[0] for e in report.entries if e.verdict == "disagrees"}
    assert report.verdict == report.blocks[0].verdict == "disagrees"
    assert blamed <= {*bad, 77}
    assert (77 in blamed) == (len(bad) == 1)
    assert f"not finite in {len(bad)} of its entries" in str(report)


def test_constants_may_have_any_gradient():
    theta = {"a": np.ones(20), "b": np.ones(20)}
    gradient = {"a": np.full(20, 3.0), "b": np.full(20, np.nan)}
    report = fg.check_grad(two_blocks_of_cubes, gradient, theta, trainable=["a"], strategy="screen")
    assert report.verdict == "agrees"


@pytest.mark.parametrize("away", [3e-8, 1e-7, 3e-7, 1e-6, 1e-5])
def test_kinks_beside_every_entry_convict_nobody(away):
    x = 1 + np.where(np.arange(2000) % 2, 0.0, 2 * away)
    gradient = (2 * x + np.sign(x - 1 - away)) / x.size
    report = fg.check_grad(bent, gradient, x, away, strategy="screen")
    assert report.verdict != "disagrees"


def test_a_loss_that_is_not_finite_nearby_is_screened_closer():
    x = 0.1 + np.random.default_rng(0).random(500)
    x[7] = 1e-6
    wrong = 1 / x
    wrong[7] *= 1.5
    assert fg.check_grad(logarithms, 1 / x, x, strategy="screen").verdict == "agrees"
    assert fg.check_grad(logarithms, wrong, x, strategy="screen").entries[0].name == "theta[7]"


@pytest.mark.parametrize("size", [3, 60])
def test_an_alarm_settled_entry_by_entry_promises_no_more_than_entries_show(size):
    """Directions see 1e-6 of a noisy loss that entries know to 2e-5: the limit is that of entries."""

    def noisy(x):
        shake = (np.sin(1e9 * x).sum() + np.sin(7e10 * x).sum()) / np.sqrt(size)
        return float(np.sin(x).sum() + 3e-11 * shake)

    for seed in range(10):
        x = np.random.default_rng(seed).uniform(0.1, 1.0, size)
        gradient = np.cos(x)
        gradient[size // 2] += 1e-5
        report = fg.check_grad(
            noisy, gradient, x, backend="python", strategy="screen", seed=seed, rtol=0
        )
        limit = report.blocks[0].detection_limit * np.sqrt(np.mean(gradient**2))
        assert report.verdict != "agrees" or limit >= 1e-5 / 3


# strategy and budget


def test_auto_sweeps_what_fits_and_screens_what_does_not(large):
    x = np.ones(50)
    assert fg.check_grad(cubes, 3 * x * x, x).strategy == "sweep"
    theta, args, _ = large
    assert fg.check_grad(net_loss, net_grad, theta, *args, budget=2.0).strategy == "screen"


class Slow:
    """A Python loss that takes a while, and counts."""

    def __init__(self, seconds: float):
        self.seconds, self.calls = seconds, 0

    def __call__(self, x):
        self.calls += 1
        time.sleep(self.seconds)
        return float((x * x).sum())


def test_a_budget_too_small_for_a_screen_names_one_that_would_do():
    loss, x = Slow(0.01), np.ones(1000)
    report = fg.check_grad(loss, lambda x: 2 * x, x, backend="python", budget=0.05)
    assert report.verdict == "inconclusive"
    assert "budget=" in str(report)
    assert loss.calls <= 6


def test_a_slow_python_loss_is_screened_and_its_error_located():
    x = np.random.default_rng(0).normal(size=100_000)
    wrong = 2 * x
    wrong[777] *= -1
    loss = Slow(0.001)
    report = fg.check_grad(loss, wrong, x, backend="python", budget=60.0)
    assert report.strategy == "screen"
    assert [e.name for e in report.entries if e.verdict == "disagrees"] == ["theta[777]"]
    assert report.evaluations == loss.calls <= 200


def test_a_search_that_the_budget_ends_says_so(large):
    theta, args, right = large
    spoilt = np.random.default_rng(0).random(right.W1.shape) < 0.01
    gradient = right._replace(W1=np.where(spoilt, 2.0, 1.0) * right.W1)
    report = fg.check_grad(net_loss, gradient, theta, *args, strategy="screen", budget=0.6)
    assert report.verdict in ("disagrees", "inconclusive")


def test_the_plan_is_stated_before_it_starts(capsys):
    x = np.ones(50)
    for strategy, words in (("sweep", "sweeping"), ("screen", "random directions")):
        fg.check_grad(cubes, 3 * x * x, x, strategy=strategy, progress=True)
        assert words in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("budget", [2.0, 4.0])
def test_a_budget_is_kept_within_a_fifth_and_three_evaluations(budget):
    x = np.random.default_rng(0).normal(size=300)
    wrong = 2 * x * np.where(np.random.default_rng(1).random(300) < 0.05, -1, 1)
    cost = 0.02
    began = time.perf_counter()
    report = fg.check_grad(Slow(cost), wrong, x, backend="python", budget=budget, strategy="screen")
    assert report.seconds <= time.perf_counter() - began
    assert report.evaluations * cost <= 1.2 * budget + 3 * cost
    assert report.verdict == "disagrees"


@njit
def cosines(x, c):
    total = 0.0
    for i in range(x.size):
        total += np.cos(c * x[i])
    return total / x.size


@pytest.mark.slow
def test_three_million_parameters_in_bounded_memory():
    n, c = 3_000_000, 1.5

    def gradient(x, c):
        return -c * np.sin(c * x) / x.size

    small = np.linspace(0.1, 1.0, 1000)
    fg.check_grad(cosines, gradient(small, c), small, c, strategy="screen")
    x = np.random.default_rng(0).normal(size=n)
    values = gradient(x, c)
    values[1_234_567] += 1e-3
    tracemalloc.start()
    report = fg.check_grad(cosines, values, x, c, strategy="screen", budget=None)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [e.name for e in report.entries if e.verdict == "disagrees"] == ["theta[1234567]"]
    assert peak <= (numba.get_num_threads() + 4) * 8 * n + 64e6
