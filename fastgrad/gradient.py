"""grad and value_and_grad: a loss in, its numerical gradient out."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from fastgrad.bound_gradient import BoundGradient, Kept, may_be_kept
from fastgrad.complex_gradient import ComplexGradient, refuse_real_options
from fastgrad.estimates import GradientEstimate
from fastgrad.evaluate.backends import require_backend
from fastgrad.evaluate.explain import name_of
from fastgrad.evaluate.protocol import finite_value
from fastgrad.evaluate.signature import positions, root_name, signature_of
from fastgrad.loss_function import LossFunction
from fastgrad.numerics.stencils import CENTRAL, stencil
from fastgrad.slopes import Differencing, slopes, with_bars


class GradientFunction:
    """The numerical gradient of a loss; made by `grad`.

    Parameters
    ----------
    function : LossFunction
    differencing : Differencing
    """

    def __init__(self, function: LossFunction, differencing: Differencing):
        self._function, self._differencing = function, differencing
        self.__name__ = self.__qualname__ = function.name
        self.__signature__ = function.signature
        self._alone: BoundGradient | None = None
        """The gradient of a loss of theta alone, once it was called."""
        self._kept: Kept | None = None
        """The gradient of the last call, for one with the same arguments."""

    def __repr__(self) -> str:
        function, how = self._function, self._differencing
        running = {k: v for k, v in function.running.items() if v not in ("auto", True)}
        options = {
            "argnum": function.argnum or None,
            "trainable": function.shaped["trainable"],
            "method": None if how.stencil is CENTRAL[2] else how.stencil.name,
            "order": how.stencil.order if how.stencil.order > 2 else None,
            "step": how.step,
            "scale": how.scale,
            "space": function.shaped["space"],
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
        alone = self._alone
        if alone is not None and len(args) == 1:
            return alone(args[0])
        kept = self._kept
        if kept is not None and kept.serves(args):
            return kept.gradient(args[0])
        if self._function.argnum == 0 and len(args) == 1:
            self._alone = self.bind()
            return self._alone(args[0])
        if self._function.argnum == 0 and may_be_kept(args):
            self._kept = Kept(self.bind(*args[1:]), args)
            return self._kept.gradient(args[0])
        around = self._function.around(args)
        return around.layout.rebuild(slopes(around, self._differencing))

    def bind(self, *args: Any) -> BoundGradient:
        """The gradient as a function of theta alone, its other arguments checked and bound once.

        Parameters
        ----------
        *args
            All arguments of the loss but those differentiated by, in order.

        Examples
        --------
        >>> import numpy as np
        >>> def loss(theta, X, y):
        ...     return ((X @ theta - y) ** 2).sum()
        >>> g = grad(loss).bind(np.eye(2), np.zeros(2))
        >>> np.round(g(np.array([1.0, 2.0])), 6)
        array([2., 4.])
        """
        return BoundGradient(self._function, self._differencing, args)

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
        >>> import numpy as np
        >>> from numba import njit
        >>> slope = grad(njit(lambda x: (x**2).sum())).compiled_parallel
        >>> np.round(slope(np.array([1.0, -3.0])), 6)
        array([ 2., -6.])
        """
        return self._embedded("g.compiled_parallel", parallel=True)

    def _embedded(self, name: str, parallel: bool = False) -> Any:
        function, how = self._function, self._differencing
        known = how.step is None or isinstance(how.step, float | int)
        if function.shaped["trainable"] is not None or how.scale is not None or not known:
            raise ValueError(
                f"{name} differences all entries: expected no trainable and no scale, and a step "
                "that is None or a number"
            )
        if function.shaped["space"] is not None:
            raise ValueError(f"{name} differences arrays and numbers: expected no space")
        if not isinstance(function.argnum, int):
            raise ValueError(f"{name}: expected one argnum, got {function.argnum}")
        from fastgrad.evaluate.adapters import dispatcher
        from fastgrad.evaluate.embedded import embedded

        step = None if how.step is None else float(how.step)
        loss = dispatcher(getattr(function.loss, "loss", function.loss))
        if parallel and loss.targetoptions.get("parallel"):
            raise ValueError(
                f"{name}: expected a loss that runs on one thread, got one of parallel=True; "
                "g.compiled calls it once after the other"
            )
        return embedded(loss, function.argnum, how.stencil, step, parallel)

    def value_and_grad(self, *args: Any) -> tuple[float, Any]:
        """The loss and its gradient at ``args``."""
        around = self._function.around(args)
        value = finite_value(around.run)
        return value, around.layout.rebuild(slopes(around, self._differencing, value))

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
        >>> import numpy as np
        >>> result = grad(np.sin).estimate(1.0)
        >>> bool(abs(result.gradient - np.cos(1.0)) <= result.error < 1e-8)
        True
        """
        around = self._function.around(args)
        loss, (gradient, error, step) = with_bars(around, self._differencing)
        return GradientEstimate(
            gradient=around.layout.rebuild(gradient),
            error=around.layout.alike(error),
            step=around.layout.alike(step),
            value=loss.value,
            noise=loss.noise,
            evaluations=around.run.evaluations,
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
    >>> import numpy as np
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
    options = step, scale, trainable, bounds
    is_plain = not progress and all(option is None for option in options)
    how = Differencing(chosen, step, scale, progress, is_plain)
    name, argnum = name_of(loss), positions(loss, argnum)
    function = LossFunction(
        loss,
        argnum,
        shaped={"trainable": trainable, "bounds": bounds, "space": space},
        running={"backend": backend, "structure": structure and bounds is None, "scratch": scratch},
        through=(executor, checkpoint),
        order=chosen.order,
        root=root_name(loss, argnum),
        name=name,
        signature=signature_of(loss),
    )
    return GradientFunction(function, how)


def value_and_grad(loss: Callable[..., Any], **options: Any) -> Callable[..., tuple[float, Any]]:
    """Like `grad`, but the function returns the loss as well: ``(value, gradient)``.

    Examples
    --------
    >>> value, gradient = value_and_grad(lambda x: x**2)(3.0)
    >>> value, round(gradient, 6)
    (9.0, 6.0)
    """
    return grad(loss, **options).value_and_grad
