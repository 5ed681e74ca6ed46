"""Table 2: digits against evaluations a coordinate, and how honest the error estimates are."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastgrad as fg
from bench.functions import FUNCTIONS, GROUPS
from bench.rivals import RIVALS, version, with_error_jacobi, with_error_numdifftools

MOST_DIGITS = 15.7
"""Those of a float64; an exact answer counts as so many."""
FAILED = -1.0
"""Digits of a method that raised or answered NaN."""

OURS: dict[str, dict[str, Any]] = {
    "forward": {"method": "forward"},
    "central, order 2": {},
    "central, order 4": {"order": 4},
    "central, order 6": {"order": 6},
    'step="adaptive"': {"step": "adaptive"},
}


def ours(options: dict[str, Any]) -> Callable:
    return lambda loss, x: fg.grad(loss, backend="python", **options)(x)


def ours_with_error(options: dict[str, Any]) -> Callable:
    def estimated(loss, x):
        result = fg.grad(loss, backend="python", **options).estimate(x)
        return result.gradient, result.error

    return estimated


class Counted:
    """A loss that knows how often it was called."""

    def __init__(self, loss: Callable[[np.ndarray], float]):
        self.loss, self.calls = loss, 0

    def __call__(self, x: np.ndarray) -> float:
        self.calls += 1
        return float(self.loss(np.asarray(x, np.float64)))


def errors_of(got: Any, exact: np.ndarray) -> np.ndarray:
    """Errors of all entries, relative to the entry or to the root mean square of the gradient."""
    rms = np.sqrt(np.mean(exact**2))
    return np.abs(np.asarray(got, np.float64) - exact) / np.maximum(np.abs(exact), rms)


def digits_and_cost(method: Callable, function) -> tuple[float, float]:
    """Digits of the worst entry, and evaluations a coordinate."""
    counted = Counted(function.loss)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            got = method(counted, function.x.copy())
            worst = float(np.max(errors_of(got, function.gradient(function.x))))
        except ArithmeticError:
            worst = np.nan
    if not np.isfinite(worst):
        return FAILED, counted.calls / function.x.size
    digits = float(np.clip(-np.log10(max(worst, 1e-300)), 0.0, MOST_DIGITS))
    return digits, counted.calls / function.x.size


def methods() -> list[tuple[str, str, Callable]]:
    """``(name, package, gradient)``; starting processes changes no digit."""
    own = [(f"fastgrad {name}", "numpy", ours(options)) for name, options in OURS.items()]
    return own + [(r.name, r.package, r.gradient) for r in RIVALS if not r.starts_processes]


@pytest.mark.parametrize(("name", "package", "method"), methods(), ids=lambda v: str(v)[:30])
def test_digits(name: str, package: str, method: Callable, benchmark):
    if version(package) is None:
        pytest.skip(f"{package} is not installed")
    results: dict[str, list[tuple[float, float]]] = {group: [] for group in GROUPS}

    def run():
        for function in FUNCTIONS:
            results[function.group].append(digits_and_cost(method, function))

    benchmark.pedantic(run, rounds=1)
    facts = {"table": "accuracy", "tool": name, "results": results}
    benchmark.extra_info.update(facts)
    assert np.median([digits for digits, _ in results["smooth"]]) > 5


ESTIMATES = [
    *((f"fastgrad {name}", "numpy", ours_with_error(o)) for name, o in OURS.items()),
    ("numdifftools Gradient", "numdifftools", with_error_numdifftools),
    ("jacobi", "jacobi", with_error_jacobi),
]


@pytest.mark.parametrize(("name", "package", "method"), ESTIMATES, ids=lambda v: str(v)[:30])
def test_honesty(name: str, package: str, method: Callable, benchmark):
    """Of all entries of all functions: is the true error below the reported one, and how far?"""
    if version(package) is None:
        pytest.skip(f"{package} is not installed")
    claimed: list[float] = []
    true: list[float] = []
    refused: list[str] = []

    def run():
        for function in FUNCTIONS:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                exact = function.gradient(function.x)
                try:
                    got, error = method(Counted(function.loss), function.x.copy())
                except ArithmeticError:
                    refused.append(function.name)
                    continue
            rounding = 4 * np.finfo(float).eps * np.abs(exact)
            claimed.extend(np.broadcast_to(error, exact.shape).tolist())
            true.extend((np.maximum(np.abs(got - exact) - rounding, 0.0)).tolist())

    benchmark.pedantic(run, rounds=1)
    facts = {"table": "honesty", "tool": name, "claimed": claimed, "true": true}
    benchmark.extra_info.update(facts, refused=len(refused))
    assert len(true) > 100
