"""Functions found in their source, edited and put back: closures, methods, lambdas, compiled ones."""

import ast

import numpy as np
import pytest
from numba import njit

from fastgrad.repair.edits import CLOSE, OPEN, Edit
from fastgrad.repair.reach import reached
from fastgrad.repair.source import NoSourceError, Version, unit_of


def outer(a, b):
    def inner(x):
        """With a docstring."""
        return a * x + b

    return inner


class Net:
    scale = 3.0

    def step(self, x):
        return self.scale * x

    def gradient(self, x):
        return self.step(x) + 1.0


@njit
def helper(x):
    return 2.0 * x


@njit
def compiled(x):
    return helper(x) + 1.0


def noisy(x):
    return x + np.random.rand()


square = lambda x: x * x  # noqa: E731


def edited(function, old, new):
    unit = unit_of((function,))
    assert old in unit.original.text
    return Version(unit, unit.original.text.replace(old, new)).compiled()


@pytest.mark.parametrize(
    ("function", "old", "new", "expected"),
    [
        (outer(2.0, 3.0), "a * x + b", "a * x - b", 7.0),
        (outer(2.0, 3.0), "a * x + b", "a * x", 10.0),
        (Net().step.__func__, "self.scale * x", "self.scale + x", 8.0),
        (square, "x * x", "x + x", 10.0),
        (unit_of.__globals__["_prefix"], "(", "(", None),
    ],
    ids=["closure", "a free name dropped", "method", "lambda", "a helper of our own"],
)
def test_code_of_an_edit_replaces_a_functions_own(function, old, new, expected):
    before, code = function.__code__, edited(function, old, new)
    function.__code__ = code
    try:
        if expected is not None:
            assert (Net.step(Net(), 5.0) if "self" in old else function(5.0)) == expected
    finally:
        function.__code__ = before


def test_what_a_gradient_runs_is_found_through_methods_and_compiled_code():
    net = Net()
    units = reached(net.gradient, lambda: net.gradient(1.0)).units
    assert {unit.name for unit in units} >= {"Net.gradient", "Net.step"}
    found = reached(compiled, lambda: compiled(1.0))
    assert {unit.name for unit in found.units} >= {"compiled", "helper"}
    assert set(found.compiled) == {compiled, helper}


def test_what_draws_from_global_random_state_is_named_and_not_edited():
    found = reached(noisy, lambda: noisy(1.0))
    assert "noisy" not in {unit.name for unit in found.units}
    assert found.refused == ("noisy is not edited: it calls numpy.random.rand",)


def test_a_source_that_was_changed_since_is_refused():
    names = {}
    exec(compile("def inner(x):\n    return x\n", __file__, "exec"), names)
    with pytest.raises(NoSourceError):
        unit_of((names["inner"],))


@pytest.mark.parametrize(
    ("text", "old", "new", "expected"),
    [
        ("a * b", "b", f"{OPEN}b + {OPEN}c{CLOSE}{CLOSE}", "a * (b + c)"),
        ("a + b", "b", f"{OPEN}b * c{CLOSE}", "a + b * c"),
        ("f((a - b))", "a - b", f"{OPEN}a{CLOSE}", "f(a)"),
        ("(a * b).T", "a * b", f"{OPEN}d{CLOSE}", "d.T"),
        ("(a * b) + c", "a * b", f"{OPEN}a / b{CLOSE}", "(a / b) + c"),
    ],
)
def test_parentheses_stay_where_the_meaning_needs_them_and_where_the_user_put_them(
    text, old, new, expected
):
    unit = unit_of((square,))
    version = Version(unit, f"lambda x: {text}")
    start = version.text.rindex(old)
    edit = Edit(unit, ((start, start + len(old), new),), -1, "", 0.0)
    got = edit.tidy(version).text.removeprefix("lambda x: ")
    assert got == expected
    assert ast.dump(ast.parse(got)) == ast.dump(ast.parse(text.replace(old, edit_text(new))))


def edit_text(new):
    return new.replace(OPEN, "(").replace(CLOSE, ")")
