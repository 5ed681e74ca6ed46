"""The house, extended from outside: a law, a stencil, an evaluator, a renderer, a strategy.

Each is written here and registered in one table of the package; nothing else of it is touched.
"""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from numba import njit

import fastgrad as fg
from fastgrad.checks.block_checks import unchecked_block
from fastgrad.checks.diagnose import laws
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.checks.outcome import Outcome
from fastgrad.checks.sweep import sweep
from fastgrad.evaluate import backends
from fastgrad.evaluate.python import PythonEvaluator
from fastgrad.judging import strategies
from fastgrad.numerics import stencils
from fastgrad.numerics.stencils import Stencil
from fastgrad.report.document import Document, Table
from fastgrad.report.vocabulary import vocabulary


@njit
def cubes(x):
    return (x**3).sum()


X = np.linspace(0.5, 2.0, 12)


def halved_in_the_middle(case):
    """The law of a gradient that is a half of the right one in its middle third."""
    middle = np.zeros(case.analytic.size, bool)
    middle[middle.size // 3 : -middle.size // 3] = True
    factor = np.where(middle[case.positions], 0.5, 1.0)
    if np.any(np.abs(case.a - factor * case.D) > case.bar):
        return None
    return Finding(("middle-third",), {"factor": 0.5}, "its middle third is a half of it")


def test_a_law(monkeypatch):
    text = replace(vocabulary()["scale"], word="middle-third")
    monkeypatch.setitem(vocabulary(), "middle-third", text)
    monkeypatch.setattr(laws, "LAWS", (halved_in_the_middle, *laws.LAWS))
    wrong = 3 * X**2
    wrong[4:8] *= 0.5
    (found,) = fg.check_grad(cubes, wrong, X, budget=None).diagnoses
    assert (found.law, found.constants) == ("middle-third", {"factor": 0.5})
    assert found.sentence == "theta: its middle third is a half of it."


def test_a_stencil(monkeypatch):
    """Central differences of order 8: (8/5, -4/5, 8/35, -1/35), Fornberg (1988), Table 1."""
    pairs = ((1, -1, 8 / 5), (2, -2, -4 / 5), (3, -3, 8 / 35), (4, -4, -1 / 35))
    monkeypatch.setitem(stencils.CENTRAL, 8, Stencil("central", 8, pairs, 2.0**-5))
    expected = np.exp(X)
    got = fg.grad(lambda x: np.exp(x).sum(), order=8)(X)
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    estimate = fg.grad(lambda x: np.exp(x).sum(), order=8).estimate(X)
    assert np.all(np.abs(estimate.gradient - expected) <= estimate.error)
    assert estimate.error.max() < 1e-9
    with pytest.raises(ValueError, match="leaves the range of floats"):
        fg.grad(cubes, order=8, step=5e307)(X)


class CountingEvaluator(PythonEvaluator):
    """A Python loss that knows how often it was asked which question."""

    asked: ClassVar = {"coordinates": 0, "along": 0}

    def coordinates(self, indices, offsets):
        self.asked["coordinates"] += offsets.size
        return super().coordinates(indices, offsets)

    def along(self, direction, offsets):
        self.asked["along"] += offsets.size
        return super().along(direction, offsets)


def test_an_evaluator(monkeypatch):
    monkeypatch.setitem(backends.BACKENDS, "counted", CountingEvaluator)
    report = fg.check_grad(cubes.py_func, 3 * X**2, X, backend="counted", strategy="sweep")
    assert report.verdict == "agrees"
    assert sum(CountingEvaluator.asked.values()) == report.evaluations
    assert CountingEvaluator.asked["coordinates"] >= 2 * X.size


def as_markdown(document: Document) -> str:
    """A report as Markdown."""
    parts = [f"# {document.headline}"]
    for section in document.sections:
        if isinstance(section, Table):
            lines = [[c.name for c in section.columns], ["---"] * len(section.columns)]
            parts.append("\n".join(f"| {' | '.join(row)} |" for row in [*lines, *section.rows]))
        else:
            parts.append("\n".join(f"- {sentence}" for sentence in section.sentences))
    return "\n\n".join(parts)


def test_a_renderer():
    wrong = 3 * X**2
    wrong[5] *= -1
    report = fg.check_grad(cubes, wrong, X, strategy="sweep")
    got = as_markdown(report.document())
    assert got.startswith("# The gradient is wrong: 1 of 12 entries disagrees")
    assert "| theta[5] |" in got
    assert "| block | shape |" in got


def spot_strategy(loss, claim, rule, budget, options):
    """The sweep of a few entries drawn at random; what was not drawn is not vouched for."""
    drawn = np.random.default_rng(options.seed).choice(loss.indices, 3, replace=False)
    free = np.zeros(loss.layout.size, bool)
    free[drawn] = True
    outcome = sweep(replace(loss, free=free), claim, rule, budget, options)
    if outcome.verdict != "agrees":
        return outcome
    blocks = tuple(unchecked_block(block) for block in loss.layout.blocks)
    return Outcome("inconclusive", blocks, 0.0, ("Three entries say little.",), outcome.judged)


def test_a_strategy(monkeypatch):
    monkeypatch.setitem(strategies.STRATEGIES, "spot", spot_strategy)
    report = fg.check_grad(cubes, 3 * X**2, X, strategy="spot")
    assert (report.verdict, report.strategy, report.checked) == ("inconclusive", "spot", 3)
    assert fg.check_grad(cubes, X, X, strategy="spot").verdict == "disagrees"
