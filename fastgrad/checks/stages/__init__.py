"""Entries judged one by one: differences in three stages, each only for what the one before left open.

1. Two evaluations an entry. What agrees within its bar is done (`first`).
2. For the others, two more at 8 times the step: truncation is read off and taken out. Where it
   cannot be, the entry gets a step of its own and starts again (`refinement`).
3. For those still open, and not plainly smooth, four more at h/2 and h/16: is there a kink, and
   does every step that can tell say that the entry is wrong (`settling`)?

What agrees by a bar that says too little is looked at over longer steps (`useless_bars`); what is called
wrong, and what is near zero, at others still.
"""

import time
from collections.abc import Callable

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.claim import Claim
from fastgrad.checks.outcome import Judged
from fastgrad.checks.referee import Referee
from fastgrad.checks.rules import Rule, Verdict
from fastgrad.checks.stages.first_differences import first_stage
from fastgrad.checks.stages.refinement import look_again
from fastgrad.checks.stages.standing import Standing
from fastgrad.checks.stages.useless_bars import (
    climb_where_bars_are_useless,
    is_untold,
    refuse_useless_bars,
)
from fastgrad.checks.traces import hear_traces
from fastgrad.differences.entries import Entries

KEPT_FOR_HEARINGS = 0.2
"""Part of the time left that is kept for those who are called wrong, whom other steps may clear."""


def judge(
    entries: Entries,
    claim: Claim,
    rule: Rule,
    h: Floats,
    rms: Floats | None = None,
    left: Callable[[], float] | None = None,
) -> Judged:
    """Judge entries of a gradient one by one.

    Parameters
    ----------
    h : ndarray, shape (m,)
        Steps to begin with.
    rms : ndarray, shape (blocks,), optional
        The size of each block's gradient, where these entries are too few to tell: they are single
        ones, and whoever asks hears them.
    left : callable, optional
        Seconds left for the second and third stage; the worst entries come first.

    Raises
    ------
    NondeterministicLossError
        The loss at theta changed under way.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        before_hearings = _all_but_hearings(left)
        began = time.perf_counter()
        standing = Standing(entries, claim, rule, h, rms)
        standing.left = before_hearings
        first_stage(standing)
        seconds = (time.perf_counter() - began + entries.seconds) / h.size
        open_ = np.flatnonzero(standing.verdict != Verdict.AGREES)
        if open_.size:
            look_again(standing, open_, standing.first.take(open_), seconds)
        untold = is_untold(standing)
        if untold.any():
            climb_where_bars_are_useless(standing, untold)
            refuse_useless_bars(standing)
        standing.verdict[~np.isfinite(standing.a)] = Verdict.DISAGREES
        judged, entries = standing.judged(), standing.entries
        if rms is not None:
            return judged
        judged = hear_traces(entries, judged)
        return Referee(entries, judged, rule, left, seconds / 2).hear()


def _all_but_hearings(left: Callable[[], float] | None) -> Callable[[], float] | None:
    """The seconds left but `KEPT_FOR_HEARINGS` of them."""
    if left is None or np.isinf(left()):
        return left
    kept = KEPT_FOR_HEARINGS * left()
    return lambda: left() - kept
