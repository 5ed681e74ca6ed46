"""check_grad: a loss and a gradient in, a verdict out."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastgrad.detect.clock import ADAPTIVE, Clock
from fastgrad.detect.points import Point, points_of
from fastgrad.detect.preflight import inspect_loss, read_gradient, repeat_loss
from fastgrad.detect.tabulate import worst_of
from fastgrad.detect.tiers import Check
from fastgrad.evaluate import Evaluator, evaluator
from fastgrad.params import Floats, Layout, flatten
from fastgrad.report.progress import say_plan
from fastgrad.results import GradientCheck
from fastgrad.transforms import absolute_steps

STRATEGIES = ("auto", "sweep", "screen")


def check_grad(
    loss: Callable[..., Any],
    grad: Any,
    theta: Any,
    *args: Any,
    trainable: Any = None,
    rtol: float = 1e-5,
    strategy: str = "auto",
    budget: float | None = 10.0,
    seed: int = 0,
    step: Any = None,
    points: int | Sequence[Any] | None = None,
    backend: str = "auto",
    structure: bool = True,
    progress: bool = False,
) -> GradientCheck:
    """Is a gradient right, and where is it wrong? Judged by central differences of the loss.

    With a the gradient under test, D the difference, ``r = a - D``, B the error bar of D (six
    standard deviations of its measured noise, its truncation and rounding) and
    ``tau = rtol max(|D|, rms of the block's D)``, an entry **agrees** if ``|r| <= B`` or
    ``|r| + B <= tau``, and B is at most 1% of that scale; it **disagrees** if ``|r| - B > tau`` and
    the loss has no kink there; at a kink it may be a valid subgradient, or lie outside them;
    otherwise it is **inconclusive**. The report disagrees if any entry does, and agrees if every
    one agrees or is a valid subgradient.

    Parameters
    ----------
    loss : callable
        ``loss(theta, *args) -> float``, as for `grad`.
    grad : callable or structure of arrays
        The gradient under test, ``grad(theta, *args)``, or its value. It is shaped like theta
        (dict, NamedTuple and dataclass are matched by name), or one flat vector.
    theta : number, array or structure of arrays
        Where to check.
    trainable : str, sequence of str, or structure of bool, optional
        What to check: names or path prefixes of blocks, or booleans shaped like theta.
    rtol : float
        Relative errors below it do not matter; 0 leaves the error bars alone.
    strategy : {"auto", "sweep", "screen"}
        ``"sweep"`` checks every trainable entry, with two evaluations each. ``"screen"`` looks
        along random directions, locates what is wrong, and says what error it would have missed
        with what probability: some 70 evaluations at any size, and about 15 a wrong entry.
        ``"auto"`` sweeps if that fits in the budget, else screens.
    budget : float or None
        Seconds to spend (None: no limit), a call of ``grad`` not counted; a sweep that was asked
        for ignores it.
    seed : int
        Of all random choices: the same seed gives the same report (but for ``seconds``).
    step : float, structure shaped like theta, or "adaptive", optional
        Absolute steps; by default a power of two near 2^-17, adapted where probes of a block show
        that it does not fit. ``"adaptive"`` adapts every entry.
    points : int or sequence of thetas, optional
        Check there too: at this many points in all, the others random perturbations of theta, or at
        the given ones (say, after training).
    backend : {"auto", "python"}
    structure : bool
        Whether a loss that comes with a structure may be evaluated by it.
    progress : bool
        Show a bar with an ETA on stderr.

    Returns
    -------
    GradientCheck
        True as a condition only if the gradient agrees; print it for the report.

    Raises
    ------
    NondeterministicLossError
        The loss gives different values at the same parameters.
    MutatedInputError
        The loss or the gradient wrote to its inputs.
    StructureMismatchError, TypeError, ValueError
        Something is not shaped like theta, or not of its kind; the message says what.

    Examples
    --------
    >>> def loss(x):
    ...     return (x**3).sum()
    >>> x = np.array([1.0, 2.0])
    >>> check_grad(loss, lambda x: 3 * x**2, x).verdict
    'agrees'
    >>> report = check_grad(loss, lambda x: 3 * x, x)
    >>> report.verdict, report.entries[0].name
    ('disagrees', 'theta[1]')
    """
    if not callable(loss):
        raise TypeError(f"the loss is {type(loss).__name__}: expected a function of theta")
    if strategy not in STRATEGIES:
        raise ValueError(
            f"strategy={strategy!r}: expected one of {', '.join(map(repr, STRATEGIES))}"
        )
    if not 0 <= rtol < np.inf:
        raise ValueError(f"rtol={rtol!r}: expected a number from 0 up")
    places = points_of(theta, points, trainable, seed)
    if len(places) > 1 and not callable(grad):
        raise ValueError(
            "points: expected a gradient that can be called at each of them, got values"
        )
    limit = None if budget is None else budget / len(places)
    task = _Task(
        loss, grad, args, trainable, rtol, strategy, limit, seed, step, backend, structure, progress
    )
    checks = [task.at(place) for place in places]
    return checks[0] if points is None else worst_of(checks)


@dataclass(frozen=True)
class _Task:
    """What was asked, at any point."""

    loss: Callable[..., Any]
    gradient: Any
    args: tuple[Any, ...]
    trainable: Any
    rtol: float
    strategy: str
    budget: float | None
    seed: int
    step: Any
    backend: str
    structure: bool
    progress: bool

    def at(self, place: Point) -> GradientCheck:
        """The check at one point: preflight, then the strategy that fits."""
        began = time.perf_counter()
        layout, flat = flatten(place.theta)
        mask = layout.mask(self.trainable)
        run = self._runner(layout, flat, self.structure)
        clock = Clock(run, None if self.strategy == "sweep" else self.budget)
        value, spread = repeat_loss(run)
        clock.learn()
        if not clock.allows_a_screen(len(layout.blocks)):  # the first calls may have compiled
            repeat_loss(run)
            clock.learn()
        if not clock.allows_a_screen(len(layout.blocks)):
            return clock.refusal(layout, value, self.rtol, self.seed, place.label)
        facts = inspect_loss(run, mask, self.seed, value, spread)
        clock.learn()
        with clock.stopped():
            analytic, unit = read_gradient(self.gradient, layout, run, place.theta, self.args)
        steps = absolute_steps(layout, flat, self.step, mask)
        count = layout.size if mask is None else int(np.count_nonzero(mask))
        if isinstance(steps, str):
            clock.pairs = ADAPTIVE
        sweeps = self.strategy == "sweep" or (
            self.strategy == "auto" and clock.allows_a_sweep(mask, count)
        )
        made = 0
        if run.reference and not sweeps:  # directions are for the plain loss
            made = run.evaluations
            run = self._runner(layout, flat, structure=False)
            facts = replace(facts, base=facts.value)
        check = Check(run, layout, facts, analytic, unit, mask, steps, self.rtol, self.seed, clock)
        if self.progress:
            say_plan(clock.plan(count, sweeps))
        report = check.sweep(self.progress) if sweeps else check.screen(self.progress)
        report = check.explained(report, self.gradient, self.args)
        return replace(
            report,
            label=place.label,
            evaluations=report.evaluations + made,
            seconds=time.perf_counter() - began,
        )

    def _runner(self, layout: Layout, flat: Floats, structure: bool) -> Evaluator:
        return evaluator(
            self.loss, layout, flat, self.args, backend=self.backend, structure=structure
        )
