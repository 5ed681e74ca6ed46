"""Planted bugs as files of their own, what is suggested for them, and whether that is right."""

import importlib.util
import inspect
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

import fastgrad as fg
from bench.museum import Exhibit, loaded
from fastgrad.parameters.layout import flatten
from fastgrad.report.suggestion import Suggestion
from fastgrad.results import GradientCheck
from tests.checks import bugs
from tests.repair.course_bugs import CourseBug

COURSE = Path(__file__).parent / "course"
POINTS = 10
"""Further points, each with other data, at which a mended gradient is compared with the right one."""

NOT_WRONG = {"half precision"}
"""A gradient in half precision is judged with its own rounding, and not blamed."""

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


class Mended(NamedTuple):
    """What became of a bug, "right", "wrong" or "not mended"; edits tried, seconds, those of CPUs."""

    name: str
    outcome: str
    tried: int
    seconds: float
    cpu: float


def mended(
    name: str, report: GradientCheck, seconds: float, is_right: Callable[[Suggestion], bool]
) -> Mended:
    """What is suggested for a report; right if all suggestions are."""
    before, began = os.times(), time.perf_counter()
    suggestions = report.suggest(seconds)
    took, after = time.perf_counter() - began, os.times()
    found = report._suggested
    assert found is not None
    outcome = "not mended"
    if suggestions:
        outcome = "right" if all(map(is_right, suggestions)) else "wrong"
    return Mended(name, outcome, found.tried, took, sum(after[:4]) - sum(before[:4]))


@cache
def worlds() -> dict[str, bugs.World]:
    return bugs.worlds()


def mended_bug(bug: bugs.Bug, folder: Path, seconds: float) -> Mended:
    """A planted bug of the checks' own collection."""
    world, text = worlds()[bug.world], source_of(bug, worlds()[bug.world])

    def is_right(suggestion: Suggestion) -> bool:
        with (
            module(folder / "mended.py", patched(text, suggestion.diff, folder)) as edited,
            module(folder / "right.py", source_of(bug, world, planted=False)) as right,
        ):
            gradients = (gradient_of(m, world) for m in (edited, right))
            return same_at_further_points(*gradients, places_of(world))

    with module(folder / "net.py", text) as made:
        report = report_of(bug, world, made)
        return mended(f"{bug.world}: {bug.name}", report, seconds, is_right)


def mended_course_bug(bug: CourseBug, folder: Path, seconds: float) -> Mended:
    """A bug of a course."""
    text = course_source(bug)
    loss, grad, example = (f"{bug.problem}{name}" for name in ("loss", "grad", "example"))

    def is_right(suggestion: Suggestion) -> bool:
        with (
            module(folder / "mended.py", patched(text, suggestion.diff, folder)) as edited,
            module(folder / "right.py", course_source(bug, planted=False)) as right,
        ):
            places = (getattr(right, example)(seed) for seed in range(1, POINTS + 1))
            return same_at_further_points(getattr(edited, grad), getattr(right, grad), places)

    with module(folder / "course.py", text) as made:
        theta, args = getattr(made, example)(0)
        report = fg.check_grad(getattr(made, loss), getattr(made, grad), theta, *args)
        return mended(f"{bug.module}: {bug.name}", report, seconds, is_right)


SEED = re.compile(r"default_rng\(\d+\)")
NEARBY = 0.03
"""How far entries move at a further point, relative to themselves: probabilities stay below 1, and
what is 0 stays so."""


def mended_exhibit(exhibit: Exhibit, folder: Path, seconds: float) -> Mended:
    """A bug of the museum, its source as it stands there."""
    text = Path(str(exhibit.module.__file__)).read_text()

    def is_right(suggestion: Suggestion) -> bool:
        ((_, _, new),) = suggestion._texts
        return all(_same_with_other_data(new, text, seed, folder) for seed in range(POINTS + 1))

    here = loaded(exhibit)
    report = fg.check_grad(here.loss, here.wrong, here.theta, backend="python")
    return mended(exhibit.name, report, seconds, is_right)


def _same_with_other_data(edited: str, right: str, seed: int, folder: Path) -> bool:
    """Whether an exhibit's gradient is now the right one: as it stands, or with data of another seed."""
    rng = np.random.default_rng(seed)
    if seed:
        edited, right = (SEED.sub(f"default_rng({1000 + seed})", t) for t in (edited, right))
    with module(folder / "mended.py", edited) as mended, module(folder / "right.py", right) as made:
        layout, flat = flatten(made.theta)
        theta = layout.rebuild(flat * (1 + NEARBY * bool(seed) * rng.standard_normal(flat.size)))
        return same_at_further_points(mended.wrong, made.right, iter([(theta, ())]))
