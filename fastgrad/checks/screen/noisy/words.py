"""What lines through a rough loss told of a block, in words."""

from fastgrad.checks.diagnose import named_constants
from fastgrad.checks.diagnose.sizes import sizes_of
from fastgrad.checks.screen.noisy.found import Blame
from fastgrad.findings import Diagnosis
from fastgrad.parameters.blocks import Block

STANDARD_ERRORS = 4.0
"""A constant is taken for a named one within so many."""
SHOWN_BY = {
    "signs": "the signs of the gradient",
    "theta": "theta",
    "ones": "ones",
    "zeros": "what is exactly zero in the gradient",
    "random": "random directions",
}


def per_cent(part: float) -> str:
    """A part in per cent, to two digits.

    Examples
    --------
    >>> per_cent(0.00123), per_cent(0.5)
    ('0.12%', '50%')
    """
    return f"{100 * part:.2g}%"


def sentence_of(blame: Blame, block: Block) -> str:
    """A remark: which direction showed the error, how large, and how soon."""
    shown = SHOWN_BY[blame.kind]
    again = blame.again
    return (
        f"After {blame.evaluations} evaluations: along {shown}, in {block.name}, a - D is "
        f"{again.mean:.3g} +- {again.bar:.1g} of what is claimed, a mean over "
        f"{again.values.size} directions."
    )


def diagnosis_of(blame: Blame, block: Block) -> Diagnosis | None:
    """The law of a block, or that there is none."""
    name, bar = block.name, blame.again.bar
    if blame.law == "scale":
        tolerance = blame.value**2 * STANDARD_ERRORS * blame.again.standard_error
        sizes = sizes_of((), name, block.shape)
        named = named_constants.factor(blame.value, tolerance, sizes)
        about = "" if named.named else "about "
        text = named.text if named.named else f"{blame.value:.3g}"
        meaning = f" ({named.meaning})" if named.meaning else ""
        sentence = (
            f"{name}: the analytic gradient is {about}{text} times the numerical one{meaning}, "
            "the same in all parts of the block and along a random direction."
        )
        law = "sign" if named.named and named.value == -1 else "scale"
        return Diagnosis(name, law, {"factor": named.value}, sentence)
    if blame.law in ("missing", "extra"):
        error = STANDARD_ERRORS * blame.again.standard_error
        named = named_constants.coefficient(blame.value, error, ())
        told = "is missing" if blame.law == "missing" else "too much"
        sentence = f"{name}: the L2 term (lambda = {named.text}) {told}, along theta."
        return Diagnosis(name, f"{blame.law}-l2", {"lambda": named.value}, sentence)
    if blame.law == "zero":
        return Diagnosis(name, "zero", {}, f"{name}: the analytic gradient is zero in every entry.")
    line = blame.line
    where = {} if line is None else {line.what: float(line.index)}
    place = "" if line is None else f" in {line.what} {line.index}"
    if blame.law == "zeros":
        sentence = f"{name}:{place} where the analytic gradient is exactly zero the loss changes."
        return Diagnosis(name, "zero", where, sentence)
    if blame.law == "offset":
        error = STANDARD_ERRORS * blame.again.standard_error
        constant = f"{blame.value:.3g} +- {error:.1g}"
        sentence = f"{name}: a constant of about {constant} in every entry, along ones."
        return Diagnosis(name, "offset", {"offset": blame.value}, sentence)
    if line is not None:
        sentence = (
            f"{name}: all of the error is{place}: along {SHOWN_BY[blame.kind]} a - D is "
            f"{abs(blame.again.mean):.3g} +- {bar:.1g} of what is claimed of the block, and fresh "
            "directions through all else show none."
        )
        return Diagnosis(name, f"wrong-{line.what}", where, sentence)
    size = abs(blame.again.mean)
    cosine = float("nan")
    sentence = (
        f"{name}: along {SHOWN_BY[blame.kind]} a - D is {size:.3g} +- {bar:.1g}, and no law was found: "
        "the loss is too rough to look at entries."
    )
    return Diagnosis(name, "unexplained", {"cosine": cosine, "norm_ratio": float("nan")}, sentence)
