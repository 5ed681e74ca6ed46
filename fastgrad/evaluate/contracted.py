"""A layer's scalar <c, fun(inputs)> in compiled code, for the threads that evaluate losses."""

from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit
from numba.core.registry import CPUDispatcher

from fastgrad.arrays import Floats
from fastgrad.errors import LossCompilationError
from fastgrad.evaluate.adapters import dispatcher
from fastgrad.evaluate.explain import name_of
from fastgrad.evaluate.layer import Form, Layer
from fastgrad.evaluate.recording import parts_of

LEAVES, COTANGENT = "leaves_", "cotangent_"
"""Names of arguments that are no input's."""


def contracted(layer: Layer, cotangent: Floats) -> tuple[CPUDispatcher, tuple[Any, ...]]:
    """An njit loss of the leaves of a layer's inputs, and its other arguments.

    Raises
    ------
    LossCompilationError
        An input is no array or number, or the function is none that numba knows.
    """
    operands = layer.operands
    for k in operands.chosen:
        name, value = operands.names[k], operands.values[k]
        if operands.space is not None or not isinstance(value, np.ndarray | float):
            raise LossCompilationError(
                f"the input {name} of {name_of(layer.fun)} is {type(value).__name__}: expected "
                'arrays and numbers in R^n in compiled code; backend="python" takes any'
            )
    names = tuple(
        name if name.isidentifier() else f"input_{k}" for k, name in enumerate(operands.names)
    )
    terms = parts_of(layer.outputs.example, "out")
    made = _loss_of(dispatcher(layer.fun), names, operands.chosen, layer.form, terms)
    constants = (v for k, v in enumerate(operands.values) if k not in operands.chosen)
    return made, (cotangent, *constants)


@lru_cache(maxsize=256)
def _loss_of(
    fun: CPUDispatcher,
    names: tuple[str, ...],
    chosen: tuple[int, ...],
    form: Form,
    terms: tuple[tuple[str, str], ...],
) -> CPUDispatcher:
    """The loss; leaves are the chosen inputs in their order, other arguments bear the inputs' names."""
    inputs = [
        f"{LEAVES}[{chosen.index(k)}]" if k in chosen else name for k, name in enumerate(names)
    ]
    constants = (name for k, name in enumerate(names) if k not in chosen)
    parameters = [LEAVES, COTANGENT, *constants]
    lines = "".join(
        f"    total, at = add_{kind}({part}, {COTANGENT}, total, at)\n" for kind, part in terms
    )
    source = (
        f"def contraction({', '.join(parameters)}):\n"
        f"    out = fun({', '.join(inputs)}){'[0]' if form is Form.CACHE else ''}\n"
        "    total, at = 0.0, 0\n"
        f"{lines}"
        f"    if at != {COTANGENT}.size:\n"
        '        raise ValueError("the outputs changed their shapes")\n'
        "    return total\n"
    )
    scope: dict[str, Any] = {"fun": fun, "add_array": _add_array, "add_number": _add_number}
    exec(compile(source, "<fastgrad contraction>", "exec"), scope)
    scope["contraction"].__name__ = fun.__name__
    return njit(nogil=True)(scope["contraction"])


@njit(nogil=True)
def _add_number(value: Any, c: Any, total: Any, at: Any) -> Any:
    if at < c.size:
        total += c[at] * value
    return total, at + 1


@njit(nogil=True)
def _add_array(values: Any, c: Any, total: Any, at: Any) -> Any:
    for value in values.flat:
        total, at = _add_number(value, c, total, at)
    return total, at
