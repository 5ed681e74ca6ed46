"""Losses and gradients that draw: is the gradient right in the mean over seeds?

With one seed for both, the loss is a function, and its differences D share the draws of a - D where the
gradient uses them alike. What is judged is the mean of r = a - D over seeds, beside its own scatter: by
Student's t in every entry, and along the mean of D in every block, where a common factor adds up. An
entry is wrong if ``|mean r| > t sd / sqrt(m) + tau``, with t such that any of all tests errs with
probability `FALSE_ALARM`, by a tenth of it in the table, for draws are skewed.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.block_checks import checked_block, overall, relative_error
from fastgrad.checks.far_differences import FAR, QUADRATURE, far_residuals
from fastgrad.checks.given_gradient import flat_gradient
from fastgrad.checks.options import Options
from fastgrad.checks.outcome import Differences, Judged, Outcome, Scales
from fastgrad.checks.rules import Rule, Verdict
from fastgrad.checks.summary import summarise
from fastgrad.cluster.campaign import NOTHING, Campaign
from fastgrad.differences.entries import Entries
from fastgrad.differences.loss import Loss
from fastgrad.differences.measured import Measured
from fastgrad.differences.repeats import Repeats
from fastgrad.evaluate.protocol import Evaluator, Inputs
from fastgrad.evaluate.python import PythonEvaluator
from fastgrad.evaluate.units import Units
from fastgrad.findings import Diagnosis
from fastgrad.numerics.norms import norm, rms
from fastgrad.parameters.layout import Layout
from fastgrad.results import GradientCheck
from fastgrad.spaces.placed import placed

FALSE_ALARM = 1e-3
"""Probability that a right gradient is called wrong."""
SKEWED = 0.1
"""Part of it that tables of Student's t are asked for: the tails of draws are heavier."""
FEWEST_SEEDS = 5
STEPS = (2.0**-17, 2.0**-10, 2.0**-6, 2.0**-4, 2.0**-2)
"""Steps in units, of which the finest is taken whose differences scatter little more than any."""
COARSE = 2.0**-6
"""Differences that need steps from here on are of a loss that moves in jumps."""
FAR_EVALUATIONS = 2
PILOT_SEEDS = 5
STEADY = 2.0
"""A finer step is better if its differences scatter at most so much more."""
USEFUL_BIAS = 0.1
"""An interval of the relative bias wider than this is no answer."""
WANTED_BIAS = 0.01
"""The bias whose price in seeds is told."""


@dataclass(frozen=True)
class Draws:
    """Gradients and differences by seed, arrays of shape (seeds, n)."""

    analytic: Floats
    numeric: Floats
    step: float
    evaluations: int

    @property
    def residual(self) -> Floats:
        return self.analytic - self.numeric


@dataclass(frozen=True)
class Asked:
    """What is checked over seeds: functions of ``(theta, *args, seed=)``, and where.

    Parameters
    ----------
    loss, gradient : callable
    theta : object
    args : tuple
    where : mapping
        What is shaped like theta: ``trainable``, and ``space``.
    """

    loss: Callable[..., Any]
    gradient: Callable[..., Any]
    theta: Any
    args: tuple[Any, ...]
    where: Mapping[str, Any]

    def placed(self) -> tuple[Layout, Floats]:
        """How theta lies in a vector, and the vector."""
        return placed(self.theta, self.where["space"])

    def inputs(self) -> Inputs:
        """What the loss is given, beside a seed."""
        return Inputs(*self.placed(), self.args)

    def run(self, seed: Any, through: Campaign = NOTHING) -> Evaluator:
        """What evaluates the loss with one seed."""
        inputs, loss = self.inputs(), partial(self.loss, seed=seed)
        return through.within(f"seed {seed!r}").evaluator(
            PythonEvaluator(loss, inputs), loss, inputs, {"backend": "python"}
        )

    def around(self, seed: Any, through: Campaign = NOTHING) -> Loss:
        """The loss with one seed."""
        layout, flat = self.placed()
        run = self.run(seed, through)
        value = run.value()
        free, units = layout.mask(self.where["trainable"]), Units.of(flat, layout)
        return Loss(run, layout, free, units, Measured(Repeats(value)))

    def claimed(self, seed: Any, layout: Layout, move: Floats | None = None) -> Floats:
        """The gradient under test with one seed, at theta or a move away."""
        theta = self.theta if move is None else layout.moved(self.placed()[1], move)
        return flat_gradient(self.gradient(theta, *self.args, seed=seed), layout)[0]


