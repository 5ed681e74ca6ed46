"""A gradient in less than float64 beside the same in float64: is it that one within its rounding?

How far rounding reaches is measured, not modelled: both are asked again at leaves moved a little, and
how their difference varies is rounding, as what is wrong stays wrong in the same way. A bias whose true
gradient is zero, sums that cancel and 1 - tanh^2 of what is saturated have bars of the size of what
cancels. Where there is none in float64, the gradient at leaves moved by a unit in their last place says
what it can.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgrad.arrays import Array, Floats

ULP_MOVES = 8
"""Moves that the spread of a gradient is taken from."""
MOVE = 2.0**-10
"""Moves beside float64, in the rms of a leaf: what is saturated must be rounded otherwise, and what is
wrong must be as it was."""
SPREADS = 12.0
"""Bars in such spreads: six standard deviations of a spread that came out half as large."""
PLAIN = 8.0
"""Entries that differ by so many rounding units of their block's rms need no bars to be one answer."""
ROUNDINGS = 64.0
"""Spreads of more rounding units, in a block's rms, are no rounding: something is drawn."""
CALLS = 6
"""Answers at the same leaves that the spread of a gradient is taken from, where two of them differ."""
SINGLE = 4
"""Bytes of a number from which on points of a line are rounded to the nearest one. In half precision
that would leave entries where they are up to half a unit, 0.2% in bfloat16, and a difference would see
nothing of them; rounded up or down at random they are on the line on average."""
FEW_ENTRIES = 1024
"""Entries that are swept where rounding does not explain them."""
SAME_OUTPUTS = 64.0
"""Outputs that differ by more rounding units, in norm, are of another function: masks of dropout may be
drawn otherwise in float64. A right bfloat16 transformer of 4 layers differs by 3."""

Blocks = dict[str, Array]


@dataclass(frozen=True)
class Precision:
    """A precision by its name and its rounding unit, and what relative errors matter."""

    word: str
    eps: float
    rtol: float


@dataclass(frozen=True)
class Comparison:
    """The gradient in the precision it comes in beside that in float64, which was found right."""

    remark: str
    beyond: Blocks | None = None
    """Which entries rounding does not explain, by block; None where it explains all."""


Ask = Callable[[Blocks], Blocks]
"""A gradient as a function of its leaves."""


class Rounds:
    """What a gradient in less than float64 has beside its values: error bars for its rounding."""

    program: Any
    """A program of a framework: ``values()`` are its leaves in float64, ``nearest(name, values)`` what a
    leaf can hold of others, ``next(name, values, ends)`` the numbers next to those towards infinite
    ends."""
    exact: Ask | None
    """The same gradient in float64."""
    eps: float
    _known: tuple[Blocks, dict[str, Floats]] | None = None
    """The bars that were asked for last, and where."""

    def error_bars(self, theta: Blocks) -> dict[str, Floats]:
        """How far each entry may be off by rounding; as `checks.given_gradient.Gradient` asks."""
        if self._known is None or not all(
            np.array_equal(own, theta[name]) for name, own in self._known[0].items()
        ):
            assert callable(self)
            bars = bars_of_moves((self, self.exact), theta, self._moved(theta), self.eps)
            self._known = {name: np.array(own) for name, own in theta.items()}, bars
        return self._known[1]

    def _moved(self, theta: Blocks) -> Iterator[Blocks]:
        """The leaves moved, to numbers that they can hold."""
        rng = np.random.default_rng([self.program.seed, ULP_MOVES])
        for _ in range(ULP_MOVES):
            found = {}
            for name, own in theta.items():

                def step(ends: Array, name: str = name, own: Array = own) -> Array:
                    return self.program.next(name, own, ends)

                there = moved_leaf(own, step, self.exact is not None, rng)
                found[name] = self.program.nearest(name, there)
            yield found


def bars_of_calls(ask: Ask, theta: Blocks, eps: float) -> dict[str, Floats]:
    """How far an answer may be off because it differs from call to call, as additions in any order do.

    It is 0 where it does not, and in blocks that differ by more than rounding may.
    """
    answers = [ask(theta), ask(theta)]
    if all(np.array_equal(a, answers[1][name]) for name, a in answers[0].items()):
        return {name: np.zeros(np.shape(a)) for name, a in answers[0].items()}
    answers += [ask(theta) for _ in range(CALLS - len(answers))]
    found = {}
    for name, first in answers[0].items():
        spread = np.std([a[name].astype(np.float64) for a in answers], axis=0, ddof=1)
        typical = float(np.sqrt(np.mean(spread**2))) if first.size else 0.0
        size = float(np.sqrt(np.mean(first.astype(np.float64) ** 2))) if first.size else 0.0
        bars = SPREADS * np.maximum(spread, typical)
        found[name] = bars if typical <= ROUNDINGS * eps * size else np.zeros(first.shape)
    return found


