"""The loss around one theta, and what was measured of it: all that differences are taken with."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.differences.directions import WRITTEN_OUT
from fastgrad.differences.lattice import Lattice
from fastgrad.differences.measured import Measured
from fastgrad.differences.repeats import along
from fastgrad.evaluate.drawn_directions import Direction
from fastgrad.evaluate.protocol import Evaluator
from fastgrad.evaluate.units import Units
from fastgrad.parameters.layout import Layout


@dataclass(frozen=True)
class Loss:
    """A loss around one theta, with what was measured of it.

    Parameters
    ----------
    run : Evaluator
    layout : Layout
        Of theta.
    free : ndarray of bool, shape (n,), or None
        What may be perturbed; None for everything.
    units : Units
        Of theta's entries: what steps, directions and errors are measured in.
    measured : Measured
    """

    run: Evaluator
    layout: Layout
    free: Mask | None
    units: Units
    measured: Measured
    of_many: ClassVar[bool] = False
    """Whether it stands for many functions that share evaluations."""

    theta: Floats = field(init=False)
    count: int = field(init=False)
    """How many entries may be perturbed."""
    value: float = field(init=False)
    """f(theta)."""
    base: float = field(init=False)
    """f(theta) as `values` gives it: 0 where those are differences."""
    values: Callable[[Indices, Floats], Floats] = field(init=False)
    """f at ``theta + offsets[k, j] e_{indices[k]}``, shape (m, k): what the evaluator says."""
    along: Callable[[Direction, Floats], Floats] = field(init=False)
    """f at ``theta + offsets[j] direction``, shape (k,)."""
    lines: Callable[[Floats, Floats], Floats] = field(init=False)
    """f at ``theta + offsets[i, j] directions[i]``, shape (m, k)."""
    noise: float = field(init=False)
    """sd of one evaluation, absolute."""
    evenly_noisy: bool = field(init=False)
    """Whether it is that of every one of the `values`."""
    lattice: Lattice | None = field(init=False)
    """The points that are exact; None where theta shows the units, and any will do."""

    def __post_init__(self) -> None:
        value, free, units = self.measured.value, self.free, self.units
        vars(self).update(
            theta=self.run.theta,
            values=self.run.coordinates,
            along=self.run.along if self.layout.size < WRITTEN_OUT else partial(along, self.run),
            lines=self.run.lines,
            count=self.layout.size if free is None else int(np.count_nonzero(free)),
            value=value,
            base=0.0 if self.run.structured else value,
            noise=self.measured.noise,
            evenly_noisy=self.measured.entry_noise is None and self.run.noise_gains is None,
            lattice=Lattice(self.run.theta, units.entry) if units.given else None,
        )

    def entry_by_entry(self, seed: int) -> "Loss":
        """The same with the noise of a structure's own differences, which entries are told by."""
        noise = self.run.entry_noise(self.free, seed)
        return replace(self, measured=replace(self.measured, entry_noise=noise))

    @property
    def indices(self) -> Indices:
        """The entries that may be perturbed."""
        return np.arange(self.layout.size) if self.free is None else np.flatnonzero(self.free)

    def beside(self, index: int, offsets: Floats) -> Floats:
        """f at ``theta + offsets[j] e_index``, shape (k,)."""
        return self.values(np.array([index]), offsets[None, :])[0]

    def noise_of(self, indices: Indices) -> Floats | float:
        """sd of one of the `values` of some entries."""
        own = self.measured.entry_noise
        sigma = self.noise if own is None else own[indices]
        gains = self.run.noise_gains
        return sigma if gains is None else sigma * gains[indices]
