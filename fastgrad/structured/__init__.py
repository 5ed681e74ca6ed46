"""Losses that know how they depend on theta, and cost far less than two evaluations an entry.

`Incremental` says how the loss changes with one entry, `Separable` which terms each entry is in,
`Layered` where theta enters through linear layers. Each is accepted wherever a loss is, and is
certified against the plain loss on first use: `fastgrad.errors.StructureError` says where it fails.
"""

from fastgrad.evaluate.backends import register
from fastgrad.structured.incremental import Incremental
from fastgrad.structured.layered.evaluator import Layered
from fastgrad.structured.separable import Separable
from fastgrad.structured.structure import Structure

__all__ = ["Incremental", "Layered", "Separable", "Structure", "register"]
