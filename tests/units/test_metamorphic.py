"""What a check answers does not depend on how the problem is said: see `transformed`.

Held here for smooth models and nets, in other units, scaled down and permuted; and for all problems in
other units but for what is listed, since the units of entries at zero are found by what these do to the
loss; and for all, plus 1e6 of themselves, shifted by up to 1e9 and screened in other ways, verdicts,
blamed entries and laws, but for what is listed. Blocks in which noise hides entries beside their own rms
take other evaluations than the vector that they are packed in; of few entries that are shifted each unit
is asked for, which takes eight evaluations.
"""

import pytest

from tests.units.transformed import (
    SAYINGS,
    STRATEGIES,
    check_said,
    differences,
    flat_problem,
    problems,
    sayings,
)

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


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [False, True], ids=["right", "planted"])
def test_all_problems_times_1e200(wrong):
    """103 of them: kinks, float32 and weights that are small by accident as well."""
    differ = {name: differences(name, "loss times 1e200", "sweep", wrong) for name in problems()}
    assert len(differ) >= 100
    assert {name: found for name, found in differ.items() if found} == {}


SHIFTED = (
    "michaelis menten inhibited",
    "weights small by accident",
    "abs 0",
    "trained abs 0",
    "abs l1 0",
    "softmax (0.01, 0.001) 0",
    "two_layer (0.01, 0.001) 0",
    "tanh 0",
    "hubble",
    "carrier frequency",
    "transit at an epoch",
    "lorentz line",
)
"""Those of which right entries were called wrong, and some others."""


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", SHIFTED)
def test_no_right_entry_is_called_wrong_where_parameters_lie_1e9_of_their_scale_away(
    name, strategy
):
    problem = flat_problem(name)
    saying = sayings(problem)["shifted up to 1e9"]
    assert check_said(problem, saying, strategy, wrong=False).verdict != "disagrees"
    planted = check_said(problem, saying, strategy, wrong=True)
    if planted.verdict == "disagrees":
        assert planted.blamed <= {problem.planted}


ZEROS = ("l1 at zeros 0", "a drift of zero", "all zero", "affine at its zero")


@pytest.mark.parametrize("wrong", [False, True], ids=["right", "planted"])
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", ZEROS)
def test_zeros_whose_units_nothing_tells_are_answered_alike(name, strategy, wrong):
    """All but the evaluations: each unit has to be found."""
    found = differences(name, "units of 10^k", strategy, wrong, "python")
    assert [text for text in found if not text.startswith("evaluations")] == []


ZERO_NETS = {("tanh at zero 0", False), ("relu at zero 0", False)}
VERDICTS = {
    ("units of 10^k", "sweep"): {("tiny 0", True)},
    ("units of 10^k", "screen"): {*ZERO_NETS, ("float32 0", True)},
    ("units of 2^k", "sweep"): {("tiny 0", True), ("float32 0", False)},
    ("units of 2^k", "screen"): ZERO_NETS,
}
"""Problems, right or planted, that other units leave open: entries in noise have no block to be judged
by, and directions do not find the units of zeros that are said to do nothing. Of "tiny", the error
is below the limit of its block, and passes when it is plainly said."""
OTHERWISE = {"sweep": 0, "screen": 3}
"""The most of which laws or blamed entries differ: those of float32, in noise."""
EVALUATIONS = {
    ("units of 10^k", "sweep"): 31,
    ("units of 10^k", "screen"): 21,
    ("units of 2^k", "sweep"): 26,
    ("units of 2^k", "screen"): 14,
}
"""The most that take other evaluations: units of zeros are found, and entries in noise have steps of
their own."""


@pytest.mark.slow
@pytest.mark.parametrize(("saying", "strategy"), VERDICTS)
def test_all_problems_in_other_units(saying, strategy):
    """103 problems, right and planted; of 10^k, 12 verdicts of sweeps and 9 of screens differed."""
    kinds = {"verdict": set(), "evaluations": set(), "laws": set(), "blamed": set()}
    for name in problems():
        for wrong in (False, True):
            for text in differences(name, saying, strategy, wrong, "python"):
                kinds[text.partition(":")[0]].add((name, wrong))
                turned = "agrees -> disagrees", "disagrees -> agrees"
                assert not text.endswith(turned), (name, wrong, text)
    assert kinds["verdict"] <= VERDICTS[saying, strategy]
    assert len(kinds["laws"] | kinds["blamed"]) <= OTHERWISE[strategy]
    assert len(kinds["evaluations"]) <= EVALUATIONS[saying, strategy]


IN_BLOCKS = 10
"""Problems that take other evaluations: in noise an entry is told beside its own block."""


@pytest.mark.slow
def test_sweeps_of_all_problems_in_other_blocks():
    """Vectors split, structures packed: the verdict and the blamed entries are the same."""
    differ = [
        text.partition(":")[0]
        for name in problems()
        for wrong in (False, True)
        for text in differences(name, "in other blocks", "sweep", wrong, "python")
    ]
    assert set(differ) <= {"evaluations"}
    assert len(differ) <= IN_BLOCKS


LOOSE = ("loss plus 1e6 of it", "shifted up to 1e9")
FAINT = {("tiny 0", True)}
"""An error below the limit of its block, which passes when it is plainly said, is found where the entry
lies far out: it is judged in a unit of its own."""
LARGER_LIMITS = {
    "sine of 1e9 x",
    "carrier frequency",
    "float32 buffers",
    "all zero",
    "a drift of zero",
}
"""Those whose limits grow by more than the noise of values: theta is rounded by as much."""
UNNAMED = 3
"""The most whose law is no longer told, beside noise that hides it."""
MORE_EVALUATIONS = {
    ("loss plus 1e6 of it", "sweep"): 46,
    ("loss plus 1e6 of it", "screen"): 66,
    ("shifted up to 1e9", "sweep"): 145,
    ("shifted up to 1e9", "screen"): 180,
}
"""The most, of 206, that take other evaluations by over 20%: noise and units are measured."""


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("saying", LOOSE)
def test_all_problems_in_more_noise_and_far_out(saying, strategy):
    """103 problems, right and planted: no verdict is turned, and what is missed is within its limit.

    Of sweeps of shifted ones a planted error passed and right entries were blamed; of screens eleven
    planted errors passed beyond the limit that was stated, and a right one was called wrong.
    """
    kinds = {kind: set() for kind in ("verdict", "blamed", "laws", "limit", "evaluations")}
    for name in problems():
        for wrong in (False, True):
            for text in differences(name, saying, strategy, wrong, "python"):
                kinds[text.partition(":")[0]].add((name, wrong))
    assert kinds["verdict"] == set()
    assert kinds["blamed"] <= FAINT
    assert {name for name, _ in kinds["limit"]} <= LARGER_LIMITS
    assert len(kinds["laws"]) <= UNNAMED
    assert len(kinds["evaluations"]) <= MORE_EVALUATIONS[saying, strategy]


@pytest.mark.slow
@pytest.mark.parametrize("saying", ["permuted", "loss times 1e-200", "loss times 1e200"])
def test_all_screens_of_problems_that_are_said_otherwise(saying):
    """103 problems, right and planted; seven verdicts and blames differed, and four raised."""
    texts = [
        text
        for name in problems()
        for wrong in (False, True)
        for text in differences(name, saying, "screen", wrong, "python")
    ]
    assert [text for text in texts if not text.startswith("evaluations")] == []
    assert len(texts) <= 4
