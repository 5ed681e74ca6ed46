"""What a monitor saw: a record a check, and the run in words and in a figure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgrad.report.plots import NEEDED
from fastgrad.results import GradientCheck


@dataclass(frozen=True)
class Alarm:
    """Why a gradient is taken to be wrong.

    ``kind`` is "evidence" (a small error, of the same sign over checks), "gross" (a large one, seen
    again on fresh lines) or "not finite"; ``block`` the block it was seen in, None for all of them.
    """

    kind: str
    block: str | None
    sentence: str
    report: GradientCheck | None = None
    """The full check that followed."""


@dataclass(frozen=True)
class Record:
    """One check of a monitor."""

    step: int
    slope: float
    """What the gradient under test says of the line."""
    difference: float
    """The same by the loss."""
    noise: float
    """How far the difference may be off, one standard deviation."""
    h: float
    evidence: float
    """log10 of the evidence so far against a right gradient; an alarm is at log10(1/alpha)."""
    suspect: str
    """What most of it speaks against."""
    evaluations: int
    alarm: Alarm | None = None

    @property
    def relative(self) -> float:
        """The error beside the slope."""
        return (self.slope - self.difference) / abs(self.slope) if self.slope else np.nan


def summary(records: Sequence[Record], alpha: float) -> str:
    """A run in a few sentences."""
    if not records:
        return "No check was made yet."
    alarms = [record for record in records if record.alarm is not None]
    last, evaluations = records[-1], sum(record.evaluations for record in records)
    errors = [abs(record.relative) for record in records if np.isfinite(record.relative)]
    typical = f"{np.median(errors):.1g}" if errors else "nothing"
    count = f"{len(records):,} check{'s' if len(records) > 1 else ''}"
    lines = [
        f"{count} from step {records[0].step:,} to {last.step:,}: "
        f"{len(alarms) or 'no'} alarm{'' if len(alarms) == 1 else 's'}. With a right gradient there "
        f"is one at all, in a run of any length, with probability at most {alpha:g}.",
        f"Slopes and differences were {typical} apart, of their size; the evidence against a right "
        f"gradient is 10^{last.evidence:.2g} (alarm at 10^{-np.log10(alpha):.2g}), most of it in "
        f"{last.suspect}. {evaluations:,} evaluations of the loss.",
    ]
    lines += [f"Step {record.step:,}: {record.alarm.sentence}" for record in alarms if record.alarm]
    return "\n".join(lines)


def plot(records: Sequence[Record], alpha: float, ax: Any = None) -> Any:
    """Evidence over steps, with the line at which an alarm is raised."""
    if ax is None:
        try:
            from matplotlib import pyplot
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(f"a plot {NEEDED}", name=error.name) from error
        ax = pyplot.subplots(figsize=(6.0, 3.0), layout="constrained")[1]
    steps = [record.step for record in records]
    ax.plot(steps, [record.evidence for record in records], marker=".", label="evidence")
    ax.axhline(-np.log10(alpha), linestyle="--", color="#c8452d", label=f"alarm, alpha = {alpha:g}")
    for record in records:
        if record.alarm is not None:
            ax.axvline(record.step, color="#c8452d", alpha=0.5)
    ax.set_xlabel("step")
    ax.set_ylabel("log10 of the evidence that the gradient is wrong")
    ax.legend(frameon=False)
    return ax
