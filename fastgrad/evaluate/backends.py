"""Which evaluator runs a loss: its structure's, or that of the backend asked for."""

import sys
import warnings
from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import Any, Protocol
from weakref import WeakKeyDictionary, WeakSet

from fastgrad.dispatchers import is_njit
from fastgrad.errors import LossCompilationError, PythonBackendWarning
from fastgrad.evaluate.explain import in_python as why_in_python
from fastgrad.evaluate.protocol import Evaluator, Inputs
from fastgrad.evaluate.python import PythonEvaluator
from fastgrad.evaluate.scratch_arguments import positions_of


def compiled_or_python(loss: Callable[..., Any], inputs: Inputs) -> Evaluator:
    """The loss compiled; called from Python where numba refuses it, or would mean something else.

    And where that is the quicker.
    """
    from fastgrad.evaluate.compiled import CompiledEvaluator
    from fastgrad.evaluate.same_meaning import departure, require_inside, takes_records
    from fastgrad.evaluate.which_is_quicker import in_python, quicker

    afresh = in_python(loss, inputs) if type(loss) is FunctionType else None
    if afresh is not None:
        return afresh
    try:
        run = CompiledEvaluator(loss, inputs)
    except LossCompilationError as error:
        plain = getattr(loss, "py_func", loss)
        native = takes_records(plain, inputs)
        return PythonEvaluator(plain, inputs, why_in_python(error), native)
    if is_njit(loss):
        require_inside(loss, run, inputs)
    if type(loss) is not FunctionType:
        return run
    found = departure(loss, run, inputs)
    return quicker(loss, run, inputs) if found is None else PythonEvaluator(loss, inputs, *found)


def compiled(loss: Callable[..., Any], inputs: Inputs) -> Evaluator:
    """The loss compiled.

    Raises
    ------
    LossCompilationError
        Where numba refuses it, or a plain function would mean something else.
    """
    from fastgrad.evaluate.compiled import CompiledEvaluator
    from fastgrad.evaluate.same_meaning import departure, require_inside

    run = CompiledEvaluator(loss, inputs)
    if is_njit(loss):
        require_inside(loss, run, inputs)
    if type(loss) is FunctionType and (found := departure(loss, run, inputs)) is not None:
        raise LossCompilationError(found.sentence)
    return run


PACKAGE = f"{__name__.partition('.')[0]}."

BACKENDS: dict[str, Callable[..., Evaluator]] = {
    "auto": compiled_or_python,
    "compiled": compiled,
    "python": PythonEvaluator,
}
"""What makes an evaluator, by the name that users give: ``make(loss, inputs)``. Another way to run a
loss is a file with an `Evaluator`, and a row here."""


class LossWithStructure(Protocol):
    """A loss that knows a cheaper way to its differences."""

    loss: Any
    """The plain one."""

    def around(self, plain: Callable[[], Evaluator], inputs: Inputs) -> Evaluator:
        """The evaluator at the inputs; ``plain`` makes that of the plain loss."""
        ...


class LossWithEvaluator(Protocol):
    """A loss that brings its own evaluator, as a model of another framework does."""

    def evaluator_at(self, inputs: Inputs) -> Evaluator:
        """The evaluator at the inputs, whatever backend was asked for."""
        ...


def evaluator(
    loss: Callable[..., Any],
    inputs: Inputs,
    backend: str = "auto",
    structure: bool = True,
    scratch: Any = None,
) -> Evaluator:
    """The evaluator of a loss at the inputs.

    Parameters
    ----------
    backend : {"auto", "compiled", "python"}
        ``"auto"`` runs compiled code, and calls from Python what numba cannot compile, and what is
        quicker there;
        ``"compiled"`` refuses that; ``"python"`` calls any loss from Python.
    structure : bool
        Whether a loss that comes with a structure may be evaluated by it.
    scratch : str, int or sequence of them, optional
        Arguments that the loss overwrites before it reads them.

    Raises
    ------
    ValueError
        An unknown backend.
    LossCompilationError, TypeError
        A loss that was to be compiled and cannot be, or does not return one real number.
    """
    require_backend(backend)
    given: Any = loss
    if hasattr(type(loss), "evaluator_at"):
        return given.evaluator_at(inputs)
    make = BACKENDS[backend]
    has_structure = hasattr(type(loss), "around")  # isinstance of a Protocol takes microseconds
    plain = given.loss if has_structure else loss
    if scratch is not None:
        positions = positions_of(plain, scratch, inputs.argnum, len(inputs.arguments))
        inputs = inputs._replace(scratch=positions)
    if not structure or inputs.argnum or backend == "python":
        return make(plain, inputs)
    found: Any = loss if has_structure else registered(loss)
    return (
        make(plain, inputs) if found is None else found.around(partial(make, plain, inputs), inputs)
    )


def require_backend(backend: str) -> None:
    """Raise ValueError unless ``backend`` is one there is."""
    if backend not in BACKENDS:
        raise ValueError(f"backend={backend!r}: expected one of {', '.join(map(repr, BACKENDS))}")


def warn_of_python(loss: Any, run: Evaluator) -> None:
    """Say once a loss that it is called from Python instead of compiled code.

    Raises
    ------
    PythonBackendWarning
        Where warnings are errors.
    """
    known = getattr(
        loss, "__func__", loss
    )  # a bound method is made afresh whenever it is asked for
    try:
        if known in _warned:
            return
        _warned.add(known)
    except TypeError:  # unhashable, or it takes no weak reference
        pass
    warnings.warn(run.fallback, PythonBackendWarning, stacklevel=calls_within())


def calls_within() -> int:
    """How many calls up from here this package was called: where a warning belongs."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals["__name__"].startswith(PACKAGE):
        level, frame = level + 1, frame.f_back
    return level


_warned: WeakSet[Any] = WeakSet()
_factories: WeakKeyDictionary[Any, Callable[[], LossWithStructure]] = WeakKeyDictionary()
_built: WeakKeyDictionary[Any, LossWithStructure] = WeakKeyDictionary()


def register(loss: Any, factory: Callable[[], LossWithStructure]) -> None:
    """Have ``factory()`` stand for an njit loss wherever that is differentiated.

    The structure is built when it is first needed.
    """
    _factories[loss] = factory
    _built.pop(loss, None)


def registered(loss: Any) -> LossWithStructure | None:
    """The structure that was registered for a loss; None if there is none."""
    try:
        factory = _factories.get(loss)
    except TypeError:  # unhashable, or it takes no weak reference
        return None
    if factory is None:
        return None
    if loss not in _built:
        _built[loss] = factory()
    return _built[loss]
