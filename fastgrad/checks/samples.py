"""Gradients that are estimates: does the mean of many answers have no bias?

A gradient that draws, as REINFORCE, a reparameterised bound or a minibatch do, is asked K times. Its
first answers only choose directions: the signs of their mean, which add up what is systematic, and a
random one, block by block. Along each the others' mean is held against the slope of the loss, by
Student's t; the loss is the exact expectation, or takes ``seed=`` and is drawn afresh beside every
answer, with the same seed on both sides of theta. The verdict is an interval for the relative bias,
never more.
"""

import inspect
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.block_checks import unchecked_block
from fastgrad.checks.given_gradient import flat_gradient
from fastgrad.checks.options import Options
from fastgrad.checks.outcome import Outcome
from fastgrad.checks.rules import Rule
from fastgrad.checks.seeds import (
    FALSE_ALARM,
    SKEWED,
    SMALLEST_BIAS,
    USEFUL_BIAS,
    WANTED_BIAS,
    Asked,
)
from fastgrad.checks.summary import summarise
from fastgrad.differences.directions import Directions
from fastgrad.differences.loss import Loss
from fastgrad.differences.measured import Measured
from fastgrad.differences.repeats import repeat_loss
from fastgrad.differences.signs import signs_of
from fastgrad.errors import NondeterministicLossError
from fastgrad.evaluate.protocol import Inputs
from fastgrad.evaluate.python import PythonEvaluator
from fastgrad.evaluate.units import Units
from fastgrad.findings import BlockCheck, Diagnosis
from fastgrad.numerics.rough_slope import rough_slope
from fastgrad.results import GradientCheck

FEWEST_SAMPLES = 20
PILOT = 0.2
"""Part of the samples that only choose directions."""
STEPS = (2.0**-12, 2.0**-40, 2.0**-2)
"""The first step of a line, the smallest and the largest, in units."""
SEEDED_STEP = 2.0**-6
"""The step where the loss draws: each draw's difference is smooth, or jumps, which takes a wide one."""


@dataclass(frozen=True)
class Bias:
    """What samples say along one direction."""

    block: int
    name: str
    kind: str
    """"the signs of its mean", or "a random direction"."""
    slope: float
    mean: float
    """The mean of ``v . a - D``."""
    scatter: float
    """sd of one sample."""
    samples: int
    bound: float
    """Standard errors that chance does not exceed."""
    known_to: float
    """What the slope errs by, and what rtol allows."""

    @property
    def standard_error(self) -> float:
        return self.scatter / float(np.sqrt(self.samples))

    @property
    def half_width(self) -> float:
        return self.bound * self.standard_error + self.known_to

    @property
    def shows(self) -> bool:
        return abs(self.mean) > self.half_width + SMALLEST_BIAS * abs(self.slope)

    def part(self, size: float) -> float:
        """A size relative to the slope."""
        return size / abs(self.slope) if self.slope else float("inf")

    def samples_for(self, bias: float) -> float:
        """How many samples would show a relative bias of this size."""
        wanted = bias * abs(self.slope)
        if not wanted:
            return float("inf")
        needed = (self.bound * self.scatter / wanted) ** 2
        return float(np.ceil(max(FEWEST_SAMPLES, needed)))


def takes_seed(function: Callable[..., Any]) -> bool:
    """Whether a function has a parameter ``seed``."""
    try:
        return "seed" in inspect.signature(getattr(function, "py_func", function)).parameters
    except (TypeError, ValueError):
        return False


def seeded(function: Any, seed: Any) -> Any:
    """A loss or a gradient with one seed: the same draws at every theta; values as they are."""
    if not callable(function):
        return function

    def drawn(theta: Any, *args: Any) -> Any:
        return function(theta, *args, seed=seed)

    drawn.__name__ = getattr(function, "__name__", "drawn")
    return drawn


