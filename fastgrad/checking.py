"""check_grad: a loss and a gradient in, a verdict out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np

from fastgrad.arrays import Floats, Mask
from fastgrad.checks.budget import Budget
from fastgrad.checks.claim import Claim, Gradient, SeveralGradientsError, free_by_claim
from fastgrad.checks.convergence import convergence
from fastgrad.checks.curl import CURL_CALLS, curl
from fastgrad.checks.diagnose import diagnose, evidence_of
from fastgrad.checks.edges import away_from_bounds
from fastgrad.checks.options import Options
from fastgrad.checks.outcome import Judged, Outcome
from fastgrad.checks.partial import judged_so_far
from fastgrad.checks.points import Point, points_of
from fastgrad.checks.rules import Rule
from fastgrad.checks.samples import check_samples, seeded
from fastgrad.checks.screen import refute, screen
from fastgrad.checks.screen.screen import screen_evaluations
from fastgrad.checks.screen.told import beside
from fastgrad.checks.seeds import Asked, check_over_seeds
from fastgrad.checks.state import Answers, Unsteady, convicted, diagnosed, outward_of
from fastgrad.checks.summary import summarise, unchecked_block, worst_of
from fastgrad.checks.sweep import ADAPTIVE_PAIRS, SECOND_LOOKS, sweep, sweep_evaluations
from fastgrad.checks.tolerance import with_tolerances
from fastgrad.cluster.campaign import NOTHING, Campaign, campaign
from fastgrad.complex_gradient import check_by_complex_steps, refuse_real_options
from fastgrad.diagonal_checking import check_with_diagonal
from fastgrad.differences.confined import Confined, confined
from fastgrad.differences.loss import (
    LINE_EVALUATIONS,
    REPEATS,
    Loss,
    Measured,
    repeat_loss,
)
from fastgrad.errors import ExecutorError
from fastgrad.evaluate.backends import evaluator
from fastgrad.evaluate.compiling import Clock
from fastgrad.evaluate.explain import as_arguments, positions, root_name
from fastgrad.evaluate.protocol import Evaluator, Inputs
from fastgrad.evaluate.units import Units
from fastgrad.parameters.arguments import Argnum
from fastgrad.parameters.layout import Layout
from fastgrad.parameters.steps import absolute_steps
from fastgrad.report.progress import say_plan
from fastgrad.report.suggestion import Suggestions
from fastgrad.results import GradientCheck
from fastgrad.spaces.guess import looks_like
from fastgrad.spaces.placed import has_complex, placed

SPARE = 1.3
"""What a budget that would do has to spare: evaluations take unlike times."""

AT_ONCE = 2.0**-33
"""Steps in units that nothing leads to but a loss that is not finite at longer ones."""
MOST_ENTRIES = 0.5

Strategy = Callable[[Loss, Claim, Rule, Budget, Options], Outcome]

STRATEGIES: dict[str, Strategy] = {"sweep": sweep, "screen": screen}
"""Strategies by the names that users give; "auto" takes one of the two."""


def check_grad(
    loss: Callable[..., Any],
    grad: Any,
    theta: Any,
    *args: Any,
    trainable: Any = None,
    rtol: float = 1e-5,
    strategy: str = "auto",
    argnum: int | str | Sequence[int | str] = 0,
    budget: float | None = 10.0,
    seed: int = 0,
    step: Any = None,
    scale: Any = None,
    bounds: Any = None,
    method: str = "central",
    points: int | Sequence[Any] | None = None,
    seeds: Iterable[Any] | None = None,
    samples: int | None = None,
    stochastic: str | None = None,
    backend: str = "auto",
    structure: bool = True,
    scratch: Any = None,
    names: Sequence[str] | None = None,
    space: Any = None,
    progress: bool = False,
    executor: Any = None,
    checkpoint: Any = None,
) -> GradientCheck:
    """Is a gradient right, and where is it wrong? Judged by central differences of the loss.

    With a the gradient under test, D the difference, ``r = a - D``, B the error bar of D (six
    standard deviations of its measured noise, its truncation and rounding) and ``tau = rtol |D|``,
    an entry **agrees** if ``|r| <= B`` or ``|r| + B <= tau``, and B is useful; it **disagrees** if
    ``|r| - B > tau`` and the loss has no kink there; at a kink it may be a valid subgradient, or lie
    outside them; otherwise it is **inconclusive**. B is useful if it is at most 1% of ``|D|``, in an
    array of one unit of the rms of its D, or, where a and D are zero within B, of what the entry does
    to the loss an eighth of its unit away; entries that do less than 1e-6 of what the steepest one
    does need only be told from zero (`fastgrad.checks.rules`). The report disagrees if any entry does,
    and agrees if every one agrees or is a valid subgradient.

    Parameters
    ----------
    loss : callable
        ``loss(theta, *args) -> float``, as for `grad`.
    grad : callable or structure of arrays
        The gradient under test, ``grad(theta, *args)``, or its value. It is shaped like theta
        (dict, NamedTuple and dataclass are matched by name), or one flat vector. Of a pair like
        theta, as objectives of boosters return it, the second is checked as the diagonal of the
        Hessian.
    theta : number, array or structure of arrays
        Where to check.
    trainable : str, sequence of str, or structure of bool, optional
        What to check: names or path prefixes of blocks, or booleans shaped like theta. What is no
        float (text, None, booleans; integer arrays that the gradient has nothing for) is constant.
    rtol : float
        Relative errors below it do not matter; 0 leaves the error bars alone.
    argnum : int, str, or several of them
        Which argument of the loss theta is, by position or name, if not the first; of several, theta
        is their tuple. ``args`` are the others in order; the gradient is called as the loss is.
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
    scale : float or structure shaped like theta, optional
        The unit of each entry, as for `grad`.
    bounds : (low, high), optional
        Each a number, None, or shaped like theta: no point outside is ever evaluated. Near a bound
        differences are one-sided, of the same order; at one, the verdict is about the one-sided slope.
        Without bounds, so are those of entries on one side of which the loss is not finite.
    method : {"central", "complex"}
        ``"complex"`` judges by complex steps, as of `grad`: exact to rounding, if the loss is analytic.
    points : int or sequence of thetas, optional
        Check there too: at this many points in all, the others random perturbations of theta, or at
        the given ones (say, after training).
    seeds : iterable, optional
        Loss and gradient draw: both are called with ``seed=`` from here, from Python, and the verdict
        is about the mean of a - D over seeds, with the probability of a false alarm stated.
    samples : int, optional
        The gradient is an estimate and draws: it is asked so often, and the verdict is an interval for
        its relative bias. The loss is the exact expectation, or takes ``seed=``.
    stochastic : {"seed"}, optional
        Loss and gradient take ``seed=``: both are called with the one of this check, with which the loss
        is a function.
    backend : {"auto", "compiled", "python"}
        As of `grad`; why a loss is called from Python is a remark of the report.
    structure : bool
        Whether a loss that comes with a structure may be evaluated by it.
    scratch : str, int or sequence of them, optional
        Arguments that the loss overwrites, as for `grad`.
    names : sequence of str, optional
        What the entries of a theta that is one array are called, in reports and in ``trainable``.
    space : Space, manifold, or structure of them by block, optional
        Where theta lives, if that is not R^n: `fastgrad.Space`, one of `fastgrad.spaces`, or a manifold
        of pymanopt or geomstats. Loss and gradient are called with points, of any type. Complex theta
        needs none: its gradient is then df/dx + i df/dy.
    progress : bool
        Show a bar with an ETA on stderr.
    executor : dask.distributed.Client, or anything with ``submit``, optional
        Evaluates the loss on its workers, in parts of about a second; the answer is the same. A dask
        Client replaces workers that die; where another executor breaks, the report is of what was
        judged until then.
    checkpoint : path, optional
        A file to which evaluations are appended as they are made: the same call goes on where it
        ended, however it did. Another gradient may be judged by them, another loss, theta or
        argument is refused.

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
    CheckpointError, ExecutorError
        The file belongs to another run; the loss cannot be sent to workers.

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
    rule = Rule(rtol)
    if not callable(loss):
        raise TypeError(
            f"the loss is {type(loss).__name__}: expected a function of theta; hand it over by its "
            "name, without calling it: check_grad(loss, grad, theta)"
        )
    if strategy != "auto" and strategy not in STRATEGIES:
        names = ", ".join(map(repr, ("auto", *STRATEGIES)))
        raise ValueError(f"strategy={strategy!r}: expected one of {names}")
    if budget is not None and not isinstance(budget, Real):
        raise TypeError(f"budget={budget!r} is {type(budget).__name__}: expected a number")
    if not isinstance(seed, Integral):
        raise TypeError(f"seed={seed!r} is {type(seed).__name__}: expected a whole number")
    through_what = {"executor": executor, "checkpoint": checkpoint}
    if seeds is not None:
        asked = Asked(loss, grad, theta, args, {"trainable": trainable, "space": space})
        options = Options(step, "seeds", budget, seed)
        with campaign(executor, checkpoint, loss, asked.inputs, {}) as through:
            return check_over_seeds(asked, seeds, rule, options, through)
    if samples is not None:
        _require_without("samples", through_what, "it is the gradient that is asked often")
        asked = Asked(loss, grad, theta, args, {"trainable": trainable, "space": space})
        return check_samples(asked, samples, rule, Options(step, "samples", budget, seed))
    if stochastic is not None:
        if stochastic != "seed":
            raise ValueError(f'stochastic={stochastic!r}: expected "seed"')
        loss, grad = seeded(loss, seed), seeded(grad, seed)
    argnum = positions(loss, argnum)
    if isinstance(argnum, int) and argnum > len(args):
        raise TypeError(
            f"argnum={argnum}: expected at least {argnum} arguments beside theta, got {len(args)}"
        )
    theta = as_arguments(loss, theta, argnum)
    if method == "complex" and (space is not None or has_complex(theta)):
        raise ValueError('method="complex" goes with real theta in R^n, not with a space')
    if method == "complex":
        _require_without('method="complex"', through_what, "workers evaluate real numbers")
        refuse_real_options(step=step, scale=scale, bounds=bounds, points=points)
        by = {"rtol": rtol, "trainable": trainable, "backend": backend, "seed": seed}
        return check_by_complex_steps(loss, grad, theta, (argnum, args), by)
    if method != "central":
        raise ValueError(f'method={method!r}: expected "central" or "complex"')
    if isinstance(points, Sequence) and not isinstance(points, str):
        points = [as_arguments(loss, point, argnum) for point in points]
    read = partial(placed, space=space)
    if names is not None:
        trainable = read(theta)[0].called(names).mask(trainable)
    places = points_of(theta, points, trainable, (seed, read))
    if len(places) > 1 and not callable(grad):
        raise ValueError(
            "points: expected a gradient that can be called at each of them, got values"
        )
    within = structure and bounds is None
    running = {"backend": backend, "structure": within, "scratch": scratch}
    shaped = {"trainable": trainable, "scale": scale, "bounds": bounds}
    shaped |= {"names": names, "space": space}
    through = campaign(
        executor,
        checkpoint,
        loss,
        lambda: Inputs(*read(theta, root=root_name(loss, argnum)), args, argnum),
        {"argnum": argnum, **running},
    )
    question = _Question(loss, grad, (argnum, args), shaped, running, through)
    seconds = None if budget is None or strategy == "sweep" else budget / len(places)
    options = Options(step, strategy, seconds, seed, progress)

    def check(gradient: Any) -> list[GradientCheck]:
        asked = replace(question, gradient=gradient)
        return [_check_at(place, asked, rule, options) for place in places]

    with through:
        try:
            checks = check(grad)
        except SeveralGradientsError as error:
            alone = isinstance(theta, np.ndarray) and points is None and argnum == 0
            if not alone or error.parts != 2:
                raise
            return check_with_diagonal(check, grad, (theta, *args), rule, options, through)
    if points is None:
        return checks[0]
    return _beside_the_first(worst_of(checks), looks_like(*read(theta)))


