"""Entries that were judged in several parts, in theta's order."""

from dataclasses import fields
from typing import Any

import numpy as np

from fastgrad.arrays import Indices
from fastgrad.checks.outcome import Differences, Judged, Scales


def merged(parts: list[Judged]) -> Judged | None:
    """All entries judged, in theta's order; of an entry judged twice, the first time."""
    if not parts:
        return None
    indices, first = np.unique(np.concatenate([part.indices for part in parts]), return_index=True)
    offsets = np.cumsum([0] + [part.indices.size for part in parts])
    notes = {
        int(offset + k): note
        for offset, part in zip(offsets, parts, strict=False)
        for k, note in part.notes.items()
    }
    scales = [part.scales for part in parts]
    return Judged(
        indices,
        np.concatenate([part.analytic for part in parts])[first],
        _joined([part.differences for part in parts], first),
        np.concatenate([part.verdict for part in parts])[first],
        Scales(
            np.concatenate([s.block for s in scales])[first],
            np.concatenate([s.unit for s in scales])[first],
            np.concatenate([s.entry for s in scales])[first],
            np.max([s.rms for s in scales], axis=0),
            max(s.overall for s in scales),
        ),
        {k: notes[int(j)] for k, j in enumerate(first) if int(j) in notes},
    )


def _joined(parts: list[Differences], which: Indices) -> Differences:
    """Those of some of the entries of several parts."""
    taken: dict[str, Any] = {}
    for field in fields(Differences):
        known = [getattr(part, field.name) for part in parts]
        missing = any(values is None for values in known)
        taken[field.name] = None if missing else np.concatenate(known)[which]
    return Differences(**taken)
