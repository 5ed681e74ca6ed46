"""Linear laws: D = c T(a) + sum_j b_j t_j, of T a rearrangement and t_j = theta, sign theta, 1.

They are fitted by least squares weighted with the bars, and hold only if every sample does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from fastgrad.arrays import Floats, Mask
from fastgrad.checks.diagnose.case import SHOWS, Case
from fastgrad.checks.diagnose.rearrange import Rearranged, rearrangements
from fastgrad.numerics.bars import NOISE_SDS
from fastgrad.numerics.norms import size_of

KNOWN = 30.0
"""A coefficient must be so many of its standard errors large."""
SAMPLES = 3
"""Samples wanted for each fitted coefficient."""
MOVED = 2
"""Samples wanted of a law without coefficients."""
ROUGH = 1e-6
"""Relative error of coefficients that came from as few samples as there are coefficients."""
CANCELS = 100.0
"""Terms cancel where one is so many bars large and the entry is right."""
CANCELLED = 0.2
"""Part of the entries in which they may."""
CONDITION = 1e-4
"""Smallest singular value of the normalised features: below it they say the same thing."""


class Term(NamedTuple):
    """Something that a gradient has too much or too little of; ``symbol`` is printed after its
    weight, with the block's name."""

    word: str
    constant: str
    symbol: str
    values: Callable[[Case, Rearranged], Floats]


TERMS = (
    Term("l2", "lambda", " * {}", lambda case, base: case.x),
    Term("l1", "lambda1", " * sign({})", lambda case, base: np.sign(case.x)),
    Term("offset", "offset", "", lambda case, base: np.ones(case.k)),
)
L1 = TERMS[1]
RIGHT_L2 = Term("right-l2", "lambda", "", lambda case, base: case.x - base.theta)
"""The data's part is rearranged and the penalty is right: ``T(a) = T(l theta) + (g - l theta)``."""


class Shape(NamedTuple):
    """Which coefficients a linear law has."""

    free_factor: bool
    terms: tuple[Term, ...]

    @property
    def complexity(self) -> int:
        return int(self.free_factor) + len(self.terms)


SHAPES = (
    *(
        Shape(free, terms)
        for free in (True, False)
        for n in range(3)
        for terms in combinations(TERMS, n)
    ),
    Shape(False, (RIGHT_L2,)),
)


class Fit(NamedTuple):
    """Coefficients b with the sd of each, the residual, and how much of it noise explains."""

    b: Floats
    sd: Floats
    residual: Floats
    allowance: Floats

    @property
    def holds(self) -> Mask:
        return np.asarray(np.abs(self.residual) <= self.allowance)