def _require_without(asked: str, options: Mapping[str, Any], why: str) -> None:
    """Raise ValueError where options were given that do not go with what is asked."""
    for name, option in options.items():
        if option is not None:
            raise ValueError(f"{name} does not go with {asked}: {why}; leave out one of them")


def _beside_the_first(report: GradientCheck, hint: str) -> GradientCheck:
    """The report on several points; where only the others fail, what theta looks like is said."""
    first = report.points[0].verdict == "agrees" and report.verdict != "agrees"
    return replace(report, remarks=(hint, *report.remarks)) if first and hint else report


@dataclass(frozen=True)
class _Question:
    """What is asked at every point."""

    loss: Callable[..., Any]
    gradient: Any
    arguments: tuple[Argnum, tuple[Any, ...]]
    """The position of theta among the arguments, and the others."""
    shaped: Mapping[str, Any]
    """What is shaped like theta: ``trainable``, ``scale``, ``bounds``, ``names`` and ``space``."""
    running: Mapping[str, Any]
    """``backend`` and ``structure``."""
    through: Campaign = NOTHING
    """The executor and the checkpoint."""

    def evaluator(self, layout: Layout, flat: Floats, **running: Any) -> Evaluator:
        """The loss around a flat theta."""
        inputs = Inputs(layout, flat, self.args, self.arguments[0])
        options = {**self.running, **running}
        run = evaluator(self.loss, inputs, **options)
        run = self.through.evaluator(run, self.loss, inputs, options)
        return confined(run, self.shaped["bounds"], layout, layout.mask(self.shaped["trainable"]))

    @property
    def args(self) -> tuple[Any, ...]:
        """The other arguments."""
        return self.arguments[1]

    def free(self, layout: Layout, flat: Floats, theta: Any) -> Mask | None:
        """Which entries may be perturbed, shape (n,); None when all may."""
        trainable = self.shaped["trainable"]
        if trainable is not None:
            return layout.mask(trainable)
        if callable(self.gradient):
            return self.claim(layout, flat, theta).free()
        return free_by_claim(self.gradient, layout)

    def claim(self, layout: Layout, flat: Floats, theta: Any) -> Gradient:
        """The gradient under test at one theta, if it is a function."""
        return Gradient(self.gradient, layout, flat, theta, self.args, self.arguments[0])


