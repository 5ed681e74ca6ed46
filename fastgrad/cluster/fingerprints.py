"""Digests of a loss, theta and arguments, part by part: what differs between two runs has a name.

Nothing here depends on the process: no hash of a string, no address, no order of a set.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from hashlib import blake2b
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.evaluate.read_from_outside import LIBRARIES, values_read
from fastgrad.parameters.layout import Layout
from fastgrad.spaces.points import numbers_of
from fastgrad.version import __version__

DIGEST_BYTES = 8
"""The length of a digest: a wrong file is taken for the right one with a probability of 2^-64."""
NAMED_BLOCKS = 1000
"""Blocks of theta that have digests of their own in a file's head."""
PLAIN = (int, float, complex, bool, str, bytes, type(None), type(Ellipsis), np.generic)
AWAY, DIGITS = 2.0**-6, 7
"""How far off theta a space is looked at, and decimals in which machines agree about it."""
FUNCTION = "a function, "
"""Before the digest of an option that is one."""
REDUCED = 4
"""The protocol of pickle by which an unknown object is taken apart; nothing is ever put together."""


def versions() -> dict[str, str]:
    """What computes: other versions may round otherwise."""
    from importlib import metadata  # 20 ms that only a checkpoint is worth

    return {
        "fastgrad": __version__,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "numpy": np.__version__,
        "numba": metadata.version("numba"),
    }


def of_loss(loss: Any) -> dict[str, str]:
    """The code of a loss, and what it reads from outside, by name."""
    plain = getattr(loss, "loss", loss)
    plain = getattr(plain, "py_func", plain)
    plain = getattr(plain, "__func__", plain)
    if type(plain) is not FunctionType:
        return {"the loss": of_value(loss)}
    found = {"its code": _hexed(lambda digest: digest.code(plain.__code__))}
    found |= {name: of_value(value) for name, value in values_read(plain) if value is not plain}
    if plain.__defaults__ or plain.__kwdefaults__:
        found["its defaults"] = of_value((plain.__defaults__, plain.__kwdefaults__))
    if isinstance(loss, MethodType):
        found["its object"] = of_value(loss.__self__)
    return found


def of_theta(layout: Layout, flat: Floats) -> dict[str, str]:
    """The blocks of theta by name; of very many, all together."""
    if len(layout.blocks) > NAMED_BLOCKS:
        names = [(block.name, block.shape) for block in layout.blocks]
        return {"theta": of_value((names, flat))}
    found = {
        block.name: of_value((block.shape, block.dtype.str, flat[block.start : block.stop]))
        for block in layout.blocks
    }
    if type(layout) is not Layout:  # in a space: its coordinates begin at zero wherever it lies
        found["the point"] = of_value(layout.given(flat.copy()))
        found["the space"] = _of_space(layout, flat)
    return found


def _of_space(layout: Layout, flat: Floats) -> str:
    """A digest of where a space leads: another retraction is another loss of the same coordinates."""
    step = AWAY * np.random.default_rng(0).standard_normal(flat.size)
    moved = numbers_of(layout.given(flat + step))
    return of_value(None if moved is None else np.round(moved, DIGITS))


def of_value(value: Any) -> str:
    """A digest of any value."""
    return _hexed(lambda digest: digest.value(value))


def _hexed(feed: Callable[["_Digest"], None]) -> str:
    digest = _Digest()
    feed(digest)
    return digest.made.hexdigest()


