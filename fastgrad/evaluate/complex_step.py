"""Slopes by complex steps: Im f(x + i h) / h, which loses nothing by subtraction.

One evaluation an entry, exact to rounding (Squire and Trapp, 1998), if the code of f does with complex
numbers what it does with real ones: abs, norm, vdot, comparisons and .real do not, and numba's powers of
negative numbers are off by 1e-15 in their imaginary part. So what is found is compared with a real
difference along one direction, and refused where they differ.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.dispatchers import is_njit, numba_error
from fastgrad.errors import LossCompilationError
from fastgrad.evaluate.explain import loss_error, name_of
from fastgrad.evaluate.protocol import Evaluator, Inputs
from fastgrad.evaluate.units import Units
from fastgrad.numerics.bars import ROUNDING, WIDER, noise_bar
from fastgrad.numerics.rounding import rounding_noise
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.numerics.two_steps import truncation
from fastgrad.parameters.arguments import merged
from fastgrad.parameters.layout import Layout
from fastgrad.parameters.native import native_argument, native_container
from fastgrad.parameters.trees import Leaf, build

STEP = 2.0**-332
"""h in units of theta: 1e-100, whose square is nothing beside any number."""
NOISY = 64.0
"""Noise of a real evaluation, in its own roundings: what sums of many terms come to."""
CLEAR = 10.0
"""Refused where the difference is off by so many bars."""
ALIKE = 1e-7
"""Nor is refused what differs by less than this part of the terms that were added."""
STREAM = 0x696D6167
"""What draws the direction of the comparison."""
SUSPECTS = frozenset(
    {"abs", "fabs", "absolute", "norm", "vdot", "conj", "conjugate", "real", "imag", "max"}
    | {"maximum", "min", "minimum", "sign", "hypot", "sort", "argmax", "argmin", "where", "clip"}
    | {"floor", "ceil", "round", "float", "angle", "arctan2"}
)
"""Names of functions that are not analytic, or not always."""


class ComplexSteps:
    """A loss at one theta, asked with an imaginary step.

    Parameters
    ----------
    loss : callable
    inputs : Inputs
    run : Evaluator
        The same with real numbers.
    backend : str
    """

    def __init__(self, loss: Callable[..., Any], inputs: Inputs, run: Evaluator, backend: str):
        self.inputs, self.run = inputs, run
        self._plain = getattr(loss, "py_func", loss)
        self._call, self._native = loss, False
        if backend != "python" and not run.fallback:
            from fastgrad.evaluate.adapters import dispatcher

            try:
                self._call, self._native = dispatcher(loss), True
            except LossCompilationError:
                self._call = self._plain
        elif is_njit(loss):
            self._call = self._plain
        self.evaluations = 0

    def slopes(self, indices: Indices) -> Floats:
        """The slopes of some entries, shape (m,), held against a real difference.

        Raises
        ------
        ValueError
            The loss does not do with complex numbers what it does with real ones.
        LossError
            It raised.
        """
        layout, theta = self.inputs.layout, self.inputs.theta
        units = Units.of(theta, layout).entry
        found = np.empty(indices.size)
        point = theta.astype(np.complex128)
        for k, i in enumerate(indices.tolist()):
            h = STEP * units[i]
            point[i] = complex(theta[i], h)
            found[k] = self._value(point.copy(), layout.name(i)).imag / h
            point[i] = theta[i]
        self._compare(indices, found, units)
        return found

    def _value(self, point: Any, name: str) -> complex:
        layout, others, argnum = self.inputs.layout, self.inputs.arguments, self.inputs.argnum
        given = _parts(layout, point, self._native)
        args = merged(given, list(map(native_argument, others)) if self._native else others, argnum)
        self.evaluations += 1
        try:
            with warnings.catch_warnings():  # what is cast to a real number is refused below
                warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
                value = self._call(*args)
        except numba_error():
            if not self._native:
                raise
            self._call, self._native = self._plain, False
            return self._value(point, name)
        except TypeError as error:
            raise self._refusal(f"it fails for complex numbers ({error})") from error
        except Exception as error:
            raise loss_error(f"{name} with an imaginary step", error) from error
        if not np.iscomplexobj(value):
            raise self._refusal("it returns a real number for complex ones")
        return complex(value)

    def _compare(self, indices: Indices, slopes: Floats, units: Floats) -> None:
        """One real difference along a random direction."""
        v = np.zeros(units.size)
        signs = np.random.default_rng([indices.size, STREAM]).choice([-1.0, 1.0], indices.size)
        v[indices] = signs * units[indices]
        h = CENTRAL[2].step / np.sqrt(indices.size)
        values = self.run.along(v, np.array([h, -h, WIDER * h, -WIDER * h]))
        if not np.isfinite(values).all():
            raise self._refusal(
                "its real values beside theta are not finite, and nothing confirms it"
            )
        near = (values[0] - values[1]) / (2 * h)
        wide = (values[2] - values[3]) / (2 * WIDER * h)
        t = float(truncation(near, wide))
        terms = slopes * v[indices]
        bar = float(noise_bar(NOISY * rounding_noise(np.abs(values).max()), h)) + abs(t)
        bar += ROUNDING * float(np.abs(terms).sum())
        got, expected = float(terms.sum()), near - t
        if not abs(got - expected) <= CLEAR * bar + ALIKE * float(np.abs(terms).sum()):
            raise self._refusal(
                f"along a random direction complex steps give {got:.9g}, and real differences "
                f"{expected:.9g} +- {bar:.1g}"
            )

    def _refusal(self, why: str) -> ValueError:
        code = getattr(self._plain, "__code__", None)
        names = sorted(SUSPECTS & set(code.co_names)) if code is not None else []
        called = f" (it uses {', '.join(names)})" if names else ""
        return ValueError(
            f'method="complex": {name_of(self._plain)} does not do with complex numbers what it does '
            f"with real ones: {why}. Expected a loss without abs, norm, vdot, comparisons, .real and, "
            f'compiled, powers of negative numbers{called}; method="central" takes any.'
        )


def _parts(layout: Layout, point: Any, native: bool) -> Any:
    """The blocks of a complex vector in theta's own structure, or in that of compiled code."""
    blocks = iter(layout.blocks)

    def leaf(_: Leaf) -> Any:
        block = next(blocks)
        values = point[block.start : block.stop]
        return complex(values[0]) if block.scalar else values.reshape(block.shape)

    return build(layout.tree, leaf, native_container) if native else build(layout.tree, leaf)
