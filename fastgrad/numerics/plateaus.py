"""What the slopes at every scale say of a claimed slope: plateaus that exclude it, runs that hold it.

A *plateau* is `PLATEAU` windows in a row whose intervals meet; it excludes a claim that lies `CLEAR`
bars off in each. A *run* of `RUN` windows holds a claim if it lies within each bar, and it speaks
against a plateau only where these bars are below half of the distance: a window that is too wide to
tell supports nobody.
"""

from dataclasses import dataclass

import numpy as np

from fastgrad.arrays import Floats, Mask
from fastgrad.numerics.windows import STANDARD_ERRORS, Windows

PLATEAU = 5
CLEAR = 2.0
RUN = 3
TELLING = 0.5
"""Part of the distance between claim and plateau that the bars of a run may reach."""
USEFUL_RUN = 0.1
"""Part of the entry's scale that each bar of a run may reach, for the run to show that it is right."""
USEFUL_BEST = 0.01
"""The same for its narrowest bar."""
LEAVES = 2.5
"""A window that holds the claim is nearer to it than to a plateau by so many of its standard errors:
a claim that is off by m of them gets that where noise is m / 2 + 1.25 of them, in 0.6% for m = 2.5."""
LONE = 0.5
"""A window excludes a bend that is more than what it shows and its bar, over this."""
ABRUPT = 8.0
"""f leaves a slope faster from here on than truncation of order 2 does in an octave."""
NOISE_OF_BAR = 15.0
"""A bar times its step, over the rms residual: 7 standard errors of 2.2."""


@dataclass(frozen=True)
class Stretch:
    """Windows in a row, from ``start`` (the widest) to before ``stop``, and the best of them."""

    start: int
    stop: int
    best: int

    def slope(self, windows: Windows) -> float:
        """The slope of its best window."""
        return float(windows.slope[self.best])

    def bar(self, windows: Windows) -> float:
        """The bar of its best window."""
        return float(windows.bar[self.best])

    def step(self, windows: Windows) -> float:
        """The step of its best window."""
        return float(windows.t[self.best])

    def one_sided(self, windows: Windows) -> tuple[float, float]:
        """Slopes on both sides of x, where f has a kink there; else the slope of the best window.

        Any of its windows may show it: a kink beside x is within the steps of some, and others further
        off blur it in the wider ones. A smooth f shows less than its bar: a fourth power 0.65 of it.
        What one window alone shows, and a wider one excludes, is noise: that has the kink within it. And
        a smooth f may look like a kink from afar, as log(cosh(x)) does: `PLATEAU` finer windows without
        one of half that size tell that there is none at x.
        """
        here = slice(self.start, self.stop)
        bend, bar = np.abs(windows.bend[here]), windows.bend_bar[here]
        shown = bend > bar
        if np.count_nonzero(shown) == 1:
            k = int(np.argmax(shown))
            shown[k] = not np.any(bend[:k] + bar[:k] < LONE * bend[k])
        wide = np.where(shown, bend + bar, 0.0)
        for i in np.flatnonzero(wide).tolist():
            if np.count_nonzero((bend + bar)[i + 1 :] < wide[i] / 2) >= PLATEAU:
                wide[i] = 0.0
        k = int(np.argmax(wide))
        reach = float(wide[k] + windows.bar[here][k]) if wide[k] else 0.0
        return self.slope(windows) - reach, self.slope(windows) + reach

    def kink(self, windows: Windows) -> float:
        """What a kink at x, or nearer than steps can tell, adds to the bar."""
        k = self.start + int(np.argmin(windows.bend_bar[self.start : self.stop]))
        bend, bar = abs(float(windows.bend[k])), float(windows.bend_bar[k])
        return bend if bend > bar else 0.0


@dataclass(frozen=True)
class Evidence:
    """What windows say of a claim, before it is known whether f jumps between them."""

    against: tuple[Stretch, ...]
    """Plateaus that exclude it, the sharpest first."""
    held: Stretch | None
    """The run that holds it most sharply."""
    useful: bool
    """Whether the bars of that run are narrow beside the entry's scale."""


