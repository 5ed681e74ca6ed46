"""The profile of an entry or a line: the slope of f at every scale, and what it says of a claim.

No verdict rests on one step. A first look takes four pairs at steps chosen to contradict: two wider
and two finer than the step that was used (`fastgrad.differences.plain_errors`). Only where they
disagree is f taken at all scales, the slope fitted in windows with measured bars
(`fastgrad.numerics.windows`), and the claim weighed by plateaus and runs
(`fastgrad.numerics.plateaus`). Where f leaves a plateau it is halved up to see
whether it jumps there: between jumps f may be smooth with a slope that means nothing, as a solver's
stopped at a tolerance, and a smooth f or one with kinks has its slope at the finest steps.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.differences.halving import JUMPS, Line, halved
from fastgrad.differences.profile_rulings import Judgment, Jump, Ruling
from fastgrad.numerics.bars import ROUNDING
from fastgrad.numerics.plateaus import (
    USEFUL_BEST,
    Evidence,
    Stretch,
    evidence_for,
    leaning,
    left_at,
)
from fastgrad.numerics.settled import settled
from fastgrad.numerics.windows import PAIRS, Windows, grain_of, windows_of

PROFILE_EVALUATIONS = 114
"""What a profile takes with the search for one jump."""
WIDEST, FINEST = 2, 46
"""Steps go from 2^-2 to 2^-46 of the unit."""
WOBBLE = 0.2
"""Steps are off powers of two by up to this part, so that no grid is hit."""
GOLDEN = 0.6180339887498949
FINEST_ULPS = 4.0
"""Steps of fewer units in the last place of the entry are not taken."""
MOVES = 7
"""So many of the nine values of a first look must differ, or it is a staircase or nothing at all, and so
many changes of f where it is asked again."""
PLAIN_GRAINS = 16.0
"""A claim is wrong where f is constant if it would change f by so many of its grains."""
STILL = 8
"""Octaves of steps at which f must be the same for its slope to be zero, whatever it does beyond."""
PLAIN_RISE = 2.0**-30
"""A claim that would move f by this part of what wide steps do is no matter of rounding: were it right,
f would move on both sides, while a function that saturates there may be still on one."""
RIPPLE = 2.0**-23
"""A slope over steps so short that it moves f by less than this part, as single precision does, is
noise that happens to be smooth, where f has another slope over wider ones."""
BLOWN_UP = 2.0**4
"""Values so many times those at most steps are beside a pole."""
JUMP_GRAINS = 2.0
"""A change of f by so many of its grains is its rounding, and no jump of it."""
WIDEST_PAIRS, WIDEST_GRAINS = 3, 2.0
"""Pairs that tell of a slope where no window is resolved, and grains by which each end may be off."""
ROUNDED_AT = 2
"""The step, counted from the widest, over which f shows what its rounding is a part of: 2^-4 units."""
KNOWN_BESIDE_JUMP = 3.0
"""A slope between two jumps of size J, the nearer at a distance d, is known to so many J / d."""
ASKED_AGAIN, NEARER = 64, 4.0
"""Pairs that tell whether slopes lean towards a claim by chance, and how much nearer to x they are: a
kink in the middle of the window that leans is beyond them."""
REACHES = (1.0, 2.0**-2, 2.0**-5)
"""How far, in units, f is looked at on the side of x where it did not jump."""
EVEN_STEPS = 24
"""At so many places, evenly: jumps that come again, at whatever distance, lie among them."""
DEGREE = 7
"""A polynomial that f is there without jumps,"""
UNEVEN = 2.0**-3
"""but for this part of the jump that it would be."""


class Told(NamedTuple):
    """An estimate of a slope."""

    slope: float
    bar: float
    step: float
    jumps: bool
    """Whether f jumps where it leaves the slope of the finest steps."""


@dataclass(frozen=True)
class Profile:
    """f on both sides of x at all scales, and the slopes in windows of them.

    Parameters
    ----------
    t : ndarray, shape (m,)
        Steps really taken, decreasing.
    above, below : ndarray, shape (m,)
    value : float
        f at x.
    grain : float
        The unit of which all values are multiples.
    windows : Windows
    """

    t: Floats
    above: Floats
    below: Floats
    value: float
    grain: float
    windows: Windows

    @classmethod
    def take(
        cls, line: Line, unit: float, value: float, x: float = 0.0, grain: float = 0.0
    ) -> "Profile":
        """The profile along a line.

        Parameters
        ----------
        line : callable
        unit : float
            What steps are parts of.
        value : float
            f at x, as ``line`` gives it.
        x : float
            What offsets are added to: they are rounded to what x can take.
        grain : float
            The unit of the values of f, as far as it is known.
        """
        t = scales(unit, x)
        above, below = np.split(line(np.concatenate([t, -t])), 2)
        taken = ((x + t) - (x - t)) / 2
        grain = max(grain, grain_of(_near(np.concatenate([above, below, [value]]))))
        return cls(t, above, below, value, grain, windows_of(taken, above, below, value, grain))

    @property
    def is_flat(self) -> bool:
        """Whether f is the same at all steps."""
        return bool(np.all(self.above == self.value) and np.all(self.below == self.value))

    @property
    def largest(self) -> float:
        """The largest of the values, but for those that f blows up to."""
        values = np.abs(_near(np.concatenate([self.above, self.below, [self.value]])))
        return float(np.max(values, initial=0.0, where=np.isfinite(values)))

    @property
    def least_error(self) -> float:
        """The error that rounding within f may make of a slope, however steady that is.

        At a perfect fit residuals are rounding, and so is the slope that they have; f is what it is a
        part of its unit away.
        """
        away = self.t.size > ROUNDED_AT and self.t[ROUNDED_AT]
        if not away:
            return 0.0
        change = abs(self.above[ROUNDED_AT] - self.value), abs(self.below[ROUNDED_AT] - self.value)
        least = min(change)
        return ROUNDING * float(least) / float(away) if np.isfinite(least) else 0.0

    def judge(self, claim: float, sizes: tuple[float, float], line: Line) -> Judgment:
        """Is a claimed slope right?

        Parameters
        ----------
        claim : float
        sizes : (float, float)
            The size beside which its error matters, and the error that does not.
        line : callable
            The line again, to look for jumps on it.
        """
        if self.is_flat:
            return self._of_nothing(claim)
        still = self._still_beside(claim) or self._still_on_a_side(claim, sizes[0])
        if still is not None:
            return still
        found = evidence_for(self.windows, claim, *sizes)
        held = found.held
        if not found.against:
            return self._judgment(Ruling.RIGHT if found.useful else Ruling.OPEN, found, None)
        jump = None
        if held is None:
            for plateau in found.against:
                low, high = plateau.one_sided(self.windows)
                if low <= claim <= high:
                    return self._judgment(Ruling.KINK, found, None, plateau)
                if self._is_left(plateau, claim, line):
                    continue
                jump = self._jump_beyond(plateau, line)
                distance = abs(plateau.slope(self.windows) - claim)
                if jump is None or self._is_known_beside(jump, distance, line):
                    return self._judgment(Ruling.WRONG, found, jump, plateau)
            return self._judgment(Ruling.OPEN, found, jump)
        finer = [plateau for plateau in found.against if plateau.best > held.best]
        for plateau in finer:
            jump = self._jump_beyond(plateau, line)
            if (jump is None or not jump.size) and not self._is_noise(plateau, held):
                return self._judgment(Ruling.WRONG, found, jump, plateau)
        if not finer:
            jump = self._jump_beyond(held, line)
        right = found.useful and (bool(finer) or jump is None or not jump.size)
        return self._judgment(Ruling.RIGHT if right else Ruling.OPEN, found, jump)

    def _of_nothing(self, claim: float) -> Judgment:
        """What f says of a claim where it is the same at all steps: the claim must change it."""
        with np.errstate(over="ignore"):
            single = np.float32(self.value)
        grain = max(self.grain, float(np.finfo(np.float64).eps))
        if float(single) == self.value:
            grain = max(grain, float(np.spacing(abs(single))))
        widest = float(self.t.max(initial=0.0))
        bar = PLAIN_GRAINS * grain / (2 * widest) if widest else float("inf")
        return Judgment(Ruling.WRONG if abs(claim) > bar else Ruling.OPEN, 0.0, bar, widest)

    def estimate(self, line: Line) -> Told:
        """The slope at x with its error bar, and the step that tells it.

        That on which the finest steps settle. Where f jumps beyond them, that of steps wider than the
        jump, or what is known of the slope between two jumps, whichever is narrower.

        Parameters
        ----------
        line : callable
            The line again, to look for jumps on it.
        """
        still = self._still()
        if still is not None:
            jump = None if still == 0 else self._jump_at(still - 1, 0.0, line)
            if jump is None or not jump.size:
                step = float(self.t[still]) if self.t.size else 0.0
                return Told(0.0, self._bar_of_still(still) if step else float("inf"), step, False)
        w, stop = self.windows, self.windows.count
        known, jumps = (float("inf"), 0.0, 0.0), False
        while (found := settled(w, stop)) is not None:
            jump = self._jump_beyond(found, line)
            here = found.bar(w) + found.kink(w), found.slope(w), found.step(w)
            if jump is None or jump.size <= JUMP_GRAINS * self.grain:
                known = min(known, here)
                break
            jumps = True
            between = max(here[0], KNOWN_BESIDE_JUMP * jump.size / jump.at)
            known = min(known, (between, *here[1:]))
            beyond = int(np.count_nonzero(self.t >= jump.at)) - PAIRS + 1
            stop = max(min(beyond, found.start), 0)
        if not np.isfinite(known[0]):
            known = self._of_the_widest()
        bar, slope, step = known
        return Told(slope, bar, step, jumps)

    def _still(self) -> int | None:
        """The widest of the steps up to which f is the same on both sides; None if they are few."""
        moves = np.flatnonzero((self.above != self.value) | (self.below != self.value))
        first = int(moves[-1]) + 1 if moves.size else 0
        return first if self.t.size - first >= STILL else None

    def _bar_of_still(self, first: int) -> float:
        """What the slope may be where f is still up to this step."""
        return PLAIN_GRAINS * self.grain / (2 * float(self.t[first]))

    def _of_the_widest(self) -> tuple[float, float, float]:
        """Bar, slope and step of the widest pair where no window is resolved: by grains of f."""
        finite = np.flatnonzero(np.isfinite(self.above) & np.isfinite(self.below))[:WIDEST_PAIRS]
        if finite.size < WIDEST_PAIRS:
            return float("inf"), 0.0, 0.0
        t = self.t[finite]
        slopes = (self.above[finite] - self.below[finite]) / (2 * t)
        bar = np.ptp(slopes) + WIDEST_GRAINS * self.grain / float(t[0])
        return float(bar), float(slopes[0]), float(t[0])

    def _still_beside(self, claim: float) -> Judgment | None:
        """That f does not move near x, where a claim says that it must; None if it does, or may.

        As beyond a clip, in a dead zone, or below a maximum. Steps of a staircase are still too: there
        wider differences bear the claim out on both sides, or it moves f by few grains.
        """
        first = self._still()
        if first is None:
            return None
        bar = self._bar_of_still(first)
        up, down = (self.above - self.value)[:first], (self.value - self.below)[:first]
        borne = np.sign(claim) * (up + down) >= abs(claim) * self.t[:first]
        if abs(claim) * self.t[first] > PLAIN_RISE * np.abs(self.above[:first]).max(initial=1.0):
            borne &= (up != 0.0) & (down != 0.0)
        if abs(claim) <= bar or borne.any() or any(map(self._is_stair, (up, down))):
            return None
        return Judgment(Ruling.WRONG, 0.0, bar, float(self.t[first]))

    def _still_on_a_side(self, claim: float, scale: float) -> Judgment | None:
        """That a claim of nothing is right; None where f moves, or may.

        As below a clip or a maximum: f is the same at every step on one side, and near x on the other. A
        staircase has steps on both.
        """
        first = self._still()
        if first is None or not (
            np.all(self.above == self.value) or np.all(self.below == self.value)
        ):
            return None
        bar = self._bar_of_still(first)
        if abs(claim) > bar or bar > USEFUL_BEST * scale:
            return None
        return Judgment(Ruling.RIGHT, 0.0, bar, float(self.t[first]))

    def _is_stair(self, rise: Floats) -> bool:
        """Whether f, where it begins to move on one side, moves at once and then no further."""
        grown = np.abs(rise) > PLAIN_GRAINS * self.grain
        return bool(np.any(grown[1:] & (rise[1:] == rise[:-1])))

    def _judgment(
        self,
        ruling: Ruling,
        found: Evidence,
        jump: Jump | None,
        convicting: Stretch | None = None,
    ) -> Judgment:
        w = self.windows
        one, other = found.held, next(iter(found.against), None)
        if convicting is not None:
            one, other = convicting, found.held
        elif one is None:
            one, other = other, None
        steps = w.t[w.resolved]
        finest = float(steps.min()) if steps.size else float("inf")
        if one is None:
            if not steps.size:
                return Judgment(ruling, np.nan, np.inf, np.nan, jump=jump, resolved=finest)
            best = int(np.argmin(w.bar))
            one = Stretch(best, best + 1, best)
        apart = None if other is None else (other.slope(w), other.step(w))
        sides = one.one_sided(w) if ruling is Ruling.KINK else None
        bar = one.bar(w)
        if ruling is Ruling.OPEN and jump is not None and jump.size:
            bar = max(bar, KNOWN_BESIDE_JUMP * jump.size / jump.at)
        return Judgment(ruling, one.slope(w), bar, one.step(w), apart, jump, finest, sides)

    def _is_left(self, plateau: Stretch, claim: float, line: Line) -> bool:
        """Whether finer steps leave a plateau for the claim; where they seem to, f is asked again."""
        step = leaning(self.windows, plateau, claim)
        if step is None:
            return False
        t = step / NEARER * (1 - (np.arange(ASKED_AGAIN) * GOLDEN) % 1.0 / NEARER)
        above, below = np.split(line(np.concatenate([t, -t])), 2)
        slope = float(np.sum((above - below) / 2 * t) / np.sum(t * t))
        known = plateau.slope(self.windows)
        told = np.unique(above - below).size >= MOVES  # over fewer grains rounding is no chance
        return not (told and abs(slope - known) <= abs(known - claim) / NEARER)

    def _is_noise(self, plateau: Stretch, held: Stretch) -> bool:
        """Whether a fine plateau is but a ripple of f: it moves f by less than `RIPPLE` of itself."""
        apart = abs(plateau.slope(self.windows) - held.slope(self.windows))
        return apart * float(self.windows.t[plateau.start]) <= RIPPLE * abs(self.value)

    def _is_known_beside(self, jump: Jump, distance: float, line: Line) -> bool:
        """Whether a slope is known beside a jump to less than its distance to a claim.

        Where a solver stops earlier or later, f is its value plus what was left undone, a saw: were
        the claim right, jumps would come again after ``jump.size / distance``. They do not if f is
        smooth for longer, nor if that is the whole unit: an edge, or another branch, stands alone.
        """
        if KNOWN_BESIDE_JUMP * jump.size <= distance * jump.at:
            return True
        unit = float(self.t[0]) * 2.0**WIDEST
        for reach in REACHES:
            smooth = reach * unit
            again = (
                jump.size < distance * unit and KNOWN_BESIDE_JUMP * jump.size > distance * smooth
            )
            if smooth > jump.at and not again and self._is_smooth(-jump.side * smooth, jump, line):
                return True
        return False

    def _is_smooth(self, reach: float, jump: Jump, line: Line) -> bool:
        """Whether f has no jump of such a size between x and an offset."""
        places = np.linspace(0.0, 1.0, EVEN_STEPS + 1)[1:]
        values = line(reach * places) - self.value
        if not np.isfinite(values).all():
            return False
        powers = np.vander(places, DEGREE + 1, increasing=True)[:, 1:]
        smooth = powers @ np.linalg.lstsq(powers, values, rcond=None)[0]
        return bool(np.abs(values - smooth).max() <= UNEVEN * jump.size)

    def _jump_beyond(self, plateau: Stretch, line: Line) -> Jump | None:
        """What f does where it leaves a plateau towards wider steps; None if it never does."""
        odd = (self.above - self.below) / 2
        k = left_at(self.windows, plateau, self.t, odd)
        return None if k is None else self._jump_at(k, plateau.slope(self.windows), line)

    def _jump_at(self, k: int, slope: float, line: Line) -> Jump:
        """What f does between the steps k + 1 and k, beside a slope."""
        sides = []
        for sign, values in ((1.0, self.above), (-1.0, self.below)):
            change = values[k] - values[k + 1] - sign * slope * (self.t[k] - self.t[k + 1])
            sides.append((abs(change) if np.isfinite(change) else np.inf, sign, values))
        _, sign, values = max(sides, key=lambda side: side[0])
        found = halved(
            line,
            (sign * self.t[k + 1], sign * self.t[k]),
            (float(values[k + 1]), float(values[k])),
            slope,
        )
        is_jump = found.left > JUMPS * found.first and not found.grows
        return Jump(found.at, found.left if is_jump else 0.0, sign)


def _near(values: Floats) -> Floats:
    """Those of the size of most of them: the grain of what f blows up to is not that of the others."""
    size = np.abs(values[np.isfinite(values)])
    return values[np.abs(values) <= BLOWN_UP * np.median(size)] if size.size else values


def scales(unit: float, x: float) -> Floats:
    """Steps from `WIDEST` to `FINEST` octaves below a unit, decreasing; none that x cannot take."""
    k = np.arange(WIDEST, FINEST + 1)
    t = unit * 2.0**-k * (1 + WOBBLE * (2 * ((k * GOLDEN) % 1.0) - 1))
    return t[t >= FINEST_ULPS * np.spacing(abs(x))]
