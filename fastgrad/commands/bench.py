"""``fastgrad bench module:problem``: our methods on a user's own loss, and which to take."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgrad.commands.targets import found_at, importable
from fastgrad.gradient import GradientFunction, grad
from fastgrad.parameters.layout import flatten
from fastgrad.problems import problem_of
from fastgrad.slopes import slopes

METHODS: dict[str, dict[str, Any]] = {
    'method="forward"': {"method": "forward"},
    "the default": {},
    "order=4": {"order": 4},
    "order=6": {"order": 6},
    'step="adaptive"': {"step": "adaptive"},
}
REPEATS = 7
METHOD_SECONDS = 5.0
"""A method is repeated less often where `REPEATS` calls would take longer."""
GOOD_ENOUGH = 1e-6
"""A tenth of what `check_grad` lets pass by default (rtol = 1e-5)."""


@dataclass(frozen=True)
class Measured:
    """One method on one loss; ``failure`` says why there are no numbers."""

    name: str
    seconds: float = float("nan")
    first: float = float("nan")
    repeats: int = 0
    evaluations: int = 0
    error: float = float("inf")
    """The largest estimated error of an entry, over the entry or the rms of the gradient."""
    failure: str = ""


def run_bench(target: str, say: Callable[[str], object]) -> None:
    """Measure every method on a problem, and say which to take.

    Parameters
    ----------
    target : str
        ``module:problem`` or ``file.py:problem``, as for ``fastgrad check``; a tuple without a
        gradient, ``(loss, theta, *args)``, will do.
    say : callable
        Gets the text.

    Raises
    ------
    TargetError
        A target that is not there, or is no problem.
    """
    with importable(target):
        problem = problem_of(found_at(target), grad_needed=False)
        layout, _ = flatten(problem.theta)
        say(f"{target}: {layout.size:,} parameters\n")
        results = [
            measure(name, grad(problem.loss, **options), problem.theta, problem.args)
            for name, options in METHODS.items()
        ]
    say(table_of(results))
    say(advice(results))


def measure(name: str, g: GradientFunction, theta: Any, args: tuple[Any, ...]) -> Measured:
    """Time, evaluations and estimated error of one method."""
    try:
        began = time.perf_counter()
        g(theta, *args)
        first = time.perf_counter() - began
        times: list[float] = []
        while len(times) < REPEATS and sum(times) < METHOD_SECONDS:
            began = time.perf_counter()
            g(theta, *args)
            times.append(time.perf_counter() - began)
        around = g._function.around((theta, *args))
        slopes(around, g._differencing)
        estimate = g.estimate(theta, *args)
    except ArithmeticError as error:
        return Measured(name, failure=str(error).partition(":")[0])
    gradient = flatten(estimate.gradient)[1]
    scale = np.maximum(np.abs(gradient), np.sqrt(np.mean(gradient**2)))
    errors = np.abs(flatten(estimate.error)[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        worst = float(np.max(np.where(errors == 0, 0.0, errors / scale)))
    return Measured(
        name, statistics.median(times), first, len(times), around.run.evaluations, worst
    )


def table_of(results: list[Measured]) -> str:
    """The measurements, one method a line."""
    head = f"{'':18}{'median time':>13}{'of':>4}{'first call':>13}{'evaluations':>13}{'error':>10}"
    lines = [head]
    for r in results:
        if r.failure:
            lines.append(f"{r.name:18}  {r.failure}")
            continue
        lines.append(
            f"{r.name:18}{1e3 * r.seconds:>10.3f} ms{r.repeats:>4}{1e3 * r.first:>10.1f} ms"
            f"{r.evaluations:>13,}{r.error:>10.0e}"
        )
    return "\n".join(lines)


def advice(results: list[Measured]) -> str:
    """Which method to take: the fastest that is good enough, or else the most accurate."""
    measured = [r for r in results if not r.failure and np.isfinite(r.error)]
    if not measured:
        return "\nNo method gives an error estimate here: is the loss finite around theta?"
    good = [r for r in measured if r.error <= GOOD_ENOUGH]
    if good:
        best = min(good, key=lambda r: r.seconds)
        why = (
            f"the fastest whose largest estimated error is at most {GOOD_ENOUGH:g} of the gradient"
        )
    else:
        best = min(measured, key=lambda r: r.error)
        why = f"the most accurate; none reaches {GOOD_ENOUGH:g} of the gradient"
    call = "loss" if best.name == "the default" else f"loss, {best.name}"
    return (
        f"\nTake fastgrad.grad({call}): {why}.\nThe first call compiles what was not compiled yet. "
        "Errors are bounds over all entries, relative to the entry or the rms of the gradient."
    )
