"""Theta of hundreds of blocks: screened in groups, limits by block all the same."""

import numpy as np
import pytest

import fastgrad as fg

BLOCKS, SIZE = 500, 20


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    theta = {f"p{k}": rng.normal(size=SIZE) * rng.choice([0.1, 1.0, 3.0]) for k in range(BLOCKS)}
    shift = rng.normal(size=(BLOCKS, SIZE))

    def loss(p):
        return float(np.cos(np.array(list(p.values())) + shift).sum() / BLOCKS)

    right = -np.sin(np.array(list(theta.values())) + shift) / BLOCKS
    return loss, theta, dict(zip(theta, right, strict=True))


def screened(problem, gradient):
    loss, theta, _ = problem
    return fg.check_grad(loss, gradient, theta, backend="python", strategy="screen", budget=None)


def test_a_right_gradient_of_500_blocks_takes_about_100_evaluations(problem):
    report = screened(problem, problem[2])
    assert report.verdict == "agrees"
    assert report.evaluations <= 105
    assert len(report.blocks) == BLOCKS
    assert max(block.detection_limit for block in report.blocks) < 1e-4
    assert "each group of blocks" in str(report)


@pytest.mark.parametrize("name", ["p0", "p3", "p77", "p499"])
def test_a_wrong_sign_among_500_blocks_is_refuted_by_halving(problem, name):
    report = screened(problem, {**problem[2], name: -problem[2][name]})
    assert [b.name for b in report.blocks if b.verdict == "disagrees"] == [name]
    assert report.diagnoses[0].law == "sign"
    (said,) = [remark for remark in report.remarks if remark.startswith("After ")]
    assert int(said.split()[1]) <= 100


def test_entries_and_factors_in_several_blocks_are_found(problem):
    wrong = {**problem[2], "p2": 1.5 * problem[2]["p2"], "p400": problem[2]["p400"].copy()}
    wrong["p400"][7] *= 1.01
    report = screened(problem, wrong)
    assert {b.name for b in report.blocks if b.verdict == "disagrees"} == {"p2", "p400"}
    assert "p400[7]" in {entry.name for entry in report.entries}
