"""What a check answers does not depend on how the problem is said: see `transformed`.

Held here for smooth models and nets, in other units, scaled down and permuted. Not held for all: kinks
at zeros, float32, weights that are small by accident, losses times 1e200, plus 1e6 of themselves,
shifted by 1e9 and in other blocks, of which `python -m tests.units.transformed` counts what differs.
"""

import pytest

from tests.units.transformed import SAYINGS, STRATEGIES, differences, problems

HELD = ("units of 10^k", "units of 2^k", "permuted", "loss times 1e-200", "loss times 1e200")
"""Ways of saying a problem."""
NAMES = (
    "debye relaxation",
    "michaelis menten inhibited",
    "lennard jones",
    "radioactive decay",
    "hubble",
    "tanh 0",
    "relu l1 0",
    "logistic (0.01, 0.001) 0",
    "garch 0",
)


def test_what_is_held_is_there():
    assert len(problems()) >= 40
    assert set(NAMES) <= set(problems())
    assert set(HELD) <= set(SAYINGS)


@pytest.mark.parametrize("wrong", [False, True], ids=["right", "planted"])
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("saying", HELD)
@pytest.mark.parametrize("name", NAMES)
def test_the_answer_does_not_depend_on_how_a_problem_is_said(name, saying, strategy, wrong):
    assert differences(name, saying, strategy, wrong) == []
