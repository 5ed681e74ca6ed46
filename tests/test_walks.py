"""A reader's walk through the package gets no longer, and one that goes to and fro is seen."""

import importlib.util
import json
import sys

import pytest

from tests import walks
from tests.losses import run_python

LIMITS = {
    "grad": (70, 24, 14),
    "sweep, right": (155, 67, 15),
    "sweep, one entry wrong": (310, 118, 20),
    "screen, right": (175, 74, 20),
    "screen, one entry wrong": (345, 127, 35),
}
"""The most functions, files and returns of a walk: a few more than when it was last made shorter,
which a step that is needed may take."""

TWICE = """
import gc, json
from tests.walks import WALKS, walk
gc.disable()  # what a collection finalizes is no part of the way
print(json.dumps([{name: walk(call) for name, call in WALKS.items()} for _ in range(2)]))
"""
"""In a process of its own: where kernels are loaded already they are entered in the place of NumPy.

Comprehensions, functions of their own before Python 3.12, have names in brackets and are left out; what
is worked out once and kept was asked before by the call that comes first."""


@pytest.fixture(scope="module")
def counted():
    """The walks, counted twice."""
    return json.loads(run_python(TWICE))


@pytest.mark.parametrize("name", LIMITS)
def test_walks_are_no_longer_than_they_were(counted, name):
    got, most = counted[0][name], LIMITS[name]
    assert all(a <= b for a, b in zip(got, most, strict=True)), (
        f"{name}: {got} functions, files and returns, expected at most {most}; see the way itself by "
        f'python -m tests.walks "{name}": "<-" is a file come back to'
    )


def test_every_walk_has_its_limits_and_is_the_same_when_made_again(counted):
    first, again = counted
    assert first == again
    assert list(first) == list(LIMITS)


TO_AND_FRO = {
    "asks": """
        import answers

        def ask():
            return start() + answers.first() + more() + answers.second() + sum(each for each in [1])

        def start():
            return 1

        def more():
            return start()
    """,
    "answers": """
        def first():
            return 1

        def second():
            return first()
    """,
}


@pytest.fixture
def asks(tmp_path, monkeypatch):
    """A module that asks another in turns with itself, in the place of the package."""
    monkeypatch.setattr(walks, "PACKAGE", str(tmp_path))
    found = {}
    for name, text in reversed(TO_AND_FRO.items()):
        path = tmp_path / f"{name}.py"
        path.write_text("\n".join(line[8:] for line in text.splitlines()))
        spec = importlib.util.spec_from_file_location(name, path)
        found[name] = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, found[name])
        spec.loader.exec_module(found[name])
    return found["asks"]


def test_a_walk_to_and_fro_is_counted(asks):
    """asks: ask, start; answers: first; <- asks: more; <- answers: second."""
    assert walks.walk(asks.ask) == (5, 2, 2)
    assert walks.walk(lambda: asks.answers.first() + asks.more()) == (3, 2, 0)


def test_the_way_is_shown_with_the_files_that_are_come_back_to(asks, capsys):
    walks.show(walks.way(asks.ask))
    *way, empty, first, second = capsys.readouterr().out.splitlines()
    assert way == [
        "   asks.py: ask, start",
        "   answers.py: first",
        "<- asks.py: more",
        "<- answers.py: second",
    ]
    assert (empty, {first, second}) == ("", {"   1 asks.py", "   1 answers.py"})
