"""The slope that windows settle on, from the finest that is resolved up to wider ones.

Where steps shrink, noise grows and whatever else is wrong with a slope (truncation, kinks) goes away. So
each window finer than the one believed must hold the same slope: windows are met from the finest
up, as long as all their intervals have a point in common (Lepski, 1990). What was met is a stretch;
beyond it f does something else. The narrowest may be off by what hides in the bars of finer ones, as
many weak kinks do: the answer is the one `HELD_BACK` windows finer.
"""

import numpy as np

from fastgrad.numerics.plateaus import Stretch
from fastgrad.numerics.windows import Windows

SETTLED = 3
"""Fewest windows in a row that tell of a slope."""
HELD_BACK = 3
"""Octaves by which the answer is finer than the narrowest window. Of 500 entries of float32 ReLU nets
the narrowest itself was off by more than its bar in 2 to 3%; two octaves finer in 2, three in none."""


def settled(windows: Windows, stop: int) -> Stretch | None:
    """The longest stretch of windows that ends before ``stop``, whose intervals meet; None if short.

    Parameters
    ----------
    windows : Windows
        The widest first.
    stop : int
        Finer ones, from this one on, are not asked.

    Examples
    --------
    >>> t, none = 2.0 ** -np.arange(8.0), np.zeros(8)
    >>> slope = np.where(t > 0.2, 2.0, 3.0)
    >>> windows = Windows(t, slope, 0.01 / t, none, np.ones(8, bool), none, 0.01 / t)
    >>> found = settled(windows, 8)
    >>> found.start, found.slope(windows)
    (3, 3.0)
    """
    told = np.flatnonzero(windows.resolved[:stop])
    while told.size:
        last = int(told[-1])
        low, high, met = -np.inf, np.inf, 0
        for k in told[::-1].tolist():
            slope, bar = windows.slope[k], windows.bar[k]
            if max(low, slope - bar) > min(high, slope + bar):
                break
            low, high, met = max(low, slope - bar), min(high, slope + bar), met + 1
        start = int(told[-met])
        if met >= SETTLED:
            best = start + int(np.argmin(windows.bar[start : last + 1]))
            finer = told[(told >= best) & (told <= best + HELD_BACK)]
            return Stretch(start, last + 1, int(finer[-1]))
        told = told[:-met]
    return None
