"""Edited gradients called, in a child process: their values at theta or anywhere else."""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
from numba import njit
from numba.core.registry import CPUDispatcher

from fastgrad.arrays import Floats
from fastgrad.checks.given_gradient import flat_gradient
from fastgrad.parameters.arguments import Argnum, merged
from fastgrad.parameters.layout import Layout
from fastgrad.parameters.native import native_argument
from fastgrad.repair.reach import Reached
from fastgrad.repair.source import Unit, Version

OPTIONS_KEPT = ("fastmath", "boundscheck", "error_model", "inline", "nogil", "forceobj")
"""The options of njit that change no meaning in one thread. No ``cache``: the user's holds no edit."""


@dataclass(frozen=True)
class Spot:
    """A place where a gradient is asked: a flat theta, and the loss's other arguments."""

    flat: Floats
    args: tuple[Any, ...]
    label: str = ""


@dataclass(frozen=True)
class Callee:
    """A function of the user's and how it is called: natively if compiled, else as theta was given."""

    function: Any
    layout: Layout
    argnum: Argnum = 0
    """The position of theta among its arguments."""

    def values(self, spot: Spot, function: Any = None) -> Floats:
        """The gradient that it is at a spot, along the flat theta; it must leave its own copy alone.

        Parameters
        ----------
        function : callable, optional
            What stands for the user's function.
        """
        return flat_gradient(self.call(spot, function), self.layout)[0]

    def call(self, spot: Spot, function: Any = None) -> Any:
        """What it returns."""
        function = self.function if function is None else function
        own = spot.flat.copy()
        if isinstance(self.function, CPUDispatcher):
            others = list(map(native_argument, spot.args))
            result = function(*merged(self.layout.native(own), others, self.argnum))
        else:
            result = function(*merged(self.layout.rebuild(own), spot.args, self.argnum))
        if not np.array_equal(own, spot.flat):
            raise ValueError("it wrote to theta")
        return result


class Stage:
    """The place where edits are run: the functions of this process, which is a child.

    Parameters
    ----------
    gradient : Callee
    reached : Reached
    compiled : bool
        Whether njit functions are compiled anew with the edits in them, and not run as Python.
    """

    def __init__(self, gradient: Callee, reached: Reached, compiled: bool = False):
        self.gradient = gradient
        self._reached = reached
        self._compiled = compiled
        self._function = gradient.function if compiled else self._substituted()

    def put(self, versions: Mapping[Unit, Version]) -> None:
        """Run these versions from now on."""
        for unit, version in versions.items():
            code = version.compiled()
            for function in unit.functions:
                function.__code__ = code
        if self._compiled:
            self._function = self._substituted()

    def values(self, spot: Spot) -> Floats:
        """The gradient at a spot."""
        return self.gradient.values(spot, self._function)

    def _substituted(self) -> Any:
        """The gradient, with what it calls of compiled functions replaced by what runs their source."""
        make = _recompiled if self._compiled else _interpreted
        instead = {id(d): make(d) for d in self._reached.compiled}
        functions = [f for unit in self._reached.units for f in unit.functions]
        functions += [d.py_func for d in self._reached.compiled]
        for function in functions:
            _replace_names(function, instead)
        return _replaced(self.gradient.function, instead)


def _interpreted(dispatcher: CPUDispatcher) -> Any:
    return dispatcher.py_func


def _recompiled(dispatcher: CPUDispatcher) -> Any:
    options = {k: v for k, v in dispatcher.targetoptions.items() if k in OPTIONS_KEPT}
    return njit(**options)(dispatcher.py_func)


def _replaced(value: Any, instead: Mapping[int, Any]) -> Any:
    if isinstance(value, functools.partial):
        return functools.partial(_replaced(value.func, instead), *value.args, **value.keywords)
    if isinstance(value, CPUDispatcher):
        return instead.get(id(value), value)
    return value


def _replace_names(function: FunctionType, instead: Mapping[int, Any]) -> None:
    """Let the global and closed-over names of a function stand for the replacements."""
    spaces = [function.__globals__]
    spaces += [vars(m) for m in function.__globals__.values() if isinstance(m, ModuleType)]
    for names in {id(space): space for space in spaces}.values():
        for name, value in list(names.items()):
            if isinstance(value, CPUDispatcher) and id(value) in instead:
                names[name] = instead[id(value)]
    for cell in function.__closure__ or ():
        try:
            value = cell.cell_contents
        except ValueError:  # empty
            continue
        if isinstance(value, CPUDispatcher) and id(value) in instead:
            cell.cell_contents = instead[id(value)]


def protect(args: tuple[Any, ...]) -> None:
    """Let nobody write to the arrays among some arguments: an edit that does would spoil the next."""
    for array in _arrays(args):
        array.flags.writeable = False


def _arrays(value: Any) -> Iterator[np.ndarray]:
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _arrays(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _arrays(part)
