"""What is given for all leaves of a model, or for some of them by their names, as arrays of leaves."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastgrad.arrays import Array
from fastgrad.parameters.trees import shortened


def filled(
    given: Any,
    own: Mapping[str, Array],
    missing: Any = None,
    as_array: Callable[[Any], Any] = np.asarray,
) -> Any:
    """What is given by name, shaped like the leaves; anything else as it is.

    Parameters
    ----------
    given : mapping, or anything
        Numbers and arrays by the names of leaves, of which some may be left out.
    own : mapping
        The leaves, by name.
    missing : number or mapping, optional
        What stands for leaves that are left out, for all or by name; by default they stay out.
    as_array : callable
        Makes an array of what a framework has instead.

    Raises
    ------
    ValueError
        A name is not a leaf's.

    Examples
    --------
    >>> filled({"b": 0.5}, {"W": np.zeros(2), "b": np.zeros(1)}, np.inf)
    {'W': array([inf, inf]), 'b': array([0.5])}
    """
    if not isinstance(given, Mapping):
        return given
    unknown = sorted(set(given) - set(own))
    if unknown:
        names = shortened(tuple(own))
        raise ValueError(f"{unknown[0]!r} is no parameter or input: expected some of {names}")
    found = {}
    for name, leaf in own.items():
        left_out = missing.get(name) if isinstance(missing, Mapping) else missing
        value = given.get(name, left_out)
        if value is not None:
            found[name] = np.broadcast_to(as_array(value), leaf.shape).astype(np.float64)
    return found
