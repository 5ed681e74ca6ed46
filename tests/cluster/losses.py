"""Losses that count their calls, and what a check of them is to give."""

import numpy as np

import fastgrad as fg


class Counter:
    """Calls in this process, and at which of them to be interrupted; a digest of it sees nothing."""

    __slots__ = ("last", "made")

    def __init__(self):
        self.made, self.last = 0, None

    def __reduce_ex__(self, _):
        raise TypeError("a counter stays where it is")

    def count(self):
        if self.made == self.last:
            raise KeyboardInterrupt
        self.made += 1


CALLS = Counter()
N = 60
X = np.linspace(0.5, 2.0, N)
A = np.linspace(1.0, 3.0, N)


def quartic(x, a):
    CALLS.count()
    return float(np.sum(a * x**4) + x[0] * x[-1])


def quartic_grad(x, a):
    g = 4 * a * x**3
    g[0] += x[-1]
    g[-1] += x[0]
    return g


def one_wrong():
    g = quartic_grad(X, A)
    g[17] *= 1.01
    return g


def check(gradient=None, loss=quartic, a=A, **options):
    """A check of `quartic` called from Python, and the calls that it took."""
    before = CALLS.made
    g = one_wrong() if gradient is None else gradient
    given = {"backend": "python", "strategy": "sweep", **options}
    return fg.check_grad(loss, g, X, a, **given), CALLS.made - before


def said(report):
    """All that a report says, but for the time and the place that it took."""
    lines = str(report).splitlines()
    arrays = [report.arrays(b.name) for b in report.blocks]
    kept = [
        getattr(part, name).tobytes()
        for part in arrays
        for name in ("numeric", "error_bar", "step")
    ]
    how = [line.partition(" in ")[0] for line in lines if "[how]" in line]
    timed = "[ran]", "[how]", "[cost]"
    return [line for line in lines if not line.endswith(timed)], how, kept
