"""The unit of every entry of theta: what steps, directions, noise and errors are measured in.

What an entry does to the loss, D_i s_i with s_i its unit, is what entries in seconds and entries in
metres have in common. A unit is a power of two, so that nothing is rounded when it is multiplied with.

- A block of eight entries or more, nearly all within a factor of 64 below their rms, is an array of
  one unit, as the weights of a layer are: an entry that is small by accident has the rms for its unit.
- The entries of any other block are in units of their own: a vector of physical constants.
- Zeros have the rms of their block, or of theta, or 1. Among entries in units of their own it is their
  geometric mean: in a vector of 1e-6 and 1e6 the rms is a step that nothing survives, and the rounding
  of what the loss is there would pass for its noise everywhere.
- Where no array of one unit is there to tell, the unit of a zero is a guess: `Units.unknown` has those,
  whose unit is found by the loss where the guess does not do (`fastgrad.differences.unknown_units`).
- What lies far from where it is measured from, as an epoch does, moves the loss over a tiny part of
  itself: where f bends between the points of its noise, it is asked (`fastgrad.differences.own_units`).
- What is near one from below is taken as a pure number, of unit 1: an entry from 1/8 up, an array from
  a rms of 1/64 up, and beside such an array an entry from 1e-6 up.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.evaluate.on_demand import fill_units
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.numerics.steps import power_of_two
from fastgrad.parameters.layout import Layout

FEWEST_OF_ONE_UNIT = 8
"""Entries of a block that tells anything of its entries."""
BELOW_RMS = 2.0**-6
"""98.8% of normal weights lie above this part of their rms."""
PART_OF_ONE_UNIT = 0.75
NEAR_ONE_BLOCK = 2.0**-6
"""Weights of a rms from here up to 1 vary the loss on the scale of 1, not of their size."""
NEAR_ONE_ENTRY = 2.0**-3
NEAR_ONE_BESIDE = 2.0**-20
"""The same for entries beside a block of pure numbers: the few biases of a layer."""
PURE_NUMBERS = 8.0
"""The largest rms of such a block."""

SETTINGS = (
    float(FEWEST_OF_ONE_UNIT),
    BELOW_RMS,
    PART_OF_ONE_UNIT,
    NEAR_ONE_BLOCK,
    NEAR_ONE_ENTRY,
    NEAR_ONE_BESIDE,
    PURE_NUMBERS,
)


@dataclass(frozen=True)
class Units:
    """The units of a theta.

    Parameters
    ----------
    entry : ndarray, shape (n,)
        Powers of two.
    one_unit : ndarray of bool, shape (blocks,)
        Whether all entries of a block are of one unit.
    """

    entry: Floats
    one_unit: Mask
    near: Floats
    """The units that noise is looked for in: ``entry`` itself, unless the user gave shorter steps."""
    unknown: Mask | None = None
    """Entries whose unit nothing tells, shape (n,); None if there are none."""
    given: bool = False
    """Whether somebody else than theta gave them: the user, or the loss."""

    @classmethod
    def of(
        cls, theta: Floats, layout: Layout, scale: Any = None, steps: Floats | str | None = None
    ) -> "Units":
        """The units that theta shows, or the user's.

        Parameters
        ----------
        scale : number or structure shaped like theta, optional
            The user's: the typical size of each entry, or the change of it that matters.
        steps : ndarray, shape (n,), optional
            The user's, which nothing is to leave unasked; what is no array tells nothing.

        Raises
        ------
        ValueError, TypeError, StructureMismatchError
            A scale that is no positive number, or not shaped like theta.
        """
        entry = np.empty(theta.size)
        one_unit = np.zeros(len(layout.blocks), np.bool_)
        fill_units(entry, theta, layout.stops, one_unit, SETTINGS)
        if layout.own_units is not None:
            np.copyto(entry, layout.own_units, where=layout.own_units > 0)
        for b, one in layout.own_one_unit.items():
            one_unit[b] = one
        unknown = None
        if scale is not None:
            entry = _given(scale, layout)
        elif layout.linear and not one_unit.any() and not theta.all():
            unknown = theta == 0.0
            if layout.own_units is not None:
                unknown &= layout.own_units <= 0
        near = entry
        if isinstance(steps, np.ndarray):
            near = np.minimum(entry, power_of_two(steps / CENTRAL[2].step))
            unknown = None
        return cls(entry, one_unit, near, unknown, given=scale is not None)

    def found(self, indices: Indices, entry: Floats, untold: Indices) -> "Units":
        """The same with units of some entries as found, and those that still nothing tells."""
        units = self.entry.copy()
        units[indices] = entry
        unknown = np.zeros(units.size, np.bool_)
        unknown[untold] = True
        near = units if self.near is self.entry else self.near
        return replace(self, entry=units, near=near, unknown=unknown if untold.size else None)

    def own(self, theta: Floats, indices: Indices) -> Floats:
        """The units that entries have by themselves, shape (m,)."""
        x = np.abs(theta[indices])
        _, exponent = np.frexp(x)
        size = np.ldexp(1.0, np.clip(exponent - 1, -900, 900))
        return np.where(x == 0.0, self.entry[indices], size)


def _given(scale: Any, layout: Layout) -> Floats:
    """The units that the user gave, shape (n,)."""
    given = layout.vector(scale, "scale")
    for k in np.flatnonzero(~((given > 0) & np.isfinite(given)))[:1].tolist():
        raise ValueError(
            f"scale is {given[k]} for {layout.name(k)}: expected a positive number, such as the "
            "typical size of the parameter"
        )
    _, exponent = np.frexp(given)
    return np.ldexp(1.0, np.clip(exponent - 1, -900, 900))
