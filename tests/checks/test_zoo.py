"""Right gradients of 28 further models are never called wrong, planted errors are found."""

from collections import Counter

import numpy as np
import pytest

import fastgrad as fg
from tests.checks.zoo import AT_BOUNDS, KINKS, SMOOTH, Member, problems

SEEDS = range(62)
"""So many make 100,000 entries."""
TOUCHED = ("lasso", "variation")
"""Models at whose kinks many subgradients are valid: what is planted there need not be an error."""
BENT = "roots"
"""At their bounds these have slopes that bend without end, where 1% cannot be told."""
NEGLIGIBLE = 1e-6
"""Errors are planted where what the entry does to the loss is at least this part of the largest."""
ERRORS = {"sign": -1.0, "zero": 0.0, "1.01": 1.01}
FOUND_AT_LEAST = 0.999


def checked(member: Member, gradient, rtol=1e-5):
    bounds = {} if member.bounds is None else {"bounds": member.bounds}
    return fg.check_grad(
        member.loss, gradient, member.theta, rtol=rtol, backend="python", strategy="sweep", **bounds
    )


def count(seeds, rtol):
    counts: Counter[str] = Counter()
    for member in problems(seeds):
        report = checked(member, member.gradient, rtol)
        counts.update(report.counts)
        assert report.verdict != "disagrees", member.name
    return counts


def test_the_models_are_many():
    assert len(SMOOTH) + len(KINKS) + len(AT_BOUNDS) >= 28


@pytest.mark.parametrize("rtol", [1e-5, 0.0])
def test_no_false_disagreement(rtol):
    counts = count(range(2), rtol)
    assert counts.total() >= 3_000
    assert counts["agrees"] + counts["kink: valid subgradient"] >= 0.99 * counts.total()


@pytest.mark.slow
@pytest.mark.parametrize("rtol", [1e-5, 0.0])
def test_no_false_disagreement_in_100_000_further_entries(rtol):
    counts = count(SEEDS, rtol)
    assert counts.total() >= 100_000
    assert counts["agrees"] + counts["kink: valid subgradient"] >= 0.99 * counts.total()


def planted(member: Member, seed: int):
    """Two entries, three errors of each: the gradient, and the name of what is wrong."""
    x = np.abs(member.theta)
    middle = np.exp(np.log(x[x > 0]).mean())  # what a zero is measured by among unlike ones
    effect = np.abs(member.gradient) * np.where(x > 0, x, middle)
    bent = member.name.startswith(BENT) & (x == 0)
    places = np.flatnonzero((effect >= NEGLIGIBLE * effect.max()) & ~bent)
    few = min(2, places.size)
    for i in np.random.default_rng(seed).choice(places, few, replace=False).tolist():
        for error, factor in ERRORS.items():
            wrong = member.gradient.copy()
            wrong[i] *= factor
            yield error, wrong, f"theta[{i}]"


def detection(seeds):
    total, missed, neighbours = 0, [], 0
    for k, member in enumerate(problems(seeds)):
        if member.name.startswith(TOUCHED):
            continue
        for error, wrong, name in planted(member, k):
            report = checked(member, wrong)
            blamed = {e.name for e in report.entries if e.verdict == "disagrees"}
            total += 1
            neighbours += bool(blamed - {name})
            if name not in blamed:
                missed.append((member.name, error, name))
    return total, missed, neighbours


def test_planted_errors_are_found_whatever_the_units():
    total, missed, neighbours = detection(range(1, 2))
    assert total >= 150
    assert missed == []
    assert neighbours == 0


@pytest.mark.slow
def test_999_of_1000_planted_errors_are_found_whatever_the_units():
    total, missed, neighbours = detection(range(14))
    assert total >= 2_000
    assert len(missed) <= (1 - FOUND_AT_LEAST) * total, missed
    assert neighbours == 0
