"""What a check knows of each block, as the diagnosis is given it."""

from dataclasses import dataclass

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.checks.claim import Claim
from fastgrad.checks.outcome import Outcome
from fastgrad.checks.rules import Verdict
from fastgrad.differences.loss import Loss
from fastgrad.spaces.charts import Chart


@dataclass(frozen=True)
class Evidence:
    """What is known about one block.

    Attributes
    ----------
    name : str
    shape : tuple of int
    theta, analytic : ndarray, shape (size,)
        The block's parameters, and the gradient under test there.
    positions : ndarray of int, shape (k,)
        Places in the flat block whose difference quotient is known, increasing.
    numeric, bar : ndarray, shape (k,)
        The difference quotients there, and their error bars.
    agrees : bool
        Whether the block was found right.
    located : bool
        Whether all wrong entries are known to be among the positions, though these are not all.
    lines : bool
        Whether entries of all wrong rows and columns are known to be among them.
    moves : bool
        Whether differences that are no evidence, as at a kink, showed that the loss depends on it, or
        may do so: not all were made.
    second, second_bar : ndarray, shape (k,), or None
        Second differences there, and their error bars.
    """

    name: str
    shape: tuple[int, ...]
    theta: Floats
    analytic: Floats
    positions: Indices
    numeric: Floats
    bar: Floats
    agrees: bool
    located: bool = False
    lines: bool = False
    moves: bool = False
    second: Floats | None = None
    second_bar: Floats | None = None
    chart: Chart | None = None
    """The space that the block lives on, if that is not R^n."""


def evidence_of(outcome: Outcome, loss: Loss, claim: Claim) -> list[Evidence]:
    """What an outcome knows of each block: the entries that plainly agree or disagree."""
    judged = outcome.judged
    assert judged is not None
    plain = np.isin(judged.verdict, (Verdict.AGREES, Verdict.DISAGREES))
    if judged.tied is not None:  # the difference of one of them is not what they were judged by
        plain &= ~judged.tied
    # What agrees within the tolerance is right, here as there: its bar holds what it is off by.
    bar = np.where(
        judged.verdict == Verdict.AGREES, np.maximum(judged.bar, judged.residual), judged.bar
    )
    second, second_bar = judged.differences.second, judged.differences.second_bar
    every = judged.indices.size == loss.count
    is_level = every and bool(np.all(loss.measured.seen == loss.value))
    known = is_level or loss.measured.silent
    elsewhere = ~plain & ((judged.numeric != 0) | (judged.verdict >= Verdict.KINK_VALID))
    if judged.tied is not None:
        elsewhere |= judged.tied
    evidence = []
    for b, block in enumerate(loss.layout.blocks):
        of_block = judged.block == b
        inside = of_block & plain
        part = slice(block.start, block.stop)
        evidence.append(
            Evidence(
                block.name,
                block.shape,
                loss.theta[part],
                claim.values[part],
                judged.indices[inside] - block.start,
                judged.numeric[inside],
                bar[inside],
                agrees=outcome.blocks[b].verdict != "disagrees",
                located=b in outcome.located,
                lines=b in outcome.lines,
                second=None if second is None else second[inside],
                second_bar=None if second_bar is None else second_bar[inside],
                chart=getattr(block, "chart", None),
                moves=not known or bool(np.any(elsewhere & of_block)),
            )
        )
    return evidence
