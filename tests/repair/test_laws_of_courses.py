"""Laws for bugs of courses, which were written for edits: what is named of them is so.

The laws were not made with these in view. Of 50 bugs 25 have every wrong block named.
"""

import pytest

import fastgrad as fg
from tests.repair.course_bugs import COURSE_BUGS
from tests.repair.mending import course_source, module

LAWLESS = ("unexplained", "wrong-", "tolerance")
ANOTHER = "another-loss"
TRUE = {
    "penalty forgotten": {"missing-l2"},
    "penalty not averaged": {"extra-l2"},
    "labels minus predictions": {ANOTHER, "sign"},  # the penalty has its own sign
    "bias summed": {"scale"},
    "squared error's slope": {ANOTHER},  # it is that of the squared error
    "the true class not subtracted": {ANOTHER, "linear-term"},
    "not divided by n": {"scale+l2", "scale"},
    "twice the penalty": {"extra-l2"},
    "penalty replaces the gradient": {"only-l2"},
    "decay on the wrong layer": {"missing-l2+offset"},
    "batch size of the features": {"scale+l2", "scale"},
    "the correct class is left alone": {"linear-term"},  # of a hinge, between its kinks
    "the penalty halved": {"missing-l2"},
    "not averaged": {"scale+l2"},
    "averaged over classes": {"scale+l2"},
    "sigma for its square": {"scale"},
    "by sigma, not its log": {"change-of-variables"},
    "sign of the score": {"sign"},
    "exposure forgotten": {ANOTHER},
    "log-likelihood's gradient": {ANOTHER},  # the prior has the right sign
    "standard deviation for variance": {"extra-l2"},
    "scale of the scores forgotten": {"scale"},
    "half forgotten": {"scale"},
    "penalty of the other factor": {"missing-l2"},
    "mean of the responsibilities": {"scale"},
    "responsibilities over the data": {"unread"},  # they add up to 1 whatever mu is
}
"""What is true of each, by its formula."""
NAMED = 25


@pytest.mark.slow
def test_what_is_named_of_bugs_of_courses_is_so(tmp_path):
    whole = 0
    for k, bug in enumerate(COURSE_BUGS):
        with module(tmp_path / f"course{k}.py", course_source(bug)) as made:
            loss, grad, example = (
                getattr(made, f"{bug.problem}{name}") for name in ("loss", "grad", "example")
            )
            theta, args = example(0)
            report = fg.check_grad(loss, grad, theta, *args, backend="python")
        assert report.verdict == "disagrees"
        laws = {d.law for d in report.diagnoses}
        named = {law for law in laws if not law.startswith(LAWLESS)}
        assert named <= TRUE.get(bug.name, set()), (bug.name, named)
        whole += named == laws
    assert whole >= NAMED
