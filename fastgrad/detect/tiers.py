"""The tiers of a check after preflight: every entry, or random directions, inside a budget."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastgrad.detect.clock import Clock, screen_evaluations
from fastgrad.detect.convergence import convergence
from fastgrad.detect.curl import curl
from fastgrad.detect.diagnose import Evidence, diagnose
from fastgrad.detect.differences import Differencer
from fastgrad.detect.hunt import Hunt, merged
from fastgrad.detect.judged import Judged
from fastgrad.detect.preflight import Loss, gradient_at, inspect_entries
from fastgrad.detect.sweep import sweep
from fastgrad.detect.tabulate import tabulate
from fastgrad.detect.tabulate_hunt import tabulate_hunt
from fastgrad.estimation import chosen_steps
from fastgrad.evaluate import Evaluator, certify
from fastgrad.numerics.bars import Verdict
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.params import Floats, Layout
from fastgrad.report.progress import progress_bar
from fastgrad.results import Convergence, GradientCheck

CURL_CALLS = 4


class Check:
    """One gradient under test at one point, ready to be swept or screened.

    Parameters
    ----------
    run, layout, loss
        The loss around theta, and what preflight learned of it.
    analytic : ndarray, shape (n,)
        The gradient under test.
    unit : ndarray, shape (blocks,)
        Its rounding units.
    mask : ndarray of bool, shape (n,), or None
        What may be perturbed.
    steps : ndarray, shape (n,), "adaptive" or None
    """

    def __init__(
        self,
        run: Evaluator,
        layout: Layout,
        loss: Loss,
        analytic: Floats,
        unit: Floats,
        mask: NDArray[np.bool_] | None,
        steps: Any,
        rtol: float,
        seed: int,
        clock: Clock,
    ):
        self.run, self.layout, self.loss, self.mask = run, layout, loss, mask
        self.analytic, self.unit, self.steps = analytic, unit, steps
        self.rtol, self.seed, self.clock = rtol, seed, clock
        self.count = layout.size if mask is None else int(np.count_nonzero(mask))
        """Entries that may be perturbed."""
        self.judged: Judged | None = None
        self.located: set[int] = set()
        """Blocks of which all wrong entries were found, by the word of fresh directions."""

    def sweep(self, progress: bool) -> GradientCheck:
        """Judge every entry."""
        indices = np.arange(self.layout.size) if self.mask is None else np.flatnonzero(self.mask)
        loss = inspect_entries(self.loss, self.run, self.mask, self.seed)
        differencer = Differencer(self.run, loss, indices)
        with progress_bar(self.run, "sweep", 2 * indices.size) if progress else nullcontext():
            h = chosen_steps(differencer, self.layout, CENTRAL[2], self.steps)
            judged = sweep(
                differencer,
                self.layout,
                self.analytic[indices],
                self.unit,
                self.rtol,
                h,
                left=self.clock.left,
            )
        self.judged = judged
        numeric = np.zeros(self.layout.size)
        numeric[indices] = judged.numeric
        remarks = certify(self.run, None if self.mask is None else indices, numeric, again=True)
        if judged.unfinished:
            remarks = (
                *remarks,
                f"The budget of {self.clock.budget:g} s was spent before {judged.unfinished:,} "
                "entries that do not agree at the first step could be looked at again: they count "
                "as inconclusive. A larger budget, or budget=None, looks at them.",
            )
        report = tabulate(judged, self.layout, self.loss, self.unit, self.rtol, self.seed)
        return self._finished(report, judged, remarks)

    def screen(self, progress: bool) -> GradientCheck:
        """Look along random directions, and locate what is wrong."""
        hunt = Hunt(
            self.run,
            self.layout,
            self.loss,
            self.analytic,
            self.unit,
            self.mask,
            self.rtol,
            self.seed,
            self.clock.allows,
        )
        expected = screen_evaluations(len(self.layout.blocks))
        with progress_bar(self.run, "screen", expected) if progress else nullcontext():
            found = hunt()
        judged = merged(found.judged)
        self.judged = judged
        count = self.count
        if found.certified:
            self.located = {b for b, f in found.findings.items() if f.kind == "entries"}
        report = tabulate_hunt(found, judged, self.layout, self.loss, self.rtol, self.seed)
        sweep_seconds = self.clock.sweep_seconds(count)
        remark = (
            f"A sweep of every entry would take {2 * count:,} evaluations, about "
            f"{sweep_seconds:.2g} s."
        )
        return self._finished(report, judged, (remark,))

    def explained(
        self, report: GradientCheck, gradient: Any, args: tuple[Any, ...]
    ) -> GradientCheck:
        """The report with the laws of what is wrong, and whether it is a gradient at all."""
        if report.verdict != "disagrees" or self.judged is None:
            return report
        dims = [a.shape[0] for a in args if isinstance(a, np.ndarray) and a.ndim]
        diagnoses = diagnose(self._evidence(report), dims)
        laws = {d.block: d.sentence for d in diagnoses}
        blocks = tuple(replace(b, diagnosis=laws.get(b.name, "")) for b in report.blocks)
        remarks = report.remarks
        if callable(gradient) and CURL_CALLS * self.clock.gradient <= self.clock.left():
            found = curl(
                lambda point: gradient_at(gradient, self.layout, args, point),
                self.run.theta,
                self.seed,
                self.analytic,
            )
            remarks = (*remarks, found.sentence)
        return replace(report, blocks=blocks, diagnoses=diagnoses, remarks=remarks)

    def _evidence(self, report: GradientCheck) -> list[Evidence]:
        assert self.judged is not None
        plain = np.isin(self.judged.verdict, (Verdict.AGREES, Verdict.DISAGREES))
        evidence = []
        for b, block in enumerate(self.layout.blocks):
            inside = (self.judged.block == b) & plain
            part = slice(block.start, block.stop)
            evidence.append(
                Evidence(
                    block.name,
                    block.shape,
                    self.run.theta[part],
                    self.analytic[part],
                    self.judged.indices[inside] - block.start,
                    self.judged.numeric[inside],
                    self.judged.bar[inside],
                    agrees=report.blocks[b].verdict != "disagrees",
                    located=b in self.located,
                )
            )
        return evidence

    def _finished(
        self, report: GradientCheck, judged: Judged | None, remarks: tuple[str, ...]
    ) -> GradientCheck:
        return replace(
            report,
            evaluations=self.run.evaluations,
            remarks=(*report.remarks, *remarks),
            _convergence=self._table(judged),
        )

    def _table(self, judged: Judged | None) -> Callable[[], Convergence]:
        """The h/10 table along the residual, or along everything where none is known."""
        run, loss, analytic = self.run, self.loss, self.analytic
        indices = np.arange(run.theta.size) if judged is None else judged.indices

        def table() -> Convergence:
            a = np.nan_to_num(analytic[indices], posinf=0.0, neginf=0.0)
            residual = np.zeros(a.size) if judged is None else a - judged.numeric
            residual = np.where(np.isfinite(residual), residual, 0.0)
            largest = np.abs(residual).max(initial=0.0)
            direction = np.zeros(run.theta.size)
            direction[indices] = residual / largest if largest else 1.0
            claimed = a * direction[indices]
            rounding = float(np.finfo(np.float64).eps * np.abs(claimed).sum())
            return convergence(run, direction, float(claimed.sum()), loss.noise, rounding)

        return table
