"""A sparse Jacobian under test: by colours, and with what it leaves out.

Inputs of one colour share no output in the pattern, so one difference serves them all (Curtis, Powell
and Reid, 1974). An output that a colour moves otherwise than the pattern says is looked into: the inputs
of the colour are moved again by the bits of their numbers, which spell the number of the one to blame.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.checks.block_checks import checked_block, overall
from fastgrad.checks.budget import Budget
from fastgrad.checks.claim import Claim
from fastgrad.checks.diagnose import Evidence, diagnose
from fastgrad.checks.directional import slope_along
from fastgrad.checks.options import Options
from fastgrad.checks.outcome import Differences, Judged, Outcome
from fastgrad.checks.rules import Rule, Verdict
from fastgrad.checks.summary import summarise
from fastgrad.checks.sweep import sweep
from fastgrad.differences.pairs import pair_loss, scales_of
from fastgrad.errors import StructureMismatchError
from fastgrad.evaluate.units import Units
from fastgrad.evaluate.vector import VectorEvaluator
from fastgrad.findings import BlockCheck, Diagnosis
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.parameters.layout import Layout
from fastgrad.parameters.pairs import Columns, PairLayout
from fastgrad.results import GradientCheck
from fastgrad.structured.sparsity import Pattern

MOST_LOCATED = 8
"""Colours whose inputs are told apart."""
SPELT = 0.1
"""A bit is read where the difference is that of the whole colour, or none, to this part."""
NAMED = 3
"""Entries outside the pattern that a remark names."""


@dataclass
class Compressed:
    """A sparse matrix by colours: one value for each output and colour.

    Parameters
    ----------
    matrix : scipy.sparse matrix, shape (p, n)
    columns : Columns
        The colours of the inputs.
    scales : ndarray, shape (n,)
        How far each input moves when its colour moves by one, towards where its bounds leave room.
    """

    matrix: Any
    columns: Columns
    scales: Floats
    found: dict[tuple[int, int], int] = field(default_factory=dict)
    """The input to blame, by output and colour, where it was looked for."""

    @property
    def values(self) -> Floats:
        """The claimed change of each output when a colour moves by one, shape (p, colours)."""
        return self.summed(self.matrix)

    def summed(self, matrix: Any) -> Floats:
        """Any matrix by these colours."""
        from scipy import sparse

        n = self.scales.size
        inside = np.flatnonzero(self.columns.of_entry >= 0)
        weights = sparse.csr_matrix(
            (self.scales[inside], (inside, self.columns.of_entry[inside])),
            shape=(n, self.columns.count),
        )
        return np.asarray((matrix @ weights).todense())

    @property
    def owners(self) -> Indices:
        """The input that the pattern has for each output and colour, -1 for none, (p, colours)."""
        coo = self.matrix.tocoo()
        colours = self.columns.of_entry[coo.col]
        owners = np.full((self.matrix.shape[0], self.columns.count), -1)
        inside = colours >= 0
        owners[coo.row[inside], colours[inside]] = coo.col[inside]
        return owners


def sparse_sweep(
    run: VectorEvaluator,
    layout: Layout,
    units: Units,
    given: tuple[Any, Any],
    rule: Rule,
    options: Options,
) -> GradientCheck:
    """Judge all entries of a sparse Jacobian, those that it leaves out as zero.

    Parameters
    ----------
    given : (scipy.sparse matrix, ndarray of bool or None)
        The Jacobian under test, and which inputs may vary.
    """
    matrix, free = _read(given[0], run, layout), given[1]
    colours = Pattern(matrix).colours
    of_entry = colours if free is None else _renumbered(np.where(free, colours, -1))
    columns = Columns(of_entry, int(of_entry.max()) + 1)
    outputs = run.outputs.layout
    scales = scales_of(run, columns, units)
    compressed = Compressed(matrix, columns, scales)
    owners = compressed.owners

    def name_of(output: int, column: int) -> str:
        owner = compressed.found.get((output, column), int(owners[output, column]))
        entry = layout.name(owner) if owner >= 0 else f"(colour {column})"
        return f"{outputs.name(output)} / {entry}"

    pairs = PairLayout(outputs, layout, columns, name_of)
    budget = Budget(run.recorder, options.seconds)
    loss = pair_loss(run, pairs, units, options.seed)
    claim = Claim(pairs.vector(compressed.values), np.zeros(len(pairs.blocks)))
    outcome = sweep(loss, claim, rule, budget, replace(options, steps=None))
    assert outcome.judged is not None
    judged = _without_idle_pairs(outcome.judged)
    if overall(judged.verdict) == "disagrees":
        _locate(run, compressed, pairs, judged)
    judged, outside = _in_own_units(judged, compressed, owners, pairs)
    blocks = tuple(checked_block(judged, pairs, b) for b in range(len(pairs.blocks)))
    outcome = Outcome(
        overall(judged.verdict),
        blocks,
        outcome.relative_error,
        (*outcome.remarks, *_about(outside, columns, matrix)),
        judged,
    )
    report = summarise(outcome, loss, rule, options, _laws(judged, compressed, owners, pairs, rule))
    return replace(report, strategy="sweep", blocks=_in_full(report, layout))


def _read(value: Any, run: VectorEvaluator, layout: Layout) -> Any:
    matrix = value.tocsr().astype(np.float64)
    matrix.sum_duplicates()
    shape = run.outputs.layout.size, layout.size
    if matrix.shape != shape:
        turned = ": transposed?" if matrix.shape == shape[::-1] else ""
        raise StructureMismatchError(
            f"the sparse Jacobian has shape {matrix.shape}: expected {shape}, a row for each output and "
            f"a column for each input{turned}"
        )
    return matrix


def _renumbered(colours: Indices) -> Indices:
    """Colours from 0 without gaps; -1 stays."""
    used, numbers = np.unique(colours, return_inverse=True)
    return numbers.reshape(colours.shape) - (1 if used[0] == -1 else 0)


def _without_idle_pairs(judged: Judged) -> Judged:
    """Pairs of which claim and difference are exactly zero agree."""
    zero = (judged.analytic == 0) & (judged.numeric == 0)
    zero &= judged.verdict == Verdict.INCONCLUSIVE
    return replace(judged, verdict=np.where(zero, np.int8(Verdict.AGREES), judged.verdict))


def _locate(
    run: VectorEvaluator, compressed: Compressed, pairs: PairLayout, judged: Judged
) -> None:
    """Find the inputs to blame, where a colour has several."""
    wrong = np.flatnonzero(judged.verdict == Verdict.DISAGREES)
    outputs, colours = pairs.pairs(judged.indices[wrong])
    residual = judged.numeric[wrong] - judged.analytic[wrong]
    owners = compressed.owners
    for colour in np.unique(colours)[:MOST_LOCATED].tolist():
        members = np.flatnonzero(compressed.columns.of_entry == colour)
        inside = np.flatnonzero(colours == colour)
        rows = outputs[inside]
        own = owners[rows, colour]
        claimed = judged.analytic[wrong[inside]]
        number = np.zeros(rows.size, np.int64)
        sure = np.ones(rows.size, np.bool_)
        h = CENTRAL[2].step
        for bit in range(int(members.size - 1).bit_length()):
            moved = members[(np.arange(members.size) >> bit) & 1 == 1]
            direction = np.zeros(compressed.scales.size)
            direction[moved] = compressed.scales[moved]
            slope = slope_along(run, direction, h)
            seen = slope[rows] - np.where(np.isin(own, moved), claimed, 0.0)
            part = seen / residual[inside]
            is_set = part > 0.5
            sure &= np.abs(part - is_set) < SPELT
            number |= is_set.astype(np.int64) << bit
        sure &= number < members.size
        for row, k in zip(rows[sure].tolist(), number[sure].tolist(), strict=True):
            compressed.found[row, colour] = int(members[k])


def _in_own_units(
    judged: Judged, compressed: Compressed, owners: Indices, pairs: PairLayout
) -> tuple[Judged, list[str]]:
    """Slopes by the inputs themselves, and the names of entries that the pattern leaves out."""
    outputs, colours = pairs.pairs(judged.indices)
    owner = owners[outputs, colours]
    analytic, numeric = judged.analytic.copy(), judged.numeric.copy()
    notes, names = dict(judged.notes), []
    for (output, colour), entry in compressed.found.items():
        k = int(np.flatnonzero((outputs == output) & (colours == colour))[0])
        if entry == owner[k]:
            continue
        if owner[k] >= 0:
            numeric[k] -= analytic[k]
            analytic[k] = 0.0
        owner[k] = entry
        notes[k] = "not in the pattern, so taken for zero"
        names.append(pairs.name(int(judged.indices[k])))
    scale = np.where(owner >= 0, compressed.scales[np.maximum(owner, 0)], 1.0)
    d = judged.differences
    judged = replace(
        judged,
        analytic=analytic / scale,
        differences=Differences(numeric / scale, d.bar / np.abs(scale), d.step * np.abs(scale)),
        notes=notes,
    )
    return judged, names


def _about(outside: list[str], columns: Columns, matrix: Any) -> list[str]:
    """What to say of the pattern."""
    remarks = [
        f"{matrix.nnz:,} entries of the pattern were differenced in {columns.count} colours, and all "
        "others were seen to be zero or not."
    ]
    if outside:
        more = f" and {len(outside) - NAMED:,} more" if len(outside) > NAMED else ""
        verb = "is" if len(outside) == 1 else "are"
        remarks.append(
            f"Not zero, though the pattern leaves {'it' if len(outside) == 1 else 'them'} out, "
            f"{verb} {', '.join(outside[:NAMED])}{more}."
        )
    return remarks


def _laws(
    judged: Judged, compressed: Compressed, owners: Indices, pairs: PairLayout, rule: Rule
) -> tuple[Diagnosis, ...]:
    """Laws of the entries in the pattern."""
    if overall(judged.verdict) != "disagrees":
        return ()
    outputs, colours = pairs.pairs(judged.indices)
    inside = owners[outputs, colours] >= 0
    name = pairs.blocks[0].name if len(pairs.blocks) == 1 else "the Jacobian"
    rows, columns = compressed.matrix.shape
    if rows == columns:
        scale = compressed.scales[np.maximum(owners[outputs, colours], 0)]
        turned = compressed.summed(compressed.matrix.T)[outputs, colours] / scale
        allowed = judged.bar + rule.rtol * judged.scales.entry
        if np.all(np.abs(turned - judged.numeric) <= allowed):
            sentence = f"{name}: the analytic Jacobian, transposed, is the numerical one."
            return (Diagnosis(name, "transposed", {}, sentence),)
    count = int(np.count_nonzero(inside))
    where = np.flatnonzero(inside)
    evidence = Evidence(
        name,
        (count,),
        np.random.default_rng(0).standard_normal(count),  # no parameters: laws with them must fail
        judged.analytic[where],
        np.arange(count),
        judged.numeric[where],
        judged.bar[where],
        agrees=not np.any(judged.verdict[where] == Verdict.DISAGREES),
    )
    return diagnose([evidence])


def _in_full(report: GradientCheck, layout: Layout) -> tuple[BlockCheck, ...]:
    """The blocks with as many columns as there are inputs, not colours."""
    return tuple(
        replace(block, shape=(*block.shape[:-1], layout.size)) if len(block.shape) > 1 else block
        for block in report.blocks
    )
