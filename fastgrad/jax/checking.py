"""check: a JAX function and a pytree of parameters in, a verdict on its gradient out."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from fastgrad.arrays import Array
from fastgrad.checking import check_grad
from fastgrad.checks.low_precision import Precision, beside, other_function
from fastgrad.checks.summary import worst_of
from fastgrad.jax.evaluator import JaxGradient, JaxLoss, RoundedGradient
from fastgrad.jax.program import Program, is_array
from fastgrad.parameters.by_name import filled
from fastgrad.parameters.trees import shortened
from fastgrad.results import GradientCheck

EXACT = float(np.finfo(np.float64).eps)
"""The rounding unit of what needs no error bars of its own."""


def check(
    loss: Callable[..., Any],
    params: Any,
    *args: Any,
    grad: Callable[..., Any] | None = None,
    wrt: str | Sequence[str] | None = None,
    dtype: str | None = "auto",
    rtol: float = 1e-5,
    strategy: str = "auto",
    budget: float | None = 10.0,
    seed: int = 0,
    step: Any = None,
    scale: Any = None,
    bounds: Any = None,
    points: int | Sequence[Any] | None = None,
    progress: bool = False,
) -> GradientCheck:
    """Is the gradient of a JAX function right, and where is it wrong?

    Judged as by `fastgrad.check_grad`, entry by entry, by differences of the function itself, jitted and
    vmapped over points in chunks sized by memory. Entries are named by the paths of the pytree
    (``layers.0.W[3, 17]``). Rules of ``jax.custom_vjp`` and ``jax.custom_jvp`` are what it is for.

    Parameters
    ----------
    loss : callable
        ``loss(params, *args)``, a scalar; of other outputs, a random combination is checked.
    params : pytree
        Leaves that are not of real floating numbers are constants.
    *args : pytrees
    grad : callable, optional
        The gradient under test, ``grad(params, *args)``, like ``params``; by default ``jax.grad(loss)``.
    wrt : str or sequence of str, optional
        Names and path prefixes of what to check; by default all.
    dtype : {"auto", None}
        ``"auto"`` checks in float64, within ``jax.enable_x64`` and without changing the configuration,
        where the function allows it, and then the gradient as it comes beside that; None checks in the
        precision of the parameters, with the verdict that it allows.
    step, scale : number, or pytree like the parameters, optional
        Absolute steps, and the unit of each entry, as of `fastgrad.check_grad`; or by names of leaves.
    bounds : (low, high), optional
        Each a number, None, a pytree like the parameters, or numbers and arrays by the names of leaves,
        of which some may be left out: no point outside is ever evaluated.
    points : int or sequence of pytrees, optional
        Check there too: at so many points in all, or at others like the parameters.
    rtol, strategy, budget, seed, progress
        As of `fastgrad.check_grad`.

    Returns
    -------
    GradientCheck

    Raises
    ------
    TypeError, ValueError
        Something is not of its kind; the message says what.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, fastgrad.jax
    >>> @jax.custom_vjp
    ... def square(x):
    ...     return x * x
    >>> square.defvjp(lambda x: (x * x, x), lambda x, g: (x * g,))
    >>> report = fastgrad.jax.check(square, jnp.linspace(1.0, 2.0, 5))
    >>> report.verdict, report.diagnoses[0].constants
    ('disagrees', {'factor': 0.5})
    """
    if not callable(loss) or (grad is not None and not callable(grad)):
        raise TypeError(
            "loss and grad: expected functions loss(params, *args), grad(params, *args)"
        )
    if dtype not in ("auto", None):
        raise ValueError(f'dtype={dtype!r}: expected "auto", or None for that of the parameters')
    own = Program(loss, params, args, False, seed)
    if grad is not None and not own.is_scalar:
        raise TypeError(f"{own.name} does not return a scalar, whose gradient grad would be")
    program, said = _wide(own, (loss, params, args), grad) if dtype == "auto" else (own, ())
    exact = program.eps <= EXACT
    compute = JaxGradient(program, grad) if exact else RoundedGradient(program, grad)
    if own.complex:
        said = (*said, f"Leaves of complex numbers were not checked: {shortened(own.complex)}.")
    here = program.values()
    asked: dict[str, Any] = {"rtol": rtol, "strategy": strategy, "budget": budget, "seed": seed}
    asked["trainable"] = wrt
    asked["step"], asked["scale"] = (filled(program.named(x), here) for x in (step, scale))
    if bounds is not None:
        ends = zip(bounds, (-np.inf, np.inf), strict=True)
        asked["bounds"] = tuple(filled(program.named(end), here, free) for end, free in ends)
    if points is not None and not isinstance(points, int):
        points = [filled(program.named(point), here, here) for point in points]
    given = here, *leading_dimensions(args)
    first = {**asked, "points": points, "progress": progress}
    report = check_grad(JaxLoss(program), compute, *given, **first)
    report = replace(report, remarks=(*report.remarks, *said))
    if program is own or report.verdict != "agrees":
        return report
    return _as_it_comes(report, (program, own), compute, asked, given)


def _as_it_comes(
    report: GradientCheck,
    programs: tuple[Program, Program],
    compute: JaxGradient,
    asked: dict[str, Any],
    given: Sequence[Any],
) -> GradientCheck:
    """The report with what the gradient is in the precision of the parameters."""
    program, own = programs
    eps = own.eps
    word = next(str(x.dtype) for x in own.leaves.values() if jax.numpy.finfo(x.dtype).eps == eps)
    at, rounded = (
        Precision(word, float(eps), asked["rtol"]),
        RoundedGradient(own, compute.claimed, compute),
    )
    other = other_function(own.outputs(), program.outputs(), at)
    if other:
        return replace(report, remarks=(*report.remarks, other))
    theta = program.values()
    found = beside(compute(theta), rounded(theta), lambda: rounded.error_bars(theta), at)
    if found.beyond is None:
        return replace(report, remarks=(*report.remarks, found.remark))
    asked = {**asked, "trainable": found.beyond, "strategy": "sweep"}
    again = check_grad(JaxLoss(program), rounded, *given, **asked)
    labels = "in float64", f"in {word}, as it comes"
    return worst_of([replace(r, label=w) for r, w in zip((report, again), labels, strict=True)])


def _wide(
    own: Program, given: tuple[Any, Any, Any], grad: Callable[..., Any] | None
) -> tuple[Program, tuple[str, ...]]:
    """The program in float64, or its own where that raises, and why."""
    if own.eps <= EXACT:
        return own, ()
    try:
        program = Program(*given, True, own.seed)
        program.gradient(program.values(), grad)
    except Exception as error:
        first = str(error).strip().partition("\n")[0].rstrip(".")
        said = (
            f"Checked in its own precision: in float64 it raises {type(error).__name__}, {first}."
        )
        return own, (said,)
    return program, ()


def leading_dimensions(args: tuple[Any, ...]) -> list[Array]:
    """Empty arrays of as many rows as the arguments have: laws name factors of them, 1/m."""
    arrays = [x for x in jax.tree_util.tree_leaves(args) if is_array(x) and x.ndim]
    return [np.zeros((m, 0)) for m in sorted({x.shape[0] for x in arrays})]
