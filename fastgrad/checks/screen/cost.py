"""What a screen and the search after it take, in evaluations, and the budget that would do."""

import numpy as np

from fastgrad.checks.budget import Budget, would_do
from fastgrad.checks.options import Options
from fastgrad.checks.screen.found import Found
from fastgrad.checks.screen.locate import ALL_STAGES, ROUNDS, SMALL_INTERVAL, TOO_MANY_CULPRITS
from fastgrad.checks.screen.patterns import LINE_SAMPLE
from fastgrad.checks.screen.random_directions import GLOBAL, SCREEN_GROUPS
from fastgrad.checks.screen.search import ATTEMPTS
from fastgrad.checks.sweep import EACH_ENTRY
from fastgrad.differences.glimpse import FEW_ENTRIES, LINE_EVALUATIONS
from fastgrad.differences.loss import Loss
from fastgrad.parameters.blocks import Block

SET_UP = 51
"""Evaluations before the directions of a screen: a glimpse of the noise, all of it, and a step, at which
the first direction is seen too."""
MORE_IF_WRONG = 2
"""A sweep in which up to an eighth of the entries is wrong takes so many times what it takes else."""


def screen_evaluations(loss: Loss) -> int:
    """What a screen that finds nothing takes."""
    own_lines = loss.count if loss.count <= FEW_ENTRIES else 0
    set_up = SET_UP + LINE_EVALUATIONS * own_lines
    groups = min(len(loss.layout.blocks), SCREEN_GROUPS)
    return set_up + 2 * (GLOBAL - 1 + groups)


def most_evaluations(block: Block) -> int:
    """What a round of locating takes at most in one block, to find all or to give up.

    A culprit is halved for once a level, six evaluations each, pinpointed, and checked with a sample of
    its row and of its column.
    """
    levels = int(np.ceil(np.log2(max(block.size, 2))))
    checked = SMALL_INTERVAL + 2 * LINE_SAMPLE
    culprit = 6 * levels + 2 * ROUNDS + ALL_STAGES * checked + 6
    return TOO_MANY_CULPRITS * culprit


def to_its_end(found: Found, loss: Loss, budget: Budget, options: Options) -> str:
    """The budget in which a search that the time ended comes to its end."""
    blocks = [loss.layout.blocks[b] for b in found.findings]
    most = screen_evaluations(loss) + ATTEMPTS * sum(map(most_evaluations, blocks))
    sweeps = EACH_ENTRY * loss.count
    if options.strategy == "auto" and most > sweeps:  # all entries are swept then
        most = MORE_IF_WRONG * sweeps
    return f"To its end it takes {most:,} evaluations at most: {would_do(most * budget.mean)}."