def _check_at(place: Point, question: _Question, rule: Rule, options: Options) -> GradientCheck:
    """The check at one point: measure the loss, read the gradient, judge, explain."""
    clock = Clock()
    root = root_name(question.loss, question.arguments[0])
    layout, flat = placed(place.theta, question.shaped["space"], root)
    layout = layout.called(question.shaped["names"])
    free = question.free(layout, flat, place.theta)
    layout = layout.holding(place.theta, free)
    run = question.evaluator(layout, flat)
    budget = Budget(run, options.seconds)
    options = replace(options, steps=absolute_steps(layout, flat, options.steps, free))
    units = Units.of(flat, layout, question.shaped["scale"]).within(options.steps)
    outward = outward_of(flat, units.entry, free)
    away = outward
    if isinstance(options.steps, np.ndarray):
        away = np.copysign(np.minimum(np.abs(outward), options.steps), outward)
    answers: Answers | None = None
    if callable(question.gradient):
        gradient = question.claim(layout, flat, place.theta)
        with budget.stopped():
            answers = Answers(gradient, run, outward, rule)
    with budget.timing():
        measured = Measured.of(repeat_loss(run, away))
    del outward, away  # an array like theta, which may be large
    with budget.stopped():
        claim = Claim.read(question.gradient, layout) if answers is None else answers.claim()
    unsteady = None if answers is None else answers.unsteady
    loss = Loss(run, layout, free, units, measured)
    cheapest = _cheapest(loss, options)
    needed = cheapest[0]
    if options.strategy != "screen" and budget.allows(needed):
        with budget.timing():  # away from theta it may cost more
            loss = loss.glimpsed(options.seed)
        needed -= LINE_EVALUATIONS
    if not budget.allows(needed):
        outcome = _refuted(loss, claim, rule, budget, options)
        outcome = outcome or _refusal(layout, budget, cheapest)
        report = _summary(outcome, unsteady, loss, rule, options)
        return replace(report, strategy=cheapest[1], label=place.label)
    strategy, made = _chosen(loss, budget, options), 0
    if run.structured and strategy != "sweep":  # directions are for the plain loss
        loss = loss.studied(options.seed)
        made = run.evaluations
        loss = replace(loss, run=question.evaluator(layout, flat, structure=False))
    said: tuple[str, ...] = ()
    if strategy != "sweep":
        loss, said = away_from_bounds(loss)
    if options.progress:
        say_plan(budget.plan(loss.count, strategy == "sweep"))
    try:
        outcome = STRATEGIES[strategy](loss, claim, rule, budget, options)
    except ExecutorError as error:
        outcome = judged_so_far(loss, claim, rule, error)
    outcome = replace(outcome, remarks=(*outcome.remarks, *said, *layout.remarks()))
    loss = outcome.loss or loss
    dims = [a.shape[0] for a in question.args if isinstance(a, np.ndarray) and a.ndim]
    if answers is not None:
        with budget.stopped():
            answers.at_the_end()
        unsteady = answers.unsteady
    if outcome.verdict == "inconclusive" and (run.outside is not None or _is_left_at_once(outcome)):
        hint = looks_like(layout, flat)
        outcome = replace(outcome, remarks=(*outcome.remarks, *([hint] if hint else [])))
    if unsteady is None:
        report = _explained(outcome, loss, claim, (rule, options, budget), dims)
    else:
        report = _summary(outcome, unsteady, loss, rule, options)
    return replace(
        report,
        strategy=strategy,
        label=place.label,
        evaluations=report.evaluations + made,
        seconds=clock.seconds,
        ran=clock.said(run.ran),
        _convergence=lambda: convergence(loss, claim, outcome.judged),
        _suggest=_mender(place, question, (loss, claim, outcome, rule), options),
    )


