"""What the optimiser proved of compiled code: the arguments that it never writes to.

LLVM marks a pointer that a function only reads from, also through all that it calls, ``readonly``.
What it cannot follow, as a call of BLAS, it does not mark: no mark is no proof of writing. The marks
are in code from the disk cache too, and cost nothing to read.
"""

from collections.abc import Iterator
from typing import Any

from numba import types

DATA = 4
"""The place of the address of an array's numbers among the fields that numba passes it as."""
PROOFS = {b"readonly", b"readnone"}
HARMLESS = (
    types.Number,
    types.Boolean,
    types.UnicodeType,
    types.NoneType,
    types.Omitted,
    types.Dispatcher,
    types.EnumMember,
)
"""Values in which there is nothing to write to."""


def only_read(result: Any) -> tuple[bool, ...]:
    """Whether each argument of a compiled function is proved to be left alone.

    An argument that leads to memory in ways that are not followed here (a jitclass, a typed list)
    may lead to another's: nothing is proved then.

    Parameters
    ----------
    result : CompileResult
        What numba made of the function.
    """
    name = result.fndesc.llvm_func_name
    module = result.library._get_module_for_linking()
    function = next((f for f in module.functions if f.name == name), None)
    if function is None:
        return (False,) * len(result.signature.args)
    marks = {a.name: set(a.attributes) for a in function.arguments}
    try:
        addresses = [
            tuple(_addresses(f"arg.{argument}", kind))
            for argument, kind in zip(result.fndesc.args, result.signature.args, strict=True)
        ]
    except _UnknownError:
        return (False,) * len(result.signature.args)
    return tuple(all(PROOFS & marks.get(a, set()) for a in found) for found in addresses)


class _UnknownError(Exception):
    """A value whose memory is not followed here."""


def _addresses(path: str, kind: Any) -> Iterator[str]:
    """LLVM's names for the addresses of all numbers in an argument."""
    if isinstance(kind, types.Array):
        yield f"{path}.{DATA}"
    elif isinstance(kind, types.BaseTuple):
        for k, part in enumerate(kind):
            yield from _addresses(f"{path}.{k}", part)
    elif not isinstance(kind, HARMLESS):
        raise _UnknownError