def check_samples(asked: Asked, samples: int, rule: Rule, options: Options) -> GradientCheck:
    """The report on the mean of so many answers of a gradient.

    Raises
    ------
    ValueError, TypeError
        Too few samples, or a gradient that is no function.
    NondeterministicLossError
        The loss draws, and takes no seed.
    """
    began = time.perf_counter()
    if not callable(asked.gradient):
        raise TypeError("samples: expected a gradient that can be called, got values")
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < FEWEST_SAMPLES:
        raise ValueError(f"samples={samples!r}: expected at least {FEWEST_SAMPLES} of them")
    study = _Study(asked, samples, rule, options.seed)
    biases = study.biases()
    layout, blamed = study.loss.layout, {bias.block for bias in biases if bias.shows}
    blocks = tuple(_block(b, study, biases) for b in range(len(layout.blocks)))
    verdicts = {block.verdict for block in blocks}
    verdict = next(v for v in ("disagrees", "inconclusive", "agrees") if v in verdicts | {"agrees"})
    outcome = Outcome(verdict, blocks, 0.0, tuple(_remarks(biases, study.used)))
    why = tuple(_diagnosis(b, biases) for b in sorted(blamed))
    report = summarise(outcome, study.loss, rule, options, why)
    aligned = {bias.name: bias for bias in biases if bias.kind == SIGNS}
    return replace(
        report,
        strategy="samples",
        evaluations=study.evaluations,
        seconds=time.perf_counter() - began,
        over_seeds={
            "samples": float(samples),
            "false_alarm": FALSE_ALARM,
            "mean": {k: bias.part(bias.mean) for k, bias in aligned.items()},
            "standard_error": {k: b.part(b.standard_error) for k, b in aligned.items()},
            "variance": {k: b.part(b.scatter) ** 2 for k, b in aligned.items()},
            "samples_for_one_percent": {
                k: bias.samples_for(WANTED_BIAS) for k, bias in aligned.items()
            },
        },
    )


SIGNS, RANDOM = "the signs of its mean", "a random direction"


class _Study:
    """Samples of a gradient, and the slopes that they are held against."""

    def __init__(self, asked: Asked, samples: int, rule: Rule, seed: int):
        self.asked, self.rule, self.seed = asked, rule, seed
        self.pilot = max(5, int(PILOT * samples))
        self.used = samples - self.pilot
        self.draws = takes_seed(asked.loss)
        self.loss = self._around(seed)
        self.evaluations = 0
        self.directions = Directions(self.loss.units.entry, self.loss.free, seed)

    def _around(self, seed: int) -> Loss:
        asked = self.asked
        layout, flat = asked.placed()
        function = seeded(asked.loss, seed) if self.draws else asked.loss
        run = PythonEvaluator(function, Inputs(layout, flat, asked.args))
        free, units = layout.mask(asked.where["trainable"]), Units.of(flat, layout)
        try:
            measured = Measured(repeat_loss(run))
        except NondeterministicLossError as error:
            raise NondeterministicLossError(
                f"{error} With samples= the loss must be the exact expectation, or take seed= and be a "
                "function with it."
            ) from None
        return Loss(run, layout, free, units, measured)

    def _answer(self) -> Floats:
        asked = self.asked
        return flat_gradient(asked.gradient(asked.theta, *asked.args), self.loss.layout)[0]

    def biases(self) -> list[Bias]:
        mean = np.mean([self._answer() for _ in range(self.pilot)], axis=0)
        lines = list(self._lines(mean))
        along = np.empty((self.used, len(lines)))
        for k in range(self.used):
            answer = self._answer()
            along[k] = [float(np.sum(answer * v)) for _, _, v in lines]
        from scipy.special import stdtrit

        bound = float(stdtrit(self.used - 1, 1 - SKEWED * FALSE_ALARM / (2 * max(len(lines), 1))))
        found = []
        for j, (b, kind, v) in enumerate(lines):
            slopes, bar = self._slopes(v)
            off = along[:, j] - slopes
            D = float(np.mean(slopes))
            block = self.loss.layout.blocks[b]
            known_to = bar + self.rule.rtol * abs(D)
            found.append(
                Bias(
                    b,
                    block.name,
                    kind,
                    D,
                    float(off.mean()),
                    float(off.std(ddof=1)),
                    self.used,
                    bound,
                    known_to,
                )
            )
        self.evaluations += self.loss.run.evaluations
        return found

    def _lines(self, mean: Floats) -> Iterator[tuple[int, str, Floats]]:
        for b, block in enumerate(self.loss.layout.blocks):
            if self.directions.moves(block).any():
                yield b, SIGNS, signs_of(self.directions, mean, block.start, block.stop)
                yield b, RANDOM, self.directions.draw(b, block.start, block.stop)

    def _slopes(self, v: Floats) -> tuple[Floats | float, float]:
        """The slope along v, one a sample where the loss draws, and what it errs by."""
        if not self.draws:
            loss = self.loss
            found = rough_slope(lambda t: loss.along(v, t), loss.base, loss.noise, STEPS)
            return found.value, found.bar
        h, slopes = SEEDED_STEP, np.empty(self.used)
        asked, layout = self.asked, self.loss.layout
        for k in range(self.used):
            function = seeded(asked.loss, self.seed + 1 + k)
            run = PythonEvaluator(function, Inputs(layout, self.loss.theta, asked.args))
            above, below = run.along(v, np.array([h, -h]))
            slopes[k] = (above - below) / (2 * h)
            self.evaluations += 2
        # Truncation at a step that wide is small beside an interval of per cents.
        return slopes, h * h * abs(float(slopes.mean()))


