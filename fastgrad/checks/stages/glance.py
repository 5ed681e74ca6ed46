"""A glance: the first stage alone, for a right gradient of a loss without surprises."""

from dataclasses import replace

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.claim import Claim
from fastgrad.checks.outcome import Judged
from fastgrad.checks.referee import Referee
from fastgrad.checks.rules import Rule, Verdict
from fastgrad.checks.stages.first_differences import first_stage
from fastgrad.checks.stages.scales import set_scales
from fastgrad.checks.stages.standing import Standing
from fastgrad.checks.stages.useless_bars import is_untold
from fastgrad.differences.entries import Entries
from fastgrad.numerics.noise import UNSURPRISING
from fastgrad.numerics.rounding import rounding_noise


def glance(entries: Entries, claim: Claim, rule: Rule, h: Floats) -> tuple[Judged | None, Entries]:
    """`judge` by the first stage alone: None where it leaves anything open, and what it knows then."""
    with np.errstate(invalid="ignore", over="ignore"):
        standing = Standing(entries, claim, rule, h)
        first_stage(standing)
        a, D, bar, loss = standing.a, standing.D, standing.bar, standing.entries.loss
        set_scales(standing, np.isfinite(D))
        standing.verdict[rule.tolerates(np.abs(a - D), bar, standing.scale)] = Verdict.AGREES
        # Noise may be the loss itself, which turns between the points it was looked for at.
        unheard_of = loss.noise > UNSURPRISING * rounding_noise(loss.value)
        is_plain = (
            np.isfinite(a).all()
            and (standing.verdict == Verdict.AGREES).all()
            and not is_untold(standing).any()
            and not (unheard_of and (np.abs(D) <= bar).any())
        )
        known = replace(standing.first, h=standing.first.h * standing.s)
        seen = replace(standing.entries, known=known)
        if not is_plain:
            return None, seen
        return Referee(entries, standing.judged(), rule).hear(), seen
