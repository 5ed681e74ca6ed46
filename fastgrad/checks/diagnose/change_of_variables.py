"""The derivative by another variable, u(theta), or a function of theta too much or too little.

With theta = psi(u) the derivative by u is ``D psi'(u)``: in code that fits log sigma, and hands back
the derivative by sigma, every entry is off by a factor that its own theta gives.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.diagnose import named_constants
from fastgrad.checks.diagnose.case import SHOWS, Case
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.checks.diagnose.linear import SAMPLES
from fastgrad.checks.diagnose.linear_words import STANDARD_ERRORS

FEWEST = 3
"""Samples wanted that the change of variables moves."""
SPREAD = 1e-3
"""A factor that varies by less from entry to entry is a constant."""


class Variable(NamedTuple):
    """A variable u(theta) in place of theta: ``a = D jacobian(theta)``, dtheta/du."""

    name: str
    jacobian: Callable[[Floats], Floats]


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))


VARIABLES = (
    Variable("log({})", lambda x: x),
    Variable("exp({})", lambda x: np.exp(-x)),
    Variable("{}**2", lambda x: 1 / (2 * x)),
    Variable("sqrt({})", lambda x: 2 * np.sqrt(x)),
    Variable("1/{}", lambda x: -(x**2)),
    Variable("ln(2)/{}", lambda x: -(x**2) / np.log(2)),
    Variable("log10({})", lambda x: np.log(10) * x),
    Variable("log2({})", lambda x: np.log(2) * x),
    Variable("10**{}", lambda x: 10.0**-x / np.log(10)),
    Variable("logit({})", lambda x: x * (1 - x)),
    Variable("sigmoid({})", lambda x: 1 / (_sigmoid(x) * _sigmoid(-x))),
    Variable("softplus({})", lambda x: 1 / _sigmoid(x)),
    Variable("the inverse softplus of {}", lambda x: 1 - np.exp(-x)),
    Variable("tanh({})", lambda x: np.cosh(x) ** 2),
    Variable("artanh({})", lambda x: 1 - x**2),
    Variable("1/{}**2", lambda x: -(x**3) / 2),
    Variable("1/sqrt({})", lambda x: -2 * x * np.sqrt(x)),
    Variable("exp(2 {})", lambda x: np.exp(-2 * x) / 2),
    Variable("{}**3", lambda x: 1 / (3 * x**2)),
    Variable("log(1 + {})", lambda x: 1 + x),
    Variable("log(1 - {})", lambda x: x - 1),
)

FUNCTIONS: tuple[tuple[str, Callable[[Floats], Floats]], ...] = (
    ("exp({})", np.exp),
    ("{}**2", np.square),
    ("1/{}", lambda x: 1 / x),
    ("1/{}**2", lambda x: 1 / x**2),
    ("{}**3", lambda x: x**3),
    ("sigmoid({})", _sigmoid),
    ("log({})", np.log),
    ("sqrt({})", np.sqrt),
    ("tanh({})", np.tanh),
    ("exp(-{})", lambda x: np.exp(-x)),
    ("|{}|", np.abs),
    ("sin({})", np.sin),
    ("cos({})", np.cos),
    ("{} / (1 + {}**2)", lambda x: x / (1 + x**2)),
)

OF_PROBABILITIES: tuple[tuple[str, Callable[[Floats], Floats]], ...] = (
    ("log(1 - {})", lambda p: np.log1p(-p)),
    ("logit({})", lambda p: np.log(p / (1 - p))),
    ("1/(1 - {})", lambda p: 1 / (1 - p)),
    ("1/({} (1 - {}))", lambda p: 1 / (p * (1 - p))),
    ("log({})/{}", lambda p: np.log(p) / p),
    ("log(1 - {})/(1 - {})", lambda p: np.log1p(-p) / (1 - p)),
    ("log({})/({} (1 - {}))", lambda p: np.log(p) / (p * (1 - p))),
    ("log(1 - {})/({} (1 - {}))", lambda p: np.log1p(-p) / (p * (1 - p))),
    ("logit({})/({} (1 - {}))", lambda p: np.log(p / (1 - p)) / (p * (1 - p))),
)
"""Parts of entropies and of densities on (0, 1), where all of theta lies there."""


def by_another_variable(case: Case) -> Finding | None:
    """Every entry is the derivative by the same function of its own parameter."""
    for sign in (1.0, -1.0):
        for variable in VARIABLES:
            jacobian = sign * variable.jacobian(case.x)
            expected, bar = case.D * jacobian, case.bar * np.abs(jacobian)
            if not np.isfinite(expected).all():
                continue
            bar = bar + case.unit * np.maximum(np.abs(case.a), np.abs(expected))
            if np.any(np.abs(case.a - expected) > bar):
                continue
            moved = case.telling & (np.abs(expected - case.D) > SHOWS * np.maximum(bar, case.bar))
            if np.count_nonzero(moved) < FEWEST or is_constant(jacobian[case.telling]):
                continue
            name = variable.name.format(case.name)
            minus = "" if sign > 0 else "minus "
            clause = (
                f"the analytic gradient is {minus}the derivative by {name}, the loss's is by "
                f"{case.name} itself (a factor of its own in every entry, "
                f"{'-' if sign < 0 else ''}d {case.name} / d {f'({name})' if '/' in name else name})"
            )
            return Finding(("change-of-variables",), {"sign": sign}, clause)
    return None


def variable_of_one(case: Case, slack: float) -> str | None:
    """The variable by which a block of one number is derived, where no other factor is near."""
    a, D, x = float(case.a[0]), float(case.D[0]), case.x
    for sign in (1.0, -1.0):
        for variable in VARIABLES:
            factor = sign * float(variable.jacobian(x)[0])
            if np.isfinite(factor) and factor and abs(a / D - factor) <= slack:
                minus = "" if sign > 0 else "minus "
                return f"{minus}the derivative by {variable.name.format(case.name)}"
    return None


def is_constant(factors: Floats) -> bool:
    """Whether factors are as good as one number."""
    return bool(np.ptp(factors) <= SPREAD * np.abs(factors).max())


def function_of_theta(case: Case) -> Finding | None:
    """The error is one multiple of a function of the entry's own parameter."""
    r = case.a - case.D
    bar = case.bar + case.unit * np.abs(case.a)
    if np.count_nonzero(case.wrong) < FEWEST:
        return None
    between = bool(np.all((case.x > 0) & (case.x < 1)))
    for name, function in (*FUNCTIONS, *(OF_PROBABILITIES if between else ())):
        f = function(case.x)
        if not np.isfinite(f).all() or is_constant(f):
            continue
        weights = f / bar**2
        c = float(weights @ r / (weights @ f))
        spread = 1 / np.sqrt(float(np.sum((f / bar) ** 2)))
        allowance = bar + spread * np.abs(f)
        shown = np.count_nonzero(np.abs(c * f) > SHOWS * bar)
        if shown < max(FEWEST, SAMPLES) or np.any(np.abs(r - c * f) > allowance):
            continue
        weight = named_constants.coefficient(c, STANDARD_ERRORS * spread, case.dims)
        sign = "minus" if c < 0 else "plus"
        size = weight.text.lstrip("-")
        times = "" if size == "1" else f"{size} * "
        what = name.format(*[case.name] * name.count("{}"))
        clause = f"the analytic gradient is the numerical one {sign} {times}{what}"
        return Finding(("function-of-theta",), {"weight": weight.value}, clause)
    return None