@dataclass(frozen=True)
class Linear:
    """One law of a case, ready to be fitted."""

    case: Case
    base: Rearranged
    shape: Shape

    @property
    def complexity(self) -> int:
        return self.shape.complexity + bool(self.base.word)

    @property
    def features(self) -> list[Floats]:
        own = [self.base.values] if self.shape.free_factor else []
        return own + [term.values(self.case, self.base) for term in self.shape.terms]

    def fit(self, mask: Mask | None = None) -> Fit | None:
        """Least squares on the samples in ``mask``; None where they leave coefficients open.

        The rounding of the gradient grows, or shrinks, by the factor that it is multiplied with.
        """
        found = self._fit(mask)
        if found is None or not self.shape.free_factor or 0.5 <= abs(found.b[0]) <= 2:
            return found
        return self._fit(mask, float(abs(found.b[0])))

    def _fit(self, mask: Mask | None, growth: float = 1.0) -> Fit | None:
        case, used = self.case, np.ones(self.case.k, np.bool_) if mask is None else mask
        bar = case.bar + growth * case.unit * np.abs(self.base.values)
        target = self.target
        F = np.array(self.features).reshape(-1, case.k).T
        if not F.shape[1]:
            return Fit(np.zeros(0), np.zeros(0), target, bar)
        G = F / bar[:, None]
        size = np.array([size_of(column) for column in G.T])
        G /= size
        operator = _pseudo_inverse(G[used])
        if operator is None:
            return None
        b = operator @ (target[used] / bar[used]) / size
        covariance = operator @ operator.T
        spread = bar * np.sqrt(np.sum((G @ covariance) * G, axis=1))
        sd = np.sqrt(np.diag(covariance)) / NOISE_SDS / size
        return Fit(b, sd, target - F @ b, bar + spread)

    @property
    def target(self) -> Floats:
        """What the features have to add up to."""
        return self.case.D if self.shape.free_factor else self.case.D - self.base.values

    def supported(self, fit: Fit, mask: Mask | None = None, each: int = 0) -> bool:
        """Enough samples show the effect of every coefficient, and of the rearrangement.

        ``each`` is how many are enough, if not `SAMPLES` for each coefficient.
        """
        case, used = self.case, np.ones(self.case.k, np.bool_) if mask is None else mask
        needed = each or (SAMPLES * fit.b.size if fit.b.size else MOVED)
        effects = [np.abs(b * values) for b, values in zip(fit.b, self.features, strict=True)]
        if self.shape.free_factor:
            effects[0] = np.abs((fit.b[0] - 1) * self.base.values)
        if self.base.word:
            effects += [np.abs(self.base.values - case.a), np.abs(self.base.values)]
            if fit.b.size == 0 and case.k < case.analytic.size:
                needed = SAMPLES
        if np.any(np.abs(fit.b) < KNOWN * fit.sd) or self._cancels(effects, used):
            return False
        return all(np.count_nonzero((e > SHOWS * case.bar) & used) >= needed for e in effects)

    def _cancels(self, effects: list[Floats], used: Mask) -> bool:
        """Whether constants explain no more entries than there are of them, or cancel elsewhere.

        Of terms that really are too much, few add up to nothing.
        """
        if self.base.word or len(effects) < 2:
            return False
        wrong = self.case.wrong & used
        if np.count_nonzero(wrong) <= len(effects):
            return True
        shows = (np.max(effects, axis=0) > CANCELS * self.case.bar) & used
        return bool(np.count_nonzero(shows & ~wrong) > CANCELLED * np.count_nonzero(shows))

    def obeyed(self, b: Floats) -> Mask:
        """Samples that obey the law, roughly, with these coefficients: shape (..., k)."""
        terms = b[..., None] * np.array(self.features)
        rough = ROUGH * np.abs(terms).max(axis=-2)
        residual = self.target - terms.sum(axis=-2)
        return np.asarray(np.abs(residual) <= SHOWS * self.case.bar + rough)

    def at(self, case: Case) -> "Linear":
        """The same law for other samples of the block."""
        bases = rearrangements(case)
        base = next(base for base in bases if base.phrase == self.base.phrase)
        return Linear(case, base, self.shape)


def _pseudo_inverse(F: Floats) -> Floats | None:
    """The pseudo-inverse of a tall matrix of few columns; None where these cannot be told apart."""
    size = np.sqrt(np.sum(F * F, axis=0))
    if F.shape[0] < F.shape[1] or not np.all(np.isfinite(size) & (size > 0)):
        return None
    if F.shape[1] == 1:
        return np.asarray(F.T / size**2)
    U, s, Vt = np.linalg.svd(F / size, full_matrices=False)
    return None if s[-1] < CONDITION else np.asarray(((Vt.T / s) / size[:, None]) @ U.T)


def linear_laws(case: Case, bases: Sequence[Rearranged], most: int, least: int = 0) -> list[Linear]:
    """Linear laws of these complexities and bases, the least complex first.

    Where all of theta has one sign, an L1 term is a constant, and is called that.
    """
    one_sign = case.k > 0 and bool(np.all(case.x > 0) or np.all(case.x < 0))
    laws = [
        Linear(case, base, shape)
        for shape in SHAPES
        if not (one_sign and L1 in shape.terms)
        for base in bases
        if _makes_sense(base, shape)
    ]
    return sorted(
        (law for law in laws if least <= law.complexity <= most), key=lambda law: law.complexity
    )


def _makes_sense(base: Rearranged, shape: Shape) -> bool:
    """Whether a law says anything, and is not too far-fetched."""
    if base.word == "swapped":
        return shape.complexity <= 1
    return bool(base.word) or (shape.complexity > 0 and RIGHT_L2 not in shape.terms)
