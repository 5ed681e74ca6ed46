"""jacobian: a function of many outputs in, the matrix of its slopes out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.cluster.campaign import NOTHING, Campaign, campaign
from fastgrad.differences.domain import sample_inside
from fastgrad.differences.estimate import differences
from fastgrad.differences.pairs import PairEvaluator, pair_loss, scales_of, within_bounds
from fastgrad.estimates import JacobianEstimate
from fastgrad.evaluate.backends import require_backend
from fastgrad.evaluate.protocol import Inputs
from fastgrad.evaluate.signature import argument_name
from fastgrad.evaluate.units import Units
from fastgrad.evaluate.vector import VectorEvaluator
from fastgrad.evaluate.vector_backends import vector_evaluator
from fastgrad.numerics.rounding import rounding_noise
from fastgrad.numerics.stencils import Stencil, stencil
from fastgrad.parameters.bounds import bounds_of
from fastgrad.parameters.layout import Layout, flatten
from fastgrad.parameters.pairs import Columns, PairLayout
from fastgrad.parameters.steps import absolute_steps
from fastgrad.structured.sparsity import Pattern


@dataclass(frozen=True)
class Question:
    """A function of many outputs at one point, and which of its inputs may vary."""

    run: VectorEvaluator
    layout: Layout
    free: Mask | None
    units: Units
    asked: tuple[Callable[..., Any], Any, tuple[Any, ...]]
    """The function, its first argument and the others, as they were passed."""
    through: Campaign = NOTHING
    """The executor and the checkpoint."""
    bounds: Any = None
    """The bounds as they were passed."""

    @classmethod
    def of(
        cls,
        fun: Callable[..., Any],
        x: Any,
        args: tuple[Any, ...],
        shaped: Mapping[str, Any],
        running: Mapping[str, Any],
    ) -> "Question":
        """Read the point, and call the function once; ``running`` is how, and through what."""
        if not callable(fun):
            raise TypeError(f"fun is {type(fun).__name__}: expected a function of x")
        backend = running["backend"]
        require_backend(backend)
        layout, flat = flatten(x, argument_name(fun, 0))
        free = layout.mask(shaped["trainable"])
        inputs = Inputs(layout, flat, args)
        run = vector_evaluator(fun, inputs, backend)
        through = campaign(
            running["executor"], running["checkpoint"], fun, lambda: inputs, {"backend": backend}
        )
        bounds = shaped.get("bounds")
        box = bounds_of(bounds, layout, flat, free)
        run = through.outputs(run, fun, inputs, backend).within(box)
        units = Units.of(flat, layout, shaped["scale"])
        return cls(run, layout, free, units, (fun, x, args), through, bounds)

    @property
    def entries(self) -> Indices:
        """The inputs that may vary, as positions."""
        return np.arange(self.layout.size) if self.free is None else np.flatnonzero(self.free)

    def pairs(self, entries: Indices | None = None) -> PairLayout:
        """The pairs of all outputs and some inputs, by default all that may vary."""
        which = self.entries if entries is None else entries
        columns = Columns.of_each(which, self.layout.size)
        return PairLayout(self.run.outputs.layout, self.layout, columns)

    def steps(self, pairs: PairLayout, step: Any) -> Any:
        """The user's steps of an input, one a pair."""
        steps = absolute_steps(self.layout, self.run.theta, step, self.free)
        if not isinstance(steps, np.ndarray):
            return steps
        columns = pairs.pairs(np.arange(pairs.size))[1]
        return steps[pairs.columns.first][columns]


