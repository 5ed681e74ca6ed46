"""What can be said when evaluations end half-way: entries that were answered, by their first step."""

import time
from dataclasses import replace

import numpy as np

from fastgrad.checks.block_checks import checked_block, overall, relative_error, unchecked_block
from fastgrad.checks.claim import Claim
from fastgrad.checks.outcome import Judged, Outcome
from fastgrad.checks.remarks import about_the_loss
from fastgrad.checks.rules import Rule
from fastgrad.checks.stages import judge
from fastgrad.differences.entries import Entries
from fastgrad.differences.loss import Loss
from fastgrad.errors import ExecutorError
from fastgrad.findings import BlockCheck
from fastgrad.numerics.quotients import Quotients

SECOND_LOOK_SECONDS = 10.0
"""What looking again at entries that do not agree may take: the default budget of a check. It is done in
this process, but only beside entries at which the loss was evaluated without harm."""


def judged_so_far(loss: Loss, claim: Claim, rule: Rule, error: ExecutorError) -> Outcome:
    """The outcome of a sweep whose executor broke.

    Raises
    ------
    ExecutorError
        Nothing was answered.
    """
    indices, h, values = loss.run.answered_pairs()
    if indices.size == 0:
        raise error
    until = time.monotonic() + SECOND_LOOK_SECONDS
    known = Quotients.central(values, h, loss.noise_of(indices), loss.theta[indices])
    judged = judge(
        Entries(loss, indices, known), claim, rule, h, left=lambda: until - time.monotonic()
    )
    disagrees = overall(judged.verdict) == "disagrees"
    return Outcome(
        "disagrees" if disagrees else "inconclusive",
        tuple(_block(judged, loss, b) for b in range(len(loss.layout.blocks))),
        relative_error(judged.analytic, judged.numeric),
        (
            *about_the_loss(loss),
            f"{indices.size:,} of {loss.count:,} entries judged: {error.reason}.",
        ),
        judged,
        loss=loss,
    )


def _block(judged: Judged, loss: Loss, b: int) -> BlockCheck:
    """A block, which agrees only if all its entries were judged."""
    block = loss.layout.blocks[b]
    part = slice(block.start, block.stop)
    asked = block.size if loss.free is None else int(np.count_nonzero(loss.free[part]))
    found = checked_block(judged, loss.layout, b)
    if found.checked == 0 and asked:
        return unchecked_block(block, "inconclusive")
    if found.checked < asked and found.verdict == "agrees":
        return replace(found, verdict="inconclusive")
    return found
