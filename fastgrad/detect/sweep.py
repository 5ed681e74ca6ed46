"""Every entry: differences in three stages, each only for what the one before left open.

1. Two evaluations an entry. What agrees within its bar is done.
2. For the others, two more at 8 times the step: truncation is read off and taken out. Where it
   cannot be, the entry gets a step of its own and starts again.
3. For those still open, and not plainly smooth, four more at h/2 and h/16: is there a kink, and
   does every step that can tell say that the entry is wrong?
"""

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fastgrad.detect.differences import Differencer, Indices, Quotients
from fastgrad.detect.judged import Judged, note_of
from fastgrad.numerics.bars import (
    CORRECTED,
    ROUNDING,
    UNCERTAIN,
    USEFUL,
    USEFUL_ZERO,
    WIDER,
    Verdict,
    truncation,
)
from fastgrad.numerics.kinks import KINK, Slopes, find_kinks
from fastgrad.params import Floats, Layout

FINER = (1 / 16, 1 / 2)
"""Steps of the third stage, in h."""

LATER = 3.0
"""What the second and third stage cost an entry, in costs of the first; with a step of its own, up
to `MOST` times as much."""
MOST = 4.0
BATCH = 0.1
"""Part of the time left that is spent before the clock is looked at again."""


def sweep(
    differencer: Differencer,
    layout: Layout,
    analytic: Floats,
    unit: Floats,
    rtol: float,
    h: Floats,
    rms: Floats | None = None,
    left: Callable[[], float] | None = None,
) -> Judged:
    """Judge every entry of a gradient by differences.

    Parameters
    ----------
    differencer : Differencer
        Of the entries to check.
    analytic : ndarray, shape (m,)
        The gradient under test there.
    unit : ndarray, shape (blocks,)
        The rounding unit each block was given in.
    rtol : float
        Errors of at most ``rtol`` times the scale do not matter.
    h : ndarray, shape (m,)
        Steps to begin with.
    rms : ndarray, shape (blocks,), optional
        The size of each block's gradient, where these entries are too few to tell.
    left : callable, optional
        Seconds left for the second and third stage; the worst entries come first.

    Raises
    ------
    NondeterministicLossError
        The loss at theta changed under way.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        return _Sweep(differencer, layout, analytic, unit, rtol, rms, left).judge(h)


class _Sweep:
    def __init__(
        self,
        differencer: Differencer,
        layout: Layout,
        analytic: Floats,
        unit: Floats,
        rtol: float,
        rms: Floats | None,
        left: Callable[[], float] | None,
    ):
        self.known_rms = rms
        self.left = left
        self.unfinished = 0
        self.differencer = differencer
        self.a = analytic
        self.rtol = rtol
        stops = [block.stop for block in layout.blocks]
        self.block = np.searchsorted(stops, differencer.indices, side="right")
        self.blocks = len(stops)
        self.rounding = np.maximum(ROUNDING, unit[self.block]) * _magnitude(analytic)
        self.notes: dict[int, str] = {}

    def judge(self, h: Floats) -> Judged:
        everything = np.arange(h.size)
        began = time.perf_counter()
        first = self.differencer.at(everything, h)
        seconds = (time.perf_counter() - began) / h.size
        self.h, self.D, self.bar = first.h.copy(), first.D.copy(), first.bar + self.rounding
        self.verdict = np.full(h.size, Verdict.INCONCLUSIVE, np.int8)
        agrees = np.abs(self.a - self.D) <= self.bar
        self._set_scales(agrees if agrees.any() else np.isfinite(self.D))
        agrees |= self._is_within_tolerance(everything)
        self.verdict[agrees] = Verdict.AGREES
        if not agrees.all():
            self._refine_in_time(everything[~agrees], first.take(~agrees), LATER * seconds)
        self._refuse_useless_bars()
        self.verdict[~np.isfinite(self.a)] = Verdict.DISAGREES
        return Judged(
            self.differencer.indices,
            self.a,
            self.D,
            self.bar,
            self.h,
            self.verdict,
            self.block,
            self.scale,
            self.rms,
            self.overall,
            self.notes,
            self.unfinished,
        )

    def _refine_in_time(self, which: Indices, near: Quotients, seconds: float) -> None:
        """`_refine`, which takes about so many seconds an entry; all at once if that surely fits."""
        if self.left is None or MOST * seconds * which.size <= self.left():
            self._refine(which, near)
            return
        excess = np.nan_to_num(np.abs(self.a[which] - near.D) / near.bar, nan=np.inf)
        order = np.argsort(-excess, kind="stable")
        while order.size and self.left() > seconds:
            count = max(1, int(BATCH * self.left() / seconds))
            batch, order = np.sort(order[:count]), order[count:]
            began = time.perf_counter()
            self._refine(which[batch], near.take(batch))
            seconds = (time.perf_counter() - began) / batch.size
        self.unfinished = order.size
        for k in which[order].tolist():
            self.notes[k] = "there was no time to look at it again, at other steps"

    def _refine(self, which: Indices, near: Quotients) -> None:
        """Stages two and three for the entries ``which``, shape (k,), that stage one left open."""
        wide, t = self._read_truncation(which, near)
        lost = ~self._converged(near, t)
        if lost.any():
            own = self.differencer.adapted_steps(which[lost], near.h[lost])
            near.put(lost, self.differencer.at(which[lost], own))
            again, t[lost] = self._read_truncation(which[lost], near.take(lost))
            wide.put(lost, again)
        # A step of its own may agree as it is; t would only bring in a kink within 8 of them.
        plain = lost & (np.abs(self.a[which] - near.D) <= near.bar + self.rounding[which])
        t[plain] = 0.0
        converged = self._converged(near, t)
        corrected = np.where(converged, t, 0.0)
        self.h[which], self.D[which] = near.h, near.D - corrected
        self.bar[which] = np.where(
            converged,
            CORRECTED * near.bar + UNCERTAIN * np.abs(corrected) + self.rounding[which],
            near.bar + np.abs(t) + self.rounding[which],
        )
        sound = np.ones(self.D.size, np.bool_)
        sound[which] = converged
        self._set_scales(sound)
        agrees = converged & (np.abs(self.a[which] - self.D[which]) <= self.bar[which])
        agrees |= self._is_within_tolerance(which)
        self.verdict[which[agrees]] = Verdict.AGREES
        open_ = ~agrees
        if open_.any():
            self._settle(which[open_], near.take(open_), wide.take(open_), converged[open_])

    def _read_truncation(self, which: Indices, near: Quotients) -> tuple[Quotients, Floats]:
        wide = self.differencer.at(which, WIDER * near.h)
        t = truncation(near.D, wide.D)
        t[~np.isfinite(t)] = np.inf
        return wide, t

    def _converged(self, near: Quotients, t: Floats) -> NDArray[np.bool_]:
        return np.isfinite(t) & (UNCERTAIN * np.abs(t) <= near.bar)

    def _settle(
        self, which: Indices, near: Quotients, wide: Quotients, converged: NDArray[np.bool_]
    ) -> None:
        """Stage three: disagreement, kink, or nothing that differences can tell."""
        value = self.differencer.loss.base
        coarse = find_kinks(_slopes((near, wide), value), near.sigma)
        smooth = (coarse.order > 1.5) & (coarse.order < 2.5)
        # A kink on the way to x + h biases D by half of S / h at most.
        bend = np.abs(near.above - 2 * value + near.below) / (2 * near.h)
        smooth &= np.abs(self.a[which] - self.D[which]) > self.bar[which] + bend
        wrong = converged & self._exceeds_tolerance(which)
        self.verdict[which[wrong & smooth]] = Verdict.DISAGREES
        rest = ~(wrong & smooth)
        if not rest.any():
            return
        which, near, wide = which[rest], near.take(rest), wide.take(rest)
        finest, finer = (self.differencer.at(which, part * near.h) for part in FINER)
        kinks = find_kinks(_slopes((finest, finer, near, wide), value), near.sigma)
        wrong = self._settled_below(which, near, finer, finest, converged[rest])
        a, D, bar = self.a[which], self.D[which], self.bar[which]
        bends = np.abs(D - finest.D) > bar + finest.bar
        agrees = bends & (np.abs(a - finest.D) <= finest.bar + self.rounding[which])
        self._adopt(which[agrees], finest.take(agrees))
        wrong &= ~kinks.kink & ~kinks.jump
        wrong &= ~(coarse.order[rest] < KINK) | (np.abs(a - D) > bar + 2 * bend[rest])
        wrong &= np.abs(a - finer.D) >= np.abs(D - finer.D)
        for other in (finest, finer):
            wrong &= (np.abs(a - other.D) > other.bar) | (other.bar >= np.abs(a - D))
            # A kink so near that its order passes for 2 lies within twice the change of D.
            change = np.abs(D - other.D)
            wrong &= (change <= bar + other.bar) | (np.abs(a - D) > bar + 2 * change)
        inside = (kinks.low <= a) & (a <= kinks.high)
        verdict = np.select(
            [agrees, kinks.kink & inside, kinks.kink, wrong],
            [Verdict.AGREES, Verdict.KINK_VALID, Verdict.KINK_OUTSIDE, Verdict.DISAGREES],
            Verdict.INCONCLUSIVE,
        )
        self.verdict[which] = verdict
        for k in map(int, np.flatnonzero(verdict >= Verdict.INCONCLUSIVE)):
            self.notes[int(which[k])] = note_of(
                Verdict(verdict[k]), near, k, bool(kinks.jump[k]), kinks.low[k], kinks.high[k]
            )

    def _settled_below(
        self,
        which: Indices,
        near: Quotients,
        finer: Quotients,
        finest: Quotients,
        converged: NDArray[np.bool_],
    ) -> NDArray[np.bool_]:
        """Who may be called wrong: also entries where 8h crosses a kink, but all steps to h agree."""
        alike = (np.abs(near.D - finer.D) <= near.bar + finer.bar) & (
            np.abs(near.D - finest.D) <= near.bar + finest.bar
        )
        taken = alike & ~converged
        self.D[which[taken]] = near.D[taken]
        self.bar[which[taken]] = near.bar[taken] + finer.bar[taken] + self.rounding[which[taken]]
        return (converged | taken) & self._exceeds_tolerance(which)

    def _adopt(self, which: Indices, estimate: Quotients) -> None:
        self.h[which], self.D[which] = estimate.h, estimate.D
        self.bar[which] = estimate.bar + self.rounding[which]

    def _set_scales(self, sound: NDArray[np.bool_]) -> None:
        """The scale of each entry, from differences that can be trusted."""
        D = np.where(sound & np.isfinite(self.D), self.D, 0.0)
        squares = np.bincount(self.block, D**2, self.blocks)
        counts = np.bincount(self.block, sound, self.blocks)
        self.rms = np.sqrt(squares / np.maximum(counts, 1))
        self.overall = float(np.sqrt(squares.sum() / max(counts.sum(), 1)))
        if self.known_rms is not None:
            self.rms = np.maximum(self.rms, self.known_rms)
            self.overall = max(self.overall, float(self.rms.max()))
        self.scale = np.maximum(np.abs(D), self.rms[self.block])

    def _is_within_tolerance(self, which: Indices) -> NDArray[np.bool_]:
        r = np.abs(self.a[which] - self.D[which])
        return np.asarray(r + self.bar[which] <= self.rtol * self.scale[which])

    def _exceeds_tolerance(self, which: Indices) -> NDArray[np.bool_]:
        r = np.abs(self.a[which] - self.D[which])
        return np.asarray(r - self.bar[which] > self.rtol * self.scale[which])

    def _refuse_useless_bars(self) -> None:
        """An entry agrees only if its bar is narrow beside the scale, or its block is zero."""
        agrees = self.verdict == Verdict.AGREES
        is_zero = np.maximum(np.abs(self.a), np.abs(self.D)) <= self.bar
        exact = (self.D == 0) & (self.a == 0)
        zero_block = np.bincount(self.block, ~is_zero, self.blocks)[self.block] == 0
        exact_block = np.bincount(self.block, ~exact, self.blocks)[self.block] == 0
        useful = np.where(
            zero_block,
            exact_block | (self.bar <= USEFUL_ZERO * self.overall),
            self.bar <= USEFUL * self.scale,
        )
        for k in np.flatnonzero(agrees & ~useful):
            self.verdict[k] = Verdict.INCONCLUSIVE
            scale = self.overall if zero_block[k] else self.scale[k]
            self.notes[int(k)] = (
                f"the error bar {self.bar[k]:.2g} is too wide beside a gradient of {scale:.2g}"
            )


def _magnitude(a: Floats) -> Floats:
    """What the rounding of an analytic entry is measured by, shape (m,).

    At least the typical entry: one that is zero by cancellation was summed from larger terms.
    """
    size = np.where(np.isfinite(a), np.abs(a), 0.0)
    typical = float(np.median(size[size > 0])) if size.any() else 0.0
    return np.maximum(size, typical)


def _slopes(quotients: tuple[Quotients, ...], value: float) -> Slopes:
    steps, above, below = (
        np.stack([getattr(q, name) for q in quotients], axis=1) for name in ("h", "above", "below")
    )
    return Slopes.of(steps, above, below, value)