def _is_left_at_once(outcome: Outcome) -> bool:
    """Whether the loss is not finite beside theta in most entries, as off a set that it refuses."""
    judged = outcome.judged
    if judged is None:
        return False
    short = judged.differences.step <= AT_ONCE * judged.scales.unit
    return bool(np.mean(short | ~np.isfinite(judged.numeric)) > MOST_ENTRIES)


def _refuted(
    loss: Loss, claim: Claim, rule: Rule, budget: Budget, options: Options
) -> Outcome | None:
    """What a first look refutes, where there is time for no more."""
    if options.strategy == "sweep" or loss.run.structured or isinstance(options.steps, str):
        return None
    return refute(loss, claim, rule, budget, options)


def _cheapest(loss: Loss, options: Options) -> tuple[int, str]:
    """Evaluations of the shortest way to a verdict, once the loss is repeated, and what it is."""
    screened = screen_evaluations(loss), "screen"
    if options.strategy == "screen" or isinstance(options.steps, str):
        return screened
    return min(screened, (sweep_evaluations(loss.count) + LINE_EVALUATIONS, "sweep"))


def _mender(
    place: Point,
    question: _Question,
    judged: tuple[Loss, Claim, Outcome, Rule],
    options: Options,
) -> Callable[[frozenset[str], float], Suggestions]:
    """What `GradientCheck.suggest` asks: a search with all that this check knows."""

    def recheck(gradient: Any, theta: Any, args: tuple[Any, ...]) -> GradientCheck:
        if judged[1].unit.max(initial=0.0) > np.finfo(np.float64).eps:
            gradient = np.asarray(gradient, np.float32)  # judged with its own rounding, as it was
        there = replace(question, gradient=gradient, arguments=(question.arguments[0], args))
        plain = replace(options, progress=False)
        return _check_at(Point(theta, ""), there, judged[3], plain)

    def search(laws: frozenset[str], seconds: float) -> Suggestions:
        from fastgrad.repair.suggest import Suspect, suggest

        functions = question.loss, question.gradient
        return suggest(
            Suspect(functions, place.theta, question.arguments, judged, recheck), laws, seconds
        )

    return search


