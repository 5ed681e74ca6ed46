"""Claims beside values whose bars are known: the inequality alone, with no second look."""

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.block_checks import checked_block, overall, relative_error
from fastgrad.checks.claim import Claim
from fastgrad.checks.entry_remarks import about_the_claim
from fastgrad.checks.outcome import Differences, Judged, Outcome, Scales
from fastgrad.checks.rules import USEFUL_BAR, Rule, Verdict
from fastgrad.numerics.norms import rms
from fastgrad.parameters.layout import Layout


def judge_plainly(
    layout: Layout, claim: Claim, numeric: tuple[Floats, Floats], units: Floats, rule: Rule
) -> Outcome:
    """Judge a claim by numerical values and their bars, entry by entry.

    Parameters
    ----------
    numeric : (ndarray, ndarray)
        The values and their bars, each of shape (n,).
    units : ndarray, shape (n,)
        What entries are multiplied with to be compared.
    """
    D, bar = numeric
    a = claim.values
    block = np.repeat(np.arange(len(layout.blocks)), [b.size for b in layout.blocks])
    bar = bar + claim.rounding(np.arange(a.size), a * units, block, units) / units
    finite = np.isfinite(bar)
    size = np.array([rms((D * units)[(block == b) & finite]) for b in range(len(layout.blocks))])
    scale = np.abs(D)
    error = np.where(np.isfinite(a), np.abs(a - D), np.inf)
    agrees = (error <= bar) | rule.tolerates(error, bar, scale)
    useful = bar * units <= USEFUL_BAR * np.maximum(scale * units, size[block])
    verdict = np.select(
        [agrees & useful, rule.refuses(error, bar, scale) & finite],
        [Verdict.AGREES, Verdict.DISAGREES],
        Verdict.INCONCLUSIVE,
    ).astype(np.int8)
    exact = (a == 0) & (D == 0)
    verdict[exact & (verdict == Verdict.INCONCLUSIVE)] = Verdict.AGREES
    notes = {
        int(k): f"the error bar {bar[k]:.2g} is too wide to tell"
        for k in np.flatnonzero(verdict == Verdict.INCONCLUSIVE)
    }
    judged = Judged(
        np.arange(a.size),
        a,
        Differences(D, bar, np.zeros(a.size)),
        verdict,
        Scales(block, units, scale, size, float(rms(D * units))),
        notes,
    )
    said = tuple(about_the_claim(judged, claim))
    blocks = tuple(checked_block(judged, layout, b) for b in range(len(layout.blocks)))
    return Outcome(overall(verdict), blocks, relative_error(a, D), said, judged)
