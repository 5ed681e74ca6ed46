"""What is said of several blocks at once: that they share a factor, and what it usually comes from."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fastgrad.checks.diagnose.case import Case
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.checks.diagnose.fitting import best_fit
from fastgrad.numerics.norms import norm

ALIKE = 1e-6
"""Factors that differ by this part are one."""
SET_NORM = 1e-5
"""A norm this near to a number of one digit was set to it: torch adds 1e-6 to the norm it divides by."""
POOLED = 3
"""Blocks of one number that are looked at together."""


def shared(cases: Sequence[Case], laws: Sequence[Finding], rtol: float = 0.0) -> list[Finding]:
    """The laws, with a factor that blocks of one number have in common, and each factor said once."""
    found = list(laws)
    alone = [k for k, case in enumerate(cases) if case.analytic.size == 1 and case.k == 1]
    if len(alone) >= POOLED and all(found[k].words == ("unexplained",) for k in alone):
        pooled = _pooled([cases[k] for k in alone])
        law = best_fit(pooled, most=1) or best_fit(pooled.widened(rtol), most=1)
        if law is not None and law.words in (("scale",), ("sign",)):
            for k in alone:
                found[k] = law
    for k in alone:
        found[k] = _as_another(cases[k], found[k], found)
    return _clipped_by_norm(cases, _said_once(cases, found))


def _as_another(case: Case, law: Finding, laws: Sequence[Finding]) -> Finding:
    """The law of a block of one number, which may have the factor of a block that tells more."""
    if law.words != ("unexplained",):
        return law
    slack = case.bar + ALIKE * np.abs(case.a)
    for other in laws:
        factor = other.constants.get("factor") if other.words == ("scale",) else None
        if factor is not None and np.all(np.abs(case.a - factor * case.D) <= slack):
            clause = f"the analytic gradient is {factor:.6g} times the numerical one"
            return Finding(("scale",), {"factor": factor}, clause)
    return law


def _clipped_by_norm(cases: Sequence[Case], laws: list[Finding]) -> list[Finding]:
    """The laws, the first with the norm that one factor below 1 gives to all of it, if that is round."""
    scaled = [
        k for k, law in enumerate(laws) if law.words == ("scale",) and "factor" in law.constants
    ]
    if not scaled:
        return laws
    factor = laws[scaled[0]].constants["factor"]
    size = norm(np.concatenate([case.analytic for case in cases]))
    limit = float(f"{size:.1g}")
    same = all(
        np.all(np.abs(case.a - factor * case.D) <= case.bar + SET_NORM * np.abs(case.a))
        for case in cases
    )
    if not (same and 0 < factor < 1 and limit) or abs(size - limit) > SET_NORM * limit:
        return laws
    clause = (
        f"{laws[scaled[0]].clause}; that gives all of it the norm {limit:g}: clipped at norm "
        f"{limit:g}, and the derivation is right"
    )
    return [replace(law, clause=clause) if k == scaled[0] else law for k, law in enumerate(laws)]


def _pooled(cases: Sequence[Case]) -> Case:
    """Blocks of one number as one block."""
    return replace(
        cases[0],
        name=", ".join(case.name for case in cases),
        shape=(len(cases),),
        theta=np.concatenate([case.theta for case in cases]),
        analytic=np.concatenate([case.analytic for case in cases]),
        positions=np.arange(len(cases)),
        D=np.concatenate([case.D for case in cases]),
        bar=np.concatenate([case.bar for case in cases]),
        others=(),
    )


def _said_once(cases: Sequence[Case], laws: list[Finding]) -> list[Finding]:
    """What a factor usually comes from is told with the first block that has it."""
    first: Finding | None = None
    for k, law in enumerate(laws):
        if law.words != ("scale",) or set(law.constants) != {"factor"}:
            continue
        factor = law.constants["factor"]
        if first is None:
            others = [
                case.name
                for case, other in zip(cases[k + 1 :], laws[k + 1 :], strict=True)
                if _alike(other, factor)
            ]
            if others:
                listed = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
                laws[k] = first = replace(law, clause=f"{law.clause}; so it is for {listed}")
        elif _alike(law, first.constants["factor"]):
            told = law.clause.rpartition(" (")[0] if law.clause.endswith(")") else law.clause
            laws[k] = replace(law, clause=f"{told} as well")
    return laws


def _alike(law: Finding, factor: float) -> bool:
    own = law.constants.get("factor")
    return law.words == ("scale",) and own is not None and abs(own - factor) <= ALIKE * abs(factor)
