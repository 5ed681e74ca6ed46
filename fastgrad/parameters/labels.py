"""Arrays with labels, as pandas and xarray have them: told by what they have; nothing is imported."""

from typing import Any

import numpy as np

from fastgrad.arrays import Array
from fastgrad.errors import StructureMismatchError


def is_labelled(value: Any) -> bool:
    """Whether a value is a Series, a DataFrame or a DataArray, or made like one."""
    return _is_table(value) or _is_data_array(value)


def _is_table(value: Any) -> bool:
    return hasattr(value, "to_numpy") and hasattr(value, "index") and hasattr(value, "reindex")


def _is_data_array(value: Any) -> bool:
    return hasattr(value, "dims") and hasattr(value, "coords") and hasattr(value, "copy")


def labels_of(template: Any) -> tuple[tuple[Any, ...], ...]:
    """The names along each axis."""
    if _is_data_array(template):
        return tuple(
            tuple(np.asarray(template.coords[dim]).tolist()) if dim in template.coords else axis
            for dim, axis in zip(
                template.dims, (tuple(range(k)) for k in template.shape), strict=True
            )
        )
    axes = (template.index,) if template.ndim == 1 else (template.index, template.columns)
    return tuple(tuple(axis.tolist()) for axis in axes)


def like(template: Any, values: Array) -> Any:
    """The same with other values."""
    if _is_data_array(template):
        return template.copy(data=values)
    if template.ndim == 1:
        return type(template)(values, index=template.index, name=template.name)
    return type(template)(values, index=template.index, columns=template.columns)


def matched(template: Any, value: Any, what: str) -> Any:
    """A gradient with labels in the order of theta's.

    Raises
    ------
    StructureMismatchError
        Labels that theta has not, or that are missing.
    """
    if _is_data_array(template) and _is_data_array(value):
        return value.reindex_like(template).transpose(*template.dims)
    if not (_is_table(template) and _is_table(value)) or template.ndim != value.ndim:
        return value
    for name in ("index", "columns")[: template.ndim]:
        own, given = getattr(template, name), getattr(value, name)
        odd = set(own.tolist()) ^ set(given.tolist())
        if odd:
            shown = ", ".join(map(repr, sorted(odd, key=str)[:4]))
            raise StructureMismatchError(
                f"{what}: expected the labels of theta along its {name}; {shown} "
                f"{'are' if len(odd) > 1 else 'is'} in one of the two alone"
            )
    axes = {"index": template.index, "columns": template.columns} if template.ndim > 1 else {}
    return value.reindex(**axes) if axes else value.reindex(template.index)
