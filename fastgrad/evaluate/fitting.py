"""Arguments as a compiled loss takes them: if not in one form, then in another."""

from collections.abc import Callable
from numbers import Integral, Number
from typing import Any

import numpy as np
from numba.core.errors import NumbaError
from numba.core.registry import CPUDispatcher

from fastgrad.errors import LossCompilationError
from fastgrad.evaluate.adapters import CompiledLoss, compiled_loss, type_of
from fastgrad.parameters.arguments import Argnum
from fastgrad.parameters.layout import Layout
from fastgrad.parameters.native import native_argument, plain_array

LONG_LIST = 8
"""Arrays in a list from which it is a typed List, compiled once for any length. A tuple of 10 took
1.6 s to compile, of 100 4 s, of 400 30 s, and again for every length."""


def fitted(
    loss: CPUDispatcher, layout: Layout, argnum: Argnum, given: tuple[Any, ...]
) -> tuple[CompiledLoss, tuple[Any, ...]]:
    """`compiled_loss`, and its arguments, in the first form of `FORMS` that the loss compiles for.

    Raises
    ------
    LossCompilationError
        It compiles for none; what is said is about the first form.
    TypeError
    """
    first = tuple(map(FORMS[0], given))
    refused: LossCompilationError | None = None
    if not _refused or (loss, argnum, _types(first)) not in _refused:
        try:
            return compiled_loss(loss, layout, argnum, first), first
        except LossCompilationError as error:
            refused = error
    tried = {_types(first)}
    for form in FORMS[1:]:
        arguments = tuple(map(form, given))
        its_types = _types(arguments)
        if its_types in tried or its_types is None:
            continue
        tried.add(its_types)
        try:
            compiled = compiled_loss(loss, layout, argnum, arguments)
        except LossCompilationError as error:
            refused = refused or error
            continue
        _refused.add((loss, argnum, _types(first)))
        return compiled, arguments
    assert refused is not None
    raise refused


_refused: set[Any] = set()
"""Losses with types that they do not compile for, though in another form they do."""


def _types(arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """numba's types of the arguments; None where it has none for one."""
    try:
        return tuple(map(type_of, arguments))
    except (ValueError, NumbaError):
        return None


def listed(value: Any) -> Any:
    """An argument as compiled code takes it; long lists of arrays, and lists of tuples, as such."""
    if type(value) is list and value:
        if len(value) > LONG_LIST and all(isinstance(item, np.ndarray) for item in value):
            arrays = list(map(native_argument, value))
            if len({(a.dtype, a.ndim, a.flags.num) for a in arrays}) == 1:
                return _typed(arrays)
        if all(type(item) is tuple for item in value):
            return _typed_tuples(value)
    return native_argument(value)


def _typed_tuples(value: list[tuple[Any, ...]]) -> Any:
    """A typed List of tuples of numbers, each place of them of one type; else as `native_argument`."""
    lengths = {len(item) for item in value}
    if len(lengths) > 1 or not all(isinstance(x, Number) for item in value for x in item):
        return native_argument(value)
    whole = [all(isinstance(x, Integral) for x in place) for place in zip(*value, strict=True)]
    kinds = [int if is_whole else float for is_whole in whole]
    try:
        return _typed([tuple(k(x) for k, x in zip(kinds, item, strict=True)) for item in value])
    except TypeError:  # complex numbers
        return native_argument(value)


def _typed(items: list[Any]) -> Any:
    from numba.typed import List

    made = List()
    for item in items:
        made.append(item)
    return made


def writable(value: Any) -> Any:
    """The same, arrays copied where only copies fit an eager signature such as ``float64[::1]``."""
    native = native_argument(value)
    return plain_array(native) if isinstance(native, np.ndarray) else native


def doubled(value: Any) -> Any:
    """The same with float64 for float32: theta is float64, and ``@`` takes both of one kind."""
    return _doubled(native_argument(value))


def _doubled(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.float32) and value.dtype == np.float32:
        return value.astype(np.float64)
    if type(value) is tuple:
        return tuple(map(_doubled, value))
    if isinstance(value, tuple):
        return type(value)(*map(_doubled, value))
    return value


FORMS: tuple[Callable[[Any], Any], ...] = (listed, native_argument, writable, doubled)
"""Forms of an argument, in the order in which they are tried."""
