"""What may import what, and what happens at import."""

import ast
import json
from pathlib import Path

import pytest

import fastgrad
from tests.losses import run_python

PACKAGE = Path(fastgrad.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
STANDARD_IN_NUMERICS = {"collections", "dataclasses", "enum", "functools", "math", "typing"}


def imports_of(path):
    """Modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module)
    return found


def names_in(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.alias):
            yield node.name


def test_kernels_import_numba_numpy_and_math_alone():
    roots = {name.split(".")[0] for name in imports_of(PACKAGE / "evaluate" / "kernels.py")}
    assert roots <= {"numba", "numpy", "math", "collections", "typing"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "numerics").glob("*.py")), ids=lambda p: p.name)
def test_numerics_imports_numpy_alone(path):
    for name in imports_of(path):
        allowed = name.split(".")[0] in {"numpy", *STANDARD_IN_NUMERICS}
        assert allowed or name.startswith("fastgrad.numerics"), name


def test_prange_is_in_kernels_alone():
    assert {path.name for path in FILES if "prange" in names_in(path)} == {"kernels.py"}


def test_who_knows_whom():
    """Data flows one way: what is below does not import what is above."""
    order = ["errors", "numerics", "trees", "native", "params", "evaluate", "detect", "transforms"]
    for below, layer in enumerate(order):
        paths = [PACKAGE / f"{layer}.py"] if (PACKAGE / f"{layer}.py").exists() else []
        for path in [*paths, *(PACKAGE / layer).rglob("*.py")]:
            for name in imports_of(path):
                parts = name.split(".")
                if parts[0] == "fastgrad" and len(parts) > 1 and parts[1] in order:
                    assert order.index(parts[1]) <= below, f"{path} imports {name}"


IMPORT = """
import json, sys
import numba
import numpy
before = set(sys.modules)
from numba.core import event

class Counter(event.Listener):
    compilations = 0
    def on_start(self, event): Counter.compilations += 1
    def on_end(self, event): pass

event.register("numba:compile", Counter())
import fastgrad
import fastgrad.transforms
made, modules = Counter.compilations, sorted(set(sys.modules) - before)
numba.njit(lambda x: x)(1)
print(json.dumps([made, Counter.compilations, modules]))
"""


def test_nothing_is_compiled_and_nothing_large_imported_at_import():
    compilations, after_one, modules = json.loads(run_python(IMPORT))
    assert (compilations, after_one) == (0, 1)
    loaded = {name.split(".")[0] for name in modules}
    assert not loaded & {"scipy", "typer", "rich", "matplotlib", "click", "pandas", "torch"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_every_module_says_what_it_is_for(path):
    text = path.read_text()
    assert not text.strip() or ast.get_docstring(ast.parse(text))
