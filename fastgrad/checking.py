"""check_grad: a loss and a gradient in, a verdict out."""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastgrad.detect.convergence import convergence
from fastgrad.detect.differences import Differencer
from fastgrad.detect.points import Point, points_of
from fastgrad.detect.preflight import Loss, args_unchanged, inspect_loss, read_gradient
from fastgrad.detect.sweep import Judged, sweep
from fastgrad.detect.tabulate import tabulate, worst_of
from fastgrad.estimation import chosen_steps
from fastgrad.evaluate import Evaluator, evaluator
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.params import flatten
from fastgrad.report.progress import progress_bar
from fastgrad.results import Convergence, GradientCheck
from fastgrad.transforms import absolute_steps

STRATEGIES = ("auto", "sweep")


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
    strategy : {"auto", "sweep"}
        ``"sweep"`` checks every trainable entry, with two evaluations each.
    budget : float or None
        Seconds to spend where the strategy can choose; a sweep ignores it.
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
        raise ValueError(f"strategy={strategy!r}: expected one of {', '.join(map(repr, STRATEGIES))}")
    if not 0 <= rtol < np.inf:
        raise ValueError(f"rtol={rtol!r}: expected a number from 0 up")
    places = points_of(theta, points, trainable, seed)
    if len(places) > 1 and not callable(grad):
        raise ValueError("points: expected a gradient that can be called at each of them, got values")
    checks = [
        _check(loss, grad, place, args, trainable, rtol, seed, step, backend, progress)
        for place in places
    ]
    return checks[0] if points is None else worst_of(checks)


def _check(
    loss: Callable[..., Any],
    gradient: Any,
    place: Point,
    args: tuple[Any, ...],
    trainable: Any,
    rtol: float,
    seed: int,
    step: Any,
    backend: str,
    progress: bool,
) -> GradientCheck:
    """The sweep at one point."""
    began = time.perf_counter()
    layout, flat = flatten(place.theta)
    mask = layout.mask(trainable)
    run = evaluator(loss, layout, flat, args, backend=backend)
    with args_unchanged(args, "the loss"):
        facts = inspect_loss(run, mask, seed)
        analytic, unit = read_gradient(gradient, layout, run, place.theta, args)
        indices = np.arange(layout.size) if mask is None else np.flatnonzero(mask)
        differencer = Differencer(run, facts, indices)
        with progress_bar(run, "sweep", 2 * indices.size) if progress else nullcontext():
            steps = absolute_steps(layout, flat, step)
            h = chosen_steps(differencer, layout, CENTRAL[2], steps)
            judged = sweep(differencer, layout, analytic[indices], unit, rtol, h)
    return tabulate(
        judged,
        layout,
        facts,
        unit=unit,
        rtol=rtol,
        seed=seed,
        label=place.label,
        evaluations=run.evaluations,
        seconds=time.perf_counter() - began,
        table=lambda: _convergence(run, facts, judged),
    )


def _convergence(run: Evaluator, facts: Loss, judged: Judged) -> Convergence:
    """The h/10 table along the residual."""
    residual = judged.analytic - judged.numeric
    residual = np.where(np.isfinite(residual), residual, 0.0)
    largest = np.abs(residual).max(initial=0.0)
    direction = np.zeros(run.theta.size)
    direction[judged.indices] = residual / largest if largest else 1.0
    claimed = np.nan_to_num(judged.analytic, posinf=0.0, neginf=0.0) * direction[judged.indices]
    rounding = float(np.finfo(np.float64).eps * np.abs(claimed).sum())
    return convergence(run, direction, float(claimed.sum()), facts.noise, rounding)