def _block(b: int, study: _Study, biases: list[Bias]) -> BlockCheck:
    own = [bias for bias in biases if bias.block == b]
    if not own:
        return unchecked_block(study.loss.layout.blocks[b])
    aligned = own[0]
    narrow = aligned.half_width <= USEFUL_BIAS * abs(aligned.slope)
    wrong = any(bias.shows for bias in own)
    block = study.loss.layout.blocks[b]
    return BlockCheck(
        name=block.name,
        shape=block.shape,
        size=block.size,
        checked=0,
        verdict="disagrees" if wrong else "agrees" if narrow else "inconclusive",
        relative_error=min(abs(aligned.part(aligned.mean)), 1.0),
        max_error=0.0,
        detection_limit=aligned.part(aligned.half_width),
        limit_of="block",
        kinks=0,
        worst="",
    )


def _diagnosis(b: int, biases: list[Bias]) -> Diagnosis:
    own = [bias for bias in biases if bias.block == b and bias.shows]
    bias = own[0]
    z = abs(bias.mean) / bias.standard_error if bias.standard_error else float("inf")
    sentence = (
        f"{bias.name}: the gradient is biased: along {bias.kind} it is off by "
        f"{100 * bias.part(bias.mean):+.3g}% +- {100 * bias.part(bias.half_width):.2g}% in the mean "
        f"over {bias.samples} samples, {z:.2g} standard errors."
    )
    constants = {"bias": bias.part(bias.mean), "standard_error": bias.part(bias.standard_error)}
    return Diagnosis(bias.name, "biased", constants, sentence)


def _remarks(biases: list[Bias], samples: int) -> Iterator[str]:
    for bias in biases:
        if bias.kind != SIGNS:
            continue
        within = bias.part(abs(bias.mean) + bias.half_width)
        said = "biased, by at most" if bias.shows else "unbiased within"
        yield (
            f"Over {samples} samples {bias.name} is {said} {100 * within:.2g}% along {bias.kind}; one "
            f"sample scatters by {100 * bias.part(bias.scatter):.2g}%. A bias of 1% would take about "
            f"{bias.samples_for(WANTED_BIAS):,.0f} samples to show."
        )
    yield (
        f"The verdict is about the mean over {samples} samples: a right gradient is called wrong with "
        f"probability at most {FALSE_ALARM:g}."
    )
