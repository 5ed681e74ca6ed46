"""Numbers as they are handed over: arrays of real numbers, and in what precision they are."""

from typing import Any

import numpy as np

from fastgrad.arrays import Array


def real_array(value: Any, path: str) -> Array:
    """``value`` as an array of real numbers.

    Raises
    ------
    TypeError
        Naming ``path``, when it is anything else.
    """
    try:
        array = np.asarray(value)
    except ValueError:  # ragged
        array = np.empty(0, object)
    except Exception as error:
        raise TypeError(
            f"{path} is {type(value).__name__}, which does not become an array ({error}): expected "
            f"numbers; {_as_array(value)}"
        ) from error
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{path} is a masked array: expected all of its numbers; use .filled()")
    if array.dtype.kind == "c":
        raise TypeError(f"{path} is complex: expected real numbers; split it into its real parts")
    if array.dtype.kind not in "iuf":
        kind = "boolean" if array.dtype.kind == "b" else type(value).__name__
        if array.dtype.kind == "O" and (hasattr(value, "toarray") or hasattr(value, "detach")):
            raise TypeError(f"{path} is {kind}: expected an array of numbers; {_as_array(value)}")
        ragged = array.dtype.kind == "O" and array.ndim > 0
        raise TypeError(
            f"{path} is {kind}: expected a number, an array of "
            "numbers, or a dict, NamedTuple, dataclass, list or tuple of them"
            + ("; objects, as arrays of unlike lengths, go in a list or a dict" if ragged else "")
            + (SPACED if _is_of_a_class(value) else "")
        )
    return array


SPACED = "; an object on a set of its own, as a pose is, takes space=fg.Space(retract, dim=...)"


def rounding_of(array: Array) -> float:
    """The rounding unit in which numbers were handed over."""
    return float(np.finfo(array.dtype).eps) if array.dtype.kind in "fc" else 0.0


def _is_of_a_class(value: Any) -> bool:
    """Whether a value is an object of a class that is neither Python's nor NumPy's."""
    root = type(value).__module__.partition(".")[0]
    return root not in ("builtins", "numpy") and not callable(value)


def _as_array(value: Any) -> str:
    """How what has numbers in it becomes an array."""
    if hasattr(value, "toarray"):
        return "use .toarray()"
    if hasattr(value, "detach"):
        return "use .detach().cpu().numpy(), or fastgrad.torch.check, which takes it as it is"
    return "hand over its numbers as an array"