def check_over_seeds(
    asked: Asked, seeds: Iterable[Any], rule: Rule, options: Options, through: Campaign = NOTHING
) -> GradientCheck:
    """The report on the mean of a - D; the loss of every seed is evaluated through a campaign.

    Raises
    ------
    ValueError
        Fewer seeds than `FEWEST_SEEDS`.
    """
    if not isinstance(seeds, Iterable):
        raise TypeError(f"seeds={seeds!r}: expected several, such as seeds=range(20)")
    began, listed = time.perf_counter(), list(seeds)
    if not callable(asked.gradient):
        raise TypeError("seeds: expected a gradient that can be called with seed=, got values")
    if len(listed) < FEWEST_SEEDS:
        raise ValueError(f"seeds: expected at least {FEWEST_SEEDS} of them, got {len(listed)}")
    first = asked.around(listed[0], through)
    draws = drawn(asked, listed, first, options, through)
    judged = _judged(draws, first, rule)
    blocks = tuple(checked_block(judged, first.layout, b) for b in range(len(first.layout.blocks)))
    biases = list(_biases(draws, judged, first.layout))
    if first.layout.linear and draws.step >= COARSE:
        biases, made = _looked_far(biases, asked, listed, (draws, judged, first), through)
        draws = replace(draws, evaluations=draws.evaluations + made)
    verdict = _verdict(judged, biases)
    blamed = {bias.block for bias in biases if bias.shows}
    blocks = tuple(
        replace(found, verdict="disagrees") if b in blamed else found
        for b, found in enumerate(blocks)
    )
    error = relative_error(judged.analytic, judged.numeric)
    outcome = Outcome(verdict, blocks, error, tuple(_remarks(biases, len(listed))), judged)
    diagnoses = tuple(
        _read_otherwise(draws, judged, first, bias.block)
        or bias.diagnosis(first.layout, len(listed))
        for bias in biases
        if blocks[bias.block].verdict == "disagrees"
    )
    report = summarise(outcome, first, rule, options, diagnoses)
    over = {
        "seeds": float(len(listed)),
        "false_alarm": FALSE_ALARM,
        "mean": {bias.name: bias.mean for bias in biases},
        "standard_error": {bias.name: bias.standard_error for bias in biases},
        "seeds_for_one_percent": {bias.name: bias.seeds_for(WANTED_BIAS) for bias in biases},
    }
    return replace(
        report,
        strategy="seeds",
        evaluations=draws.evaluations,
        seconds=time.perf_counter() - began,
        over_seeds=over,
    )


def _looked_far(
    biases: list["Bias"],
    asked: Asked,
    seeds: list[Any],
    known: tuple[Draws, Judged, Loss],
    through: Campaign,
) -> tuple[list["Bias"], int]:
    """The biases, by far differences where near ones tell too little; and evaluations."""
    draws, judged, first = known
    m, n = draws.residual.shape
    told = {bias.block: bias for bias in biases}
    made = 0
    for b, block in enumerate(first.layout.blocks):
        inside, near = judged.block == b, told.get(b)
        if not inside.any() or (
            near is not None and (near.shows or near.half_width <= WANTED_BIAS)
        ):
            continue
        way, entries = np.zeros(first.theta.size), first.indices[inside]
        way[entries] = judged.analytic[inside] * first.units.entry[entries]
        if not norm(way):
            continue
        v = FAR * first.units.entry * way / norm(way)
        found = far_residuals(
            lambda seed: asked.run(seed, through),
            lambda seed, move: asked.claimed(seed, first.layout, move),
            seeds,
            v,
        )
        made += FAR_EVALUATIONS * len(seeds)
        size = abs(float(found[1].mean())) if found is not None else 0.0
        if found is None or not size:
            continue
        error = float(found[0].std(ddof=1) / np.sqrt(m)) / size
        tests = 2 * n + len(first.layout.blocks)
        mean = float(found[0].mean()) / float(found[1].mean())
        far = Bias(b, block.name, mean, error, _student(m, tests), m, far=True)
        if near is None or far.half_width < near.half_width:
            told[b] = far
    return [told[b] for b in sorted(told)], made


