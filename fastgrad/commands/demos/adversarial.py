"""The gradient in the inputs: digits that fool a net, and a net that is trained on them."""

from collections.abc import Callable

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checking import check_grad
from fastgrad.commands.demos.attacks import EPSILON, attacked, input_gradient
from fastgrad.models import digits, softmax
from fastgrad.models.softmax import Parameters

STEPS = 5
EPOCHS, RATE = 150, 1.0
TRAINED_ON = 1400
TEACHES = (
    "The gradient in the inputs is a gradient like any other: check it with argnum=1. Its sign, added a "
    "little at a time, changes what a net reads; a wrong one would look like a robust net."
)


def trained(X: Floats, y: np.ndarray, on_attacks: bool) -> Parameters:
    """Softmax regression by descent, on the digits or on their worst neighbours."""
    params = softmax.init(64, 10)
    for _ in range(EPOCHS):
        seen = attacked(params, X, y, 1) if on_attacks else X
        g = softmax.grad(params, seen, y)
        params = Parameters(params.W - RATE * g.W, params.b - RATE * g.b)
    return params


def run(say: Callable[[str], object]) -> None:
    """Check the gradient in X, then attack two nets with it."""
    X, y = digits()
    report = check_grad(
        softmax.loss, input_gradient, X[:20], softmax.init(64, 10), y[:20], argnum=1
    )
    say(
        f"1. The gradient in the pixels of 20 digits: {report.verdict}, {report.checked:,} entries.\n"
    )
    say(
        f"2. Digits read rightly, of 397 that were not trained on; pixels moved by {EPSILON} at most:"
    )
    say(f"   {'trained on':<12} {'as they are':>12} {'FGSM':>7} {'PGD':>7}")
    test, labels = X[TRAINED_ON:], y[TRAINED_ON:]
    for name, on_attacks in (("digits", False), ("attacks", True)):
        net = trained(X[:TRAINED_ON], y[:TRAINED_ON], on_attacks)
        seen = (test, attacked(net, test, labels, 1), attacked(net, test, labels, STEPS))
        rates = [100 * np.mean((x @ net.W + net.b).argmax(axis=1) == labels) for x in seen]
        say(f"   {name:<12} {rates[0]:>11.1f}% {rates[1]:>6.1f}% {rates[2]:>6.1f}%")
