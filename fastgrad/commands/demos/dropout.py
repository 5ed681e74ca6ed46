"""Dropout: refused while it is random, checked with a seed, checked switched off."""

from collections.abc import Callable

import numpy as np

from fastgrad.checking import check_grad
from fastgrad.errors import NondeterministicLossError
from fastgrad.models import digits, dropout, two_layer

KEEP = 0.8
TEACHES = (
    "A loss that draws new numbers at every call has no gradient to check: give it a seed, and the mask "
    "is a part of the function. A mask that the backward pass forgets is then found like any bug."
)


def run(say: Callable[[str], object]) -> None:
    """Four ways to check a net with dropout."""
    X, y = (part[:40] for part in digits())
    params = dropout.init(64, 12, 10)

    def random_loss(params: two_layer.Parameters, X: np.ndarray, y: np.ndarray) -> float:
        keep = np.random.default_rng().random((len(X), 12)) < KEEP
        return float(dropout.loss(params, X, y, keep, KEEP))

    def forgotten(
        params: two_layer.Parameters, X: np.ndarray, y: np.ndarray, seed: int, keep: float
    ) -> two_layer.Parameters:
        return two_layer.grad(params, X, y)

    say("1. A new mask at every call:")
    try:
        check_grad(random_loss, two_layer.grad, params, X, y, backend="python")
    except NondeterministicLossError as error:
        say(f"   refused. {error}\n")
    report = check_grad(dropout.seeded_loss, dropout.seeded_grad, params, X, y, 7, KEEP)
    say(f"2. One seed for loss and gradient: {report.verdict}, {report.checked} entries.\n")
    report = check_grad(dropout.seeded_loss, forgotten, params, X, y, 7, KEEP)
    wrong = [block.name for block in report.blocks if block.verdict == "disagrees"]
    say(
        f"3. The same loss, the gradient without its mask: {report.verdict}, in {', '.join(wrong)}.\n"
    )
    everyone = np.ones((len(X), 12), np.bool_)
    report = check_grad(dropout.loss, dropout.grad, params, X, y, everyone, 1.0)
    say(f"4. Switched off, as when the net is used: {report.verdict}.")
