"""Random generators that a loss may draw from: put back as they were, and seen to be drawn from."""

import ctypes
import pickle
import random
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from numpy.random import mtrand

WORDS_BYTES = 4 * (624 + 1)
"""All of a Mersenne Twister in memory: 624 words, and which of them is next."""


def generators_in(values: Iterable[Any]) -> tuple[Any, ...]:
    """The random generators among some values."""
    kinds = np.random.Generator, np.random.RandomState, random.Random
    return tuple(value for value in values if isinstance(value, kinds))


@contextmanager
def python_random_state_kept() -> Iterator[Callable[[], tuple[Any, Any]]]:
    """A context that keeps the global generators of NumPy and of Python; what it gives tells of them.

    ``look()`` has another value when a number was drawn from one of them, or a seed given to it.
    """
    numpys = np.random.get_state(legacy=False)
    # A normal number that waits to be drawn is not among the words.
    by_words = numpys["bit_generator"] == "MT19937" and not numpys["has_gauss"]

    def look() -> tuple[Any, Any]:
        return _words() if by_words else _pickled(), random.getstate()

    before = look()
    try:
        yield look
    finally:
        now = look()
        if now[0] != before[0]:
            np.random.set_state(numpys)
        if now[1] != before[1]:  # to look costs half of what it costs to put it back
            random.setstate(before[1])


def _words() -> bytes:
    """The words of NumPy's global generator, in 0.3 us; its state as a dict takes 50."""
    generator = mtrand.get_bit_generator()
    if type(generator) is not np.random.MT19937:  # it was another before
        return _pickled()
    return ctypes.string_at(generator.ctypes.state_address, WORDS_BYTES)


def _pickled() -> bytes:
    """The state of NumPy's global generator, of whatever kind, as bytes to compare."""
    return pickle.dumps(np.random.get_state(legacy=False))


def drawn_from(look: Callable[[], Any], generators: tuple[Any, ...]) -> Any:
    """What is another when a number is drawn from, or a seed given to, a generator.

    Those of compiled code are looked at too, which Python may call.

    Parameters
    ----------
    look : callable
        What tells of the global ones, as `python_random_state_kept` gives it.
    generators : tuple
        Others.
    """
    compiled = _compiled_random_state() if "numba" in sys.modules else []
    return look(), compiled, pickle.dumps(generators)


@contextmanager
def generators_kept(arguments: tuple[Any, ...]) -> Iterator[None]:
    """A context that keeps the generators among a loss's arguments."""
    with ExitStack() as stack:
        for argument in arguments:
            if isinstance(argument, np.random.Generator):
                stack.enter_context(_generator_state_kept(argument))
        yield


@contextmanager
def _generator_state_kept(generator: np.random.Generator) -> Iterator[None]:
    """A context that keeps a generator that was passed to a loss."""
    before = generator.bit_generator.state
    try:
        yield
    finally:
        generator.bit_generator.state = before


@contextmanager
def numba_random_state_kept() -> Iterator[None]:
    """A context that keeps the two generators of compiled code, on this thread."""
    before = _compiled_random_state()
    try:
        yield
    finally:
        for pointer, state in before:
            _of_compiled_code().rnd_set_state(pointer, state)


def _compiled_random_state() -> list[tuple[int, Any]]:
    """Addresses and states of the two generators of compiled code, on this thread."""
    code = _of_compiled_code()
    pointers = code.rnd_get_np_state_ptr(), code.rnd_get_py_state_ptr()
    return [(pointer, code.rnd_get_state(pointer)) for pointer in pointers]


def _of_compiled_code() -> Any:
    """What reads and sets the generators of compiled code."""
    from numba import _helperlib

    return _helperlib  # whose stubs do not tell of these functions
