"""grad and value_and_grad: a loss in, its numerical gradient out."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastgrad.edges import sample_inside
from fastgrad.estimation import differences, estimate
from fastgrad.evaluate import (
    Evaluator,
    certify,
    evaluator,
    finite_value,
    require_backend,
    whole_gradient,
)
from fastgrad.evaluate.explain import argument_name, require_argument_count
from fastgrad.numerics.stencils import CENTRAL, Stencil, stencil
from fastgrad.numerics.steps import default_steps
from fastgrad.params import Floats, Layout, flatten
from fastgrad.report.progress import progress_bar
from fastgrad.results import GradientEstimate

FARTHEST = 3
"""In steps, how far any stencil goes."""


class GradientFunction:
    """The numerical gradient of a loss; made by `grad`."""

    def __init__(
        self,
        loss: Callable[..., Any],
        argnum: int,
        trainable: Any,
        stencil: Stencil,
        step: Any,
        backend: str,
        structure: bool,
        progress: bool,
    ):
        self._loss = loss
        self._argnum = argnum
        self._trainable = trainable
        self._stencil = stencil
        self._step = step
        self._backend = backend
        self._structure = structure
        self._progress = progress
        self._root = "theta" if argnum == 0 else argument_name(loss, argnum)

    def __call__(self, *args: Any) -> Any:
        """The gradient at ``args``, in the structure of the argument differentiated.

        Raises
        ------
        ValueError, TypeError
            Parameters that are empty, not finite, or no real numbers.
        LossCompilationError, LossError, NonFiniteLossError, MutatedInputError
            What went wrong in the loss, and where.
        """
        layout, run = self._start(args)
        return layout.rebuild(self._differentiate(layout, run))

    def value_and_grad(self, *args: Any) -> tuple[float, Any]:
        """The loss and its gradient at ``args``."""
        layout, run = self._start(args)
        value = finite_value(run)
        return value, layout.rebuild(self._differentiate(layout, run, value))

    def estimate(self, *args: Any) -> GradientEstimate:
        """The gradient at ``args`` with error bars; twice the evaluations, and some 40 more.

        Entries that the default step does not suit are differenced as by ``step="adaptive"``, whose
        own evaluations are enough for its bars. One-sided differences cannot see a kink in theta.

        Raises
        ------
        NondeterministicLossError
            The loss gives different values at the same parameters.

        Examples
        --------
        >>> result = grad(np.sin).estimate(1.0)
        >>> bool(abs(result.gradient - np.cos(1.0)) <= result.error < 1e-8)
        True
        """
        layout, run = self._start(args)
        mask = layout.mask(self._trainable)
        steps = absolute_steps(layout, run.theta, self._step, mask)
        count = layout.size if mask is None else int(np.count_nonzero(mask))
        with self._bar(run, 2 * len(self._stencil.multiples) * count):
            return estimate(run, layout, mask, self._stencil, steps)

    def _start(self, args: tuple[Any, ...]) -> tuple[Layout, Evaluator]:
        k = self._argnum
        if len(args) <= k:
            require_argument_count(self._loss, len(args))
            raise TypeError(f"argnum={k}: expected at least {k + 1} arguments, got {len(args)}")
        layout, theta = flatten(args[k], self._root)
        others = args[:k] + args[k + 1 :]
        return layout, evaluator(
            self._loss, layout, theta, others, k, self._backend, self._structure
        )

    def _bar(self, run: Evaluator, expected: int) -> AbstractContextManager[Any]:
        return progress_bar(run, "gradient", expected) if self._progress else nullcontext()

    def _differentiate(self, layout: Layout, run: Evaluator, value: float | None = None) -> Floats:
        mask = layout.mask(self._trainable)
        chosen = None if mask is None else np.flatnonzero(mask)
        count = layout.size if chosen is None else chosen.size
        steps = absolute_steps(layout, run.theta, self._step, mask)
        if isinstance(steps, str):
            with self._bar(run, 10 * count):
                gradient = differences(run, layout, mask, self._stencil, steps)[1][0]
            certify(run, chosen, gradient)
            return gradient
        if value is None and self._stencil.needs_value:
            value = finite_value(run)
        base = 0.0 if value is None else value - run.reference
        whole = whole_gradient(run, self._stencil) if steps is None else None
        if whole is not None and np.isfinite(whole).all():
            if mask is not None:
                whole[~mask] = 0.0
            certify(run, chosen, whole)
            return whole
        gradient = np.zeros(layout.size)
        with self._bar(run, count * len(self._stencil.multiples)):
            for start in range(0, count, run.chunk):
                stop = min(start + run.chunk, count)
                part = slice(start, stop) if chosen is None else chosen[start:stop]
                indices = np.arange(start, stop) if chosen is None else chosen[start:stop]
                x = run.theta[part]
                h = None if steps is None else steps[part]
                gradient[part] = _difference(run, layout, self._stencil, indices, x, h, base)
        certify(run, chosen, gradient)
        return gradient


def grad(
    loss: Callable[..., Any],
    *,
    argnum: int = 0,
    trainable: Any = None,
    method: str = "central",
    order: int = 2,
    step: Any = None,
    backend: str = "auto",
    structure: bool = True,
    progress: bool = False,
) -> GradientFunction:
    """The numerical gradient of a loss, as a function of the loss's own arguments.

    Parameters
    ----------
    loss : callable
        ``loss(theta, *args) -> float``: an njit function, or a plain function that numba can
        compile; with ``backend="python"`` any callable. Theta is a number, an array of any shape,
        or a dict, NamedTuple, dataclass, list or tuple of them, nested at will; a compiled loss
        receives a dict or a dataclass as a NamedTuple with the same fields, a dict's by key as well.
    argnum : int
        Which argument of the loss to differentiate by.
    trainable : str, sequence of str, or structure of bool, optional
        What may be perturbed: names or path prefixes of blocks (``"W1"``, ``"layers.0"``), or
        booleans shaped like theta. The rest are constants: never perturbed, gradient 0.
    method : {"central", "forward", "backward"}
    order : {2, 4, 6}
        Of the central differences: 2, 4 or 6 evaluations an entry.
    step : float, structure shaped like theta, or "adaptive", optional
        The absolute step h; by default a power of two that suits the stencil and the size of the
        entry, near the step of least error (2^-17 for central differences of order 2), and where
        the loss is not finite there, one that suits the distance to the edge of its domain.
        ``"adaptive"`` measures the noise of the loss and extrapolates from four steps, shortened or
        lengthened for every entry until truncation has sunk into that noise, with some 10
        evaluations each, 20 near a pole: for most digits, and for losses that are noisy or badly
        scaled.
    backend : {"auto", "python"}
        ``"python"`` calls the loss from Python, one evaluation at a time.
    structure : bool
        Whether a loss that comes with a structure may be evaluated by it.
    progress : bool
        Show a bar with an ETA on stderr.

    Returns
    -------
    GradientFunction
        ``g(theta, *args)`` is the gradient in theta's own structure and dtype.

    Raises
    ------
    ValueError, TypeError
        An option that does not exist.

    Examples
    --------
    >>> def rosenbrock(x):
    ...     return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
    >>> g = grad(rosenbrock)
    >>> np.round(g(np.array([-1.2, 1.0])), 6)
    array([-215.6,  -88. ])
    """
    if not callable(loss):
        raise TypeError(f"the loss is {type(loss).__name__}: expected a function of theta")
    if not isinstance(argnum, int) or isinstance(argnum, bool) or argnum < 0:
        raise ValueError(f"argnum={argnum!r}: expected the position of an argument, from 0")
    require_backend(backend)
    chosen = stencil(method, order)
    if isinstance(step, str) and step == "adaptive" and chosen is not CENTRAL[2]:
        raise ValueError('step="adaptive" goes with central differences of order 2 alone')
    return GradientFunction(loss, argnum, trainable, chosen, step, backend, structure, progress)


def value_and_grad(loss: Callable[..., Any], **options: Any) -> Callable[..., tuple[float, Any]]:
    """Like `grad`, but the function returns the loss as well: ``(value, gradient)``.

    Examples
    --------
    >>> value, gradient = value_and_grad(lambda x: x**2)(3.0)
    >>> value, round(gradient, 6)
    (9.0, 6.0)
    """
    return grad(loss, **options).value_and_grad


def absolute_steps(
    layout: Layout, theta: Floats, step: Any, mask: NDArray[np.bool_] | None = None
) -> Floats | str | None:
    """A user's steps, one an entry, shape (n,); None and ``"adaptive"`` as they are.

    Those of constants, where ``mask`` is False, may be anything.

    Raises
    ------
    ValueError, TypeError, StructureMismatchError
        A step that is no positive number, that rounding loses or that leaves the range of
        floats, or steps not shaped like theta.
    """
    if step is None or (isinstance(step, str) and step == "adaptive"):
        return step
    if isinstance(step, str):
        raise ValueError(
            f'step={step!r}: expected None, "adaptive", a number, or numbers shaped like theta'
        )
    steps = layout.vector(step, "step")
    free: Any = True if mask is None else mask
    for k in np.flatnonzero(free & ~((steps > 0) & np.isfinite(steps)))[:1].tolist():
        raise ValueError(f"step is {steps[k]} for {layout.name(k)}: expected a positive number")
    with np.errstate(over="ignore"):
        far = free & ~np.isfinite(np.abs(theta) + FARTHEST * steps)
    for k in np.flatnonzero(far)[:1].tolist():
        raise ValueError(
            f"step {steps[k]:.3g} leaves the range of floats from {layout.name(k)} = "
            f"{theta[k]:.6g}: expected a smaller one"
        )
    lost = free & ((theta + steps == theta) | (theta - steps == theta))
    for k in np.flatnonzero(lost)[:1].tolist():
        raise ValueError(
            f"step {steps[k]:.3g} is lost in rounding beside {layout.name(k)} = {theta[k]:.6g}: "
            f"expected at least {np.spacing(abs(theta[k])):.3g}"
        )
    return steps


def _difference(
    run: Evaluator,
    layout: Layout,
    method: Stencil,
    indices: NDArray[np.int64],
    x: Floats,
    h: Floats | None,
    base: float,
) -> Floats:
    """Slopes by the user's steps h, or by default ones."""
    default = h is None
    h = default_steps(x, method.step) if h is None else h
    values, h = sample_inside(run, layout, method, indices, h, method.unit_offsets, default)
    return method.combine(values, base, x, method.offsets(h))
