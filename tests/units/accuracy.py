"""Correct digits of numerical gradients on the models in SI units, beside other packages.

Against the exact gradient, entry by entry, and for how many evaluations an entry. Where there are
error bars, whether they hold. ``python -m tests.units.accuracy [--seeds 3]`` prints the table.
"""

import argparse
import warnings
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import fastgrad as fg
from tests.units.models import MODELS, Case, Floats, Model

MOST_DIGITS = 16.0


class Computed(NamedTuple):
    """A numerical gradient, and its error bars where the method has some."""

    gradient: Floats
    bar: Floats | None = None


Method = Callable[[Callable[..., float], Case, str], Computed]


def by_default(loss: Callable[..., float], case: Case, backend: str) -> Computed:
    return Computed(fg.grad(loss, backend=backend)(case.theta, *case.args))


def by_estimate(loss: Callable[..., float], case: Case, backend: str) -> Computed:
    found = fg.grad(loss, backend=backend).estimate(case.theta, *case.args)
    return Computed(found.gradient, found.error)


def by_adaptive(loss: Callable[..., float], case: Case, backend: str) -> Computed:
    return Computed(fg.grad(loss, step="adaptive", backend=backend)(case.theta, *case.args))


def by_adaptive_estimate(loss: Callable[..., float], case: Case, backend: str) -> Computed:
    g = fg.grad(loss, step="adaptive", backend=backend)
    found = g.estimate(case.theta, *case.args)
    return Computed(found.gradient, found.error)


def by_scipy(loss: Callable[..., float], case: Case, backend: str) -> Computed:
    from scipy.optimize import approx_fprime

    return Computed(approx_fprime(case.theta, loss, np.sqrt(np.finfo(float).eps), *case.args))


def by_statsmodels(loss: Callable[..., float], case: Case, backend: str) -> Computed:
    from statsmodels.tools.numdiff import approx_fprime

    return Computed(approx_fprime(case.theta, loss, args=case.args, centered=True))


def by_numdifftools(loss: Callable[..., float], case: Case, backend: str) -> Computed:
    from numdifftools import Gradient

    return Computed(np.atleast_1d(Gradient(loss)(case.theta, *case.args)))


def methods() -> dict[str, Method]:
    """Methods by name: fastgrad's, and those of packages that are installed."""
    found: dict[str, Method] = {
        "fastgrad": by_default,
        "fastgrad .estimate": by_estimate,
        "fastgrad adaptive": by_adaptive,
        "fastgrad adaptive .estimate": by_adaptive_estimate,
    }
    rivals: dict[str, Method] = {
        "scipy": by_scipy,
        "statsmodels": by_statsmodels,
        "numdifftools": by_numdifftools,
    }
    names = {"scipy": "scipy approx_fprime", "statsmodels": "statsmodels centered"}
    for package, method in rivals.items():
        if find_spec(package) is not None:
            found[names.get(package, package)] = method
    return found


class Accuracy(NamedTuple):
    """How well a method did on one case."""

    name: str
    digits: Floats
    """Correct digits of every entry, 0 to 16."""
    inside: NDArray[np.bool_] | None
    """Of every entry, whether its error is within its bar."""
    evaluations: float
    """Evaluations an entry."""
    bar_digits: Floats | None
    """Digits that the bars promise."""


def correct_digits(error: Floats, exact: Floats) -> Floats:
    """-log10 of relative errors, from 0 to 16; 0 where the error is not finite."""
    relative = np.where(np.isfinite(error), np.abs(error) / np.abs(exact), 1.0)
    return 0.0 + np.clip(-np.log10(np.maximum(relative, 10.0**-MOST_DIGITS)), 0.0, MOST_DIGITS)


def accuracy(method: Method, case: Case) -> Accuracy:
    """The digits of a method's own run, and the evaluations of one that is counted."""
    exact = case.grad(case.theta, *case.args)
    calls = 0

    def counted(theta: Floats, *args: Any) -> float:
        nonlocal calls
        calls += 1
        return float(case.loss(np.ascontiguousarray(theta), *args))

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # rivals step to where models overflow
        got = method(case.loss, case, "auto")
        method(counted, case, "python")
    error = got.gradient - exact
    inside, promised = None, None
    if got.bar is not None:
        inside = (np.abs(error) <= got.bar) | np.isposinf(got.bar)
        promised = correct_digits(got.bar, exact)
    return Accuracy(
        case.name, correct_digits(error, exact), inside, calls / case.theta.size, promised
    )


def accuracies(
    method: Method, models: Iterable[Model] = MODELS, seeds: Iterable[int] = range(3)
) -> list[Accuracy]:
    """The accuracy of a method on every model, seed by seed."""
    seeds = list(seeds)
    return [accuracy(method, model.case(seed)) for model in models for seed in seeds]


def summary(name: str, found: list[Accuracy]) -> str:
    """A line of the table."""
    digits = np.concatenate([each.digits for each in found])
    line = (
        f"{name:28s} {np.median(digits):>7.1f} {np.quantile(digits, 0.1):>6.1f} {digits.min():>6.1f} "
        f"{np.median([each.evaluations for each in found]):>8.1f}"
    )
    inside = [each.inside for each in found if each.inside is not None]
    if inside:
        held = np.concatenate(inside)
        promised = np.concatenate(
            [each.bar_digits for each in found if each.bar_digits is not None]
        )
        line += f" {np.count_nonzero(~held):>7}/{held.size} {np.median(promised):>8.1f}"
    return line


def worst(found: list[Accuracy], count: int = 6) -> str:
    """The models with the fewest digits."""
    fewest = {}
    for each in found:
        fewest[each.name] = min(fewest.get(each.name, MOST_DIGITS), float(each.digits.min()))
    order = sorted(fewest, key=fewest.__getitem__)[:count]
    return ", ".join(f"{name} {fewest[name]:.1f}" for name in order)


COLUMNS = ("median", "10%", "worst", "evals/n", "outside bar", "promised")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="models with this in their name")
    asked = parser.parse_args()
    models = [model for model in MODELS if asked.only in model.name]
    print("{:28s} {:>7} {:>6} {:>6} {:>8} {:>11} {:>8}".format("correct digits", *COLUMNS))
    everything = {}
    for name, method in methods().items():
        everything[name] = accuracies(method, models, range(asked.seeds))
        print(summary(name, everything[name]), flush=True)
    print("\nfewest digits:")
    for name, found in everything.items():
        print(f"{name:28s} {worst(found)}")


if __name__ == "__main__":
    main()
