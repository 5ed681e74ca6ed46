"""``p["w"]`` in compiled code, where a dict is a NamedTuple: a loss reads the same in Python."""

# mypy: allow-untyped-defs

import operator

from numba import types
from numba.core import ir
from numba.core.errors import TypingError
from numba.extending import overload

from fastgrad.parameters.native import KEYS


@overload(operator.getitem)
def _item(record, key):
    """The field of a key that is written out, for the classes of `native.record` alone."""
    keys = getattr(getattr(record, "instance_class", None), KEYS, None)
    if keys is None or not isinstance(key, types.StringLiteral):
        return None
    if key.literal_value not in keys:
        raise TypingError(f"there is no {key.literal_value!r} among the keys {', '.join(keys)}")
    position = keys.index(key.literal_value)
    return lambda record, key: record[position]


@overload(
    operator.contains, target="cpu"
)  # a narrower target than numba's own, so it is asked first
def _has(record, key):
    """Whether a key that is written out is there; numba's own looks among the values."""
    keys = getattr(getattr(record, "instance_class", None), KEYS, None)
    if keys is None or not isinstance(key, types.StringLiteral):
        return None
    found = key.literal_value in keys
    return lambda record, key: found


def walks_over_dict(result):
    """The line on which a compiled function iterates over a dict, or None.

    It would get the values, and Python gets the keys. Code from a disk cache does not tell.
    """
    annotation = result.type_annotation
    for block in getattr(annotation, "blocks", {}).values():
        for statement in block.body:
            value = statement.value if isinstance(statement, ir.Assign) else None
            if isinstance(value, ir.Expr) and value.op == "getiter":
                container = annotation.typemap.get(value.value.name)
                if hasattr(getattr(container, "instance_class", None), KEYS):
                    return statement.loc.line
    return None
