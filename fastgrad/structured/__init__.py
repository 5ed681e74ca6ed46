"""Losses that know how they depend on theta, and cost far less than two evaluations an entry.

`Incremental` says how the loss changes with one entry, `Separable` which terms each entry is in,
`Layered` where theta enters through linear layers. Each is accepted wherever a loss is, and is
certified against the plain loss on first use: `fastgrad.errors.StructureError` says where it fails.
"""

import importlib
from typing import TYPE_CHECKING, Any

from fastgrad.evaluate.backends import register

if TYPE_CHECKING:
    from fastgrad.structured.incremental import Incremental
    from fastgrad.structured.layered.evaluator import Layered
    from fastgrad.structured.separable import Separable
    from fastgrad.structured.structure import Structure

__all__ = ["Incremental", "Layered", "Separable", "Structure", "register"]

_PLACES = {
    "Incremental": "incremental",
    "Layered": "layered.evaluator",
    "Separable": "separable",
    "Structure": "structure",
}
"""The modules of public names, which load numba: on first use, for a pattern of zeros needs none."""


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'fastgrad.structured' has no attribute {name!r}")
    found = getattr(importlib.import_module(f"fastgrad.structured.{_PLACES[name]}"), name)
    globals()[name] = found
    return found
