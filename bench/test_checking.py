"""Table 3: who detects planted errors, who fails correct gradients, and in what time."""

import time
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from bench.checked import FAULTS, correct
from bench.checkers import CHECKERS, SCREEN, Checker, fastgrad_verdict, has_screen
from bench.measure import measured
from bench.problems import PROBLEMS

SEEDS = range(8)
QUICK_SEEDS = range(1)
ALL = (*CHECKERS, SCREEN)
TIMED = (
    "Rosenbrock n = 100",
    "Rosenbrock n = 1,000",
    "logistic n = 500, m = 200",
    "two-layer net n = 2,410",
)


def skip_if_absent(checker: Checker) -> None:
    if not checker.installed:
        pytest.skip(f"{checker.package} is not installed")
    if checker is SCREEN and not has_screen():
        pytest.skip('check_grad has no strategy="screen" yet')


@pytest.mark.parametrize("checker", ALL, ids=lambda c: c.name)
def test_verdicts(checker: Checker, benchmark, quick):
    """Correct gradients must pass and wrong ones fail; of ours, none may be called the opposite."""
    skip_if_absent(checker)
    right: dict[str, list[bool]] = {}
    wrong: dict[str, list[bool]] = {fault: [] for fault in FAULTS}
    seconds: list[float] = []

    def passes(problem, gradient) -> bool:
        began = time.perf_counter()
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            verdict = checker.passes(problem, gradient)
        seconds.append(time.perf_counter() - began)
        return verdict

    def run():
        for problem in correct(QUICK_SEEDS if quick else SEEDS):
            right.setdefault(problem.kind, []).append(passes(problem, problem.gradient))
            for fault, plant in FAULTS.items():

                def planted(theta, *args, problem=problem, plant=plant):
                    return plant(problem, problem.gradient(theta, *args))

                wrong[fault].append(not passes(problem, planted))

    benchmark.pedantic(run, rounds=1)
    benchmark.extra_info.update(
        table="verdicts",
        tool=checker.name,
        right=right,
        wrong=wrong,
        seconds=float(np.median(seconds)),
    )
    if checker.name.startswith("fastgrad"):
        assert all(all(kind) for name, kind in right.items() if name != "float32")
        assert all(wrong["sign"])
        assert all(wrong["one row zero"])


def test_ours_are_never_opposite(benchmark, quick):
    """No correct gradient "disagrees", no wrong one "agrees"; how many stay inconclusive."""
    verdicts: dict[str, list[str]] = {"right": [], "wrong": []}

    def run():
        for problem in correct(QUICK_SEEDS if quick else SEEDS):
            verdicts["right"].append(fastgrad_verdict(problem, problem.gradient))
            g = problem.gradient(problem.theta, *problem.args)
            for plant in FAULTS.values():
                fault = plant(problem, g)
                verdicts["wrong"].append(fastgrad_verdict(problem, lambda *_, w=fault: w))

    benchmark.pedantic(run, rounds=1)
    benchmark.extra_info.update(table="opposite", **verdicts)
    assert "disagrees" not in verdicts["right"]
    assert "agrees" not in verdicts["wrong"]


@pytest.mark.parametrize("checker", ALL, ids=lambda c: c.name)
@pytest.mark.parametrize("name", TIMED)
def test_time(name: str, checker: Checker, benchmark, quick):
    """Of a check of a correct gradient; whether it passes is shown beside the time."""
    skip_if_absent(checker)
    problem = next(problem for problem in PROBLEMS if problem.name == name)
    if quick and problem.theta.size > 100:
        pytest.skip("too long for the quick mode")
    facts = {"table": "check time", "problem": name, "tool": checker.name}
    given = SimpleNamespace(
        loss=problem.loss, model=problem.model, theta=problem.theta, args=problem.args
    )
    passed = measured(benchmark, lambda: checker.passes(given, problem.gradient), **facts)
    benchmark.extra_info["passed"] = passed
    assert passed or not checker.name.startswith("fastgrad")
