"""grad and value_and_grad: a loss in, its numerical gradient out."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.bound import BoundGradient, Kept, may_be_kept
from fastgrad.cluster.campaign import campaign
from fastgrad.complex_gradient import ComplexGradient, refuse_real_options
from fastgrad.differences.confined import confined
from fastgrad.differences.domain import sample_inside
from fastgrad.differences.estimate import differences
from fastgrad.differences.few import measured
from fastgrad.differences.misfit import misfit, shows_rounding
from fastgrad.differences.noise_lines import measure_briefly
from fastgrad.differences.noisy_steps import suited
from fastgrad.errors import StepWarning
from fastgrad.estimates import GradientEstimate
from fastgrad.evaluate.backends import (
    calls_within,
    evaluator,
    require_backend,
    warn_of_python,
)
from fastgrad.evaluate.explain import name_of, require_argument_count
from fastgrad.evaluate.outside import watch
from fastgrad.evaluate.protocol import Evaluator, Inputs, finite_value
from fastgrad.evaluate.signature import as_arguments, positions, root_name, signature_of
from fastgrad.evaluate.units import Units
from fastgrad.numerics.stencils import CENTRAL, Stencil, stencil
from fastgrad.parameters.arguments import Argnum, last_of, taken
from fastgrad.parameters.labels import is_labelled
from fastgrad.parameters.layout import Layout
from fastgrad.parameters.steps import absolute_steps
from fastgrad.report.progress import progress_bar
from fastgrad.spaces.placed import placed

THROUGH = ("executor", "checkpoint")
"""Options of what evaluations go through."""


@dataclass(frozen=True)
class Differencing:
    """How differences are taken: the stencil, the user's steps and scales, and of what entries."""

    stencil: Stencil
    step: Any
    scale: Any
    trainable: Any
    bounds: Any = None
    space: Any = None


