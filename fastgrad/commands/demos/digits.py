"""The main job on real data: a right gradient, a wrong one, and a plain loop's time beside them."""

import time
from collections.abc import Callable
from functools import partial

import numpy as np

from fastgrad.checking import check_grad
from fastgrad.commands.demos.digits_net import L2, backprop, numpy_loss, without_l2_in_w2
from fastgrad.models import digits, two_layer

SAMPLED = 20
"""Entries timed in the plain loop; all of them would take minutes."""
STEP = 1e-5
TEACHES = (
    "A gradient that is right in nearly every entry trains well enough to hide its bug; a check says "
    "that it is wrong, where, and what is missing."
)


def run(say: Callable[[str], object]) -> None:
    """Check a right gradient and a wrong one on the digits, and time a plain loop beside them."""
    X, y = digits()
    params = two_layer.init(64, 32, 10)
    n = sum(block.size for block in params)
    say(
        f"{len(X):,} real handwritten digits of 8 x 8 pixels, a 64-32-10 net with an L2 term: "
        f"{n:,} parameters.\n\n1. Its backprop gradient:\n"
    )
    check = partial(check_grad, two_layer.loss, strategy="sweep", structure=False)
    right = check(backprop, params, X, y, L2)
    say(f"{right}\n2. The same gradient with the regulariser forgotten in W2:\n")
    wrong = check(without_l2_in_w2, params, X, y, L2)
    loop = plain_loop_seconds(params, X, y)
    say(
        f"{wrong}\n3. Time: {right.seconds:.1f} s for the first check (with compilation, where nothing "
        f"was cached), {wrong.seconds:.1f} s for the second.\n"
        f"A plain Python loop of central differences in NumPy takes {1e3 * loop:.1f} ms an entry "
        f"(measured on {SAMPLED} entries, not all), so about {loop * n:.1f} s for all {n:,}: "
        f"{loop * n / wrong.seconds:.1f} times the second check."
    )


def plain_loop_seconds(params: two_layer.Parameters, X: np.ndarray, y: np.ndarray) -> float:
    """What a Python loop of central differences takes an entry, by a random sample of entries."""
    rng = np.random.default_rng(0)
    theta = two_layer.Parameters(*(block.copy() for block in params))
    sizes = np.array([block.size for block in theta])
    began = time.perf_counter()
    for b in rng.choice(len(theta), SAMPLED, p=sizes / sizes.sum()):
        entries = theta[b].reshape(-1)
        i = rng.integers(entries.size)
        kept, values = entries[i], []
        for entries[i] in (kept + STEP, kept - STEP):
            values.append(numpy_loss(theta, X, y, L2))
        entries[i] = kept
        assert np.isfinite(values[0] - values[1])
    return (time.perf_counter() - began) / SAMPLED
