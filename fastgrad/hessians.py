"""hessian and hvp: a loss in, its second derivatives out, by its gradient where there is one."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial, update_wrapper
from typing import Any, TypeAlias

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.cluster.campaign import Campaign, campaign
from fastgrad.differences.confined import Confined
from fastgrad.differences.domain import edges_of
from fastgrad.differences.estimate import differences
from fastgrad.differences.loss import Loss
from fastgrad.differences.noise_lines import measure_loss
from fastgrad.differences.pairs import pair_loss
from fastgrad.differences.second import hessian_of, product_of
from fastgrad.errors import LossError, NonFiniteLossError
from fastgrad.estimates import HessianEstimate
from fastgrad.evaluate.backends import evaluator
from fastgrad.evaluate.layer import require_functions
from fastgrad.evaluate.protocol import Evaluator, Inputs
from fastgrad.evaluate.units import Units
from fastgrad.evaluate.vector import VectorEvaluator
from fastgrad.evaluate.vector_backends import vector_evaluator
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.parameters.blocks import Block
from fastgrad.parameters.bounds import Box, bounds_of
from fastgrad.parameters.layout import Layout
from fastgrad.parameters.numbers import real_array
from fastgrad.parameters.pairs import Columns, PairLayout
from fastgrad.spaces.layout import SpaceLayout
from fastgrad.spaces.placed import placed

Ran: TypeAlias = Evaluator | VectorEvaluator
"""What ran a loss or its gradient."""


ORDER = 4
"""The order of differences of a gradient."""


@dataclass(frozen=True)
class Curvature:
    """A numerical Hessian or its product with a vector: bars, the noise, and what ran it."""

    value: Floats
    bar: Floats
    noise: float
    run: Ran
    sided: Indices = field(default_factory=lambda: np.zeros(0, np.intp))
    """Entries of theta that the loss was moved along to one side alone."""


@dataclass(frozen=True)
class Curved:
    """A loss at one point, of whose second derivatives something is asked.

    Parameters
    ----------
    loss : callable
    grad : callable or None
        Its gradient: then second derivatives are differences of that.
    theta : object
        The point as the user passed it.
    args : tuple
    options : mapping
        ``trainable``, ``scale``, ``bounds``, ``backend``, ``executor``, ``checkpoint``, and maybe
        ``space``: second derivatives are then those of ``loss(retract(theta, v))`` at v = 0, by
        differences of the loss, for gradients at two points of a space are in two tangent spaces.
    """

    loss: Callable[..., Any]
    grad: Callable[..., Any] | None
    theta: Any
    args: tuple[Any, ...]
    options: dict[str, Any]

    @classmethod
    def of(cls, loss: Any, grad: Any, theta: Any, args: tuple[Any, ...], options: Any) -> "Curved":
        """The same, of a loss and a gradient that can be called.

        Raises
        ------
        TypeError
        """
        require_functions(loss=loss, **({} if grad is None else {"grad": grad}))
        return cls(loss, grad, theta, args, options)

    @cached_property
    def through(self) -> Campaign:
        """The executor and the checkpoint."""
        return campaign(
            self.options["executor"],
            self.options["checkpoint"],
            self.loss,
            lambda: Inputs(*self.point(), self.args),
            {"grad": self.grad, "backend": self.options["backend"]},
        )

    def point(self) -> tuple[Layout, Floats]:
        """How theta lies in a vector, and the vector."""
        return placed(self.theta, self.options.get("space"))

    @property
    def by_gradient(self) -> bool:
        """Whether second derivatives are differences of the gradient."""
        return self.grad is not None and self.point()[0].linear

    @property
    def free(self) -> Mask | None:
        """Which entries may be perturbed, shape (n,); None when all may."""
        return self.point()[0].mask(self.options["trainable"])

    @property
    def units(self) -> Units:
        """The units of the entries."""
        layout, flat = self.point()
        return Units.of(flat, layout, self.options["scale"])

    @property
    def box(self) -> Box | None:
        """The bounds."""
        layout, flat = self.point()
        return bounds_of(self.options["bounds"], layout, flat, self.free)

    def measured(self) -> tuple[Loss, Box]:
        """The loss with its noise, and where it may be evaluated."""
        layout, flat = self.point()
        box = self.box
        inputs = Inputs(layout, flat, self.args)
        running = {"backend": self.options["backend"], "structure": False}
        run = evaluator(self.loss, inputs, **running)
        run = self.through.evaluator(run, self.loss, inputs, running)
        run = run if box is None else Confined(run, box)
        loss = measure_loss(run, layout, self.free, self.units)
        return loss, Box.unbounded(layout.size) if box is None else box

    def gradient_run(self) -> VectorEvaluator:
        """The gradient as a function of many outputs, those of theta's entries; 0 for constants."""
        layout, flat = self.point()
        grad, free = self.grad, self.free
        assert grad is not None

        def entries(theta: Any, *args: Any) -> Floats:
            value = whole(grad(theta, *args))
            return value if free is None else np.where(free, value, 0.0)

        def whole(value: Any) -> Floats:
            if isinstance(layout, SpaceLayout):
                return layout.claimed(value, "the gradient")[0]
            if isinstance(value, np.ndarray) and value.shape == (layout.size,):
                return np.asarray(value, np.float64)

            def leaf(part: Any, block: Block) -> Floats:
                array = real_array(part, f"the gradient for {block.name}").astype(np.float64)
                return array.reshape(block.size)

            return np.concatenate(layout.match(value, "the gradient", leaf))

        entries = update_wrapper(entries, grad, assigned=(), updated=())
        inputs = Inputs(layout, flat, self.args)
        run = vector_evaluator(entries, inputs, "python")
        return self.through.outputs(run, entries, inputs, "python").within(self.box)

    def pairs(self) -> PairLayout:
        """The entries of the Hessian, of columns that may vary."""
        layout, flat = self.point()
        chosen = np.arange(flat.size) if self.free is None else np.flatnonzero(self.free)
        return PairLayout(layout, layout, Columns.of_each(chosen, flat.size))

    def matrix(self) -> Curvature:
        """The Hessian by all entries, shape (n, n); 0 for constants."""
        if not self.by_gradient:
            loss, box = self.measured()
            whole, bars = np.zeros((2, loss.theta.size, loss.theta.size))
            found = hessian_of(loss, box)
            at = np.ix_(loss.indices, loss.indices)
            whole[at], bars[at] = found.value, found.bar
            return Curvature(whole, bars, loss.noise, loss.run, found.sided)
        return self._by_slopes(self._columns_of)

    def _by_slopes(self, ask: Callable[[VectorEvaluator], Curvature]) -> Curvature:
        """What is made of differences of the gradient: at edges of its domain, of one-sided ones."""
        run = self.gradient_run()
        try:
            return ask(run)
        except (LossError, NonFiniteLossError):
            box = edges_of(run, self.units.entry, self.pairs().columns.first)
            if box is None:
                raise
        return replace(ask(run.within(box)), sided=np.flatnonzero(box.at_bound(run.theta)))

    def _columns_of(self, run: VectorEvaluator) -> Curvature:
        """The Hessian by the slopes of a gradient."""
        pairs = self.pairs()
        whole, bars = np.zeros((2, run.theta.size, run.theta.size))
        loss = pair_loss(run, pairs, self.units, 0, degree=ORDER)
        slopes, error, _ = differences(loss, CENTRAL[ORDER], None)
        chosen = pairs.columns.first
        whole[:, chosen], bars[:, chosen] = pairs.matrix(slopes), pairs.matrix(error)
        return Curvature((whole + whole.T) / 2, (bars + bars.T) / 2, loss.noise, run)

    def product(self, v: Floats) -> Curvature:
        """The Hessian's product with v, shape (n,); 0 for constants, which v does not move."""
        v = v if self.free is None else np.where(self.free, v, 0.0)
        if not self.by_gradient:
            loss, box = self.measured()
            found = product_of(loss, v, box)
            whole, bars = np.zeros((2, v.size))
            whole[loss.indices], bars[loss.indices] = found.value, found.bar
            return Curvature(whole, bars, loss.noise, loss.run, found.sided)
        return self._by_slopes(partial(self._along, v))

    def _along(self, v: Floats, run: VectorEvaluator) -> Curvature:
        """The product with v by the slopes of a gradient, on either side of what bounds split."""
        turned = v if run.box is None else run.box.turned(run.theta, v)
        same = turned == v
        ahead = self._slope_of_gradient(run, np.where(same, turned, 0.0))
        if same.all():
            return ahead
        back = self._slope_of_gradient(run, np.where(same, 0.0, turned))
        bar = ahead.bar + back.bar
        return Curvature(ahead.value - back.value, bar, max(ahead.noise, back.noise), run)

    def _slope_of_gradient(self, run: VectorEvaluator, v: Floats) -> Curvature:
        """The derivative of the gradient along v."""
        layout, _ = self.point()
        columns = Columns(np.zeros(layout.size, np.intp), 1)
        pairs = PairLayout(layout, layout, columns, named_by_outputs=True)
        units = self.units
        size = float(np.max(np.abs(v) / units.entry, initial=0.0)) or 1.0
        loss = pair_loss(run, pairs, units, 0, v / size, degree=ORDER)
        slopes, error, _ = differences(loss, CENTRAL[ORDER], None)
        return Curvature(slopes * size, error * size, loss.noise, run)


