"""Table 5, continued: what is wrong among 95,410 parameters, and what it took to find it."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import models

SIZES = (784, 120, 10)
SEEDS, QUICK_SEEDS = range(20), range(1)
BATCH = 20

Blocks = dict[str, np.ndarray]
Fault = Callable[[Blocks, np.random.Generator], set[str]]
"""Spoils the blocks in place; returns the names of the entries or blocks that are wrong now."""


def entries(count: int, blocks: Blocks, rng: np.random.Generator) -> set[str]:
    """Off by 0.1 to 10 times the block's root mean square, of either sign."""
    names = list(blocks)
    stops = np.cumsum([block.size for block in blocks.values()])
    wrong = set()
    for i in rng.choice(stops[-1], count, replace=False).tolist():
        b = int(np.searchsorted(stops, i, side="right"))
        block = blocks[names[b]]
        k = np.unravel_index(i - stops[b] + block.size, block.shape)
        size = np.sqrt(np.mean(block**2)) * 10 ** rng.uniform(-1, 1)
        block[k] += size * rng.choice([-1.0, 1.0])
        wrong.add(f"{names[b]}[{', '.join(map(str, k))}]")
    return wrong


def row(blocks: Blocks, rng: np.random.Generator) -> set[str]:
    blocks["W1"][rng.integers(SIZES[0])] *= 2
    return {"W1"}


def column(blocks: Blocks, rng: np.random.Generator) -> set[str]:
    blocks["W1"][:, rng.integers(SIZES[1])] = 0
    return {"W1"}


def block(blocks: Blocks, rng: np.random.Generator) -> set[str]:
    blocks["W2"] *= 2
    return {"W2"}


FAULTS: dict[str, Fault] = {
    "nothing": lambda blocks, rng: set(),
    "an entry": partial(entries, 1),
    **{f"{k} entries": partial(entries, k) for k in (2, 5, 10, 20)},
    "a row": row,
    "a column": column,
    "a block": block,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_locate(fault: str, benchmark, quick):
    rng = np.random.default_rng(0)
    theta = models.two_layer.init(*SIZES)
    args = rng.uniform(size=(BATCH, SIZES[0])), rng.integers(0, SIZES[2], BATCH)
    right = models.two_layer.grad(theta, *args)._asdict()
    counts: list[int] = []
    found = 0

    def run():
        nonlocal found
        for seed in QUICK_SEEDS if quick else SEEDS:
            given = {name: value.copy() for name, value in right.items()}
            wrong = FAULTS[fault](given, np.random.default_rng(seed))
            report = fg.check_grad(
                models.two_layer.loss,
                given,
                theta,
                *args,
                strategy="screen",
                budget=None,
                seed=seed,
            )
            counts.append(report.evaluations)
            blamed = {e.name for e in report.entries if e.verdict == "disagrees"}
            blocks = {b.name for b in report.blocks if b.verdict == "disagrees"}
            assert report.verdict == ("disagrees" if wrong else "agrees")
            assert blocks == {name.split("[")[0] for name in wrong}
            found += (
                blamed == wrong if FAULTS[fault] not in (row, column, block) else blocks == wrong
            )

    benchmark.pedantic(run, rounds=1)
    benchmark.extra_info.update(
        table="locate", fault=fault, evaluations=counts, found=found, n=sum(v.size for v in theta)
    )
    assert found == len(counts)
