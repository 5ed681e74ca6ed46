"""The tiers of a check after preflight: every entry, or random directions, inside a budget."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastgrad.detect.convergence import convergence
from fastgrad.detect.curl import curl
from fastgrad.detect.diagnose import Evidence, diagnose
from fastgrad.detect.differences import Differencer
from fastgrad.detect.hunt import Hunt, merged
from fastgrad.detect.preflight import Loss, gradient_at, inspect_entries
from fastgrad.detect.screen import GLOBAL, PER_BLOCK
from fastgrad.detect.sweep import Judged, sweep
from fastgrad.detect.tabulate import preliminary, tabulate
from fastgrad.detect.tabulate_hunt import tabulate_hunt
from fastgrad.estimation import chosen_steps
from fastgrad.evaluate import Evaluator, certify
from fastgrad.numerics.bars import Verdict
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.numerics.steps import default_steps
from fastgrad.params import Floats, Layout
from fastgrad.report.progress import progress_bar
from fastgrad.results import Convergence, GradientCheck

SET_UP = 45
"""Evaluations before the directions of a screen: repeats, noise, and a step."""
ENTRIES_TIMED = 512
TRIALS = 3
PILOT = 0.02
"""Part of the time left that one trial of timing entries may take."""
CLOSE = 4.0
"""A sweep that may take a fourth of the time left is timed on entries before it is begun."""
ADAPTIVE = 6.0
"""Pairs of evaluations an entry with a step of its own takes."""
CURL_CALLS = 4


class Clock:
    """A time limit that knows what an evaluation costs.

    Parameters
    ----------
    run : Evaluator
    budget : float or None
        Seconds, from now.
    """

    def __init__(self, run: Evaluator, budget: float | None):
        self.run = run
        self.budget = budget
        self.evaluation = 0.0
        """Seconds of one evaluation, by the cheapest stretch seen."""
        self._latest = 0.0
        self.entry: float | None = None
        """Seconds of two evaluations for one entry, where they were timed."""
        self.pairs = 1.0
        """How often a sweep evaluates an entry twice."""
        self.gradient = 0.0
        """Seconds of one call of the gradient under test."""
        self._began = self._mark = time.perf_counter()
        self._evaluations = run.evaluations

    def learn(self) -> None:
        """Take the time since the last call as the cost of the evaluations made since."""
        now, made = time.perf_counter(), self.run.evaluations - self._evaluations
        if made:
            self._latest = (now - self._mark) / made
            self.evaluation = min(self.evaluation or self._latest, self._latest)
        self._mark, self._evaluations = now, self.run.evaluations

    def allows_a_sweep(self, mask: NDArray[np.bool_] | None, entries: int) -> bool:
        """Whether so many entries fit; timed on a few of them where that is not plain."""
        dearest = 2 * max(self.evaluation, self._latest) * self.pairs * entries
        if self.run.reference or dearest > self.left() / CLOSE:
            self._learn_entries(mask)
        return self.sweep_seconds(entries) <= self.left()

    def _learn_entries(self, mask: NDArray[np.bool_] | None) -> None:
        """Time entries: a structured loss's cost less than evaluations, another's may cost more."""
        structured = bool(self.run.reference)
        free = np.arange(self.run.theta.size) if mask is None else np.flatnonzero(mask)
        count = ENTRIES_TIMED if structured else 1
        for _ in range(TRIALS):  # the first may compile
            some = free[np.unique(np.linspace(0, free.size - 1, count).astype(np.intp))]
            h = default_steps(self.run.theta[some], CENTRAL[2].step)
            began = time.perf_counter()
            self.run.coordinates(some, CENTRAL[2].offsets(h))
            seconds = time.perf_counter() - began
            if structured:
                self._began += seconds
            self.entry = seconds / some.size
            allowed = int(np.clip(PILOT * self.left() / max(self.entry, 1e-9), 1, ENTRIES_TIMED))
            if not structured and allowed <= 2 * count:
                break
            count = max(count, allowed)
        self._mark, self._evaluations = time.perf_counter(), self.run.evaluations

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Time that does not count: the gradient under test."""
        began = time.perf_counter()
        yield
        self.gradient = time.perf_counter() - began
        self._began += self.gradient

    def left(self) -> float:
        """Seconds left."""
        if self.budget is None:
            return float("inf")
        return self.budget - (time.perf_counter() - self._began)

    def allows(self, evaluations: int = 2) -> bool:
        """Whether so many more evaluations fit."""
        return evaluations * self.evaluation <= self.left()

    def sweep_seconds(self, entries: int) -> float:
        """How long a sweep would take."""
        entry = 2 * self.evaluation if self.entry is None else self.entry
        return entries * entry * self.pairs

    def plan(self, entries: int, sweeps: bool) -> str:
        """What is about to be done, and why."""
        sweep = f"a sweep of {entries:,} entries takes about {self.sweep_seconds(entries):.2g} s"
        within = "" if self.budget is None else f" (budget {self.budget:g} s)"
        return f"{sweep}{within}: {'sweeping' if sweeps else 'screening along random directions'}."

    def allows_a_screen(self, blocks: int) -> bool:
        return self.allows(screen_evaluations(blocks))

    def refusal(
        self, layout: Layout, value: float, rtol: float, seed: int, label: str
    ) -> GradientCheck:
        """The report where the budget does not even allow a screen."""
        needed = 1.2 * screen_evaluations(len(layout.blocks)) * self.evaluation
        remark = (
            f"The budget of {self.budget:g} s does not allow a screen: one evaluation takes "
            f"{self.evaluation:.2g} s, and about {screen_evaluations(len(layout.blocks))} are "
            f"needed; budget={needed:.2g} would do."
        )
        report = preliminary(layout, float(np.spacing(abs(value))), rtol, seed, (remark,))
        return replace(report, label=label, evaluations=self.run.evaluations)


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
                f"as inconclusive. A larger budget, or budget=None, looks at them.",
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


def screen_evaluations(blocks: int) -> int:
    """What a screen that finds nothing takes."""
    return SET_UP + 2 * (GLOBAL + PER_BLOCK * blocks)