class GradientFunction:
    """The numerical gradient of a loss; made by `grad`.

    Parameters
    ----------
    loss : callable
    argnum : int or tuple of int
        Which of its arguments to differentiate by.
    differencing : Differencing
    running : mapping
        ``backend``, ``structure``, ``scratch``, ``executor`` and ``checkpoint``, as of `grad`.
    progress : bool
    """

    def __init__(
        self,
        loss: Callable[..., Any],
        argnum: Argnum,
        differencing: Differencing,
        running: Mapping[str, Any],
        progress: bool = False,
    ):
        self._loss = loss
        self._argnum = argnum
        self._stencil = differencing.stencil
        self._step = differencing.step
        self._scale = differencing.scale
        self._trainable = differencing.trainable
        self._bounds = differencing.bounds
        self._space = differencing.space
        self._running = {k: v for k, v in running.items() if k not in THROUGH}
        self._through = [running.get(name) for name in THROUGH]
        self._progress = progress
        self._has_warned = False
        self._has_looked = False
        """Whether values that a direct gradient does not give were looked at."""
        self._is_noisy = False
        """Whether default steps were lost in noise, which a direct gradient tells when it is done."""
        self.root = root_name(loss, argnum)
        """The name of a theta that is a single array."""
        self.__name__ = self.__qualname__ = name_of(loss)
        self.__signature__ = signature_of(loss)
        self._alone = self.bind() if argnum == 0 else None
        self._kept: Kept | None = None
        """The gradient of the last call, for one with the same arguments."""

    def __repr__(self) -> str:
        running = {k: v for k, v in self._running.items() if v not in ("auto", True)}
        options = {
            "argnum": self._argnum or None,
            "trainable": self._trainable,
            "method": None if self._stencil is CENTRAL[2] else self._stencil.name,
            "order": self._stencil.order if self._stencil.order > 2 else None,
            "step": self._step,
            "scale": self._scale,
            "space": self._space,
            **running,
        }
        said = "".join(
            f", {name}={value!r}" for name, value in options.items() if value is not None
        )
        return f"grad({self.__name__}{said})"

    def __call__(self, *args: Any) -> Any:
        """The gradient at ``args``, in the structure of the argument differentiated.

        Raises
        ------
        ValueError, TypeError
            Parameters that are empty, not finite, or no real numbers.
        LossCompilationError, LossError, NonFiniteLossError, MutatedInputError
            What went wrong in the loss, and where.

        Warns
        -----
        StepWarning
            Once, where the values that were taken show that the step does not suit the loss: orders
            4 and 6 beyond the reach of its Taylor series, or a loss that moves by rounding alone or
            is in single precision.
        """
        if self._alone is not None and len(args) == 1:
            return self._alone(args[0])
        kept = self._kept
        if kept is not None and kept.serves(args):
            return kept.gradient(args[0])
        if self._argnum == 0 and may_be_kept(args):
            self._kept = Kept(self.bind(*args[1:]), args)
            return self._kept.gradient(args[0])
        layout, run = self._start(args)
        return layout.rebuild(self.differentiate(layout, run))

    def bind(self, *args: Any) -> BoundGradient:
        """The gradient as a function of theta alone, its other arguments checked and bound once.

        Parameters
        ----------
        *args
            All arguments of the loss but those differentiated by, in order.

        Examples
        --------
        >>> def loss(theta, X, y):
        ...     return ((X @ theta - y) ** 2).sum()
        >>> g = grad(loss).bind(np.eye(2), np.zeros(2))
        >>> np.round(g(np.array([1.0, 2.0])), 6)
        array([2., 4.])
        """
        return BoundGradient(self, args)

    @cached_property
    def compiled(self) -> Any:
        """The gradient as an njit function of the loss's arguments, to be called from njit code.

        Theta is an array, a number, or tuples, NamedTuples and typed Lists of them. It runs on the
        thread that calls it, which may be one of a ``prange``. Nothing is checked, and nothing raised:
        the slope is NaN where the loss is not finite at any step.

        Raises
        ------
        LossCompilationError
            A loss that is no function.
        ValueError
            Options that compiled code does not know.

        Examples
        --------
        >>> from numba import njit
        >>> slope = grad(njit(lambda x: x**2)).compiled
        >>> descend = njit(lambda x: x - 0.25 * slope(x))
        >>> round(descend(4.0), 6)
        2.0
        """
        return self._embedded("g.compiled")

    @cached_property
    def compiled_parallel(self) -> Any:
        """`compiled`, its entries shared by all of numba's threads; the same bits on any number of them.

        For losses that take long beside the 10 us or so of a launch. It is called from one thread, not
        from a ``prange``, and hands all threads the same other arguments: a loss that writes to one,
        a scratch buffer or a jitclass, needs `compiled`.

        Raises
        ------
        LossCompilationError
            A loss that is no function.
        ValueError
            Options that compiled code does not know, or a loss that is parallel itself.

        Examples
        --------
        >>> from numba import njit
        >>> slope = grad(njit(lambda x: (x**2).sum())).compiled_parallel
        >>> np.round(slope(np.array([1.0, -3.0])), 6)
        array([ 2., -6.])
        """
        return self._embedded("g.compiled_parallel", parallel=True)

    def _embedded(self, name: str, parallel: bool = False) -> Any:
        known = self._step is None or isinstance(self._step, float | int)
        if self._trainable is not None or self._scale is not None or not known:
            raise ValueError(
                f"{name} differences all entries: expected no trainable and no scale, and a step "
                "that is None or a number"
            )
        if self._space is not None:
            raise ValueError(f"{name} differences arrays and numbers: expected no space")
        if not isinstance(self._argnum, int):
            raise ValueError(f"{name}: expected one argnum, got {self._argnum}")
        from fastgrad.evaluate.adapters import dispatcher
        from fastgrad.evaluate.embedded import embedded

        step = None if self._step is None else float(self._step)
        loss = dispatcher(getattr(self._loss, "loss", self._loss))
        if parallel and loss.targetoptions.get("parallel"):
            raise ValueError(
                f"{name}: expected a loss that runs on one thread, got one of parallel=True; "
                "g.compiled calls it once after the other"
            )
        return embedded(loss, self._argnum, self._stencil, step, parallel)

    def value_and_grad(self, *args: Any) -> tuple[float, Any]:
        """The loss and its gradient at ``args``."""
        layout, run = self._start(args)
        value = finite_value(run)
        return value, layout.rebuild(self.differentiate(layout, run, value))

    def estimate(self, *args: Any) -> GradientEstimate:
        """The gradient at ``args`` with error bars; twice the evaluations, and 4 to 50 more.

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
        free = layout.mask(self._trainable)
        steps = absolute_steps(layout, run.theta, self._step, free)
        count = layout.size if free is None else int(np.count_nonzero(free))
        try:
            with self._bar(run, 2 * len(self._stencil.multiples) * count):
                units = Units.of(run.theta, layout, self._scale, steps)
                few = None
                if self._stencil is CENTRAL[2] and not isinstance(steps, str):
                    loss, few = measured(run, layout, free, units, steps)
                else:
                    loss = measure_briefly(run, layout, free, units)
                loss = loss.entry_by_entry(seed=0)
                gradient, error, step = differences(loss, self._stencil, steps, few)
            run.certified(None if free is None else loss.indices, gradient)
        finally:
            run.let_go()
        return GradientEstimate(
            gradient=layout.rebuild(gradient),
            error=layout.alike(error),
            step=layout.alike(step),
            value=loss.value,
            noise=loss.noise,
            evaluations=run.evaluations,
        )

    def _start(self, args: tuple[Any, ...]) -> tuple[Layout, Evaluator]:
        last = last_of(self._argnum)
        if len(args) <= last:
            require_argument_count(self._loss, len(args))
            raise TypeError(
                f"argnum={self._argnum}: expected at least {last + 1} arguments, got {len(args)}"
            )
        return self.start(*taken(args, self._argnum))

    def whole(self, theta: Any) -> Any:
        """Theta; of several arguments, in a NamedTuple of their names."""
        return as_arguments(self._loss, theta, self._argnum)

    def read(self, theta: Any) -> tuple[Layout, Floats]:
        """The layout of a theta, and a flat copy of its values."""
        return placed(self.whole(theta), self._space, self.root)

    def watch(self) -> Callable[[], bool] | None:
        """Whether what the loss reads from outside is still the same; None where it cannot change."""
        return watch(self._loss)

    def start(
        self, theta: Any, arguments: tuple[Any, ...], place: tuple[Layout, Floats] | None = None
    ) -> tuple[Layout, Evaluator]:
        """The loss around a theta, with its other arguments; ``place`` is what was read of it."""
        whole = self.whole(theta)
        layout, flat = place or placed(whole, self._space, self.root)
        if layout.mixed or is_labelled(whole):
            layout = layout.holding(whole, layout.mask(self._trainable))
        inputs = Inputs(layout, flat, arguments, self._argnum)
        run = evaluator(self._loss, inputs, **self._running)
        if run.fallback:
            warn_of_python(self._loss, run)
        executor, checkpoint = self._through
        options = {"argnum": self._argnum, **self._running}
        through = campaign(executor, checkpoint, self._loss, lambda: inputs, options)
        run = through.evaluator(run, self._loss, inputs, self._running)
        free = layout.mask(self._trainable)
        return layout, confined(run, self._bounds, layout, free, max(self._stencil.order, 2))

    def direct(self, run: Evaluator) -> Callable[[Any], Floats | None] | None:
        """A shorter way to gradients at thetas of the same layout, if there is one."""
        if not self._is_plain or self._is_noisy:
            return None
        return run.direct(self._stencil, not self._has_looked)

    @property
    def _is_plain(self) -> bool:
        """Whether all entries are wanted at default steps, and no bar is to be shown."""
        options = self._step, self._scale, self._trainable, self._bounds
        return all(option is None for option in options) and not self._progress

    def _units(self, layout: Layout, run: Evaluator) -> Units:
        return Units.of(run.theta, layout, self._scale)

    def _default_steps(self, units: Units, theta: Floats, layout: Layout) -> Floats:
        if self._scale is not None:
            return self._stencil.step * units.entry
        return units.steps(theta, layout, self._stencil)

    def _asks_for_noise(self, layout: Layout, run: Evaluator) -> bool:
        """Whether a few entries are asked first if default steps are lost in noise."""
        plain = layout.linear and not run.structured
        return plain and self._stencil is CENTRAL[2] and self._scale is None

    def _bar(self, run: Evaluator, expected: int) -> AbstractContextManager[Any]:
        return progress_bar(run, "gradient", expected) if self._progress else nullcontext()

    def differentiate(self, layout: Layout, run: Evaluator, value: float | None = None) -> Floats:
        """The gradient along the flat theta; ``value`` is the loss there, where that is known."""
        try:
            return self._differentiated(layout, run, value)
        finally:
            run.let_go()

    def _differentiated(self, layout: Layout, run: Evaluator, value: float | None) -> Floats:
        mask = layout.mask(self._trainable)
        chosen = None if mask is None else np.flatnonzero(mask)
        count = layout.size if chosen is None else chosen.size
        steps = absolute_steps(layout, run.theta, self._step, mask)
        if isinstance(steps, str):
            with self._bar(run, 10 * count):
                units = self._units(layout, run)
                loss = measure_briefly(run, layout, mask, units).entry_by_entry(seed=0)
                gradient = differences(loss, self._stencil, steps)[0]
            run.certified(chosen, gradient)
            return gradient
        if value is None and self._stencil.needs_value:
            value = finite_value(run)
        base = 0.0 if value is None else value - run.reference
        whole = None
        briefly = run.structured or (self._is_plain and not self._is_noisy)
        if steps is None and self._scale is None and briefly:
            watch = not self._has_looked
            whole = run.gradient(self._stencil, watch) if layout.linear else None
        if whole is not None and np.isfinite(whole).all():
            if mask is not None:
                whole[~mask] = 0.0
            run.certified(chosen, whole)
            return whole
        gradient = np.zeros(layout.size)
        units = self._units(layout, run)
        unit, default = units.entry, steps is None
        asked = None
        if steps is None:
            steps = self._default_steps(units, run.theta, layout)
            if layout.finest is not None:
                steps = np.maximum(steps, layout.finest)
        rest = chosen
        with self._bar(run, count * len(self._stencil.multiples)):
            if default and self._asks_for_noise(layout, run):
                asked = suited(run, layout.stops, units.one_unit, mask, steps)
                which, rest = asked.which, asked.others(mask)
                offsets = self._stencil.offsets(asked.steps[which])
                gradient[which] = self._stencil.combine(
                    asked.values, base, run.theta[which], offsets
                )
                count = layout.size if rest is None else rest.size
                self._is_noisy |= asked.steps is not steps
            for start in range(0, count, run.chunk):
                stop = min(start + run.chunk, count)
                part = slice(start, stop) if rest is None else rest[start:stop]
                indices = np.arange(start, stop) if rest is None else rest[start:stop]
                x = run.theta[part]
                h = steps[part] if asked is None else asked.steps[part]
                values, h = sample_inside(run, layout, self._stencil, indices, h, default)
                if asked is not None and (bent := asked.bent(part, values)).size:
                    values[bent], h[bent] = sample_inside(
                        run, layout, self._stencil, indices[bent], steps[part][bent], default
                    )
                offsets = self._stencil.offsets(h)
                gradient[part] = self._stencil.combine(values, base, x, offsets)
                if not self._has_warned:
                    rounding = shows_rounding(values)
                    self._has_looked |= rounding
                    if rounding or self._stencil.order > 2:  # nothing else shows in two values
                        seen = misfit(run, self._stencil, indices, values, offsets, unit[part])
                        self._warn_of_step(layout, indices, seen)
        run.certified(chosen, gradient)
        return gradient

    def _warn_of_step(self, layout: Layout, indices: Indices, seen: tuple[int, str] | None) -> None:
        """Say once what values that were taken anyway show of a step."""
        if seen is None:
            return
        self._has_warned = True
        entry, why = seen
        warnings.warn(
            f"the numerical gradient of {self.__name__} is not to be trusted at "
            f'{layout.name(int(indices[entry]))}: {why}. step="adaptive" chooses steps that suit, and '
            ".estimate(...) says how far each slope is known",
            StepWarning,
            stacklevel=calls_within(),
        )


def grad(
    loss: Callable[..., Any],
    *,
    argnum: int | str | Sequence[int | str] = 0,
    trainable: Any = None,
    method: str = "central",
    order: int = 2,
    step: Any = None,
    scale: Any = None,
    bounds: Any = None,
    backend: str = "auto",
    structure: bool = True,
    scratch: Any = None,
    space: Any = None,
    progress: bool = False,
    executor: Any = None,
    checkpoint: Any = None,
) -> Any:
    """The numerical gradient of a loss, as a function of the loss's own arguments.

    Parameters
    ----------
    loss : callable
        ``loss(theta, *args) -> float``: an njit function, a plain function that numba can compile,
        or any callable, which is called from Python. Theta is a number, an array of any shape,
        or a dict, NamedTuple, dataclass, list or tuple of them, nested at will; a compiled loss
        receives a dict or a dataclass as a NamedTuple with the same fields, a dict's by key as well.
    argnum : int, str, or several of them
        Which argument of the loss to differentiate by, by its position or name. Of several, the
        gradient is a tuple, one for each.
    trainable : str, sequence of str, or structure of bool, optional
        What may be perturbed: names or path prefixes of blocks (``"W1"``, ``"layers.0"``), or
        booleans shaped like theta. The rest are constants: never perturbed, gradient 0.
    method : {"central", "forward", "backward", "complex"}
        ``"complex"`` takes one evaluation an entry with an imaginary step, and is exact to rounding, if
        the code of the loss is analytic: abs, norm, comparisons are not, and are refused by one
        comparison with a real difference.
    order : {2, 4, 6}
        Of the central differences: 2, 4 or 6 evaluations an entry.
    step : float, structure shaped like theta, or "adaptive", optional
        The absolute step h; by default a power of two that suits the stencil and the unit of the
        entry, near the step of least error (2^-17 for central differences of order 2; for an array
        of numbers about a far point between its width and that), and where the loss is not finite
        there, one that suits the distance to the edge of its domain. Steps of order 2 of an array of
        eight entries or more are lengthened where three of them show more than 1e-4 of noise.
        ``"adaptive"`` measures the noise of the loss and extrapolates from four steps, shortened or
        lengthened for every entry until truncation has sunk into that noise, with some 10
        evaluations each, 20 near a pole: for most digits, and for losses that are noisy or badly
        scaled.
    scale : float or structure shaped like theta, optional
        The unit of each entry: a typical size, or a change that matters. By default what theta
        shows (`fastgrad.evaluate.units`): the rms of an array of one unit, an entry's own size
        elsewhere.
    bounds : (low, high), optional
        Each a number, None, or shaped like theta: no point outside is ever evaluated, and differences
        near a bound are one-sided, of the same order.
    backend : {"auto", "compiled", "python"}
        ``"auto"`` runs compiled code, and calls a plain function from Python where that was timed and is
        quicker; what numba cannot compile it calls from Python too, and says why in a
        `PythonBackendWarning`, once a loss. ``"compiled"`` insists; ``"python"`` calls the loss from
        Python, one evaluation at a time.
    structure : bool
        Whether a loss that comes with a structure may be evaluated by it.
    scratch : str, int or sequence of them, optional
        Arguments, by name or position, that the loss overwrites before it reads them: every thread
        gets its own. By default that is recognised.
    space : Space, manifold, or structure of them by block, optional
        Where theta lives, as of `check_grad`: the gradient is by the coordinates of a space, or tangent
        and shaped like the point. That of complex theta is df/dx + i df/dy.
    progress : bool
        Show a bar with an ETA on stderr.
    executor : dask.distributed.Client, or anything with ``submit``, optional
        Evaluates the loss on its workers, in parts of about a second; the answer is the same.
    checkpoint : path, optional
        A file to which evaluations are appended as they are made: the same call goes on where it
        ended. Another loss, theta or argument is refused.

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
    require_backend(backend)
    if method == "complex":
        refuse_real_options(step=step, scale=scale, bounds=bounds, space=space)
        refuse_real_options(executor=executor, checkpoint=checkpoint)
        return ComplexGradient(loss, positions(loss, argnum), trainable, backend)
    chosen = stencil(method, order)
    if isinstance(step, str) and step == "adaptive" and chosen is not CENTRAL[2]:
        raise ValueError('step="adaptive" goes with central differences of order 2 alone')
    within = structure and bounds is None
    running = {"backend": backend, "structure": within, "scratch": scratch}
    running |= {"executor": executor, "checkpoint": checkpoint}
    return GradientFunction(
        loss,
        positions(loss, argnum),
        Differencing(chosen, step, scale, trainable, bounds, space),
        running,
        progress,
    )


def value_and_grad(loss: Callable[..., Any], **options: Any) -> Callable[..., tuple[float, Any]]:
    """Like `grad`, but the function returns the loss as well: ``(value, gradient)``.

    Examples
    --------
    >>> value, gradient = value_and_grad(lambda x: x**2)(3.0)
    >>> value, round(gradient, 6)
    (9.0, 6.0)
    """
    return grad(loss, **options).value_and_grad
