"""The penalty of a `fastgrad.structured.Layered`, a sum over entries of some blocks."""

import numpy as np
from numba.core.registry import CPUDispatcher

from fastgrad.arrays import Floats, Indices
from fastgrad.errors import LossError
from fastgrad.evaluate.adapters import BoundArguments
from fastgrad.evaluate.protocol import Inputs
from fastgrad.numerics.stencils import Stencil
from fastgrad.parameters.blocks import Block
from fastgrad.structured import kernels
from fastgrad.structured.adapters import typed
from fastgrad.structured.layered.adapters import penalty_function, penalty_slopes
from fastgrad.structured.layered.chain import inside


class Penalty:
    """A penalty on the entries of some blocks, which adds its differences to those of the layers."""

    def __init__(
        self, function: CPUDispatcher, bound: BoundArguments, blocks: list[Block], inputs: Inputs
    ):
        types = typed(inputs.arguments)
        self.function = function
        self._changes = penalty_function(function, types)
        self._slopes = penalty_slopes(function, types)
        self._bound = bound
        self._blocks = blocks
        self._theta = inputs.theta

    def add_changes(self, indices: Indices, offsets: Floats, values: Floats) -> None:
        """Add ``penalty(theta_i + h) - penalty(theta_i)`` to ``values``, shape (m, k)."""
        for block in self._blocks:
            rows = inside(indices, block)
            own = np.ascontiguousarray(values[rows])
            if own.size == 0:
                continue
            failed = np.zeros(own.shape, np.uint8)
            kernels.deltas_serial(
                self._changes.address,
                self._bound.address,
                self._theta[None, :],
                self._theta.size,
                np.zeros((1, 8)),
                np.ascontiguousarray(indices[rows], np.int64),
                np.ascontiguousarray(offsets[rows]),
                own,
                failed,
            )
            if failed.any():
                raise LossError(f"the penalty raised at an entry of {block.name}")
            values[rows] = own

    def add_slopes(self, stencil: Stencil, slopes: Floats) -> None:
        """Add its difference quotients at the stencil's default steps to ``slopes``, shape (n,)."""
        nodes = np.array(stencil.pairs, np.float64)
        failed = np.zeros(1, np.uint8)
        at = (self._slopes.address, self._bound.address, self._theta)
        for block in self._blocks:
            kernels.add_slopes(*at, block.start, block.stop, nodes, stencil.step, slopes, failed)
        if failed[0]:
            raise LossError("the penalty raised near the given parameters")
