"""`report.plot` on axes of one's own, and what it says of what it cannot draw."""

import numpy as np
import pytest

import fastgrad as fg
from tests.extras import problems


@pytest.fixture
def axes():
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure()
    FigureCanvasAgg(figure)
    yield figure.subplots()
    figure.canvas.draw()


@pytest.mark.parametrize("kind", ["blocks", "residual", "scatter", "steps"])
def test_every_kind_is_drawn_on_the_axes_given(axes, kind):
    assert problems.check().plot(kind, ax=axes) is axes


def test_directions_are_those_of_a_screen(axes):
    problems.check(strategy="screen").plot("directions", ax=axes)


def test_a_number_and_a_vector_have_a_heat_map(axes):
    problems.check().plot("residual", block="b", ax=axes)
    problems.check().plot("residual", block="s", ax=axes)


def test_the_first_block_that_fails_is_drawn(axes):
    ax = problems.check().plot("scatter", ax=axes)
    assert ax.get_title(loc="left") == "W: analytic against numeric"


def test_what_is_not_finite_is_drawn(axes):
    def broken(p):
        g = problems.right(p)
        g["W"][0, 0] = np.nan
        return g

    problems.check(broken).plot("residual", ax=axes)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("heat",), '"blocks", "residual"'),
        (("scatter", "w"), "expected one of 'W', 'b', 's'"),
        (("directions",), "expected a screen"),
    ],
)
def test_what_cannot_be_drawn(arguments, words):
    with pytest.raises(ValueError, match=words):
        problems.check().plot(*arguments)


@pytest.mark.parametrize("factor", [1.0, -1.0])
def test_evidence_of_a_monitor_over_steps(factor):
    from matplotlib import pyplot

    theta = np.linspace(-1, 1, 8)
    monitor = fg.Monitor(
        lambda w: float((w**4).sum()), lambda w: factor * 4 * w**3, every=2, on_alarm="record"
    )
    for step in range(9):
        monitor(step, theta)
    ax = monitor.plot()
    evidence, limit, *alarms = ax.get_lines()
    assert evidence.get_xdata().tolist() == [record.step for record in monitor.records]
    assert evidence.get_ydata().tolist() == [record.evidence for record in monitor.records]
    assert limit.get_ydata()[0] == pytest.approx(3.0)  # alpha is 1e-3
    raised = [record.step for record in monitor.records if record.alarm]
    assert [line.get_xdata()[0] for line in alarms] == raised
    assert bool(raised) == (factor != 1)
    assert monitor.plot(ax) is ax
    pyplot.close(ax.figure)