class SecondDerivatives:
    """A numerical Hessian, or its product with a vector; made by `hessian` and `hvp`.

    Parameters
    ----------
    loss : callable
    grad : callable or None
    options : dict
    by_vector : bool
        Whether the second argument is a vector to multiply with.
    """

    def __init__(self, loss: Any, grad: Any, options: dict[str, Any], by_vector: bool):
        self._loss, self._grad = loss, grad
        self._options, self._by_vector = options, by_vector

    def __call__(self, theta: Any, *args: Any) -> Any:
        """The Hessian at theta, or, of `hvp`, its product with the second argument."""
        return self.estimate(theta, *args).hessian

    def estimate(self, theta: Any, *args: Any) -> HessianEstimate:
        """The same with error bars."""
        if self._by_vector and not args:
            raise TypeError("hvp: expected theta and a vector shaped like it, got theta alone")
        v, others = (args[0], args[1:]) if self._by_vector else (None, args)
        curved = Curved(self._loss, self._grad, theta, others, self._options)
        layout, _ = curved.point()
        with curved.through:
            by_vector = self._by_vector
            found = curved.product(layout.vector(v, "v")) if by_vector else curved.matrix()
        put = layout.rebuild if by_vector else partial(shaped, layout=layout)
        parts = put(found.value), put(found.bar)
        return HessianEstimate(*parts, found.noise, found.run.evaluations)


