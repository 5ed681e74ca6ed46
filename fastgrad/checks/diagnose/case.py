"""A block that disagrees, as the laws are shown it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.checks.diagnose.evidence import Evidence
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.checks.diagnose.known_numbers import Size
from fastgrad.numerics.bars import ROUNDING
from fastgrad.spaces.charts import Chart

MATRIX_AXES = 2
"""Shapes of fewer dimensions have no rows and columns."""

Kind = Literal[
    "one number",
    "two numbers",
    "matrix",
    "square matrix",
    "known in every entry",
    "on a space",
    "with second differences",
]
"""What a block is, or what is known of it, where a law makes sense for such blocks alone."""

SHOWS = 10.0
"""An effect shows where it is this many bars large; only such entries count as evidence."""


@dataclass(frozen=True)
class Case:
    """Some sampled entries of one block, and what else is known to the laws.

    ``others`` are the other blocks' evidence, ``dims`` the sizes that a factor may come from.
    """

    name: str
    shape: tuple[int, ...]
    theta: Floats
    analytic: Floats
    positions: Indices
    D: Floats
    bar: Floats
    others: tuple[Evidence, ...] = ()
    dims: tuple[Size, ...] = ()
    located: bool = False
    lines: bool = False
    second: Floats | None = None
    second_bar: Floats | None = None
    chart: Chart | None = None
    loose: float = 0.0
    """What the gradient under test may be off by beside a law, in parts of itself."""

    unit: float = ROUNDING
    """Rounding of the gradient under test."""

    k: int = field(init=False)
    """How many samples there are."""
    a: Floats = field(init=False)
    """The gradient under test there."""
    x: Floats = field(init=False)
    """The parameters there."""
    index: tuple[Indices, ...] = field(init=False)
    """Index of every sample in the block's shape."""
    wrong: Mask = field(init=False)
    telling: Mask = field(init=False)
    """Samples whose gradient is not zero within its bar: the others obey almost any law."""
    complete: bool = field(init=False)
    """Whether every entry of the block is known."""
    population: int = field(init=False)
    """Number of entries among which the wrong ones are all known."""
    clear: float = field(init=False)
    """The bars by which the wrong samples are wrong, in the median."""
    kinds: frozenset[Kind] = field(init=False)
    """What the block is, as far as laws ask."""

    def __post_init__(self) -> None:
        k, size, a = self.positions.size, self.analytic.size, self.analytic[self.positions]
        with np.errstate(all="ignore"):
            error = np.abs(a - self.D)
            wrong = np.asarray(error > self.bar)
            bars = error[wrong] / self.bar[wrong]
        axes, complete = len(self.shape), k == size
        kinds: dict[Kind, bool] = {
            "one number": k == size == 1,
            "two numbers": k == size == 2,
            "matrix": axes >= MATRIX_AXES,
            "square matrix": complete
            and axes == MATRIX_AXES
            and self.shape[0] == self.shape[1] > 1,
            "known in every entry": complete,
            "on a space": self.chart is not None,
            "with second differences": self.second is not None,
        }
        vars(self).update(
            k=k,
            a=a,
            x=self.theta[self.positions],
            index=np.unravel_index(self.positions, self.shape) if self.shape else (),
            wrong=wrong,
            telling=np.asarray(np.abs(self.D) > SHOWS * self.bar),
            complete=complete,
            population=size if self.located else k,
            clear=float(np.median(bars)) if bars.size else 0.0,
            kinds=frozenset(kind for kind, holds in kinds.items() if holds),
        )

    def counted(self, wrong: int) -> str:
        """So many wrong entries in words."""
        sampled = "" if self.complete or self.located else "sampled "
        verb = "is" if wrong == 1 else "are"
        return f"{wrong:,} of {self.population:,} {sampled}entries {verb} wrong"

    def widened(self, part: float) -> "Case":
        """The same, of a gradient under test that is off by this part of itself."""
        bar = np.maximum(self.bar, part * np.abs(self.D))
        return replace(self, bar=bar, loose=part, unit=max(self.unit, part))

    def take(self, mask: Mask | Indices) -> "Case":
        """The same block with some of the samples."""
        second, second_bar = (
            None if known is None else known[mask] for known in (self.second, self.second_bar)
        )
        return replace(
            self,
            positions=self.positions[mask],
            D=self.D[mask],
            bar=self.bar[mask],
            second=second,
            second_bar=second_bar,
        )

    def entry(self, sample: int) -> str:
        """Name of a sampled entry."""
        if self.chart is not None:
            return self.name + self.chart.entry(tuple(int(axis[sample]) for axis in self.index))
        at = ", ".join(str(int(axis[sample])) for axis in self.index)
        return f"{self.name}[{at}]" if at else self.name


Law = Callable[[Case], Finding | None]
"""What finds a law, if every sample obeys it."""


def case_of(block: Evidence, others: Sequence[Evidence] = (), dims: tuple[Size, ...] = ()) -> Case:
    """The samples of a block whose difference quotient is finite and has a bar."""
    known = np.isfinite(block.numeric) & np.isfinite(block.bar)
    positions, D = np.asarray(block.positions, np.intp)[known], block.numeric[known]
    analytic = np.asarray(block.analytic, np.float64)
    a = analytic[positions]
    least = (
        4 * np.finfo(np.float64).eps * np.maximum(np.where(np.isfinite(a), np.abs(a), 0), np.abs(D))
    )
    return Case(
        block.name,
        block.shape,
        np.asarray(block.theta, np.float64),
        analytic,
        positions,
        D,
        np.maximum(block.bar[known], least + np.finfo(np.float64).tiny),
        tuple(others),
        dims,
        block.located,
        block.lines,
        None if block.second is None else block.second[known],
        None if block.second_bar is None else block.second_bar[known],
        block.chart,
        unit=_rounding(analytic),
    )


def _rounding(analytic: Floats) -> float:
    """The rounding of a gradient: single precision shows in its values."""
    with np.errstate(over="ignore"):
        single = np.array_equal(analytic.astype(np.float32).astype(np.float64), analytic)
    return max(ROUNDING, float(np.finfo(np.float32).eps) if single else 0.0)
