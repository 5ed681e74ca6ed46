"""Arguments as a compiled loss takes them: if not in one form, then in another."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from numbers import Integral, Number
from typing import Any

import numpy as np
from numba import njit
from numba.core.errors import NumbaError
from numba.core.registry import CPUDispatcher

from fastgrad.errors import LossCompilationError
from fastgrad.evaluate.adapters import RECORDS, CompiledLoss, compiled_loss, type_of, typed_list
from fastgrad.parameters.arguments import Argnum
from fastgrad.parameters.layout import Layout
from fastgrad.parameters.native import LONG_LIST, native_argument, plain_array


def fitted(
    loss: CPUDispatcher, layout: Layout, argnum: Argnum, given: tuple[Any, ...]
) -> tuple[CompiledLoss, tuple[Any, ...]]:
    """`compiled_loss`, and its arguments, in the first form of `FORMS` that the loss compiles for.

    Long lists of parameters are typed Lists if it compiles for these, else tuples.

    Raises
    ------
    LossCompilationError
        It compiles for none; what is said is about the first form.
    TypeError
    """
    failed: list[Any] = []
    refused: LossCompilationError | None = None
    for arguments, in_lists in _forms(loss, layout, given):
        if _refused or failed:
            key = loss, argnum, in_lists, _types(arguments)
            if key in _refused or key in failed:
                continue
        try:
            compiled = compiled_loss(loss, layout, argnum, arguments, in_lists)
        except LossCompilationError as error:
            refused = refused or error
            failed.append((loss, argnum, in_lists, _types(arguments)))
            continue
        _refused.update(failed)
        return compiled, arguments
    alone = single(loss, layout, argnum, 1 + len(given))
    if alone is not None:
        arguments = tuple(map(native_argument, given))
        with suppress(LossCompilationError):
            compiled = compiled_loss(alone, layout, argnum, arguments)
            compiled.in_single = True
            _refused.update(failed)
            return compiled, arguments
    if refused is None:  # it served a theta in single precision alone: for this one, say why
        compiled_loss(loss, layout, argnum, tuple(map(native_argument, given)))
    assert refused is not None
    raise refused


def single(loss: CPUDispatcher, layout: Layout, argnum: Argnum, count: int) -> CPUDispatcher | None:
    """A loss whose theta arrives in float32, as it was given: functions inside may take no other.

    Of ``count`` arguments. None where theta is no array of float32.
    """
    if not layout.plain or not isinstance(argnum, int) or getattr(loss, RECORDS, False):
        return None
    block = layout.blocks[0]
    is_single = block.dtype == np.float32 and not block.scalar
    return _single(loss, argnum, count) if is_single else None


@lru_cache(maxsize=256)
def _single(loss: CPUDispatcher, position: int, count: int) -> CPUDispatcher:
    """Written out, as numba takes no part of a tuple whose ends it does not see in the source."""
    names = [f"a{k}" for k in range(count)]
    handed = [f"{a}.astype(float32)" if k == position else a for k, a in enumerate(names)]
    source = f"def in_single({', '.join(names)}):\n    return loss({', '.join(handed)})\n"
    scope = {"loss": loss, "float32": np.float32}
    exec(compile(source, "<fastgrad single>", "exec"), scope)
    return njit(scope["in_single"])


_refused: set[Any] = set()
"""Losses with types that they do not compile for, though in another form they do."""


def _forms(
    loss: CPUDispatcher, layout: Layout, given: tuple[Any, ...]
) -> Iterator[tuple[tuple[Any, ...], bool]]:
    """The arguments in one form after the other, and whether long lists in theta are typed Lists."""
    has_lists = layout.listed is not None and not getattr(loss, RECORDS, False)
    for form in FORMS:
        arguments = tuple(map(form, given))
        if has_lists:
            yield arguments, True
        yield arguments, False


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
                return typed_list(arrays)
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
        return typed_list([tuple(k(x) for k, x in zip(kinds, item, strict=True)) for item in value])
    except TypeError:  # complex numbers
        return native_argument(value)


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
