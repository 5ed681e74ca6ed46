"""The place where theta lives: its structure read with the spaces that it has, by block."""

import difflib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.parameters.layout import Layout, flatten
from fastgrad.parameters.numbers import real_array
from fastgrad.parameters.trees import (
    Branch,
    Kept,
    Leaf,
    Node,
    below,
    children,
    describe,
    is_list_of_numbers,
    is_no_number,
    shortened,
    taken_apart,
)
from fastgrad.spaces.charts import Chart
from fastgrad.spaces.foreign import as_space
from fastgrad.spaces.layout import SpaceLayout
from fastgrad.spaces.linear import Complex, ComplexChart
from fastgrad.spaces.space import Space


def placed(
    theta: Any, space: Any, root: str = "theta", names: Sequence[str] | None = None
) -> tuple[Layout, Floats]:
    """Read a theta: its layout, and a flat float64 copy of its values.

    Parameters
    ----------
    theta : object
    space : Space, manifold, structure of them, or None
        Where it lives; complex numbers live in `spaces.complex` without one.
    root : str
        The name of a theta that is one block.
    names : sequence of str, optional
        What the entries of a theta that is one array are called.

    Raises
    ------
    TypeError, ValueError
        As `flatten`; a space for what is not there, or that is none there.
    """
    if space is None and not has_complex(theta):
        layout, flat = flatten(theta, root)
        return (layout if names is None else layout.called(names)), flat
    reader = _Reader(root)
    tree = reader.read(theta, space, "")
    charts = tuple(reader.charts)
    alike = all(chart is None or isinstance(chart, ComplexChart) for chart in charts)
    layout = _shared(tree, root, charts) if alike else SpaceLayout(tree, root, charts)
    if layout.size == 0:
        raise ValueError(f"{root} is empty: expected at least one parameter to differentiate")
    flat = np.concatenate(reader.values)
    bad = np.flatnonzero(~np.isfinite(flat))
    if bad.size:
        raise ValueError(
            f"{layout.name(int(bad[0]))} is {flat[bad[0]]}: expected finite parameters "
            f"({bad.size} of {flat.size} are not)"
        )
    return (layout if names is None else layout.called(names)), flat


_shared = lru_cache(maxsize=64)(SpaceLayout)
"""The layout of thetas that are alike but for their values: of complex and plain numbers."""


def spaces_of(space: Any, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
    """The space of each input of a function, or structure of them; None for a plain one.

    Parameters
    ----------
    space : Space, manifold, or structure of them
        Of the only input; of several a dict by their names, or a sequence of one each.
    inputs : mapping
        The inputs by name, in their order.

    Raises
    ------
    TypeError, ValueError
        A space for what is not there, or that is none.
    """
    if space is None:
        return (None,) * len(inputs)
    known = as_space(space, "the inputs")
    if isinstance(known, Space):
        if len(inputs) > 1:
            raise ValueError(
                f"space: expected spaces by the names of the inputs, {shortened(list(inputs))}, for "
                f"there are {len(inputs)}; got {known!r}"
            )
        return (known,)
    of_input = _by_key(known, dict(inputs), "the function")
    return tuple(_checked(of_input.get(name), value, name) for name, value in inputs.items())


def _checked(space: Any, value: Any, name: str) -> Any:
    """A space, or a structure of spaces that are all there in a value."""
    known = as_space(space, name)
    if known is None or isinstance(known, Space):
        return known
    if not children(value):
        raise _one_space_error(known, value, name)
    of_part = _by_key(known, value, name)
    container, keys, _ = taken_apart(value)
    made = [
        _checked(of_part.get(key), part, below(name, key, Branch(container, keys, ()), ""))
        for key, part in children(value)
    ]
    return dict(zip(keys, made, strict=True)) if any(s is not None for s in made) else None


def _one_space_error(space: Any, value: Any, name: str) -> TypeError:
    return TypeError(
        f"space for {name}: expected one space, as {name} is {describe(value)}; got {describe(space)}"
    )


def has_complex(theta: Any) -> bool:
    """Whether some array or number of a structure is complex."""
    if isinstance(theta, np.ndarray):
        return theta.dtype.kind == "c"
    try:
        return _has_complex(theta)
    except RecursionError:  # nested too deeply, or it holds itself: whoever reads it says so
        return False


def _has_complex(theta: Any) -> bool:
    if isinstance(theta, np.ndarray | np.generic):
        return theta.dtype.kind == "c"
    if isinstance(theta, complex):
        return True
    if is_list_of_numbers(theta):
        return np.asarray(theta).dtype.kind == "c"
    return any(_has_complex(part) for _, part in children(theta))


class _Reader:
    """The tree of a theta with spaces, and its leaves' charts and values as they are met."""

    def __init__(self, root: str):
        self.root = root
        self.charts: list[Chart | None] = []
        self.values: list[Floats] = []

    def read(self, value: Any, space: Any, path: str) -> Node:
        name = path or self.root
        known = as_space(space, name)
        parts = children(value) if not is_list_of_numbers(value) else []
        if isinstance(known, Space) and not (known.for_arrays and parts):
            return self._chart(known.at(value, name))
        if parts:
            of_part = _by_key(known, value, name)
            container, keys, _ = taken_apart(value)
            named, empty = container not in (list, tuple), Branch(container, keys, ())
            nodes = tuple(
                Kept(part)
                if named and of_part.get(key) is None and is_no_number(part)
                else self.read(part, of_part.get(key), below(path, key, empty, self.root))
                for key, part in parts
            )
            return Branch(container, keys, nodes)
        if known is not None and not isinstance(known, Space):
            raise _one_space_error(known, value, name)
        if has_complex(value):
            value = np.asarray(value) if is_list_of_numbers(value) else value
            return self._chart(Complex().at(value, name))
        array = real_array(value, name)
        self.charts.append(None)
        self.values.append(np.asarray(array, np.float64).ravel())
        return Leaf(array.shape, array.dtype, scalar=np.isscalar(value))

    def _chart(self, chart: Chart) -> Leaf:
        self.charts.append(chart)
        self.values.append(chart.values())
        return Leaf(chart.shape, np.dtype(np.float64), scalar=False)


def _by_key(space: Any, value: Any, name: str) -> dict[Any, Any]:
    """The space of each part of a structure.

    Raises
    ------
    ValueError, TypeError
        Spaces that are not structured so.
    """
    _, keys, _ = taken_apart(value)
    if space is None:
        return {}
    if isinstance(space, Space):
        return dict.fromkeys(keys, space)
    if isinstance(space, Mapping) or children(space):
        given = dict(children(space))
        by_position = not isinstance(space, Mapping) and type(space) in (list, tuple)
        if by_position and len(given) == len(keys):
            return dict(zip(keys, given.values(), strict=True))
        unknown = [key for key in given if key not in keys]
        if by_position:
            raise ValueError(
                f"space: expected one for each of the {len(keys)} blocks of {name}, got {len(given)}; "
                "None stands for a plain one"
            )
        if unknown:
            near = difflib.get_close_matches(str(unknown[0]), list(map(str, keys)), n=1)
            raise ValueError(
                f"space: {name} has no block {unknown[0]!r}; its blocks are {shortened(keys)}"
                + (f" (did you mean {near[0]!r}?)" if near else "")
            )
        return given
    raise TypeError(
        f"space for {name} is {describe(space)}: expected a Space, or a structure of them"
    )
