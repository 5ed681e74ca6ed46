"""What running a compiled loss does to the process around it, read off its machine code."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from numba import types

from fastgrad.evaluate.held_state import holds_state


@dataclass(frozen=True)
class Traits:
    """What running a loss does to the process around it."""

    uses_blas: bool
    """Whether it calls BLAS or LAPACK, which start threads of their own."""
    uses_python: bool
    """Whether it has a block in object mode, which may do anything."""
    uses_random: bool
    """Whether it draws random numbers."""
    calls_unseen: bool
    """Whether it calls functions by address, whose code is not seen: they may draw, or keep state."""
    launches_threads: bool
    """Whether it is parallel itself, or calls something that is."""
    has_state: bool
    """Whether arguments hold state that threads would share, and that the loss may keep theta in."""
    one_at_a_time: bool
    """Whether threads must not share it, or would gain nothing by it."""

    @property
    def bound_to_thread(self) -> bool:
        """Whether it may do another thing, or harm, on another thread than its caller's."""
        own = self.has_state or self.uses_random or self.calls_unseen
        return own or self.uses_python or self.launches_threads


UNSEEN = types.FunctionType, types.ExternalFunctionPointer, types.ExternalFunction
"""Types of functions that are known by their address."""


def names_in(library: Any) -> str:
    """Names of the functions in compiled code, and of all that it calls.

    From the module that numba links into callers, which code from the disk cache has too; the text
    of such code is empty.
    """
    return " ".join(function.name for function in library._get_module_for_linking().functions)


def traits_of(names: str, value_types: tuple[Any, ...], inside: Iterable[Any] = ()) -> Traits:
    """The traits of code that calls functions of these names, of arguments of these types.

    ``inside`` are the types of its variables.
    """
    # A call by address would ask Python where there is no address; a block in object mode takes its
    # results out of a tuple.
    by_address = "PyLong_AsVoidPtr" in names
    in_object_mode = "PyTuple_Size" in names or not by_address
    uses_python = "PyObject_CallFunctionObjArgs" in names and in_object_mode
    has_generator = any(isinstance(t, types.NumPyRandomGeneratorType) for t in value_types)
    launches_threads = "numba_parallel_for" in names
    draws = "numba_get_np_random_state" in names or "numba_get_py_random_state" in names
    return Traits(
        uses_blas=uses_python or re.search(r"\bnumba_(x|ez_)", names) is not None,
        uses_python=uses_python,
        uses_random=uses_python or has_generator or draws,
        calls_unseen=by_address or any(isinstance(t, UNSEEN) for t in (*value_types, *inside)),
        launches_threads=launches_threads,
        has_state=any(
            holds_state(t) and not isinstance(t, types.NumPyRandomGeneratorType)
            for t in value_types
        ),
        one_at_a_time=uses_python or has_generator or launches_threads,
    )
