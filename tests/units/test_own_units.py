"""Units that a loss shows where theta does not: entries far from what they are measured from."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.differences import glimpse
from fastgrad.differences.loss import Loss
from fastgrad.differences.measured import Measured
from fastgrad.differences.own_units import in_own_units, told_units
from fastgrad.differences.repeats import repeat_loss
from fastgrad.evaluate.backends import Inputs, evaluator
from fastgrad.evaluate.units import Units
from fastgrad.parameters.layout import flatten

rng = np.random.default_rng(5)
CENTRE = rng.choice([-1, 1], 20) * 10.0 ** rng.uniform(3, 9, 20)
"""Where an array of 20 entries is measured from: none near zero, none as far as the next."""
STRATEGIES = pytest.mark.parametrize("strategy", ["sweep", "screen"])


def waves(x, centre=CENTRE):
    return float(np.sin(3 * (x - centre)).sum())


def slope_of_waves(x, centre=CENTRE):
    return 3 * np.cos(3 * (x - centre))


def softplus(x, centre=CENTRE):
    return float(np.logaddexp(0.0, 2 * (x - centre)).sum())


def slope_of_softplus(x, centre=CENTRE):
    return 2 / (1 + np.exp(-2 * (x - centre)))


def hinges(x, centre=CENTRE):
    return float(np.maximum(1 - (x - centre), 0.0).sum() ** 2)


def slope_of_hinges(x, centre=CENTRE):
    m = 1 - (x - centre)
    return -2 * np.maximum(m, 0.0).sum() * (m > 0)


FAR_OUT = {
    "waves": (waves, slope_of_waves),
    "softplus": (softplus, slope_of_softplus),
    "hinges": (hinges, slope_of_hinges),
}
OFF = np.random.default_rng(6).uniform(-0.8, 0.8, 20)


def glimpsed(f, theta):
    """A loss as a check has it after a glimpse of its noise."""
    layout, flat = flatten(theta)
    run = evaluator(f, Inputs(layout, flat, ()), backend="python")
    units = Units.of(flat, layout)
    measured = Measured(repeat_loss(run, units.entry))
    return glimpse.glimpsed(Loss(run, layout, None, units, measured), 0)


@pytest.mark.parametrize("name", FAR_OUT)
def test_the_entries_furthest_out_tell_the_unit_of_an_array(name):
    told = in_own_units(glimpsed(FAR_OUT[name][0], CENTRE + OFF), 0)
    assert told is not None
    assert told.units.one_unit.all()
    assert np.ptp(told.units.entry) == 0
    assert 2.0**-9 <= told.units.entry[0] <= 2.0**9


@STRATEGIES
@pytest.mark.parametrize("name", FAR_OUT)
def test_an_array_far_out_is_judged_in_its_own_unit(name, strategy):
    """Within a fifth more evaluations than at home, and what asking for the unit takes at most.

    That is 5 for a second glimpse, 6 for how far it is straight, 24 of three entries, and 12 for each of
    them where f is straight further off as well.
    """
    f, g = FAR_OUT[name]
    theta = CENTRE + OFF
    home = fg.check_grad(f, g, theta - CENTRE, np.zeros(20), strategy=strategy, backend="python")
    report = fg.check_grad(f, g, theta, strategy=strategy, backend="python")
    assert home.verdict == report.verdict == "agrees"
    if strategy == "sweep":
        assert report.evaluations <= 1.2 * home.evaluations + 5 + 6 + 24 + 36
    k = int(np.argsort(np.abs(g(theta)))[10])
    for factor in (-1.0, 0.0, 1.01):
        wrong = g(theta)
        wrong[k] *= factor
        report = fg.check_grad(f, wrong, theta, strategy=strategy, backend="python")
        assert report.verdict == "disagrees", factor
        blamed = {entry.index for entry in report.entries if entry.verdict == "disagrees"}
        assert blamed == {(k,)}


def plane(x):
    return float(np.sin(x).sum())


def parabola(x):
    return float(((x - 1.0) ** 2).sum())


def single(x):
    return float(np.sin(x.astype(np.float32)).sum())


def stairs(x):
    """Treads of 1e-6 that slope otherwise than f does: between jumps no difference is a derivative."""
    tread = 1e-6 * np.floor(x / 1e-6)
    return float(np.sin(tread).sum() - 2.0 * (x - tread).sum())


def ripples(x):
    return float(np.sin(x).sum() + 1e-8 * np.sin(1e7 * x).sum())


@pytest.mark.parametrize("f", [plane, parabola, single, stairs, ripples])
@pytest.mark.parametrize("at", [0.7, 1.0])
def test_where_theta_tells_the_unit_it_stands(f, at):
    """Of f with noise on top of it as well, which is smooth from near."""
    assert in_own_units(glimpsed(f, np.linspace(at, at + 0.5, 12)), 0) is None


def test_a_tread_of_a_staircase_is_no_unit():
    """Asked though nothing led to it: none of 12 entries shows another unit."""
    loss = glimpsed(stairs, np.linspace(0.7, 1.2, 12))
    assert np.isnan(told_units(loss, np.arange(12))).all()


def test_single_entries_are_asked_one_by_one():
    """Three phases, of which one is an epoch in seconds, and one a phase."""
    centre = np.array([1.7e9, 0.0, -4e4])
    width = np.array([3.0, 1.0, 1e-3])

    def f(x):
        return float(np.cos((x - centre) / width).sum())

    told = in_own_units(glimpsed(f, centre + np.array([0.7, 0.4, 2e-4])), 0)
    assert told is not None
    assert not told.units.one_unit.any()
    assert np.all(np.abs(np.log2(told.units.entry / width)) <= 10)


@STRATEGIES
@pytest.mark.parametrize("frequency", [1e6, 4e6, 1e8])
def test_an_epoch_whose_last_place_is_beyond_the_period_is_never_called_wrong(frequency, strategy):
    """1.7e9 s, whose last place is 0.24 microseconds: right or turned, nothing can be told.

    At 4 MHz it is nearly one period, and whole seconds are so many whole ones.
    """
    w, epoch = 2 * np.pi * frequency, 1.7e9
    for seed in (0, 1, 5, 11):
        draw = np.random.default_rng([seed, int(frequency)])
        p = np.array([epoch + draw.uniform(0, 1), 0.7])
        t = draw.uniform(-1, 1, 9)

        def f(p, t=t):
            return float(((np.sin(w * (p[0] - epoch)) + p[1] * t - 1) ** 2).mean())

        r = 2 * (np.sin(w * (p[0] - epoch)) + p[1] * t - 1)
        g = np.array([(r * w * np.cos(w * (p[0] - epoch))).mean(), (r * t).mean()])
        for factor in (1.0, -1.0):
            claim = g * np.array([factor, 1.0])
            report = fg.check_grad(f, claim, p, strategy=strategy, backend="python")
            assert report.verdict == "inconclusive", (seed, factor)
        wrong = g * np.array([1.0, -1.0])
        report = fg.check_grad(f, wrong, p, strategy=strategy, backend="python")
        assert {e.index for e in report.entries if e.verdict == "disagrees"} <= {(1,)}


@STRATEGIES
def test_with_a_scale_of_the_users_no_step_is_finer_than_theta_can_take(strategy):
    """Along the signs of the gradient as well, where a step of 2^-24 units would be rounded away."""
    theta = 1e9 + OFF
    centre = np.full(20, 1e9)
    right = slope_of_waves(theta, centre)
    asked = {"strategy": strategy, "backend": "python", "scale": 1.0}
    assert fg.check_grad(waves, right, theta, centre, **asked)
    wrong = right.copy()
    wrong[3] *= -1
    report = fg.check_grad(waves, wrong, theta, centre, **asked)
    assert {e.index for e in report.entries if e.verdict == "disagrees"} == {(3,)}


def soft_absolute(x):
    return float(np.sqrt((x - 1.0) ** 2 + 1e-18).sum())


def slope_of_soft_absolute(x):
    return (x - 1.0) / np.sqrt((x - 1.0) ** 2 + 1e-18)


def test_a_kink_that_is_smooth_from_near_acquits_nobody():
    """Beside a rounded kink of 1e-9, any slope from -1 to 1 would be a subgradient of what steps see."""
    x = np.array([1 + 2e-9, 1 - 3e-9, 1 + 1e-9])
    right = slope_of_soft_absolute(x)
    assert fg.check_grad(soft_absolute, right, x, strategy="sweep", backend="python")
    for factor in (-1.0, 0.0, 0.5):
        wrong = right * np.array([factor, 1.0, 1.0])
        report = fg.check_grad(soft_absolute, wrong, x, strategy="sweep", backend="python")
        assert report.verdict == "disagrees", factor


def test_what_is_left_open_is_within_the_limit_that_is_stated():
    """A wrong sign beside a jump, which excludes no slope: its error is no larger than the limit."""

    def f(x):
        return float(np.where(x > 1.0 - 1e-7, x, x + 3.0).sum() + np.floor(x[0] * 1e7 + 0.5) * 1e-3)

    x = np.array([1.0, 2.0, 3.0])
    report = fg.check_grad(f, np.array([-1.0, 1.0, 1.0]), x, strategy="sweep", backend="python")
    (block,) = report.blocks
    assert block.verdict == "inconclusive" or report.verdict == "disagrees"
    if report.verdict == "inconclusive":
        assert block.detection_limit >= 1.0


def test_the_line_of_noise_is_not_taken_twice():
    """What a screen glimpses is the first line that it studies."""
    asked = []

    def f(x):
        asked.append(x.copy())
        return float(np.sin(x).sum())

    x = np.linspace(0.5, 2.0, 40)
    assert fg.check_grad(f, np.cos(x), x, strategy="screen", backend="python")
    points = {point.tobytes() for point in asked}
    assert len(asked) - len(points) <= 6  # theta itself is asked again, and no other point