def _chosen(loss: Loss, budget: Budget, options: Options) -> str:
    """The strategy asked for, or the one that fits."""
    if isinstance(options.steps, str):
        budget.pairs = ADAPTIVE_PAIRS
    if options.strategy != "auto":
        return options.strategy
    screened = screen_evaluations(loss)
    if sweep_evaluations(loss.count) * budget.pairs <= screened:
        return "sweep" if budget.allows_a_sweep(loss) or not budget.allows(screened) else "screen"
    return "sweep" if budget.allows_a_sweep(loss, SECOND_LOOKS) else "screen"


def _explained(
    outcome: Outcome,
    loss: Loss,
    claim: Claim,
    asked: tuple[Rule, Options, Budget],
    dims: Sequence[int],
) -> GradientCheck:
    """The report, with the laws of what is wrong, and whether it is a gradient at all."""
    rule, options, budget = asked
    if outcome.verdict != "disagrees" or outcome.judged is None:
        return summarise(outcome, loss, rule, options, outcome.told)
    names = [block.name for block in loss.layout.blocks]
    why = diagnose(evidence_of(outcome, loss, claim), dims, rule.rtol, loss.value)
    diagnoses = beside(with_tolerances(why, outcome, names), outcome.told)
    finite = bool(np.isfinite(claim.values).all())
    if (
        loss.layout.linear
        and claim.function is not None
        and finite
        and CURL_CALLS * budget.gradient <= budget.left()
    ):
        steps = _steps_of(outcome.judged, loss)
        found = curl(claim.function, loss.theta, options.seed, claim.values, steps)
        # Where a law explains the error, as a change of variables does, a curl says no more.
        if found.conservative or not all(diagnosis.explains for diagnosis in diagnoses):
            sentence = found.beside(outcome.relative_error)
            outcome = replace(outcome, remarks=(*outcome.remarks, sentence))
    return summarise(outcome, loss, rule, options, diagnoses)


