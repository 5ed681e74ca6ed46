"""What directions tell of a block, in words: which of them showed an error, and its law if any."""

from collections.abc import Iterable, Sequence

from fastgrad.checks.diagnose import named_constants
from fastgrad.checks.diagnose.known_numbers import sizes_of
from fastgrad.checks.screen.first_look import Along
from fastgrad.findings import Diagnosis
from fastgrad.parameters.blocks import Block
from fastgrad.parameters.layout import Layout

CONFIRMED = {"smeared"}
"""Laws of all entries, after which nothing is left along fresh directions."""


def diagnosis_of(along: Along, block: Block) -> Diagnosis | None:
    """The law of a block that a direction found wrong; None where it only tells that it is."""
    if along.claimed == 0.0:
        sentence = f"{block.name}: the analytic gradient is zero in every entry."
        return Diagnosis(block.name, "zero", {}, sentence)
    if along.slope == 0.0 or along.factor is None:
        return None
    tolerance = abs(along.factor) * along.bar / abs(along.slope)
    sizes = sizes_of((), block.name, block.shape)
    named = named_constants.factor(along.factor, tolerance, sizes)
    sign = named.named and named.value == -1
    text = (
        "the whole block has the wrong sign: the analytic gradient is -1 times the numerical one"
        if sign
        else f"the analytic gradient is {named.text} times the numerical one"
    )
    meaning = f" ({named.meaning})" if named.meaning else ""
    where = f", along its signs and along random ones, to {tolerance / abs(along.factor):.1g}"
    return Diagnosis(
        block.name,
        "sign" if sign else "scale",
        {"factor": named.value},
        f"{block.name}: {text}{meaning}{where}.",
    )


def sentence_of(along: Along, block: Block) -> str:
    """A remark: which direction refuted the gradient, by how much, and how soon."""
    times = f", {along.claimed / along.slope:.3g} times that" if along.slope * along.claimed else ""
    return (
        f"After {along.evaluations} evaluations: along the signs of {block.name}'s gradient it claims a "
        f"slope of {along.claimed:.6g}, and differences say {along.slope:.6g} +- {along.bar:.1g}{times}."
    )


def laws_of(shown: Iterable[Along], layout: Layout) -> tuple[Diagnosis, ...]:
    """The laws that directions told, one a block."""
    found = (diagnosis_of(along, layout.blocks[along.block]) for along in shown)
    return tuple(diagnosis for diagnosis in found if diagnosis is not None)


def beside(diagnoses: Sequence[Diagnosis], told: Sequence[Diagnosis]) -> tuple[Diagnosis, ...]:
    """Laws by entries; those of directions where entries tell of none, or were not looked at.

    Few entries fit many laws: one that fresh directions through all of the block confirm goes first.
    """
    by_name = {diagnosis.block: diagnosis for diagnosis in told}
    sure = {diagnosis.block for diagnosis in told if diagnosis.law in CONFIRMED}
    known = {diagnosis.block for diagnosis in diagnoses}
    kept = [d if d.explains and d.block not in sure else by_name.get(d.block, d) for d in diagnoses]
    return (*kept, *(d for d in told if d.block not in known))
