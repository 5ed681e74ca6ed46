"""Nets of five families in float32 and bfloat16, as torch computes them: verdicts counted."""

from dataclasses import replace

import numpy as np
import pytest

import fastgrad as fg

torch = pytest.importorskip("torch", reason="needs torch: pip install -e '.[test,torch]'")

from bench.noise import (  # noqa: E402
    FAMILIES,
    FAULTS,
    LARGE,
    count,
    first_refuted,
    mlp,
    net,
    screened,
    screens,
)

torch.set_num_threads(1)  # many small products
MOST = {"float64": 250, "float32": 250, "bfloat16": 450}
"""Evaluations until a fault is refuted. In bfloat16 it is a median: 411 were seen, of a factor of 1.1 in
transformers."""


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("dtype", "factor"), [("float32", 1.01), ("bfloat16", 1.1)])
def test_right_ones_agree_and_a_factor_of_one_block_is_found(family, dtype, factor):
    problem = net(family, 0, dtype)
    right = problem.grad(problem.theta)
    report = screened(problem, right)
    assert report.verdict == "agrees", report
    told = report.in_noise
    assert told["all_along"] <= (0.005 if dtype == "float32" else 0.15)
    assert told["whole_any_shape"] <= (0.1 if dtype == "float32" else 1.0)
    largest = max(right, key=lambda k: np.abs(right[k]).sum())
    wrong = {**right, largest: np.float32(factor) * right[largest]}
    report = screened(problem, wrong)
    assert [b.name for b in report.blocks if b.verdict == "disagrees"] == [largest], report
    assert first_refuted(report) <= MOST[dtype]


def small(seed):
    """A net of 154 parameters in bfloat16."""
    made = mlp(np.random.default_rng([seed, 13]), "relu", (8, 8, 6, 4))
    theta = {k: a.astype(np.float32) for k, a in made.theta.items()}
    return replace(made, theta=theta, dtype="bfloat16")


def swept(problem, gradient, seed):
    return fg.check_grad(
        problem.loss, gradient, problem.theta, backend="python", strategy="sweep", seed=seed
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_an_entry_that_treads_hide_is_left_open_by_a_sweep(seed):
    """The loss stands still over a last place of bfloat16, and moves by treads beyond it."""
    problem = small(seed)
    right = problem.grad(problem.theta)
    report = swept(problem, right, seed)
    assert report.verdict == "inconclusive", report
    wrong = {**right, "W3": np.float32(-10) * right["W3"]}
    report = swept(problem, wrong, seed)
    assert {b.name for b in report.blocks if b.verdict == "disagrees"} <= {"W3"}, report


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("dtype", "runs"), [("float64", 60), ("float32", 60), ("bfloat16", 60)])
def test_right_ones_are_never_refuted(family, dtype, runs):
    verdicts, _ = count(family, dtype, None, range(1000, 1000 + runs))
    assert verdicts["disagrees"] == 0
    # In bfloat16 4 of 100 were open: limits of a bias, or in any direction, beyond what is useful.
    assert verdicts["inconclusive"] <= 0.1 * runs


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_faults_are_found_within_250_evaluations(family, dtype):
    seen = 0
    for fault in FAULTS:
        verdicts, made = count(family, dtype, fault, range(300, 310))
        assert verdicts["disagrees"] >= 9, (fault, verdicts)
        seen += verdicts["disagrees"]
        assert max(made) <= MOST[dtype], (fault, made)
    assert seen >= 0.98 * 10 * len(FAULTS)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_faults_in_bfloat16_are_found_or_within_what_is_stated(family):
    """A zero row of 64 is 12% of its block's norm, where an error of 50% of any shape may be missed."""
    seen, beyond = 0, []
    for fault in FAULTS:
        if fault == "1% too large":
            continue  # beyond what its digits tell
        made = []
        for right, gradient, report in screens(family, "bfloat16", fault, range(300, 310)):
            if report.verdict == "disagrees":
                seen += 1
                made.append(first_refuted(report))
            elif not is_within_what_is_stated(gradient, right, report):
                beyond.append((fault, report.in_noise))
        assert np.median(made) <= MOST["bfloat16"], (fault, made)
    assert seen >= 0.9 * 10 * (len(FAULTS) - 1)
    assert len(beyond) <= 2, beyond


def is_within_what_is_stated(gradient, right, report):
    """Whether no block is off by more of its norm than the report says it would have missed.

    Of a block that is claimed to be zero there is no such part: it must be left open, or be nearly.
    """
    agrees = {block.name for block in report.blocks if block.verdict == "agrees"}
    largest = max(np.linalg.norm(a) for a in gradient.values())
    for name, limit in report.in_noise["any_shape"].items():
        off, size = np.linalg.norm(gradient[name] - right[name]), np.linalg.norm(gradient[name])
        if off > limit * size if size else name in agrees and off > 0.01 * largest:
            return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("family", LARGE)
def test_large_ones_in_float32(family):
    verdicts, _ = count(family, "float32", None, range(2))
    assert verdicts["agrees"] == 2
    verdicts, _ = count(family, "float32", "1% too large", range(2))
    assert verdicts["disagrees"] == 2
