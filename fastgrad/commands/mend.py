"""``fastgrad check --suggest`` and ``--write``: what to change, and the change made."""

import sys

from fastgrad.repair.write import NotWrittenError, write
from fastgrad.report.escape import visible
from fastgrad.results import GradientCheck


def look_for_edits(report: GradientCheck, seconds: float, apply: bool) -> None:
    """Look for edits that mend a gradient that disagrees; write the best one if it is to be applied."""
    if report.verdict != "disagrees":
        return
    found = report.suggest(seconds)
    if not apply:
        return
    if not found:
        print("fastgrad: nothing is written: no edit was found", file=sys.stderr)
        return
    try:
        for path in write(found[0]):
            print(f"fastgrad: wrote {visible(path)}", file=sys.stderr)
    except (NotWrittenError, OSError) as error:
        print(f"fastgrad: nothing is written: {error}", file=sys.stderr)