def bars_of_moves(
    asks: tuple[Ask, Ask | None], theta: Blocks, moved: Iterable[Blocks], eps: float
) -> dict[str, Floats]:
    """Error bars of a gradient, from its answers at moved leaves, beside those in float64."""
    ask, exact = asks
    here, first = ask(theta), _apart(ask, exact, theta)
    squares = {name: np.zeros(np.shape(g)) for name, g in here.items()}
    count = 0
    for there in moved:
        count += 1
        for name, g in _apart(ask, exact, there).items():
            squares[name] += (g - first[name]) ** 2
    least = plain_sizes(here)
    return {
        name: np.maximum(
            SPREADS * np.sqrt(np.maximum(s, s.mean()) / count), PLAIN * eps * least[name]
        )
        for name, s in squares.items()
    }


def _apart(ask: Ask, exact: Ask | None, theta: Blocks) -> dict[str, Floats]:
    found = {name: g.astype(np.float64) for name, g in ask(theta).items()}
    if exact is None:
        return found
    return {name: found[name] - g for name, g in exact(theta).items()}


def moved_leaf(
    here: Array, step: Callable[[Array], Array], beside: bool, rng: np.random.Generator
) -> Floats:
    """A leaf moved up or down at random: to its next numbers, or, ``beside`` float64, a part further.

    Parameters
    ----------
    here : ndarray
        In float64.
    step : callable
        Its next numbers towards ends of infinity.
    """
    signs = np.where(rng.random(here.shape) < 0.5, -1.0, 1.0)
    there = step(signs * np.inf)
    if not beside:
        return there
    size = MOVE * float(np.sqrt(np.mean(here**2)))
    return np.where(np.abs(there - here) >= size, there, here + size * signs * (1 + rng.random()))


def plain_sizes(gradient: Blocks) -> dict[str, Floats]:
    """What rounding units are counted in: the entry, or the rms of its block."""
    wide = {name: np.abs(g.astype(np.float64)) for name, g in gradient.items()}
    return {name: np.maximum(g, np.sqrt(np.mean(g**2))) for name, g in wide.items()}


def other_function(own: list[Array], exact: list[Array], at: Precision) -> str:
    """What to say where outputs in two precisions are not of one function; nothing where they are."""
    apart = relative(own, exact)
    if apart <= SAME_OUTPUTS * at.eps:
        return ""
    return (
        f"In {at.word} its outputs differ from those in float64 by {apart:.2g} of their norm (other "
        "masks of dropout?): the gradient was checked in float64 alone. dtype=None checks in "
        f"{at.word}."
    )


def beside(
    exact: Blocks, rounded: Blocks, bars: Callable[[], dict[str, Floats]], at: Precision
) -> Comparison:
    """Whether a gradient is another one within its rounding; bars are asked for where it matters."""
    worst, beyond, scale = ("", 0.0), {}, plain_sizes(exact)
    for name, g in exact.items():
        apart = np.abs(rounded[name].astype(np.float64) - g)
        beyond[name] = ~(apart <= max(at.rtol, PLAIN * at.eps) * scale[name])
        if beyond[name].any():
            beyond[name] &= ~(apart <= bars()[name])
        part = relative([rounded[name].astype(np.float64)], [g])
        if g.any() and part > worst[1]:
            worst = name, part
    said = f"In {at.word} itself the gradient is the same within its rounding"
    said = f"{said}, {worst[1]:.2g} in norm at most ({worst[0]})."
    any_beyond = any(mask.any() for mask in beyond.values())
    return Comparison(said, _worth_checking(beyond) if any_beyond else None)


def _worth_checking(beyond: Blocks) -> Blocks:
    """All entries of the blocks in which some are beyond rounding, if they are few; else those."""
    blocks = {name: np.full(mask.shape, mask.any()) for name, mask in beyond.items()}
    return blocks if sum(mask.sum() for mask in blocks.values()) <= FEW_ENTRIES else _some(beyond)


def _some(beyond: Blocks) -> Blocks:
    """A part of them, spread evenly."""
    flat = np.concatenate([mask.ravel() for mask in beyond.values()])
    wrong = np.flatnonzero(flat)
    flat[np.setdiff1d(wrong, wrong[:: -(-wrong.size // FEW_ENTRIES)])] = False
    stops = np.cumsum([mask.size for mask in beyond.values()])[:-1]
    parts = zip(beyond.items(), np.split(flat, stops), strict=True)
    return {name: part.reshape(mask.shape) for (name, mask), part in parts}


def relative(one: list[Array], other: list[Array]) -> float:
    """The norm of a difference beside that of the second."""
    with np.errstate(invalid="ignore"):
        apart = sum(float(np.sum((a - b) ** 2)) for a, b in zip(one, other, strict=True))
    size = sum(float(np.sum(b**2)) for b in other)
    return float(np.sqrt(apart / size)) if size else float(np.sqrt(apart))
