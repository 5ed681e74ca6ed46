"""Rows that indices among the data name more than once: what each of them sends back must be added."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from fastgrad.arrays import Indices
from fastgrad.checks.diagnose.case import SHOWS
from fastgrad.checks.diagnose.evidence import Evidence
from fastgrad.findings import Diagnosis

FEWEST_ROWS = 2
"""Wrong rows wanted, and right ones: among some arrays of indices a single one may be hit by chance."""


def with_lookups(
    diagnoses: Sequence[Diagnosis], evidence: Sequence[Evidence], indices: Mapping[str, Indices]
) -> tuple[Diagnosis, ...]:
    """The diagnoses, with a word for blocks whose wrong rows are just those that indices repeat.

    Parameters
    ----------
    indices : mapping of str to ndarray of int
        Arrays of whole numbers that the loss is given, or reads from outside.
    """
    blocks = {block.name: block for block in evidence}
    found = []
    for diagnosis in diagnoses:
        block = blocks.get(diagnosis.block)
        name = None if block is None else _repeats(block, indices)
        if name is not None:
            sentence = (
                f"{diagnosis.sentence} Just these are looked up more than once by {name}: what each "
                "time sends back is added up (np.add.at), and not assigned."
            )
            diagnosis = replace(diagnosis, sentence=sentence)
        found.append(diagnosis)
    return tuple(found)


def _repeats(block: Evidence, indices: Mapping[str, Indices]) -> str | None:
    """The name of the indices that repeat the wrong rows of a block and no other."""
    if not block.shape or not block.positions.size:
        return None
    row = block.positions // (int(np.prod(block.shape)) // block.shape[0])
    a = block.analytic[block.positions]
    off = ~(np.abs(a - block.numeric) <= block.bar)
    wrong = np.unique(row[off])
    right = np.setdiff1d(row[np.abs(block.numeric) > SHOWS * block.bar], wrong)
    if min(wrong.size, right.size) < FEWEST_ROWS:
        return None
    for name, numbers in indices.items():
        flat = numbers.ravel()
        if flat.size and flat.min() >= 0 and flat.max() < block.shape[0]:
            twice = np.bincount(flat, minlength=block.shape[0]) > 1
            if twice[wrong].all() and not twice[right].any():
                return name
    return None
