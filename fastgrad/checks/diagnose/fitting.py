"""The least complex linear law of a case."""

from dataclasses import replace

import numpy as np

from fastgrad.checks.diagnose.case import Case
from fastgrad.checks.diagnose.few_entries import named_factor
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.checks.diagnose.linear import SAMPLES, linear_laws
from fastgrad.checks.diagnose.linear_words import finding
from fastgrad.checks.diagnose.rearrange import rearrangements

PROBE = 32
"""Samples on which laws are tried first: one that fails there is not fitted to all."""


def best_fit(case: Case, most: int, least: int = 0) -> Finding | None:
    """The least complex linear law that holds at all samples; says so if another one does too."""
    if case.k < SAMPLES:
        return named_factor(case) if case.k and not least else None
    found: Finding | None = None
    few = thinned(case, PROBE)
    for law in linear_laws(few, tuple(rearrangements(few)), most, least):
        if found is not None and (
            law.complexity > found.complexity or law.base.word in found.words
        ):
            continue
        quick = law.fit()
        if quick is None or not quick.holds.all():
            continue
        whole = law.at(case)
        fit = whole.fit()
        if fit is not None and fit.holds.all() and whole.supported(fit):
            if found is not None:
                also = finding(whole, fit)
                same = also.clause.removeprefix("the analytic gradient is ")
                return replace(
                    found, clause=f"{found.clause}; at this theta that is the same as {same}"
                )
            found = finding(whole, fit)
    return found


def thinned(case: Case, most: int) -> Case:
    """At most so many samples: half of them wrong ones, the telling before the others."""
    if case.k <= most:
        return case
    draw = np.random.default_rng(case.k).permutation(case.k)
    draw = draw[np.argsort(~(case.telling | case.wrong)[draw], kind="stable")]
    wrong, right = draw[case.wrong[draw]], draw[~case.wrong[draw]]
    first = wrong[: max(most // 2, most - right.size)]
    return case.take(np.sort(np.concatenate([first, right[: most - first.size]])))
