"""Planted bugs as files of their own, what is suggested for them, and whether that is right."""

import importlib.util
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import fastgrad as fg
from fastgrad.parameters.layout import flatten
from fastgrad.results import GradientCheck
from tests.checks import bugs
from tests.repair.course_bugs import CourseBug

COURSE = Path(__file__).parent / "course"
POINTS = 10
"""Further points, each with other data, at which a mended gradient is compared with the right one."""

HEAD = """import numpy as np

rng = np.random.default_rng(11)


"""
OF_A_DEEP_NET = """

def gradient(p, X, y, l2):
    g = deep_net(p, X, y, l2)
    blocks = [[g[f"{kind}.{k}"] for k in range(3)] for kind in ("weights", "biases")]
    return type(p)(*map(tuple, blocks))
"""


def replaced(text: str, edits: tuple[tuple[str, str], ...]) -> str:
    for old, new in edits:
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
        text = text.replace(old, new)
    return text


@contextmanager
def module(path: Path, text: str) -> Iterator[ModuleType]:
    """A file with this text, imported."""
    path.write_text(text)
    name = f"mended_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    try:
        spec.loader.exec_module(made)
        yield made
    finally:
        del sys.modules[name]


def source_of(bug: bugs.Bug, world: bugs.World, planted: bool = True) -> str:
    """A module with the gradient of a world, with or without the bug."""
    text = inspect.getsource(world.grad)
    text = HEAD + (replaced(text, bug.edits) if planted else text)
    return text + (OF_A_DEEP_NET if bug.world == "deep" else "")


def gradient_of(made: ModuleType, world: bugs.World) -> Callable[..., Any]:
    return getattr(made, "gradient", None) or getattr(made, world.grad.__name__)


def course_source(bug: CourseBug, planted: bool = True) -> str:
    text = (COURSE / f"{bug.module}.py").read_text()
    return replaced(text, bug.edits) if planted else text


def patched(text: str, diff: str, folder: Path) -> str:
    """A file's text with a diff applied, by ``patch``."""
    (folder / "patched.py").write_text(text)
    subprocess.run(
        ["patch", "--silent", str(folder / "patched.py")], input=diff, text=True, check=True
    )
    return (folder / "patched.py").read_text()


def same_at_further_points(
    mended: Callable[..., Any], right: Callable[..., Any], places: Iterator[tuple[Any, tuple]]
) -> bool:
    """Whether two gradients are one at all of the places."""
    for theta, args in places:
        got, expected = (flatten_any(f(theta, *args)) for f in (mended, right))
        size = np.abs(expected).max()
        if not np.allclose(got, expected, rtol=1e-7, atol=1e-9 * size):
            return False
    return True


def flatten_any(gradient: Any) -> np.ndarray:
    return flatten(gradient)[1]


def places_of(world: bugs.World) -> Iterator[tuple[Any, tuple]]:
    """Ten points with other data of the same kind: other rows, other labels, other weights."""
    layout, flat = flatten(world.theta)
    for seed in range(POINTS):
        rng = np.random.default_rng(100 + seed)
        theta = layout.rebuild(flat + 0.5 * rng.standard_normal(flat.size))
        args = tuple(_like(arg, rng) for arg in world.args)
        yield theta, args


def _like(arg: Any, rng: np.random.Generator) -> Any:
    if isinstance(arg, np.ndarray):
        rows = rng.integers(0, len(arg), len(arg) - 3)
        rng = np.random.default_rng(rows[0])
        picked = arg[rng.permutation(len(arg))[: len(arg) - 3]]
        return picked + 0.1 * rng.standard_normal(picked.shape) if arg.dtype.kind == "f" else picked
    return 0.7 * arg if isinstance(arg, float) else arg


def report_of(bug: bugs.Bug, world: bugs.World, made: ModuleType) -> GradientCheck:
    gradient = gradient_of(made, world)
    return fg.check_grad(
        world.loss, gradient, world.theta, *world.args, backend=world.backend, strategy="sweep"
    )


def changed_lines(diff: str) -> list[str]:
    return [line for line in diff.splitlines()[2:] if re.match(r"[-+]", line)]
