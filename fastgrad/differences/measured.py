"""What repeats and lines of noise say of a loss: its noise, its precision, whether it moves at all."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.differences.repeats import Repeats
from fastgrad.numerics.noise import FIRST_SPACING, UNSURPRISING
from fastgrad.numerics.rounding import local_noise, rounding_noise
from fastgrad.numerics.windows import grain_of

ONE_LINE = 2.0
"""What the noise seen along a single line may be too low by."""
FEW_VALUES = 5
COARSE = 2.0**8
"""A loss is coarse whose values are multiples of so many of their units in the last place."""
FEW_ROUNDINGS = 4.0
"""A loss of so few values, no further apart in units of rounding, says nothing of its gradient."""

HALF_BITS = {"bfloat16": 7, "float16": 10}
"""Bits after the first of numbers of half precision."""
NEIGHBOURS = 2.0
"""Values so many units apart are neighbours, and no counts that happen to be short."""


class NoiseLine(NamedTuple):
    """The noise seen along one line, None if there is none, and the values it was looked for in."""

    sigma: float | None
    values: Floats
    spacing: float = FIRST_SPACING


@dataclass(frozen=True)
class Measured:
    """What repeats and noise lines say of a loss."""

    repeats: Repeats
    """What was seen at theta again and again."""
    glimpse: NoiseLine | None = None
    """One line at one spacing."""
    lines: tuple[NoiseLine, ...] = ()
    """All lines, each at the spacing that suits it."""
    least: float = 0.0
    """sd of one evaluation by repeats and rounding alone, absolute; no less than what is given."""
    entry_noise: Floats | None = None
    """sd of each entry's values, shape (n,), where it is not ``noise``."""

    value: float = field(init=False)
    seen: Floats = field(init=False)
    """The value, and those in which noise was looked for."""
    silent: bool = field(init=False)
    """Whether the loss was the same at every point, or of a few values that rounding tells apart.

    So is what is saturated: the cross entropy of a class that is sure, 1 - tanh(20).
    """
    noise: float = field(init=False)
    """sd of one evaluation, absolute.

    Of a silent loss it is the rounding of a number of size 1 at least, as there may be within it: what
    says nothing proves nothing.
    """
    float32: bool = field(init=False)
    """Whether every value seen is a float32."""
    half: str = field(init=False)
    """The half precision that every value seen is a number of, beside its neighbours; or nothing."""

    def __post_init__(self) -> None:
        value, glimpse = self.repeats.value, self.glimpse
        least = max(self.least, float(local_noise(self.repeats.spread, np.asarray(value))))
        looked = self.lines or (() if glimpse is None else (glimpse,))
        seen = np.concatenate([[value], *(line.values for line in looked)])
        silent, noise, sigmas = False, least, [line.sigma or 0.0 for line in looked]
        if self.lines:  # a single one may be a direction along which f is level
            apart, size = seen.max() - seen.min(), max(abs(value), 1.0)
            few = apart <= FEW_ROUNDINGS * np.spacing(size)
            silent = bool(few and np.unique(seen).size <= FEW_VALUES)
            noise = max(noise, *sigmas, float(rounding_noise(size)) if silent else 0.0)
        elif glimpse is not None:
            noise = max(noise, ONE_LINE * sigmas[0])
        with np.errstate(over="ignore"):
            are_float32 = seen.astype(np.float32) == seen
        finite, half = np.isfinite(seen), ""
        beside = seen[1:][finite[1:]]
        single = beside.size > 0 and bool(are_float32[1:][finite[1:]].all())
        if single and are_float32[0] and finite.all():
            half = half_of(np.unique(seen))
        vars(self).update(
            value=value,
            least=least,
            seen=seen,
            silent=silent,
            noise=noise,
            float32=single and np.unique(beside).size >= FEW_VALUES,
            half=half,
        )

    @cached_property
    def grain(self) -> float:
        """The unit of which all values seen are multiples (`fastgrad.numerics.windows.grain_of`)."""
        return grain_of(self.seen)

    @property
    def is_coarse(self) -> bool:
        """Whether the values seen are coarser than float64, as those of single precision are.

        One of a few values wherever its noise was looked for may be coarser still.
        """
        seen = self.seen[np.isfinite(self.seen)]
        few = np.unique(seen).size <= FEW_VALUES
        return few or bool(self.grain > COARSE * np.spacing(np.abs(seen).max()))

    @property
    def is_plain(self) -> bool:
        """Whether a glimpse shows noise of the size that rounding leaves, and nothing else."""
        told = self.glimpse is not None and self.glimpse.sigma is not None
        return told and self.noise <= UNSURPRISING * self.least and not self.is_coarse


def half_of(values: Floats) -> str:
    """The half precision that sorted values are neighbouring numbers of.

    Examples
    --------
    >>> half_of(1 + np.arange(3) / 128), half_of(1 + np.arange(3) / 1024), half_of(np.arange(3.0))
    ('bfloat16', 'float16', '')
    """
    if values.size < 2 or not values.any():
        return ""
    exponents = np.frexp(values)[1] - 1
    for word, bits in HALF_BITS.items():
        multiples = np.ldexp(values, bits - exponents)
        unit = np.ldexp(1.0, int(exponents.max()) - bits)
        if np.all(np.rint(multiples) == multiples) and np.diff(values).min() <= NEIGHBOURS * unit:
            return word
    return ""
