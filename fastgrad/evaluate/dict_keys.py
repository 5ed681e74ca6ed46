"""``p["w"]`` in compiled code, where a dict is a NamedTuple: a loss reads the same in Python."""

# mypy: allow-untyped-defs

import operator

from numba import types
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
