"""The museum's tables: checker by what it found, and the kinds and names of bugs."""

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.museum.visit import Visit

Row = dict[str, Any]


def visits_of(rows: list[Row]) -> dict[str, list[Visit]]:
    """Every checker's visits."""
    return {row["tool"]: [Visit(**visit) for visit in row["visits"]] for row in rows}


def by_checker(rows: list[Row], duration: Callable[[float], str]) -> list[list[str]]:
    """What each found, called wrong that is right, left open; says where, says why; and its time."""
    body = []
    for tool, visits in visits_of(rows).items():
        bugs, right = [v for v in visits if v.is_bug], [v for v in visits if not v.is_bug]
        where = sum(v.where in ("all", "some") for v in bugs)
        others = sum(v.where == "others" for v in bugs)
        counts = [
            f"{sum(v.passes is False for v in bugs)} of {len(bugs)}",
            f"{sum(v.passes is False for v in right)} of {len(right)}",
            str(sum(v.passes is None for v in visits)),
            f"{where}" + (f", {others} wrongly" if others else ""),
            str(sum(v.names_cause for v in bugs)),
            str(sum(v.names_another for v in bugs)),
        ]
        body.append([tool, *counts, duration(float(np.median([v.seconds for v in visits])))])
    return body


HEAD = [
    *("checker", "bugs found", "false alarms", "cannot tell", "says where", "says why"),
    *("says another why", "time of a check"),
]


def amiss(rows: list[Row]) -> str:
    """Names of what was missed, of right gradients called wrong, and of what was left open."""
    lines = []
    for tool, visits in visits_of(rows).items():
        missed = [v.name for v in visits if v.is_bug and v.passes is True]
        alarmed = [v.name for v in visits if not v.is_bug and v.passes is False]
        left = [v.name for v in visits if v.passes is None]
        said = [("missed", missed), ("called wrong", alarmed), ("cannot tell", left)]
        parts = [f"{what} {', '.join(names)}" for what, names in said if names]
        lines.append(f"- {tool}: {'; '.join(parts) or 'nothing amiss'}.")
    return "\n".join(lines)


def by_kind(rows: list[Row], mended: dict[str, bool]) -> list[list[str]]:
    """Bugs by kind: how many, found by each checker, told why by ours, mended by it."""
    visits = visits_of(rows)
    ours = [v for v in visits["fastgrad"] if v.is_bug]
    body = []
    for kind in dict.fromkeys(sorted(v.kind for v in ours)):
        names = [v.name for v in ours if v.kind == kind]
        found = [
            sum(v.passes is False for v in theirs if v.name in names) for theirs in visits.values()
        ]
        why = sum(v.names_cause for v in ours if v.kind == kind)
        edits = sum(mended.get(name, False) for name in names)
        body.append([kind, str(len(names)), *map(str, found), str(why), str(edits)])
    sums = [sum(int(row[k]) for row in body) for k in range(1, len(body[0]))]
    return [*body, ["all", *map(str, sums)]]


def head_by_kind(rows: list[Row]) -> list[str]:
    return ["kind", "bugs", *visits_of(rows), "fastgrad says why", "fastgrad mends"]
