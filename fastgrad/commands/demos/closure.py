"""The book's net whose numerical gradient ignores its argument, and the race of mutate and restore."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checking import check_grad
from fastgrad.commands.demos.closure_net import Net, numerical

TEACHES = (
    "lambda W: net.loss(x, t) reads the net and not W: it works only while W is the net's own array and "
    "is changed in place, by one thread at a time. Write the argument into the model, or pass it."
)


def run(say: Callable[[str], object]) -> None:
    """Ask the book's way, in one thread and in four, and then ask the checker."""
    rng = np.random.default_rng(0)
    net, x, t = Net(rng), rng.standard_normal((2000, 64)), rng.standard_normal((2000, 5))
    exact = net.gradient(x, t).ravel()
    parts = [range(k, k + 20) for k in range(0, 80, 20)]

    def off(found: list[Floats]) -> float:
        return float(np.abs(np.concatenate(found) / exact[:80] - 1).max())

    def part(entries: range) -> Floats:
        return numerical(lambda: net.loss(x, t), net.W, entries)

    say(f"One thread, in place: off by {off([part(p) for p in parts]):.1g}.")
    with ThreadPoolExecutor(4) as pool:
        raced = off(list(pool.map(part, parts)))
    say(f"Four threads on one W: off by {raced:.1g} this time; each sees the others' changes.\n")
    report = check_grad(lambda W: net.loss(x, t), net.gradient(x, t), net.W, backend="python")
    say(f"fastgrad moves a copy, and says: {report.verdict}.\n   {report.diagnoses[0].sentence}\n")

    def loss(W: Floats) -> float:
        net.W = W
        return net.loss(x, t)

    report = check_grad(loss, net.gradient(x, t), net.W.copy(), backend="python", strategy="sweep")
    say(f"With net.W = W inside the loss: {report.verdict}, {report.checked} entries.")
