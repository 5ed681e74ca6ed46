"""What to tell a person whose loss numba does not compile."""

import re
from typing import Any

from numba import types

from fastgrad.errors import LossCompilationError

MOST_LINES = 15
"""numba's own reasons run to a hundred lines; the first ones and the user's line are what helps."""

RUN_IT_IN_PYTHON = 'backend="python" runs any callable, more slowly.'


def compilation_failure(loss: Any, loss_types: tuple[Any, ...], error: Exception) -> LossCompilationError:
    """The error for a loss that numba refused, with numba's reason and the user's line."""
    code = loss.py_func.__code__
    reason = [line.rstrip() for line in _without_colours(str(error)).splitlines()]
    lines = re.findall(r'File "([^"]+)", line (\d+)', "\n".join(reason))
    own = [int(number) for path, number in lines if code.co_filename.endswith(path.lstrip("."))]
    line = own[-1] if own else code.co_firstlineno
    kept = [text for text in reason if text.strip() and not _is_noise(text)]
    given = ", ".join(map(str, loss_types))
    return LossCompilationError(
        f"numba cannot compile the loss {loss.__name__} ({code.co_filename}, line {line}) for "
        f"({given}).\nnumba's reason:\n  "
        + "\n  ".join(kept[:MOST_LINES])
        + f"\nWrite it with what numba supports, or: {RUN_IT_IN_PYTHON}"
    )


def wrong_return_type(loss: Any, got: Any) -> TypeError:
    """The error for a loss that compiles but does not return one real number."""
    if isinstance(got, types.Array):
        advice = "reduce it to a number (for example with .sum() or .mean())"
    elif isinstance(got, types.Complex):
        advice = "return its real part or its modulus, whichever is minimised"
    elif isinstance(got, types.Boolean | types.Integer):
        advice = "an integer or a boolean moves in jumps and has no derivative; return a float"
    elif isinstance(got, types.NoneType | types.Optional):
        advice = "it returns None on some path; return the loss on every one"
    else:
        advice = "return the loss alone"
    return TypeError(
        f"the loss {loss.__name__} returns {got}: expected one real number (a float); {advice}"
    )


def _without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def _is_noise(line: str) -> bool:
    """Lines about numba's own workings."""
    return line.lstrip().startswith(
        ("During:", "Enable logging", "<source missing", "This error may have been caused")
    )
