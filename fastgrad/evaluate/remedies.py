"""The line at which numba gave a function up, and what usually helps."""

import dis
import os
import re
from types import FunctionType
from typing import Any

USUAL = (
    (
        r"Cannot determine Numba type of <class 'function'>",
        "Decorate the functions it calls with @numba.njit",
    ),
    (
        r"yield in a closure",
        "Write the generator expression as a list, such as sum([...]), or as a loop",
    ),
    (
        r"scipy[./]special",
        "Use math.lgamma, math.erf and their like, or install numba-scipy, which teaches numba "
        "scipy.special",
    ),
    (
        r"for types \[List|\w+\((reflected )?list\(",
        "Make an array of the list first: np.array([...])",
    ),
    (
        r"Invalid use of type\(CPUDispatcher",
        "Leave the signature of the function it calls out, so that numba compiles it for float64 too; "
        "if it is not yours, hand it x.astype(np.float32)",
    ),
    (
        r"arguments must all have the same dtype",
        "Give both sides of @ one dtype: .astype(np.float64)",
    ),
    (
        r"[Cc]annot unify",
        "Give each variable one type on all paths, such as 0.0 for 0",
    ),
)
"""Patterns of numba's reasons, each with its remedy."""
UNUSUAL = "Write it with what numba supports"
"""The advice where there is none that helps usually."""
MASKED = re.compile(r"\[[^\]]*(<|>|==|!=|~|mask)[^\]]*\]\s*[-+*/]?=[^=]")
"""A line that assigns to a boolean mask."""


def remedy(reason: str, text: str) -> str:
    """What usually helps, from numba's reason and the text of the line."""
    if MASKED.search(text):
        return "Write the assignment to a mask as d = np.where(mask, value, d), or as a loop"
    for pattern, advice in USUAL:
        if re.search(pattern, reason):
            return advice
    return UNUSUAL


def line_of(function: FunctionType, reason: str, error: BaseException) -> int:
    """The line of the function itself that numba's reason names last, or was about when it failed.

    Failing that, the first line that reads a name that the reason has in quotes.
    """
    code = function.__code__
    file = re.escape(os.path.basename(code.co_filename))  # numba's path may be relative to anywhere
    lines = re.findall(rf'{file}(?:", line |:| \()(\d+)', reason)
    if lines:
        return int(lines[-1])
    under_way = _under_way(error, code.co_filename)
    if under_way is not None:
        return under_way
    quoted = set(re.findall(r"'(\w+)'", reason))
    for instruction in dis.get_instructions(function):
        line = instruction.positions.lineno if instruction.positions else None
        if line and instruction.argval in quoted and instruction.opname.startswith("LOAD_"):
            return line
    return int(code.co_firstlineno)


def _under_way(error: BaseException, file: str) -> int | None:
    """The line of a file whose statement numba was compiling when it failed."""
    found = None
    traceback = error.__traceback__
    while traceback is not None:
        statement: Any = traceback.tb_frame.f_locals.get("inst")
        place = getattr(statement, "loc", None)
        if place is not None and os.path.basename(str(place.filename)) == os.path.basename(file):
            found = int(place.line)
        traceback = traceback.tb_next
    return found
