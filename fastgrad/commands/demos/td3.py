"""Twin critics: what is a kink of their minimum, what is clipping, and what is a bug."""

from collections.abc import Callable

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checking import check_grad

GAMMA, NOISE, LIMIT = 0.98, 0.2, 0.5
TEACHES = (
    "Where the twins are equal their minimum has a kink, and either slope is right. Clipping belongs to "
    "the optimiser, not into the gradient; and a target that is differentiated is another loss."
)


def target(theta: Floats, S: Floats, noise: Floats, reward: Floats) -> Floats:
    """r + gamma min(Q1, Q2) at smoothed actions (Fujimoto, van Hoof and Meger, 2018)."""
    twins = [np.tanh(S @ w) + np.clip(noise, -LIMIT, LIMIT) * w[0] for w in theta.reshape(2, 3)]
    return np.asarray(reward + GAMMA * np.minimum(*twins))


def run(say: Callable[[str], object]) -> None:
    """Check critics against their target, the actor through the minimum, and three mistakes."""
    rng = np.random.default_rng(0)
    S, reward, theta = rng.standard_normal((25, 3)), rng.standard_normal(25), rng.standard_normal(6)
    y = target(theta, S, NOISE * rng.standard_normal(25), reward)  # held, as the target is

    def critics(w: Floats) -> float:
        return float(0.5 * sum(((np.tanh(S @ q) - y) ** 2).mean() for q in w.reshape(2, 3)))

    def right(w: Floats) -> Floats:
        Q = [np.tanh(S @ q) for q in w.reshape(2, 3)]
        return np.concatenate([S.T @ ((q - y) * (1 - q**2)) / 25 for q in Q])

    limit = float(np.sort(np.abs(right(theta)))[-2] * 0.9)  # cuts the two largest
    for name, claim in (
        ("as derived", right),
        ("clipped, as for an optimiser", lambda w: np.clip(right(w), -limit, limit)),
        ("the second critic forgotten", lambda w: np.r_[right(w)[:3], np.zeros(3)]),
    ):
        report = check_grad(critics, claim, theta, backend="python")
        why = "; ".join(d.sentence for d in report.diagnoses)
        say(f"Both critics against their target, {name}: {report.verdict}. {why}\n")

    def actor(a: Floats) -> float:
        return float(-np.minimum(a - 0.5 * a**2, 0.3 * a + 0.1 * a**2).sum())

    def slope(a: Floats) -> Floats:
        first = a - 0.5 * a**2 <= 0.3 * a + 0.1 * a**2
        return -np.where(first, 1 - a, 0.3 + 0.2 * a)

    a = np.array([-0.4, 0.0, 0.6])  # at 0 the twins are equal
    report = check_grad(actor, slope, a, backend="python")
    kink = next(e for e in report.entries if "kink" in e.verdict)
    say(f"The actor through the minimum: {report.verdict}; {kink.name}: {kink.note}.")
    twice = check_grad(actor, lambda a: 2 * slope(a), a, backend="python").verdict
    say(f"Twice that: {twice}.")