class JacobianFunction:
    """The numerical Jacobian of a function; made by `jacobian`.

    Parameters
    ----------
    fun : callable
    method : Stencil
    shaped : mapping
        ``trainable``, ``scale``, ``bounds`` and ``step``, which are shaped like x.
    sparsity : scipy.sparse matrix, array, or None
    running : mapping
        ``backend``, ``executor`` and ``checkpoint``.
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        method: Stencil,
        shaped: Mapping[str, Any],
        sparsity: Any,
        running: Mapping[str, Any],
    ):
        self._fun, self._stencil, self._shaped = fun, method, shaped
        self._sparsity, self._running = sparsity, running

    def __call__(self, x: Any, *args: Any) -> Any:
        """The Jacobian at x, shaped ``out.shape + x.shape``, or sparse.

        Structures of outputs or inputs give a structure like the outputs of structures like x.
        """
        if isinstance(self._shaped["step"], str):
            return self.estimate(x, *args).jacobian
        question, pairs = self._start(x, args)
        with question.through:
            return self._laid_out(question, pairs, self._slopes(question, pairs))

    def _slopes(self, question: Question, pairs: PairLayout) -> Floats:
        """The slopes of all pairs, by the stencil."""
        base = question.run.base()
        scales = scales_of(question.run, pairs.columns, question.units)
        plain = PairEvaluator(question.run, pairs, scales, base, rounding_noise(base))
        run = within_bounds(plain, self._stencil.order)
        steps = question.steps(pairs, self._shaped["step"])
        columns = pairs.pairs(np.arange(pairs.size))[1]
        first = pairs.columns.first
        default = self._stencil.step * (question.units.entry / np.abs(scales))[first][columns]
        h = default if steps is None else steps
        indices = np.arange(pairs.size)
        values, h = sample_inside(run, pairs, self._stencil, indices, h, steps is None)
        return self._stencil.combine(values, 0.0, run.theta, self._stencil.offsets(h))

    def estimate(self, x: Any, *args: Any) -> JacobianEstimate:
        """The Jacobian at x with error bars; twice the evaluations, a tenth of them, and some 40 more.

        Of order 2 bars hold where outputs jump within 2^-5 of the unit of an input, too. Outputs that
        are the same over such a step, as those given to two decimals, count as constant.
        """
        question, pairs = self._start(x, args)
        with question.through:
            loss = pair_loss(question.run, pairs, question.units, 0, degree=self._stencil.order)
            steps = question.steps(pairs, self._shaped["step"])
            slopes, error, _ = differences(loss, self._stencil, steps)
            value = question.run.outputs.shaped(question.run.base())
        jacobian = self._laid_out(question, pairs, slopes)
        bars = self._laid_out(question, pairs, error, bars=True)
        return JacobianEstimate(jacobian, bars, value, loss.noise, question.run.evaluations)

    def _start(self, x: Any, args: tuple[Any, ...]) -> tuple[Question, PairLayout]:
        question = Question.of(self._fun, x, args, self._shaped, self._running)
        if self._sparsity is None:
            return question, question.pairs()
        if question.free is not None:
            raise ValueError("trainable and sparsity: expected one of them, not both")
        pattern = Pattern(self._sparsity)
        outputs = question.run.outputs.layout
        pattern.require_shape(outputs.size, question.layout)
        columns = Columns(pattern.colours, int(pattern.colours.max()) + 1)
        return question, PairLayout(outputs, question.layout, columns)

    def _laid_out(
        self, question: Question, pairs: PairLayout, flat: Floats, bars: bool = False
    ) -> Any:
        """Slopes of pairs, or their bars, in the structure of outputs and inputs."""
        by_column = pairs.matrix(flat)
        if self._sparsity is not None:
            scales = scales_of(question.run, pairs.columns, question.units)
            return _spread(by_column, self._sparsity, pairs, np.abs(scales) if bars else scales)
        outputs, inputs = question.run.outputs, question.layout
        matrix = np.zeros((outputs.layout.size, inputs.size))
        matrix[:, pairs.columns.first] = by_column
        rows = []
        for block in outputs.layout.blocks:
            part = matrix[block.start : block.stop]
            blocks = [
                part[:, b.start : b.stop].reshape(block.shape + b.shape) for b in inputs.blocks
            ]
            rows.append(inputs.filled(blocks))
        return outputs.filled(rows)


def _spread(by_column: Floats, sparsity: Any, pairs: PairLayout, scales: Floats) -> Any:
    """The slopes of colours as a sparse matrix of the pattern."""
    from scipy import sparse

    pattern = Pattern(sparsity).matrix.tocoo()
    values = by_column[pattern.row, pairs.columns.of_entry[pattern.col]] / scales[pattern.col]
    return sparse.csr_array((values, (pattern.row, pattern.col)), shape=pattern.shape)


def jacobian(
    fun: Callable[..., Any],
    *,
    trainable: Any = None,
    order: int = 2,
    step: Any = None,
    scale: Any = None,
    bounds: Any = None,
    sparsity: Any = None,
    backend: str = "auto",
    executor: Any = None,
    checkpoint: Any = None,
) -> JacobianFunction:
    """The numerical Jacobian of a function, as a function of the same arguments.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args)`` returns an array of floats or a structure of them.
    order : {2, 4, 6}
        Of the central differences: so many evaluations an input, however many outputs.
    sparsity : scipy.sparse matrix or array of shape (outputs, inputs), optional
        Where the Jacobian may differ from zero: inputs that no output shares are moved together, and
        the Jacobian comes back sparse.
    trainable, step, scale, bounds, backend, executor, checkpoint
        As of `fastgrad.grad`.

    Examples
    --------
    >>> J = jacobian(lambda x: np.array([x[0] * x[1], x[1] ** 2]), backend="python")
    >>> np.round(J(np.array([2.0, 3.0])), 6)
    array([[3., 2.],
           [0., 6.]])
    """
    if not callable(fun):
        raise TypeError(f"fun is {type(fun).__name__}: expected a function of x")
    require_backend(backend)
    shaped = {"trainable": trainable, "scale": scale, "bounds": bounds, "step": step}
    running = {"backend": backend, "executor": executor, "checkpoint": checkpoint}
    return JacobianFunction(fun, stencil("central", order), shaped, sparsity, running)
