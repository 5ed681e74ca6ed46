"""What fastgrad answers: frozen values that know how to print themselves."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from fastgrad.errors import GradientMismatch

SCHEMA = "fastgrad/gradient-check/1"
"""Name and version of `GradientCheck.to_dict`; the version changes when a field does."""


@dataclass(frozen=True)
class GradientEstimate:
    """A numerical gradient with its error bars.

    ``gradient``, ``error`` and ``step`` are shaped like theta: the difference quotients, bounds on
    their absolute errors, and the steps really taken (the shortest, where several were). ``value``
    is the loss, ``noise`` the standard deviation of one of its evaluations, ``evaluations`` how
    many were made.
    """

    gradient: Any
    error: Any
    step: Any
    value: float
    noise: float
    evaluations: int


@dataclass(frozen=True)
class EntryCheck:
    """One entry: ``verdict`` is "agrees", "disagrees", "inconclusive", "kink: valid subgradient" or
    "kink: outside"; ``step`` is the step of the difference that judged it."""

    name: str
    block: str
    index: tuple[int, ...]
    analytic: float
    numeric: float
    error_bar: float
    step: float
    verdict: str
    note: str


@dataclass(frozen=True)
class BlockCheck:
    """One block: the largest ``|a - D|``, the norm ratio, and how small an error would be seen.

    ``detection_limit`` is the largest bar over the rms of the block's differences (over the rms of
    all differences where the block's own are zero within their bars, as ``limit_of`` then says).
    ``kinks`` counts the entries at a kink, ``worst`` names the entry furthest off.
    """

    name: str
    shape: tuple[int, ...]
    size: int
    checked: int
    verdict: str
    relative_error: float
    max_error: float
    detection_limit: float
    limit_of: str
    kinks: int
    worst: str
    diagnosis: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """Why a block is wrong: a law of its residual, the law's constants, and a sentence."""

    block: str
    law: str
    constants: dict[str, float]
    sentence: str


@dataclass(frozen=True)
class ConvergenceRow:
    """Error of the difference along one direction at one step; ``ratio`` to the row before."""

    step: float
    error: float
    ratio: float
    reading: str


@dataclass(frozen=True)
class Convergence:
    """Errors against steps, and what they say. Iterates over its rows."""

    rows: tuple[ConvergenceRow, ...]
    summary: str

    def __iter__(self) -> Any:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, k: int) -> ConvergenceRow:
        return self.rows[k]

    def __str__(self) -> str:
        from fastgrad.report.text import convergence_text

        return convergence_text(self)


@dataclass(frozen=True)
class GradientCheck:
    """The answer of `check_grad`; true only when the verdict is "agrees".

    ``blocks`` are in theta's order; ``entries`` are all that do not plainly agree, worst first (at
    most 1,000), or, when all do, the ten that came closest. ``relative_error`` is the classical
    ``||a - D|| / (||a|| + ||D||)``, ``noise`` the standard deviation of one evaluation, ``seconds``
    the time spent. With ``points`` the top level is the worst of them, with the evaluations and
    seconds of all.
    """

    verdict: str
    strategy: str
    blocks: tuple[BlockCheck, ...]
    entries: tuple[EntryCheck, ...]
    diagnoses: tuple[Diagnosis, ...]
    relative_error: float
    noise: float
    evaluations: int
    seconds: float
    seed: int
    rtol: float
    size: int
    checked: int
    counts: dict[str, int]
    """Number of entries by verdict."""
    remarks: tuple[str, ...] = ()
    label: str = ""
    points: tuple["GradientCheck", ...] = ()
    _convergence: Callable[[], Convergence] | None = field(default=None, repr=False, compare=False)

    def __bool__(self) -> bool:
        return self.verdict == "agrees"

    def __repr__(self) -> str:
        from fastgrad.report.text import one_line

        return one_line(self)

    def __str__(self) -> str:
        from fastgrad.report.text import report_text

        return report_text(self)

    def raise_if_wrong(self) -> None:
        """Raise `GradientMismatch`, with the whole report, unless the verdict is "agrees"."""
        if not self:
            raise GradientMismatch(str(self))

    def convergence(self) -> Convergence:
        """Errors of central differences against the step, along the direction that errs most.

        The table that textbooks make by hand: a step 10 times smaller makes the error 100 times
        smaller (truncation, the gradient is right there), leaves it as it is (the gradient is
        wrong), or makes it larger (noise). It evaluates the loss some 20 times.

        Raises
        ------
        ValueError
            For a report that was restored without its loss.
        """
        if self._convergence is None:
            raise ValueError(
                "this report no longer has its loss (it was unpickled or copied without it): run "
                "check_grad again for the table"
            )
        return self._convergence()

    def to_dict(self) -> dict[str, Any]:
        """The report as plain dicts, lists, strings and numbers, under ``"schema"``.

        Keys are the field names of `GradientCheck`, `BlockCheck`, `EntryCheck` and `Diagnosis`.
        """
        fields = asdict(self, dict_factory=_plain)
        return {"schema": SCHEMA, **fields}

    def to_json(self, indent: int | None = None) -> str:
        """`to_dict` as JSON; numbers that are not finite become null."""
        return json.dumps(_finite(self.to_dict()), indent=indent, allow_nan=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_convergence": None}


def _plain(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in items if not name.startswith("_")}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value