def evidence_for(windows: Windows, claim: float, scale: float, tolerance: float) -> Evidence:
    """The plateaus against a claim and the run for it.

    Parameters
    ----------
    scale : float
        The size of slopes beside which an error matters.
    tolerance : float
        The error that does not.

    Examples
    --------
    >>> t, flat = 2.0 ** -np.arange(9.0), np.ones(9)
    >>> none, tiny = 0 * flat, 1e-6 * flat
    >>> windows = Windows(t, 2 * flat, tiny, none, np.ones(9, bool), none, tiny)
    >>> found = evidence_for(windows, 2.0, 2.0, 0.0)
    >>> found.against, found.held.slope(windows), found.useful
    ((), 2.0, True)
    >>> evidence_for(windows, 2.1, 2.0, 0.0).against[0].slope(windows)
    2.0
    """
    apart = np.abs(windows.slope - claim)
    with np.errstate(invalid="ignore"):
        excludes = windows.resolved & (
            apart > np.maximum(CLEAR * windows.bar, windows.bar + tolerance)
        )
        holds = windows.resolved & (apart <= np.maximum(windows.bar, tolerance - windows.bar))
    against = sorted(_meeting(windows, excludes), key=lambda one: one.bar(windows))
    telling = holds
    if against:
        first = against[0]
        telling = holds & (windows.bar < TELLING * apart[first.best])
        drift = holds & (windows.bar < apart[first.best])
        drift &= np.abs(windows.slope - first.slope(windows)) > windows.bar + first.bar(windows)
        drift[: first.best] = False
        if drift.any():  # the slope moves towards the claim as steps shrink
            telling = holds & (np.arange(holds.size) > first.best)
    runs = [Stretch(i, j, _best(windows, i, j)) for i, j in _rows(telling) if j - i >= RUN]
    held = min(runs, key=lambda one: one.bar(windows), default=None)
    useful = held is not None and bool(
        held.bar(windows) <= USEFUL_BEST * scale
        and np.sum(windows.bar[held.start : held.stop] <= USEFUL_RUN * scale) >= RUN
    )
    return Evidence(tuple(against), held, useful)


def leaning(windows: Windows, plateau: Stretch, claim: float) -> float | None:
    """The step from which on slopes seem to leave a plateau for the claim, as where kinks lie near x.

    It is that of a window too wide to tell the two apart: of a claim that is wrong it leans its way by
    chance. None where no window does.
    """
    finer = slice(plateau.best + 1, None)
    slope, bar = windows.slope[finer], windows.bar[finer]
    with np.errstate(invalid="ignore"):
        off, apart = np.abs(slope - claim), np.abs(slope - plateau.slope(windows))
        leans = apart - off > LEAVES * bar / STANDARD_ERRORS
        leans &= (off <= bar) & (apart <= bar + plateau.bar(windows))
    return float(windows.t[finer][int(np.argmax(leans))]) if leans.any() else None


def _meeting(windows: Windows, among: Mask) -> list[Stretch]:
    """Rows of at least `PLATEAU` windows whose intervals have a point in common."""
    low, high = windows.slope - windows.bar, windows.slope + windows.bar
    found = []
    for first, last in _rows(among):
        start = first
        while start < last:
            stop, bottom, top = start, -np.inf, np.inf
            while stop < last and max(bottom, low[stop]) <= min(top, high[stop]):
                bottom, top = max(bottom, low[stop]), min(top, high[stop])
                stop += 1
            if stop - start >= PLATEAU:
                found.append(Stretch(start, stop, _best(windows, start, stop)))
                start = stop
            else:
                start += 1
    return found


def _rows(mask: Mask) -> list[tuple[int, int]]:
    """Stretches of True, each from its first position to before its end."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _best(windows: Windows, start: int, stop: int) -> int:
    return start + int(np.argmin(windows.bar[start:stop]))


def left_at(windows: Windows, plateau: Stretch, t: Floats, odd: Floats) -> int | None:
    """The pair, going to wider steps, at which f leaves the slope of a plateau most abruptly.

    None if it leaves it no faster than a smooth f does, or not at all.

    Parameters
    ----------
    t, odd : ndarray, shape (m,)
        Steps, decreasing, and ``(f(x + t) - f(x - t)) / 2``.
    """
    best = plateau.best
    with np.errstate(invalid="ignore"):
        off = np.abs(odd - plateau.slope(windows) * t)
    off[~np.isfinite(off)] = np.inf
    floor = max(windows.bar[best] * t[best] / NOISE_OF_BAR, float(np.spacing(abs(odd[best]))))
    with np.errstate(invalid="ignore"):
        abrupt = off[:best] / np.maximum(off[1 : best + 1], floor)
    abrupt[np.isnan(abrupt)] = 0.0  # f is finite at neither
    k = int(np.argmax(abrupt)) if best else 0
    return k if best and abrupt[k] > ABRUPT else None