class _Digest:
    """A digest under way."""

    def __init__(self) -> None:
        self.made = blake2b(digest_size=DIGEST_BYTES)
        self.within: list[int] = []
        """The objects that hold what is being taken in, from the outermost."""

    def word(self, *words: object) -> None:
        """Take in words, kept apart."""
        self.made.update(repr(words).encode("utf-8", "backslashreplace"))

    def value(self, value: Any) -> None:
        """Take in a value of any kind."""
        if isinstance(value, PLAIN):
            exact = value.tobytes() if isinstance(value, np.generic) else value
            self.word(type(value).__name__, exact)
            return
        if id(value) in self.within:
            self.word("itself", self.within.index(id(value)))
            return
        self.within.append(id(value))
        feeds = (feed for kinds, feed in _KINDS if isinstance(value, kinds))
        next(feeds, _Digest.object)(self, value)
        self.within.pop()

    def array(self, value: np.ndarray[Any, Any]) -> None:
        self.word("array", value.dtype.str, value.dtype.names, value.shape)
        if value.dtype.hasobject:
            self.items(value.ravel().tolist())
        else:
            self.made.update(np.ascontiguousarray(value).data if value.size else b"")

    def items(self, value: Any) -> None:
        self.word(_named(type(value)), len(value))
        for item in value:
            self.value(item)

    def mapping(self, value: Mapping[Any, Any]) -> None:
        self.word(_named(type(value)), len(value))
        for key, item in value.items():
            self.value(key)
            self.value(item)

    def set(self, value: Any) -> None:
        self.word(_named(type(value)), sorted(of_value(item) for item in value))

    def code(self, code: CodeType) -> None:
        """What code does: not where it stands, nor what its lines are."""
        self.word("code", code.co_code, code.co_names, code.co_varnames, code.co_freevars)
        for constant in code.co_consts:
            self.code(constant) if isinstance(constant, CodeType) else self.value(constant)

    def function(self, value: FunctionType) -> None:
        if _is_library(value.__module__):
            self.word("function", _named(value))
            return
        self.code(value.__code__)
        self.value((value.__defaults__, value.__kwdefaults__))
        for name, read in values_read(value):
            self.word(name)
            self.value(read)

    def method(self, value: MethodType) -> None:
        self.value(value.__func__)
        self.value(value.__self__)

    def partial(self, value: Any) -> None:
        self.value((value.func, value.args, value.keywords))

    def named(self, value: Any) -> None:
        self.word(_named(value))

    def type(self, value: type) -> None:
        """A class: of a user's, the code of its methods too."""
        self.word("class", _named(value))
        if not _is_library(value.__module__):
            for name, item in vars(value).items():
                function = getattr(item, "__func__", item)
                if isinstance(function, FunctionType):
                    self.word(name)
                    self.function(function)

    def object(self, value: Any) -> None:
        """Anything else: an njit function, an array of a kind, fields, or what pickle would keep."""
        if isinstance(getattr(value, "py_func", None), FunctionType):
            self.function(value.py_func)
            return
        self.type(type(value))
        if hasattr(value, "__array__"):
            self.array(np.asarray(value))
        elif is_dataclass(value):
            self.items([getattr(value, field.name) for field in fields(value)])
        else:
            self.items(list(_parts(value)))


_KINDS: tuple[tuple[Any, Callable[[_Digest, Any], None]], ...] = (
    (np.ndarray, _Digest.array),
    (tuple | list, _Digest.items),
    (Mapping, _Digest.mapping),
    (set | frozenset, _Digest.set),
    (FunctionType, _Digest.function),
    (MethodType, _Digest.method),
    (partial, _Digest.partial),
    (BuiltinFunctionType | np.ufunc | ModuleType, _Digest.named),
    (type, _Digest.type),
    (CodeType, _Digest.code),
)


def _parts(value: Any) -> Iterator[Any]:
    """What an object is made of, as far as it shows; nothing of one that shows nothing."""
    try:
        reduced = value.__reduce_ex__(REDUCED)
    except Exception:
        yield from getattr(value, "__dict__", {}).items()
        return
    if isinstance(reduced, str):
        yield reduced
        return
    for part in reduced:
        yield list(part) if isinstance(part, Iterator) else part


def _named(value: Any) -> str:
    module, name = getattr(value, "__module__", ""), getattr(value, "__qualname__", None)
    return f"{module}.{name or getattr(value, '__name__', type(value).__name__)}"


def _is_library(module: str | None) -> bool:
    root = (module or "").partition(".")[0]
    return root in LIBRARIES or root in sys.stdlib_module_names - {"__main__"} or root == "fastgrad"


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What two heads of files differ in, in words."""
    found = []
    for what in ("version", "loss", "theta", "arguments", "options"):
        then, new = before.get(what, {}), now.get(what, {})
        for name in dict.fromkeys((*then, *new)):
            if then.get(name) != new.get(name):
                found.append(_SAID[what](name, then.get(name), new.get(name)))
    return found


def _shown(option: Any) -> str:
    """An option as a message shows it: functions have no digits."""
    return f"{option}".partition(", ")[0] if f"{option}".startswith(FUNCTION) else f"{option}"


_SAID: dict[str, Callable[[str, Any, Any], str]] = {
    "version": lambda name, then, now: f"{name} {then}, here it is {now}",
    "loss": lambda name, then, now: (
        f"another loss ({name if name.startswith(('its ', 'the ')) else f'{name}, which it reads,'} "
        "differs)"
    ),
    "theta": lambda name, then, now: (
        "another theta" if name == "theta" else f"another theta ({name} differs)"
    ),
    "arguments": lambda name, then, now: f"another argument {name}",
    "options": lambda name, then, now: (
        f"another function {name}"
        if f"{then}".startswith(FUNCTION) and f"{now}".startswith(FUNCTION)
        else f"{name}={_shown(then)}, here it is {_shown(now)}"
    ),
}
