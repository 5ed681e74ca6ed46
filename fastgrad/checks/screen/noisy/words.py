"""What lines through a rough loss told of a block, in words."""

from fastgrad.checks.diagnose import named_constants
from fastgrad.checks.diagnose.known_numbers import sizes_of
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


def diagnosis_of(blame: Blame, block: Block) -> Diagnosis:
    """The law of a block, or that there is none."""
    say = LAWS.get(blame.law, _unexplained if blame.line is None else _on_a_line)
    return say(blame, block)


def _scale(blame: Blame, block: Block) -> Diagnosis:
    tolerance = blame.value**2 * STANDARD_ERRORS * blame.again.standard_error
    sizes = sizes_of((), block.name, block.shape)
    named = named_constants.factor(blame.value, tolerance, sizes)
    about = "" if named.named else "about "
    text = named.text if named.named else f"{blame.value:.3g}"
    meaning = f" ({named.meaning})" if named.meaning else ""
    sentence = (
        f"{block.name}: the analytic gradient is {about}{text} times the numerical one{meaning}, "
        "the same in all parts of the block and along a random direction."
    )
    law = "sign" if named.named and named.value == -1 else "scale"
    return Diagnosis(block.name, law, {"factor": named.value}, sentence)


def _l2(blame: Blame, block: Block) -> Diagnosis:
    error = STANDARD_ERRORS * blame.again.standard_error
    named = named_constants.coefficient(blame.value, error, ())
    told = "is missing" if blame.law == "missing" else "too much"
    sentence = f"{block.name}: the L2 term (lambda = {named.text}) {told}, along theta."
    return Diagnosis(block.name, f"{blame.law}-l2", {"lambda": named.value}, sentence)


def _zero(blame: Blame, block: Block) -> Diagnosis:
    name = block.name
    return Diagnosis(name, "zero", {}, f"{name}: the analytic gradient is zero in every entry.")


def _zeros(blame: Blame, block: Block) -> Diagnosis:
    where, place = _place(blame)
    sentence = f"{block.name}:{place} where the analytic gradient is exactly zero the loss changes."
    return Diagnosis(block.name, "zero", where, sentence)


def _offset(blame: Blame, block: Block) -> Diagnosis:
    error = STANDARD_ERRORS * blame.again.standard_error
    constant = f"{blame.value:.3g} +- {error:.1g}"
    sentence = f"{block.name}: a constant of about {constant} in every entry, along ones."
    return Diagnosis(block.name, "offset", {"offset": blame.value}, sentence)


LAWS = {
    "scale": _scale,
    "missing": _l2,
    "extra": _l2,
    "zero": _zero,
    "zeros": _zeros,
    "offset": _offset,
}
"""What is said of a block that follows a law, by its name."""


def _on_a_line(blame: Blame, block: Block) -> Diagnosis:
    """What is said of a block that follows none, but is wrong in one row or column."""
    assert blame.line is not None
    where, place = _place(blame)
    sentence = (
        f"{block.name}: all of the error is{place}: along {SHOWN_BY[blame.kind]} a - D is "
        f"{_size(blame)} of what is claimed of the block, and fresh directions through all else show "
        "none."
    )
    return Diagnosis(block.name, f"wrong-{blame.line.what}", where, sentence)


def _unexplained(blame: Blame, block: Block) -> Diagnosis:
    sentence = (
        f"{block.name}: along {SHOWN_BY[blame.kind]} a - D is {_size(blame)}, and no law was found: "
        "the loss is too rough to look at entries."
    )
    unknown = {"cosine": float("nan"), "norm_ratio": float("nan")}
    return Diagnosis(block.name, "unexplained", unknown, sentence)


def _size(blame: Blame) -> str:
    return f"{abs(blame.again.mean):.3g} +- {blame.again.bar:.1g}"


def _place(blame: Blame) -> tuple[dict[str, float], str]:
    """The row or column that is wrong, for a diagnosis and in words."""
    line = blame.line
    if line is None:
        return {}, ""
    return {line.what: float(line.index)}, f" in {line.what} {line.index}"