def drawn(
    asked: Asked, seeds: list[Any], first: Loss, options: Options, through: Campaign
) -> Draws:
    """All seeds' gradients and differences, at the step that suits them."""
    if isinstance(options.steps, int | float):
        steps: tuple[float, ...] = (float(options.steps),)
    else:
        steps = STEPS
    count = PILOT_SEEDS if len(steps) > 1 else 0
    pilot = [asked.around(seed, through) for seed in seeds[:count]]
    known = {h: [_differences(loss, h) for loss in pilot] for h in steps}
    step = _steadiest(known) if pilot else steps[0]
    numeric = list(known[step])
    losses = list(pilot)
    for seed in seeds[len(pilot) :]:
        losses.append(asked.around(seed, through))
        numeric.append(_differences(losses[-1], step))
    analytic = [asked.claimed(seed, first.layout)[first.indices] for seed in seeds]
    made = sum(loss.run.evaluations for loss in losses)
    return Draws(np.array(analytic), np.array(numeric), step, made + first.run.evaluations)


def _differences(loss: Loss, step: float) -> Floats:
    entries = Entries(loss, loss.indices)
    return entries.at(np.arange(entries.indices.size), step * entries.units).D


def _steadiest(known: dict[float, list[Floats]]) -> float:
    """The finest step at which differences scatter little more than at the best.

    Where the loss of one seed moves in jumps, fine differences are 0 nearly always, and huge for a few
    seeds: a step over which all are 0 tells nothing.
    """
    spread = {}
    for h, values in known.items():
        D = np.array(values)
        flat = np.count_nonzero(D) < D.size / 2
        spread[h] = np.inf if flat or not np.isfinite(D).all() else float(rms(D.std(axis=0)))
    best = min(spread.values())
    steady = [h for h in known if spread[h] <= STEADY * best < np.inf]
    return steady[0] if steady else max(known)


def _judged(draws: Draws, loss: Loss, rule: Rule) -> Judged:
    """Every entry by the mean of its residual."""
    m, n = draws.residual.shape
    mean, scatter = draws.residual.mean(axis=0), draws.residual.std(axis=0, ddof=1)
    a, D = draws.analytic.mean(axis=0), draws.numeric.mean(axis=0)
    stops = [block.stop for block in loss.layout.blocks]
    block = np.searchsorted(stops, loss.indices, side="right")
    unit = loss.units.entry[loss.indices]
    rounding = np.finfo(np.float64).eps * abs(loss.value) / (draws.step * unit)
    bar = _student(m, 2 * n) * scatter / np.sqrt(m) + rounding + draws.step * np.abs(D) * unit
    sizes = np.array([rms(D[block == b]) if np.any(block == b) else 0.0 for b in range(len(stops))])
    scale = np.maximum(np.abs(D), sizes[block])
    verdict = np.where(
        rule.refuses(np.abs(mean), bar, scale),
        Verdict.DISAGREES,
        np.where(bar <= USEFUL_BIAS * scale, Verdict.AGREES, Verdict.INCONCLUSIVE),
    ).astype(np.int8)
    notes = {k: f"a - D scatters by {scatter[k]:.2g} over {m} seeds" for k in range(n)}
    for k in np.flatnonzero(np.count_nonzero(draws.numeric, axis=0) < m / 2).tolist():
        verdict[k] = Verdict.INCONCLUSIVE  # of rare jumps no scatter is known
        notes[k] = (
            "the loss of one seed moves in jumps, or not at all: more draws a seed would tell"
        )
    verdict[~np.isfinite(a)] = Verdict.DISAGREES
    return Judged(
        loss.indices,
        a,
        Differences(D, bar, np.full(n, draws.step) * unit),
        verdict,
        Scales(block, unit, scale, sizes, rms(D)),
        notes,
    )


def _student(seeds: int, tests: int) -> float:
    """The bound that Student's t of so many seeds exceeds in any of so many tests by chance."""
    from scipy.special import stdtrit

    return float(stdtrit(seeds - 1, 1 - SKEWED * FALSE_ALARM / (2 * tests)))


