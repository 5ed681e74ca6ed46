"""The stories of ``fastgrad demo``: each is told, ends with its moral, and is as short as promised."""

import inspect
import re
from importlib import import_module

import pytest

from fastgrad.commands.demo import STORIES, listed, run_demo

LONGEST = 60
"""Lines of a story's module."""
SAYS = {
    "step": [
        "Forward has 8 digits at best, central 1",
        "the gradient is right along",
        "is wrong along",
    ],
    "constants": [
        "1. All of theta: disagrees, in b.",
        'trainable="w": agrees; 3 entries',
        "b: 0.0",
    ],
    "initialisation": ["All zeros: agrees", "differ by 0:", "trained]: disagrees"],
    "regularisation": [
        "the L2 term (lambda = 0.1) is missing",
        "3 zeros",
        "kink: valid subgradient",
    ],
    "dropout": [
        "refused. the loss gave different values",
        "2. One seed for loss and gradient: agrees",
    ],
    "svm": ["on its margin: agrees", "on the margin: agrees, 60", "off the margin: disagrees"],
    "garch": ["gradient: agrees", "GradientCheck(disagrees", "beta ", "its bound, by one-sided"],
    "adversarial": ["digits: agrees, 1,280 entries", "attacks "],
    "td3": [
        "as derived: agrees",
        "for an optimiser: disagrees",
        "is zero; all else is right",
        "subgradients from -1 to -0.3",
    ],
    "closure": ["does it use its argument?", "inside the loss: agrees"],
    "million": ["three bugs planted", "evaluations, where a sweep takes"],
}
QUICK = ("step", "td3", "garch")
"""Nothing is compiled in them but what is kept on disk."""


def told(name: str) -> str:
    said: list[object] = []
    run_demo(name, said.append)
    return "\n".join(map(str, said))


@pytest.mark.parametrize("name", QUICK)
def test_quick_stories_are_told(name):
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SAYS if name not in QUICK])
def test_stories_are_told(name):
    check(name)


def check(name):
    text = told(name)
    for part in SAYS[name]:
        assert part in text
    assert text.endswith(import_module(f"fastgrad.commands.demos.{name}").TEACHES)


def test_attacks_cost_a_net_more_than_one_that_was_trained_on_them():
    """Counted on few steps; the story itself is told in the slow tests."""
    from fastgrad.commands.demos import adversarial
    from fastgrad.commands.demos.attacks import EPSILON, attacked
    from fastgrad.models import digits

    X, y = digits()
    lost = []
    for on_attacks in (False, True):
        net = adversarial.trained(X[:400], y[:400], on_attacks)
        moved = attacked(net, X[400:], y[400:], 3)
        assert abs(moved - X[400:]).max() <= EPSILON + 1e-12
        right = [((x @ net.W + net.b).argmax(axis=1) == y[400:]).mean() for x in (X[400:], moved)]
        lost.append(right[0] - right[1])
    assert 0 < lost[1] < lost[0]


@pytest.mark.parametrize("name", STORIES)
def test_a_story_has_its_length_and_its_moral(name):
    story = import_module(f"fastgrad.commands.demos.{name}")
    assert len(inspect.getsource(story).splitlines()) <= LONGEST
    assert story.TEACHES.endswith(".")
    assert re.search(rf"^  {name} +\S", listed(), re.MULTILINE)
