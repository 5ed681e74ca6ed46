"""Several rows and columns of one block that are wrong: all are located, and named one by one."""

import re

import numpy as np
import pytest
from numba import njit

import fastgrad as fg

ROWS, WIDTH = 2000, 30


@njit
def looked_up(E, index, C):
    total = 0.0
    for k in range(index.size):
        for j in range(E.shape[1]):
            total += C[k, j] * E[index[k], j] ** 3
    return total


def added(E, index, C):
    g = np.zeros_like(E)
    np.add.at(g, index, 3 * C * E[index] ** 2)
    return g


def assigned(E, index, C):
    """What a row that is looked up twice sends back the second time overwrites the first."""
    g = np.zeros_like(E)
    g[index] = 3 * C * E[index] ** 2
    return g


def embedding(seed, repeated, rows=ROWS, width=WIDTH):
    rng = np.random.default_rng(seed)
    twice = np.sort(rng.choice(rows, repeated, replace=False))
    index = rng.permutation(np.concatenate([np.arange(rows), twice, twice]))
    return rng.normal(size=(rows, width)), index, rng.normal(size=(index.size, width)), twice


def lines_said(report, kind="row"):
    """The numbers of the lines that a report calls wrong."""
    several = re.search(rf"\d+ {kind}s are wrong: ([\d, ]+)", " ".join(report.remarks))
    if several:
        return [int(number) for number in several.group(1).split(",")]
    return [int(n) for n in re.findall(rf"{kind} (\d+) is wrong", " ".join(report.remarks))]


def test_all_rows_of_an_embedding_whose_updates_are_lost_are_named():
    E, index, C, twice = embedding(0, 20)
    report = fg.check_grad(looked_up, assigned, E, index, C, strategy="screen", budget=None)
    assert report.verdict == "disagrees"
    assert lines_said(report) == twice.tolist()
    assert "Fresh random directions through all that is not blamed are clean." in report.remarks
    assert report.evaluations <= 6000  # a sweep takes 120,000
    assert f"rows {', '.join(map(str, twice))} are wrong" in report.diagnoses[0].sentence
    blamed = {entry.index[0] for entry in report.entries if entry.verdict == "disagrees"}
    assert blamed == set(twice.tolist())
    assert fg.check_grad(looked_up, added, E, index, C, strategy="screen", budget=None)


@njit
def waves(W, c):
    total = 0.0
    for i in range(W.shape[0]):
        for j in range(W.shape[1]):
            total += c[j] * np.sin(W[i, j])
    return total


def spoilt(rng, W, right, rows, columns, entries):
    """A gradient that is wrong in so many of each, and what they are."""
    a = right.copy()
    wrong_rows = np.sort(rng.choice(W.shape[0], rows, replace=False))
    wrong_columns = np.sort(rng.choice(W.shape[1], columns, replace=False))
    a[wrong_rows] *= rng.uniform(1.1, 3, (rows, 1)) * rng.choice([-1, 1], (rows, 1))
    a[:, wrong_columns] += rng.uniform(0.3, 3, (W.shape[0], columns))
    beside = np.ones(W.shape, np.bool_)
    beside[wrong_rows], beside[:, wrong_columns] = False, False
    single = rng.choice(np.flatnonzero(beside), entries, replace=False)
    a.flat[single] += 0.5 * rng.choice([-1, 1], entries)
    return a, wrong_rows.tolist(), wrong_columns.tolist(), single


CASES = [(7, 0, 0), (0, 3, 0), (2, 0, 5), (1, 1, 3), (0, 2, 2)]


def every_line_is_named(seed, rows, columns, entries):
    rng = np.random.default_rng([seed, rows, columns, entries])
    W, c = rng.normal(size=(300, 40)), rng.uniform(0.5, 2, 40)
    right = c * np.cos(W)
    a, wrong_rows, wrong_columns, single = spoilt(rng, W, right, rows, columns, entries)
    report = fg.check_grad(waves, a, W, c, strategy="screen", budget=None, seed=seed)
    assert lines_said(report, "row") == wrong_rows
    assert lines_said(report, "column") == wrong_columns
    blamed = {e.index for e in report.entries if e.verdict == "disagrees"}
    wrong = np.abs(a - right) > 1e-12  # a naive look at all entries
    assert all(wrong[index] for index in blamed)
    assert {
        tuple(map(int, i)) for i in zip(*np.unravel_index(single, W.shape), strict=True)
    } <= blamed


@pytest.mark.parametrize("case", CASES, ids=str)
def test_lines_and_entries_beside_them_are_told_apart(case):
    every_line_is_named(0, *case)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_lines_and_entries_beside_them_are_told_apart_at_20_seeds(case):
    for seed in range(1, 21):
        every_line_is_named(seed, *case)