def shaped(matrix: Floats, layout: Layout) -> Any:
    """A Hessian as structures of theta's structures: for arrays, of ``theta.shape + theta.shape``."""
    rows = []
    for a in layout.blocks:
        part = matrix[a.start : a.stop]
        parts = [part[:, b.start : b.stop].reshape(a.shape + b.shape) for b in layout.blocks]
        rows.append(layout.filled(parts))
    return layout.filled(rows)


def hessian(
    loss: Callable[..., Any],
    *,
    grad: Callable[..., Any] | None = None,
    trainable: Any = None,
    scale: Any = None,
    bounds: Any = None,
    backend: str = "auto",
    executor: Any = None,
    checkpoint: Any = None,
) -> SecondDerivatives:
    """The numerical Hessian of a loss, as a function of the loss's own arguments.

    Parameters
    ----------
    loss : callable
        ``loss(theta, *args) -> float``, as for `fastgrad.grad`.
    grad : callable, optional
        Its gradient, ``grad(theta, *args)``: the Hessian is then its central differences, 4 calls an
        entry, and of error 1e-12. Without it, 3 n^2 to 9 n^2 evaluations of the loss, and 1e-9.
    trainable, scale, bounds, backend, executor, checkpoint
        As of `fastgrad.grad`.

    Examples
    --------
    >>> H = hessian(lambda x: x[0] ** 2 * x[1] + x[1] ** 2, backend="python")
    >>> np.round(H(np.array([1.0, 3.0])), 6)
    array([[6., 2.],
           [2., 2.]])
    """
    options = (trainable, scale, bounds, backend, executor, checkpoint)
    return _second_derivatives(loss, grad, options, by_vector=False)


def hvp(
    loss: Callable[..., Any],
    *,
    grad: Callable[..., Any] | None = None,
    trainable: Any = None,
    scale: Any = None,
    bounds: Any = None,
    backend: str = "auto",
    executor: Any = None,
    checkpoint: Any = None,
) -> SecondDerivatives:
    """The product of a loss's Hessian with a vector, ``hvp(loss)(theta, v, *args)``.

    Parameters
    ----------
    loss, grad, trainable, scale, bounds, backend, executor, checkpoint
        As of `hessian`; with a gradient some 50 calls of it in all, without 12 to 36 evaluations of
        the loss an entry.

    Examples
    --------
    >>> product = hvp(lambda x: x[0] ** 2 * x[1], backend="python")
    >>> np.round(product(np.array([1.0, 3.0]), np.array([1.0, 0.0])), 6)
    array([6., 2.])
    """
    options = (trainable, scale, bounds, backend, executor, checkpoint)
    return _second_derivatives(loss, grad, options, by_vector=True)


def _second_derivatives(
    loss: Any, grad: Any, options: tuple[Any, ...], by_vector: bool
) -> SecondDerivatives:
    require_functions(loss=loss, **({} if grad is None else {"grad": grad}))
    names = ("trainable", "scale", "bounds", "backend", "executor", "checkpoint")
    return SecondDerivatives(loss, grad, dict(zip(names, options, strict=True)), by_vector)
