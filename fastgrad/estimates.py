"""What the estimators answer: numerical gradients, Jacobians and Hessians, with error bars."""

from dataclasses import dataclass
from typing import Any

from fastgrad.numerics.norms import rms
from fastgrad.parameters.layout import flatten
from fastgrad.report.document import Column, Document, Table
from fastgrad.report.notebook import fragment_of
from fastgrad.report.words import shape_words


@dataclass(frozen=True)
class GradientEstimate:
    """A numerical gradient with its error bars.

    ``gradient``, ``error`` and ``step`` are shaped like theta: the difference quotients, bounds on
    their absolute errors, and the steps really taken (the shortest, where several were). ``value``
    is the loss, ``noise`` the standard deviation of one of its evaluations, ``evaluations`` how
    many were made.
    """

    gradient: Any
    error: Any
    step: Any
    value: float
    noise: float
    evaluations: int

    def _repr_html_(self) -> str | None:
        return fragment_of(self.document())

    def document(self) -> Document:
        """The blocks of the gradient, with their sizes and widest bars."""
        layout, gradient = flatten(self.gradient)
        _, error = flatten(self.error)
        numbers = "shape", "rms", "largest error bar"
        columns = (Column("block", names=True), *(Column(name, True) for name in numbers))
        rows = []
        for block in layout.blocks:
            inside = slice(block.start, block.stop)
            size, bar = gradient[inside], error[inside].max(initial=0.0)
            rows.append((block.name, shape_words(block.shape), f"{rms(size):.6g}", f"{bar:.1e}"))
        said = (
            f"The gradient of {layout.size:,} parameters at a loss of {self.value:.9g}, from "
            f"{self.evaluations:,} evaluations, each noisy by {self.noise:.1e}."
        )
        return Document(said, (Table(columns, tuple(rows)),))


@dataclass(frozen=True)
class JacobianEstimate:
    """A numerical Jacobian with its error bars.

    ``jacobian`` and ``error`` are shaped outputs x inputs (structures of outputs, of structures of
    inputs; sparse where a pattern was given), ``value`` like the outputs; ``noise`` is the standard
    deviation of one evaluation of the noisiest output.
    """

    jacobian: Any
    error: Any
    value: Any
    noise: float
    evaluations: int


@dataclass(frozen=True)
class HessianEstimate:
    """A numerical Hessian, or its product with a vector, with error bars.

    ``hessian`` and ``error`` are structures like theta, of structures like theta (of a product, like
    theta); of an array they have the shape ``theta.shape + theta.shape``. ``noise`` is the standard
    deviation of one evaluation, of the loss or of the noisiest entry of its gradient.
    """

    hessian: Any
    error: Any
    noise: float
    evaluations: int