# ---- the time is over ------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["auto", "screen"])
@pytest.mark.parametrize(("rows", "repeated"), [(1500, 12), (60, 4)])
def test_a_search_that_the_budget_ends_says_what_more_would_take_and_it_does(
    clock, strategy, rows, repeated
):
    E, index, C, twice = embedding(3, repeated, rows, 10)

    def loss(E):
        clock.passes(0.01)
        return looked_up(E, index, C)

    def checked(budget):
        began = clock.now
        report = fg.check_grad(
            loss, assigned(E, index, C), E, backend="python", strategy=strategy, budget=budget
        )
        assert clock.now - began <= 1.05 * budget + 0.1
        return report

    report = checked(4.0)
    assert report.verdict == "disagrees"
    assert set(lines_said(report)) < set(twice.tolist())
    (remark,) = (remark for remark in report.remarks if "would do" in remark)
    advised = float(re.search(r"budget=([\d.e+]+) would do", remark).group(1))
    whole = checked(advised)
    blamed = {entry.index[0] for entry in whole.entries if entry.verdict == "disagrees"}
    assert blamed == set(twice.tolist())
    if whole.strategy == "screen":
        assert lines_said(whole) == twice.tolist()


# ---- blocks on the diagonal ------------------------------------------------------------------------


def in_groups(shape, count):
    """Where the blocks on the diagonal of a matrix are."""
    i, j = np.indices(shape)
    return i // (shape[0] // count) == j // (shape[1] // count)


@pytest.mark.parametrize(
    ("shape", "count", "inside", "factor", "said"),
    [
        ((12, 12), 4, True, -1.0, "in the 4 blocks of 3 x 3 on the diagonal the analytic gradient"),
        ((12, 8), 4, True, 0.0, "in the 4 blocks of 3 x 2 on the diagonal it is zero; all else is"),
        ((12, 12), 3, False, 0.0, "off the 3 blocks of 4 x 4 on the diagonal it is zero; all else"),
        ((9, 9), 9, True, 3.0, "on the diagonal the analytic gradient is 3 times"),
        ((8, 8), 2, True, None, "in the 2 blocks of 4 x 4 on the diagonal it is wrong, without a"),
    ],
)
def test_blocks_on_the_diagonal_are_told(shape, count, inside, factor, said):
    rng = np.random.default_rng(1)
    W, c = rng.normal(size=shape), rng.uniform(0.5, 2, shape[1])
    right = c * np.cos(W)
    other = rng.normal(size=shape) if factor is None else factor * right
    a = np.where(in_groups(shape, count) == inside, other, right)
    report = fg.check_grad(waves, a, W, c)
    assert report.strategy == "sweep"
    assert said in report.diagnoses[0].sentence


@pytest.mark.parametrize(("count", "inside"), [(4, True), (2, True), (4, False)])
def test_blocks_on_the_diagonal_are_told_from_a_sample(count, inside):
    rng = np.random.default_rng(2)
    W, c = rng.normal(size=(64, 48)), rng.uniform(0.5, 2, 48)
    right = c * np.cos(W)
    a = np.where(in_groups(W.shape, count) == inside, -right, right)
    told = 0
    for seed in range(5):
        report = fg.check_grad(waves, a, W, c, strategy="screen", budget=None, seed=seed)
        assert report.verdict == "disagrees"
        place = f"{'in' if inside else 'off'} the {count} blocks of {64 // count} x {48 // count}"
        told += place in report.diagnoses[0].sentence
    assert told >= 4


def test_scattered_entries_are_no_blocks():
    rng = np.random.default_rng(3)
    W, c = rng.normal(size=(12, 12)), rng.uniform(0.5, 2, 12)
    right = c * np.cos(W)
    for _ in range(20):
        a = np.where(rng.random(W.shape) < 0.2, 3.3 * right, right)
        report = fg.check_grad(waves, a, W, c)
        assert "blocks" not in report.diagnoses[0].sentence


# ---- updates that are lost -------------------------------------------------------------------------

LOOKED_UP = "looked up more than once by index: what each time sends back is added up (np.add.at)"


@pytest.mark.parametrize("strategy", ["sweep", "screen"])
def test_rows_that_indices_repeat_are_told_to_be_added_up(strategy):
    E, index, C, _ = embedding(4, 3, 40, 6)
    report = fg.check_grad(looked_up, assigned, E, index, C, strategy=strategy, budget=None)
    assert LOOKED_UP in report.diagnoses[0].sentence


def test_indices_in_a_closure_and_bins_of_a_vector():
    index = np.array([0, 2, 2, 5, 1, 5, 3, 4, 6])
    weight = np.linspace(1, 2, index.size)

    def loss(w):
        return float((weight * w[index] ** 3).sum())

    def overwritten(w):
        g = np.zeros_like(w)
        g[index] = 3 * weight * w[index] ** 2
        return g

    w = np.random.default_rng(0).uniform(0.5, 1, 7)
    report = fg.check_grad(loss, overwritten, w, backend="python")
    assert LOOKED_UP in report.diagnoses[0].sentence


def test_other_wrong_rows_are_not_laid_to_indices():
    for seed in range(10):
        E, index, C, twice = embedding(seed, 3, 40, 6)
        wrong = added(E, index, C)
        others = np.setdiff1d(np.arange(40), twice)[:3]
        wrong[[*others[:2], twice[0]]] *= 1.5
        report = fg.check_grad(looked_up, wrong, E, index, C)
        assert report.verdict == "disagrees"
        assert "looked up" not in report.diagnoses[0].sentence
