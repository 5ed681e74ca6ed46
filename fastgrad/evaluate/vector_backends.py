"""Which evaluator runs a function of many outputs: compiled, or called from Python."""

from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

from fastgrad.errors import LossCompilationError
from fastgrad.evaluate.explain import in_python, name_of
from fastgrad.evaluate.protocol import Inputs
from fastgrad.evaluate.vector import VectorEvaluator, called_from_python

SAME = 1e-6
"""Compiled and called from Python, outputs are alike to this part."""


def vector_evaluator(
    fun: Callable[..., Any], inputs: Inputs, backend: str = "auto"
) -> VectorEvaluator:
    """The evaluator of a function of many outputs; ``backend`` as of a loss.

    Raises
    ------
    LossCompilationError
        It was to be compiled, and cannot be.
    LossError, TypeError
        It raised at theta, or returns no floating numbers.
    """
    if backend != "python":
        from fastgrad.evaluate.recording import recorded

        try:
            run = recorded(fun, inputs)
        except LossCompilationError as error:
            if backend == "compiled":
                raise
            return called_from_python(getattr(fun, "py_func", fun), inputs, in_python(error))
        if (
            type(fun) is not FunctionType
            or backend == "compiled"
            or _means_the_same(run, fun, inputs)
        ):
            return run
        return called_from_python(
            fun, inputs, "The function is called from Python: compiled, it gives others."
        )
    return called_from_python(fun, inputs, "")


def _means_the_same(run: VectorEvaluator, fun: Callable[..., Any], inputs: Inputs) -> bool:
    """Whether a plain function gives Python what it gives compiled code."""
    plain = called_from_python(fun, inputs, "")
    there = plain.outputs.vector(plain.outputs.example, name_of(fun))
    here = run.outputs.vector(run.outputs.example, name_of(fun))
    return here.size == there.size and bool(np.allclose(here, there, rtol=SAME, equal_nan=True))
