"""Training by numerical gradients alone, beside backprop: every optimiser, every kind of batch."""

import time
from collections.abc import Callable

from fastgrad.commands.demos.descent import BATCH, HIDDEN, TRAINED_ON, accuracy, train
from fastgrad.commands.demos.optimisers import OPTIMISERS, sgd
from fastgrad.commands.demos.regressions import regressed
from fastgrad.gradient import grad
from fastgrad.models import linear, logistic, two_layer

EPOCHS = 40
PASSES = 10
TEACHES = (
    "Differences of the loss are all that descent needs: they train as well as backprop, which is how "
    "you know that backprop is right; they are only dearer."
)


def run(say: Callable[[str], object]) -> None:
    """Train regressions and a net by differences of their losses, and by backprop beside them."""
    say(f"Regressions on 200 examples, {PASSES} passes of SGD; the loss that is reached:\n")
    say(f" {'':<10} {'batch of':>9} {'differences':>12} {'by hand':>9}")
    for name, model in (("linear", linear), ("logistic", logistic)):
        for size in (200, 20, 1):  # batch, mini-batch and stochastic descent
            left = [regressed(model, g, size, PASSES) for g in (grad(model.loss), model.grad)]
            say(f" {name:<10} {size:>9} {left[0]:>12.5f} {left[1]:>9.5f}")
    n = sum(block.size for block in two_layer.init(64, HIDDEN, 10))
    steps = EPOCHS * -(-TRAINED_ON // BATCH)
    say(
        f"\nTraining W1, b1, W2, b2 of a 64-{HIDDEN}-10 net ({n:,} parameters) on {TRAINED_ON:,} "
        f"digits, {steps:,} mini-batches of {BATCH}; digits not trained on that are read rightly:\n"
    )
    numerical = grad(two_layer.loss)
    for gradient in (numerical, two_layer.grad):
        train(gradient, sgd, epochs=1)  # compiles
    say(f" {'optimiser':<10} {'differences':>22} {'backprop':>22}")
    for name, optimiser in OPTIMISERS.items():
        cells = []
        for gradient in (numerical, two_layer.grad):
            began = time.perf_counter()
            cells.append(f"{100 * accuracy(train(gradient, optimiser, EPOCHS)):.1f}% in ")
            cells[-1] += f"{time.perf_counter() - began:.1f} s"
        say(f" {name:<10} {cells[0]:>22} {cells[1]:>22}")
    say(
        f"\nA plain loop would evaluate the loss {2 * n * steps:,} times for each line; the loss's "
        f"layered structure made it {2 * (HIDDEN + 10)} partial passes a mini-batch, certified "
        "against the plain loss."
    )