def _summary(
    outcome: Outcome, unsteady: Unsteady | None, loss: Loss, rule: Rule, options: Options
) -> GradientCheck:
    """The report, which says first if the answers of the gradient at theta are not one."""
    if unsteady is None:
        return summarise(outcome, loss, rule, options, outcome.told)
    why = (diagnosed(unsteady, loss.layout),)
    return summarise(convicted(outcome, unsteady, loss.layout), loss, rule, options, why)


def _steps_of(judged: Judged, loss: Loss) -> Floats:
    """Default steps of all entries, or shorter ones where differences needed them; 0 of constants."""
    steps = loss.steps(np.arange(loss.theta.size))
    steps[judged.indices] = np.minimum(steps[judged.indices], judged.differences.step)
    if loss.free is not None:
        steps[~loss.free] = 0.0
    if isinstance(loss.run, Confined):  # the gradient is not asked outside either
        steps[loss.run.box.near(loss.theta, 2 * steps)] = 0.0
    return steps


def _refusal(layout: Layout, budget: Budget, cheapest: tuple[int, str]) -> Outcome:
    """The outcome where the budget does not even allow the cheapest way to a verdict."""
    evaluations, strategy = cheapest
    needed = SPARE * (evaluations + REPEATS + 1) * budget.evaluation
    remark = (
        f"The budget of {budget.seconds:g} s does not allow a {strategy}: one evaluation takes "
        f"{budget.evaluation:.2g} s, and about {evaluations} are needed; "
        f"budget={_rounded_up(needed):g} would do."
    )
    return Outcome("inconclusive", tuple(map(unchecked_block, layout.blocks)), 0.0, (remark,))


def _rounded_up(seconds: float) -> float:
    """Seconds to two digits, not fewer than there are."""
    unit = 10.0 ** (np.floor(np.log10(seconds)) - 1)
    return float(np.ceil(seconds / unit) * unit)
