"""`report.plot` on axes of one's own, and what it says of what it cannot draw."""

import numpy as np
import pytest

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
