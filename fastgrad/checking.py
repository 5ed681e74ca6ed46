"""check_grad: a loss and a gradient in, a verdict out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Any

from fastgrad.checks.options import Options
from fastgrad.checks.points import points_of
from fastgrad.checks.rules import Rule
from fastgrad.checks.samples import check_samples, seeded
from fastgrad.checks.seeds import Asked, check_over_seeds
from fastgrad.cluster.campaign import campaign
from fastgrad.complex_checking import check_by_complex_steps
from fastgrad.complex_gradient import refuse_real_options
from fastgrad.evaluate.protocol import Inputs
from fastgrad.evaluate.signature import as_arguments, positions, root_name
from fastgrad.judging import check_all
from fastgrad.judging.question import Question
from fastgrad.judging.strategies import STRATEGIES
from fastgrad.results import GradientCheck
from fastgrad.spaces.guess import looks_like
from fastgrad.spaces.placed import has_complex, placed


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
        ``"sweep"`` checks every trainable entry, with two evaluations each, and says within what
        those are that noise hides. ``"screen"`` looks along random directions, locates what is
        wrong, and says what error it would have missed with what probability: some 70 evaluations
        at any size, and about 15 a wrong entry.
        ``"auto"`` sweeps if that fits in the budget, and then screens together what noise hides
        one by one; it screens all where that does not fit, or noise hides nearly everything.
    budget : float or None
        Seconds to spend (None: no limit), a call of ``grad`` not counted; a sweep that was asked
        for ignores it.
    seed : int
        Of all random choices: the same seed gives the same report (but for ``seconds``).
    step : float, structure shaped like theta, or "adaptive", optional
        Absolute steps; by default a power of two near 2^-17, adapted where probes of a block show
        that it does not fit. ``"adaptive"`` adapts every entry.
    scale : float or structure shaped like theta, optional
        The unit of each entry, as for `grad`. Entries at zero whose unit nothing tells, as those of a
        vector of seconds and metres, are else asked for it, in some ten evaluations each.
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
        is about the mean of a - D over seeds, with the probability of a false alarm stated. Where
        the loss of one seed moves in jumps, it is also asked two units away on either side.
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
    >>> import numpy as np
    >>> def loss(x):
    ...     return (x**3).sum()
    >>> x = np.array([1.0, 2.0])
    >>> check_grad(loss, lambda x: 3 * x**2, x).verdict
    'agrees'
    >>> report = check_grad(loss, lambda x: 3 * x, x)
    >>> report.verdict, report.entries[0].name
    ('disagrees', 'theta[1]')
    """
    _require_types(loss, strategy, budget, seed)
    rule, through = Rule(rtol), {"executor": executor, "checkpoint": checkpoint}
    if seeds is not None or samples is not None:
        asked = Asked(loss, grad, theta, args, {"trainable": trainable, "space": space})
        return _over_draws(asked, (seeds, samples), rule, (step, budget, seed), through)
    if stochastic is not None:
        if stochastic != "seed":
            raise ValueError(f'stochastic={stochastic!r}: expected "seed"')
        loss, grad = seeded(loss, seed), seeded(grad, seed)
    argnum = positions(loss, argnum, len(args))
    theta = as_arguments(loss, theta, argnum)
    if method == "complex":
        if space is not None or has_complex(theta):
            raise ValueError('method="complex" goes with real theta in R^n, not with a space')
        _require_without('method="complex"', through, "workers evaluate real numbers")
        refuse_real_options(step=step, scale=scale, bounds=bounds, points=points)
        by = {"rtol": rtol, "trainable": trainable, "backend": backend, "seed": seed}
        return check_by_complex_steps(loss, grad, theta, (argnum, args), by)
    if method != "central":
        raise ValueError(f'method={method!r}: expected "central" or "complex"')
    if isinstance(points, Sequence) and not isinstance(points, str):
        points = [as_arguments(loss, point, argnum) for point in points]
    read = partial(placed, space=space, root=root_name(loss, argnum), names=names)
    places = points_of(theta, points, trainable, (seed, read))
    if len(places) > 1 and not callable(grad):
        raise ValueError(
            "points: expected a gradient that can be called at each of them, got values"
        )
    shaped = {"trainable": trainable, "scale": scale, "bounds": bounds}
    within = structure and bounds is None
    running = {"backend": backend, "structure": within, "scratch": scratch}
    question = Question(loss, grad, (argnum, args), shaped, running)
    seconds = None if budget is None or strategy == "sweep" else budget / len(places)
    options = Options(step, strategy, seconds, seed, progress)
    if executor is None and checkpoint is None:
        report = check_all(places, question, rule, options)
    else:
        given = {"argnum": argnum, **running}
        with campaign(
            executor, checkpoint, loss, lambda: Inputs(*read(theta), args, argnum), given
        ) as opened:
            report = check_all(places, replace(question, through=opened), rule, options)
    if points is None:
        return report
    return _beside_the_first(report, looks_like(*read(theta)))


def _over_draws(
    asked: Asked,
    draws: tuple[Iterable[Any] | None, Any],
    rule: Rule,
    given: tuple[Any, float | None, int],
    through: Mapping[str, Any],
) -> GradientCheck:
    """The check of a loss or a gradient that draws: over seeds, or over samples of the gradient."""
    (seeds, samples), (step, budget, seed) = draws, given
    if seeds is not None:
        options = Options(step, "seeds", budget, seed)
        with campaign(**through, loss=asked.loss, inputs=asked.inputs, options={}) as opened:
            return check_over_seeds(asked, seeds, rule, options, opened)
    _require_without("samples", through, "it is the gradient that is asked often")
    return check_samples(asked, samples, rule, Options(step, "samples", budget, seed))


def _require_types(loss: Any, strategy: Any, budget: Any, seed: Any) -> None:
    """Raise TypeError or ValueError where an option is not of its kind."""
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


def _require_without(asked: str, options: Mapping[str, Any], why: str) -> None:
    """Raise ValueError where options were given that do not go with what is asked."""
    for name, option in options.items():
        if option is not None:
            raise ValueError(f"{name} does not go with {asked}: {why}; leave out one of them")


def _beside_the_first(report: GradientCheck, hint: str) -> GradientCheck:
    """The report on several points; where only the others fail, what theta looks like is said."""
    first = report.points[0].verdict == "agrees" and report.verdict != "agrees"
    return replace(report, remarks=(hint, *report.remarks)) if first and hint else report
