"""A factor that each entry's own parameter gives, beside a constant."""

from collections.abc import Callable

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.diagnose import named_constants
from fastgrad.checks.diagnose.case import SHOWS, Case
from fastgrad.checks.diagnose.change_of_variables import is_constant
from fastgrad.checks.diagnose.finding import Finding

FACTORS: tuple[tuple[str, Callable[[Floats], Floats]], ...] = (
    ("{}", lambda x: x),
    ("{}**2", np.square),
    ("sqrt({})", np.sqrt),
    ("exp({})", np.exp),
    ("(1 + {})", lambda x: 1 + x),
    ("(1 - {})", lambda x: 1 - x),
    ("(1 + {}**2)", lambda x: 1 + x**2),
    ("(1 - {}**2)", lambda x: 1 - x**2),
    ("sqrt(1 + {}**2)", lambda x: np.sqrt(1 + x**2)),
    ("sqrt(1 - {}**2)", lambda x: np.sqrt(1 - x**2)),
    ("({} (1 - {}))", lambda x: x * (1 - x)),
    ("(1 + 1/{})", lambda x: 1 + 1 / x),
    ("(1/{} - 1)", lambda x: 1 / x - 1),
    ("(1 + exp({}))", lambda x: 1 + np.exp(x)),
    ("(1 + exp(-{}))", lambda x: 1 + np.exp(-x)),
    ("sin({})", np.sin),
    ("cos({})", np.cos),
    ("cosh({})", np.cosh),
)
"""What an entry may be multiplied with, or divided by, beside a constant."""
FEWEST_OF_A_FACTOR = 4
"""Samples wanted of a factor with a constant of its own."""
SURE_FACTOR = 1e-4
"""Relative slack of each, at most: of some 40 functions none fits three samples more by chance."""


def factor_of_theta(case: Case) -> Finding | None:
    """Every entry is off by a constant times one function of its own parameter."""
    told = case.telling & (np.abs(case.a) > SHOWS * case.bar)
    if np.count_nonzero(told & case.wrong) < FEWEST_OF_A_FACTOR or np.any(case.wrong & ~told):
        return None
    ratio = case.a[told] / case.D[told]
    relative = case.bar[told] / np.abs(case.D[told]) + case.unit
    if np.max(relative) > SURE_FACTOR:
        return None
    for name, function in FACTORS:
        f = function(case.x[told])
        if not np.isfinite(f).all() or np.any(f == 0) or is_constant(f):
            continue
        for over in (False, True):
            constants = ratio * f if over else ratio / f
            slack = np.abs(constants) * relative
            c = float(np.sum(constants / slack**2) / np.sum(1 / slack**2))
            if np.any(np.abs(constants - c) > slack + slack.min()):
                continue
            constant = named_constants.factor(c, float(slack.min()), (), ratios=False)
            what = name.format(*[case.name] * name.count("{}"))
            clause = (
                f"the analytic gradient is the numerical one {_times(constant, what, over)}, a factor "
                "that each entry's own parameter gives: of a chain rule one part is missing, or too much"
            )
            return Finding(("factor-of-theta",), {"factor": constant.value}, clause)
    return None


def _times(constant: named_constants.Constant, what: str, over: bool) -> str:
    if constant.value == 1:
        return f"{'over' if over else 'times'} {what}"
    number = constant.text.partition(" (")[0]
    return f"times {number}{'/' if over else ' * '}{what}"
