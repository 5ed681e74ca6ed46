"""Golden reports: all that checks and gradients say of some 80 problems, to be compared bit for bit.

    python -m tests.golden write before.json      # on the code as it was
    python -m tests.golden compare before.json    # on the code as it is

For changes that are not to change what users get. Bits depend on the machine (BLAS, the libraries of
the processor), so the file is compared on the machine that wrote it, and is not kept.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import fastgrad as fg
from tests.problems import Problem, correct_problems

SEEDS = (0, 1)
SECONDS = re.compile(r"(about|in) [\d.e+-]+ s\b")
"""Times in remarks and reports, of which no two runs have the same."""


RAN = re.compile(r"[Rr]an (compiled|in Python), on .*")
"""On how many threads pays depends on what else the machine does."""


def lossless(value: Any) -> Any:
    """Plain data in which every bit of a number shows."""
    if isinstance(value, dict):
        return {
            str(key): lossless(item) for key, item in value.items() if key not in ("seconds", "ran")
        }
    if isinstance(value, list | tuple):
        return [lossless(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value).hex()
    if isinstance(value, np.ndarray):
        return [float(x).hex() for x in value.ravel()]
    if isinstance(value, str):
        return SECONDS.sub(r"\1 ... s", RAN.sub("Ran ...", value))
    return value


def leaves(gradient: Any) -> list[np.ndarray]:
    """The blocks of a gradient: a NamedTuple, dict, tuple, array or number."""
    if isinstance(gradient, dict):
        gradient = tuple(gradient.values())
    if isinstance(gradient, tuple | list):
        return [array for part in gradient for array in leaves(part)]
    return [np.asarray(gradient, np.float64)]


def flat(gradient: Any) -> np.ndarray:
    """A gradient as one vector, which `fastgrad.check_grad` takes as well."""
    return np.concatenate([array.ravel() for array in leaves(gradient)])


def damaged(gradient: np.ndarray, how: str) -> np.ndarray:
    """A right gradient with a fault of some kind."""
    wrong = gradient.copy()
    largest = int(np.argmax(np.abs(wrong)))
    if how == "sign":
        wrong[largest] *= -1
    elif how == "half":
        wrong[: wrong.size // 2] *= 1.1
    elif how == "nan":
        wrong[largest] = np.nan
    return wrong


def checks() -> Iterator[tuple[str, Any]]:
    """Names, and functions of no arguments that make a report or an estimate."""
    problems = list(correct_problems(range(1)))
    for problem in problems:
        for how in ("right", "sign", "half"):
            for strategy in ("sweep", "screen"):
                for seed in SEEDS if how != "half" else SEEDS[:1]:
                    yield from one(problem, how, strategy=strategy, seed=seed)
        yield f"grad {problem.name}", lambda p=problem: flat(fg.grad(p.loss)(p.theta, *p.args))
    for problem in problems[::3]:
        yield from one(problem, "nan", strategy="sweep")
        yield from one(problem, "nan", strategy="screen")
        yield from one(problem, "right", strategy="sweep", rtol=0.0)
        yield from one(problem, "sign", strategy="sweep", step="adaptive")
        yield from one(problem, "sign", strategy="sweep", step=1e-5, structure=False)
        for options in ({}, {"order": 4}, {"step": "adaptive"}, {"method": "forward"}):
            yield (
                f"estimate {problem.name} {options}",
                lambda p=problem, o=options: fg.grad(p.loss, **o).estimate(p.theta, *p.args),
            )
    for problem in problems[:2]:
        yield from one(problem, "sign", strategy="screen", backend="python")
        yield from one(problem, "sign", strategy="sweep", trainable=["W1", "b2"])
        call = {"points": 2, "strategy": "sweep", "budget": None}
        yield (
            f"points {problem.name}",
            lambda p=problem, c=call: fg.check_grad(p.loss, p.grad, p.theta, *p.args, **c),
        )


def one(problem: Problem, how: str, **options: Any) -> Iterator[tuple[str, Any]]:
    """One check of a problem with a right or damaged gradient."""

    def check() -> Any:
        gradient = damaged(flat(problem.grad(problem.theta, *problem.args)), how)
        return fg.check_grad(
            problem.loss, gradient, problem.theta, *problem.args, budget=None, **options
        )

    yield f"{how} {problem.name} {options}", check


def facts(made: Any) -> Any:
    """What is compared of a report, an estimate or a gradient."""
    if isinstance(made, np.ndarray):
        return lossless(made)
    if hasattr(made, "to_dict"):
        return {**lossless(made.to_dict()), "text": lossless(str(made)), "repr": repr(made)}
    return {
        **{name: lossless(flat(getattr(made, name))) for name in ("gradient", "error", "step")},
        **{name: lossless(getattr(made, name)) for name in ("value", "noise", "evaluations")},
    }


def reports(named: Iterator[tuple[str, Any]]) -> dict[str, Any]:
    """All facts by name; an exception is a fact too."""
    found = {}
    for name, make in named:
        try:
            found[name] = facts(make())
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
    return found


def differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """The places in which two facts differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from differences(before.get(key), after.get(key), f"{path}/{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for k, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from differences(old, new, f"{path}[{k}]")
    elif before != after:
        yield f"{path}: {before!r} became {after!r}"


def main(command: str, file: str) -> int:
    """Write the reports of this code, or compare them with those in a file."""
    now = json.loads(json.dumps(reports(checks())))
    if command == "write":
        Path(file).write_text(json.dumps(now))
        print(f"{len(now)} reports")
        return 0
    found = list(differences(json.loads(Path(file).read_text()), now))
    print("\n".join(found[:200]))
    print(f"{len(found)} differences in {len(now)} reports")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
