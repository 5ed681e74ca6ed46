"""The main job on real data: what ``fastgrad demo`` runs and says."""

import time
from collections.abc import Callable

import numpy as np

from fastgrad.checking import check_grad
from fastgrad.commands.demo_training import run_training
from fastgrad.models import digits, two_layer
from fastgrad.results import GradientCheck

L2 = 0.01
SAMPLED = 20
"""Entries timed in the plain loop; all of them would take minutes."""
STEP = 1e-5
FEW_DIGITS = 50


def run_demo(say: Callable[[str], object]) -> None:
    """Check a right gradient and a wrong one on the digits, and time a plain loop beside them."""
    X, y = digits()
    params = two_layer.init(64, 32, 10)
    say(
        f"{X.shape[0]:,} real handwritten digits of 8 x 8 pixels, a 64-32-10 net with an L2 term: "
        f"{sum(block.size for block in params):,} parameters.\n"
    )
    say("1. Its backprop gradient:\n")
    right = check_grad(
        two_layer.loss, two_layer.grad, params, X, y, L2, strategy="sweep", structure=False
    )
    say(str(right))
    say("2. The same gradient with the regulariser forgotten in W2:\n")
    wrong = check_grad(
        two_layer.loss, without_l2_in_w2, params, X, y, L2, strategy="sweep", structure=False
    )
    say(str(wrong))
    say(timings(right, wrong, plain_loop_seconds(params, X, y)))
    million(say)
    say("5. Training by numerical gradients alone:\n")
    run_training(say)


def million(say: Callable[[str], object]) -> None:
    """A million parameters, three bugs, a hundred or two evaluations."""
    X, y = (part[:FEW_DIGITS] for part in digits())
    params = two_layer.init(64, 13_333, 10)
    n = sum(block.size for block in params)
    say(f"\n4. A net of {n:,} parameters on {FEW_DIGITS} digits, with three bugs planted:\n")
    report = check_grad(
        two_layer.loss, with_three_bugs, params, X, y, L2, strategy="screen", budget=None
    )
    say(str(report))
    say(f"{report.evaluations:,} evaluations, where a sweep takes {2 * n:,}.\n")


def with_three_bugs(
    params: two_layer.Parameters, X: np.ndarray, y: np.ndarray, l2: float
) -> two_layer.Parameters:
    """Three entries with the wrong sign, a bias doubled, a regulariser forgotten."""
    gradient = two_layer.grad(params, X, y, l2)
    W1 = gradient.W1.copy()
    for entry in ((3, 77), (29, 4321), (60, 12_000)):
        W1[entry] *= -1
    return gradient._replace(W1=W1, b1=2 * gradient.b1, W2=gradient.W2 - l2 * params.W2)


def without_l2_in_w2(
    params: two_layer.Parameters, X: np.ndarray, y: np.ndarray, l2: float
) -> two_layer.Parameters:
    """`two_layer.grad` as somebody wrote it who forgot a term."""
    gradient = two_layer.grad(params, X, y, l2)
    return gradient._replace(W2=gradient.W2 - l2 * params.W2)


def numpy_loss(params: two_layer.Parameters, X: np.ndarray, y: np.ndarray, l2: float) -> float:
    """`two_layer.loss` in plain NumPy."""
    A1 = 1 / (1 + np.exp(-(X @ params.W1 + params.b1)))
    Z2 = A1 @ params.W2 + params.b2
    Z2 = Z2 - Z2.max(axis=1, keepdims=True)
    log_likelihood = Z2[np.arange(y.size), y] - np.log(np.exp(Z2).sum(axis=1))
    penalty = l2 / 2 * ((params.W1**2).sum() + (params.W2**2).sum())
    return float(penalty - log_likelihood.mean())


def plain_loop_seconds(params: two_layer.Parameters, X: np.ndarray, y: np.ndarray) -> float:
    """What a Python loop of central differences takes an entry, by a random sample of entries."""
    rng = np.random.default_rng(0)
    blocks = [block.copy() for block in params]
    theta = two_layer.Parameters(*blocks)
    sizes = np.array([block.size for block in blocks])
    began = time.perf_counter()
    for b in rng.choice(len(blocks), SAMPLED, p=sizes / sizes.sum()):
        entries = blocks[b].reshape(-1)
        i = rng.integers(entries.size)
        kept = entries[i]
        entries[i] = kept + STEP
        above = numpy_loss(theta, X, y, L2)
        entries[i] = kept - STEP
        below = numpy_loss(theta, X, y, L2)
        entries[i] = kept
        assert np.isfinite((above - below) / (2 * STEP))
    return (time.perf_counter() - began) / SAMPLED


def timings(right: GradientCheck, wrong: GradientCheck, loop: float) -> str:
    """How long the checks took, beside the plain loop."""
    whole = loop * right.checked
    return (
        f"3. Time: {right.seconds:.1f} s for the first check (with compilation, where nothing was "
        f"cached), {wrong.seconds:.1f} s for the second.\n"
        f"A plain Python loop of central differences in NumPy takes {1e3 * loop:.1f} ms an entry "
        f"(measured on {SAMPLED} entries, not all), so about {whole:.1f} s for all "
        f"{right.checked:,}: {whole / wrong.seconds:.1f} times the second check."
    )
