"""Linear laws in words."""

import numpy as np

from fastgrad.checks.diagnose import named_constants
from fastgrad.checks.diagnose.case import Case
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.checks.diagnose.linear import RIGHT_L2, Fit, Linear, Term
from fastgrad.checks.diagnose.named_constants import Constant
from fastgrad.numerics.norms import norm

NORM_DIGITS = 1e-7
"""Relative tolerance of a weight that is a round number over a norm."""
STANDARD_ERRORS = 4.0
"""A constant is taken for another within so many standard errors."""


def finding(law: Linear, fit: Fit) -> Finding:
    """The law in words: T(a) = s (D - sum b_j t_j), s = 1/c."""
    case, terms = law.case, law.shape.terms
    s, tolerances = 1.0, STANDARD_ERRORS * fit.sd
    scale = Constant(1.0, "1", True)
    weights, errors = fit.b, tolerances
    if law.shape.free_factor:
        s, relative = 1 / fit.b[0], tolerances[0] / abs(fit.b[0])
        scale = named_constants.factor(s, relative * abs(s), case.dims)
        weights = s * fit.b[1:]
        errors = abs(s) * tolerances[1:] + np.abs(weights) * relative
    named = [
        named_constants.coefficient(float(w), float(e), case.dims)
        for w, e in zip(weights, errors, strict=True)
    ]
    named = [_of_a_norm(law, t, c) for t, c in zip(terms, named, strict=True)]
    values = {"factor": scale.value} if law.shape.free_factor else {}
    for term, constant in zip(terms, named, strict=True):
        own_sign = law.shape.free_factor or term.word == "offset"
        values[term.constant] = -constant.value if own_sign else abs(constant.value)
    return Finding(_words(law, scale, named), values, _clause(law, scale, named), law.complexity)


def times(factor: Constant) -> Finding:
    """The law of a factor, with what it usually comes from."""
    if factor.value == -1.0:
        return Finding(("sign",), {"factor": -1.0}, "the analytic gradient has the wrong sign")
    meaning = f" ({factor.meaning})" if factor.meaning else ""
    clause = f"the analytic gradient is {factor.text} times the numerical one{meaning}"
    return Finding(("scale",), {"factor": factor.value}, clause)


def _of_a_norm(law: Linear, term: Term, weight: Constant) -> Constant:
    """The weight of theta as a round number over its norm: the derivative of lambda norm(theta)."""
    size = norm(law.case.theta)
    if weight.named or term.word != "l2" or not law.case.complete or size == 0:
        return weight
    tolerance = NORM_DIGITS * abs(weight.value) * size
    whole = named_constants.coefficient(weight.value * size, tolerance, ())
    if not whole.named:
        return weight
    return Constant(whole.value / size, f"{whole.text}/norm({law.case.name})", True)


def _words(law: Linear, scale: Constant, weights: list[Constant]) -> tuple[str, ...]:
    words = [law.base.word] if law.base.word else []
    if law.shape.free_factor:
        words.append("sign" if scale.named and scale.value == -1 else "scale")
    for term, weight in zip(law.shape.terms, weights, strict=True):
        if term.word in ("offset", RIGHT_L2.word) or law.shape.free_factor:
            words.append(term.word)
        else:
            words.append(("missing-" if weight.value > 0 else "extra-") + term.word)
    return tuple(words)


def _clause(law: Linear, scale: Constant, weights: list[Constant]) -> str:
    name, terms = law.case.name, law.shape.terms
    if law.shape.free_factor and not terms and not law.base.word and scale.value == -1:
        return "every entry has the wrong sign: the analytic gradient is -1 times the numerical one"
    if terms == (RIGHT_L2,):
        return (
            f"but for its L2 term (lambda = {weights[0].text}), which is right, the analytic "
            f"gradient{law.base.phrase} is the numerical one"
        )
    text = f"the analytic gradient{law.base.phrase} is "
    text += (
        f"{scale.text} times the numerical one" if law.shape.free_factor else "the numerical one"
    )
    for term, weight in zip(terms, weights, strict=True):
        sign = "minus" if weight.value > 0 else "plus"
        text += f" {sign} {weight.text.lstrip('-')}{term.symbol.format(name)}"
    if law.base.word == "swapped":
        text += f" of {name}"
    if not terms:
        return text + (f" ({scale.meaning})" if scale.meaning else "")
    if law.shape.free_factor:
        return text + _readings(law, scale, weights)
    said = [_told(law.case, t, w) for t, w in zip(terms, weights, strict=True)]
    return text + ": " + " and ".join(said)


def _told(case: Case, term: Term, weight: Constant) -> str:
    """What a term too much or too little usually is."""
    size = weight.text.lstrip("-")
    if term.word == "offset":
        if abs(weight.value) in (1.0, 0.5):
            return "a constant in every entry (perhaps the log-Jacobian of a change of variables)"
        one_sign = np.all(case.x > 0) or np.all(case.x < 0)
        alike = f" (where all of {case.name} has one sign, an L1 term looks the same)"
        return "a constant in every entry" + (alike if one_sign and case.k > 1 else "")
    if "/norm(" in size:
        size, of = size.removesuffix(")").split("/norm(")
        much = "is missing" if weight.value > 0 else "is too much"
        return f"the derivative of {size} norm({of}) {much}"
    kind = term.word.upper()
    if weight.value > 0:
        return f"the {kind} term (lambda = {size}) is missing"
    return f"an {kind} term (lambda = {size}) too much"


def _readings(law: Linear, scale: Constant, weights: list[Constant]) -> str:
    """The two readings of a factor beside a penalty: wrong and right penalties look alike."""
    penalties = [
        (term, w) for term, w in zip(law.shape.terms, weights, strict=True) if term.word != "offset"
    ]
    if len(penalties) != 1 or scale.value == 1:
        return ""
    term, weight = penalties[0]
    right, missing = weight.value / (scale.value - 1), weight.value / scale.value
    text = f": {scale.text} times the data's part"
    if right > 0:
        text += f", with the {term.word.upper()} term (lambda = {right:.6g}) as it should be"
        text += ", or "
    else:
        text += ", and "
    kind = "without the" if missing > 0 else "with too much of the"
    penalty = f"{term.word.upper()} term (lambda = {abs(missing):.6g})"
    return text + f"{scale.text} times everything, {kind} {penalty}"
