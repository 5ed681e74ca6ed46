"""The search: its order and its end do not hang on the load; a residual tells what comes close."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.repair import search
from fastgrad.repair.score import A_FACTOR, Target
from tests.repair.mending import module

SECONDS = 60.0


def test_results_are_taken_in_the_order_of_their_edits():
    arriving = [(1, "b"), (3, "d"), (0, "a"), (2, "c"), (4, None)]
    got = list(search._in_order(iter(arriving)))
    assert got == [(0, "a"), (1, "b"), (2, "c"), (3, "d"), (4, None)]


UNMENDABLE = """import numpy as np


def loss(x):
    return np.cos(x).sum() + np.exp(0.1 * x).prod()


def gradient(x):
    return np.sqrt(np.abs(x) + 1)
"""


def test_a_search_ends_once_so_many_edits_were_tried(tmp_path, monkeypatch):
    monkeypatch.setattr(search, "MOST_TRIED", 40)
    with module(tmp_path / "unmendable.py", UNMENDABLE) as made:
        x = np.array([0.3, -1.2, 0.7])
        report = fg.check_grad(made.loss, made.gradient, x, backend="python")
        assert report.suggest(SECONDS) == []
    assert "No edit was found among the 40 tried." in str(report)


@pytest.fixture
def target():
    rng = np.random.default_rng(0)
    D = rng.normal(size=7)
    block = np.array([0, 0, 0, 1, 1, 1, 2])
    sizes = np.array([np.linalg.norm(D[block == b]) for b in range(3)])
    directions = rng.normal(size=(2, 7))
    return Target(np.arange(7), D, np.full(7, 1e-8), block, (True,) * 3, directions, sizes)


def test_a_residual_is_the_norm_of_the_error_over_that_of_the_differences(target):
    a = target.D + np.random.default_rng(1).normal(size=7)
    got = target.score(a)
    for b in range(3):
        of = target.block == b
        expected = np.linalg.norm((a - target.D)[of]) / np.linalg.norm(target.D[of])
        assert got.residual[b] == pytest.approx(expected)
    assert not any(got.right)


def test_a_block_that_lacks_a_factor_alone_is_nearly_right_and_a_single_entry_tells_nothing(target):
    got = target.score(target.D * np.array([3, 3, 3, 1, 1, 1, 3]))
    assert got.residual == pytest.approx((A_FACTOR, 0.0, 2.0))
    assert got.right == (False, True, False)
    assert target.score(np.zeros(7)).residual == pytest.approx((1.0, 1.0, 1.0))