@dataclass(frozen=True)
class Bias:
    """The relative bias of a block along the mean of D: ``mean``, of so many seeds."""

    block: int
    name: str
    mean: float
    standard_error: float
    bound: float
    """Standard errors that chance does not exceed."""
    seeds: int
    far: bool = False
    """Told by the loss far away on both sides (`fastgrad.checks.far_differences`)."""

    @property
    def where(self) -> str:
        """What the bias is measured along."""
        way = f"on a way of {FAR:g} units to either side along the mean gradient"
        return way if self.far else "along the mean of D"

    @property
    def z(self) -> float:
        return abs(self.mean) / self.standard_error if self.standard_error else float("inf")

    @property
    def half_width(self) -> float:
        return self.bound * self.standard_error

    @property
    def shows(self) -> bool:
        """Whether chance does not explain it, nor rounding."""
        return abs(self.mean) > self.half_width + (QUADRATURE if self.far else SMALLEST_BIAS)

    def seeds_for(self, bias: float) -> float:
        """How many seeds would show a bias of this size."""
        return float(np.ceil(max(FEWEST_SEEDS, self.seeds * (self.half_width / bias) ** 2)))

    def diagnosis(self, layout: Layout, seeds: int) -> Diagnosis:
        z = f", {self.z:.2g} standard errors" if np.isfinite(self.z) else ""
        sentence = (
            f"{self.name}: the gradient is biased: {self.where} it is off by "
            f"{100 * self.mean:+.3g}% +- {100 * self.half_width:.2g}% in the mean over {seeds} seeds{z}."
        )
        return Diagnosis(
            self.name,
            "biased",
            {"bias": self.mean, "standard_error": self.standard_error},
            sentence,
        )


def _read_otherwise(draws: Draws, judged: Judged, loss: Loss, b: int) -> Diagnosis | None:
    """The convention of a block's space under which the mean of a - D is none, if there is one."""
    block = loss.layout.blocks[b]
    chart, inside = getattr(block, "chart", None), judged.block == b
    if chart is None or np.count_nonzero(inside) < block.size:
        return None
    m, n = draws.analytic.shape
    by_seed = [list(chart.readings(a)) for a in draws.analytic[:, inside]]
    if len({len(readings) for readings in by_seed}) != 1:
        return None
    error = rms(draws.residual[:, inside].mean(axis=0))
    for alike in zip(*by_seed, strict=True):
        off = np.array([reading.values for reading in alike]) - draws.numeric[:, inside]
        bar = _student(m, 2 * n) * off.std(axis=0, ddof=1) / np.sqrt(m)
        bar += SMALLEST_BIAS * rms(judged.numeric[inside])
        if np.all(np.abs(off.mean(axis=0)) <= bar) and rms(bar) <= error / STEADY:
            reading = alike[0]
            said = f"{block.name}: {reading.clause}, in the mean over {m} seeds."
            return Diagnosis(block.name, reading.word, dict(reading.constants), said)
    return None


SMALLEST_BIAS = 1e-5
"""A relative bias that is left to truncation and rounding."""


def _biases(draws: Draws, judged: Judged, layout: Layout) -> Iterator[Bias]:
    m, n = draws.residual.shape
    for b, block in enumerate(layout.blocks):
        inside = judged.block == b
        D = judged.numeric[inside]
        size = float(D @ D)
        jumps = np.count_nonzero(draws.numeric[:, inside]) < draws.numeric[:, inside].size / 2
        if not inside.any() or not size or jumps:
            continue
        along = draws.residual[:, inside] @ D / size
        error = float(along.std(ddof=1) / np.sqrt(m))
        yield Bias(b, block.name, float(along.mean()), error, _student(m, 2 * n), m)


def _verdict(judged: Judged, biases: list[Bias]) -> str:
    """Wrong if any test says so; right if every block's interval is narrow."""
    if any(bias.shows for bias in biases):
        return "disagrees"
    by_entry = overall(judged.verdict)
    if by_entry == "disagrees" or not biases:
        return by_entry
    narrow = all(bias.half_width <= USEFUL_BIAS for bias in biases)
    return "agrees" if narrow else "inconclusive"


def _remarks(biases: list[Bias], seeds: int) -> Iterator[str]:
    for bias in biases:
        within = abs(bias.mean) + bias.half_width
        said = "unbiased within" if not bias.shows else "biased, by at most"
        z = f"{bias.z:.2g} standard errors" if np.isfinite(bias.z) else "exactly alike"
        yield (
            f"Over {seeds} seeds {bias.name} is {said} {100 * within:.2g}%: {bias.where}, a - D is "
            f"{z}. A bias of 1% would take about {bias.seeds_for(WANTED_BIAS):,.0f} seeds to show."
        )
    yield (
        f"The verdict is about means over {seeds} seeds: a right gradient is called wrong with "
        f"probability at most {FALSE_ALARM:g}."
    )
