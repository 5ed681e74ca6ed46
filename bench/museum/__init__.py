"""The museum of real gradient bugs, and of right gradients that were called wrong.

``python -m bench.museum`` lists what is in it; ``bench/museum/README.md`` says how to plug a checker in.
"""

import importlib
import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from bench.museum import alarms, bugs

SOURCE = re.compile(r"(?P<project>[\w.-]+/[\w.-]+)(#\d+| [^,]+), (?P<date>\d{4}-\d\d-\d\d)")
"""Repository and issue or pull request (or version and name), and the day it was opened (or found)."""
ROUNDING = 1e-9
"""Gradients are the same to this part of the largest entry."""


class Answer(NamedTuple):
    """What a checker says of a gradient; `bool` will do where it says no more.

    ``passes`` is None where it cannot tell; ``blamed`` are the positions called wrong in the flat
    vector, None where it names none; ``laws`` are words of `fastgrad explain` for the cause.
    """

    passes: bool | None
    blamed: frozenset[int] | None = None
    laws: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exhibit:
    """One module: a loss, gradients of it, where it was, and what a checker should say."""

    name: str
    module: ModuleType
    is_bug: bool

    @property
    def gradient(self) -> Callable[[Any], Any]:
        """The one under test: the wrong one of a bug, the right one of an alarm."""
        return self.module.wrong if self.is_bug else self.module.right

    @property
    def kind(self) -> str:
        return self.module.KIND if self.is_bug else self.module.REASON

    @property
    def project(self) -> str:
        found = SOURCE.fullmatch(self.module.SOURCE)
        if found is None:
            raise ValueError(f"{self.name}: expected owner/name#1, 2020-01-31 in SOURCE")
        return found["project"]

    def flat(self) -> tuple[Callable[..., float], Callable[..., np.ndarray], np.ndarray]:
        """Loss and gradient under test as functions of one vector, and where to check them."""

        def loss(x: np.ndarray) -> float:
            return self.module.loss(self.shaped(x))

        def gradient(x: np.ndarray) -> np.ndarray:
            return vector(self.gradient(self.shaped(x)))

        return loss, gradient, vector(self.module.theta)

    def shaped(self, x: np.ndarray) -> Any:
        """A vector in the form of theta: an array, or a dict of arrays and numbers."""
        theta = self.module.theta
        if not isinstance(theta, dict):
            return np.array(x, np.asarray(theta).dtype).reshape(np.shape(theta))
        ends = np.cumsum([np.size(part) for part in theta.values()])
        parts = np.split(np.array(x), ends[:-1])
        return {
            name: like(part, now) for (name, part), now in zip(theta.items(), parts, strict=True)
        }

    def off(self) -> frozenset[int]:
        """Positions in the flat vector at which a bug's gradient is not the right one."""
        fresh = loaded(self)
        right, wrong = vector(fresh.right(fresh.theta)), vector(fresh.wrong(fresh.theta))
        alike = np.abs(wrong - right) <= ROUNDING * np.abs(right).max()
        return frozenset(np.flatnonzero(~alike).tolist())


def like(part: Any, now: np.ndarray) -> Any:
    """Entries in the form of a block; a number stays a number."""
    return now.reshape(part.shape).astype(part.dtype) if np.ndim(part) else float(now[0])


def vector(parts: Any) -> np.ndarray:
    """A gradient or theta as one vector of float64."""
    values = list(parts.values()) if isinstance(parts, dict) else [parts]
    return np.concatenate([np.ravel(np.asarray(value, float)) for value in values])


def loaded(exhibit: Exhibit) -> ModuleType:
    """The module anew: some keep state from call to call."""
    return importlib.reload(exhibit.module)


def exhibits() -> list[Exhibit]:
    """All of them, bugs first."""
    found = []
    for package in (bugs, alarms):
        for info in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{package.__name__}.{info.name}")
            found.append(Exhibit(info.name, module, package is bugs))
    return found
