"""What a check answers does not depend on how the problem is said: see `transformed`."""

import pytest

from tests.units.transformed import SAYINGS, STRATEGIES, differences, problems

EVERYDAY = (
    "debye relaxation",
    "michaelis menten inhibited",
    "lennard jones",
    "radioactive decay",
    "hubble",
    "weights small by accident",
    "a drift of zero",
    "sines at 1e9",
    "float32 buffers",
    "tanh 0",
    "relu l1 0",
    "l1 at zeros 0",
    "float32 0",
    "quadratic 1e-06 0",
    "logistic (0.01, 0.001) 0",
    "garch 0",
)
"""Problems of every kind for every run; the others are slow."""

NAMES = [
    name if name in EVERYDAY else pytest.param(name, marks=pytest.mark.slow) for name in problems()
]


def test_there_are_problems_of_every_kind():
    assert len(problems()) >= 40
    assert set(EVERYDAY) <= set(problems())


@pytest.mark.parametrize("wrong", [False, True], ids=["right", "planted"])
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("saying", SAYINGS)
@pytest.mark.parametrize("name", NAMES)
def test_the_answer_does_not_depend_on_how_a_problem_is_said(name, saying, strategy, wrong):
    assert differences(name, saying, strategy, wrong) == []
