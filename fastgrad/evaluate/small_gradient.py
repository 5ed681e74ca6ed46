"""A small gradient in one call of compiled code: 2 n evaluations and little else."""

import time
from typing import Any

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.evaluate.adapters import BoundArguments, CompiledLoss
from fastgrad.evaluate.in_numpy import BAD, NOISE, SHOWS
from fastgrad.evaluate.on_demand import central_gradient
from fastgrad.evaluate.process import NOTHING_KEPT, state_kept
from fastgrad.evaluate.schedule import WORTH_A_LAUNCH, Cost, LaunchCost
from fastgrad.evaluate.units import SETTINGS
from fastgrad.evaluate.writes import Writes
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.parameters.layout import Layout

STENCIL = CENTRAL[2]
"""The one that is used here."""
KERNEL_SETTINGS = np.array([STENCIL.step, *SETTINGS])
DOUBLE = np.dtype(np.float64)
LONGEST_SECONDS = 10e-3
"""What takes longer is better made in slabs, between which Ctrl-C is answered."""
LONGER_SECONDS = 50e-6
"""Half of what the general way takes longer: a call that goes it has asked here twice."""
BRIEF_SECONDS = WORTH_A_LAUNCH * LaunchCost.IDLE
"""What no launch would shorten."""


def is_brief(cost: Cost, evaluations: int) -> bool:
    """Whether this thread alone is as quick at so many evaluations as others would be."""
    if cost.seconds is None:
        return False
    seconds = cost.seconds * evaluations
    return seconds < BRIEF_SECONDS or (seconds < LONGEST_SECONDS and cost.threads(evaluations) == 1)


class DirectGradient:
    """The central differences of a compiled loss at default steps, for thetas of one layout.

    Parameters
    ----------
    compiled : CompiledLoss
        One that any thread may run, and that draws no random numbers.
    bound : BoundArguments
    layout : Layout
    writes : Writes
        Its arguments, watched from the first call on.
    cost : Cost
        Of an evaluation.
    """

    def __init__(
        self,
        compiled: CompiledLoss,
        bound: BoundArguments,
        layout: Layout,
        writes: Writes,
        cost: Cost,
    ):
        self.watches = False
        """Whether values that show that the step may not suit are left to the general way, too."""
        self._bound = bound  # keeps what lies at its address
        self._writes = writes
        self._cost = cost
        self._state = state_kept(compiled.traits, ()) if compiled.traits.uses_blas else None
        self._evaluations = 2 * layout.size
        self.shape = layout.blocks[0].shape if layout.plain else (layout.size,)
        """The shape of the arrays that it takes: theta's own if that is one array, else flat."""
        self._kernel: Any = None
        """`kernels.central_gradient`, once it pays."""
        self._plan = np.array([compiled.address, bound.address, *layout.stops])

    def __call__(self, theta: Any) -> Floats | None:
        """The gradient at a theta that is an array; None where the general way must be gone.

        That is for another shape or type, where threads would pay, and where anything is not as it
        should be: the general way finds out what.
        """
        if (
            type(theta) is not np.ndarray
            or theta.dtype is not DOUBLE
            or theta.shape != self.shape
            or not theta.flags.carray
            or not is_brief(self._cost, self._evaluations)
        ):
            return None
        if self._kernel is None:
            if not central_gradient.pays(LONGER_SECONDS):
                central_gradient.paid += LONGER_SECONDS
                return None
            self._kernel = central_gradient.kernel()
        guard = self._writes.guard
        gradient = np.empty(self.shape)
        began = time.perf_counter()
        if self._state is None and len(self.shape) == 1:
            good = self._kernel(self._plan, KERNEL_SETTINGS, theta, gradient)
        else:
            good = self._flat(theta.reshape(-1), gradient.reshape(-1))
        seconds = time.perf_counter() - began
        if seconds > BRIEF_SECONDS:  # evaluations have become dearer
            self._cost.saw(self._evaluations, 1, seconds)
        if good in (BAD, NOISE) or (guard is not None and not guard.unchanged()):
            return None
        if guard is not None and guard.is_large:
            self._writes = self._writes.from_now_on()  # samples in other places
        return None if self.watches and good == SHOWS else gradient

    def _flat(self, theta: Floats, gradient: Floats) -> int:
        assert self._kernel is not None
        with NOTHING_KEPT if self._state is None else self._state:
            return int(self._kernel(self._plan, KERNEL_SETTINGS, theta, gradient))
