"""The passes through a chain of layers: one forward at theta, then one a unit that is offset."""

from typing import Any

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.errors import LossError
from fastgrad.evaluate.adapters import BoundArguments
from fastgrad.evaluate.protocol import Inputs
from fastgrad.evaluate.schedule import Work, in_slabs
from fastgrad.parameters.blocks import Block
from fastgrad.structured import kernels
from fastgrad.structured.adapters import typed
from fastgrad.structured.layered.adapters import map_function, samples_function
from fastgrad.structured.layered.chain import Chain, Layer, matrix_shape, pairs_of


class Passes:
    """The layers at a theta, and by how much the samples' losses change when a unit is offset."""

    def __init__(self, chain: Chain, inputs: Inputs, threads: int | None):
        pairs = pairs_of(inputs.layout, chain.layers)
        arguments = inputs.arguments
        hidden = len(pairs) - 1
        activations = chain.activations
        if len(activations) == 1:
            activations = activations * hidden
        if len(activations) != hidden:
            raise ValueError(
                f"activations: expected one function, or one after each of {hidden} hidden layers; "
                f"got {len(activations)}"
            )
        self._theta = inputs.theta
        self._threads = threads
        self._maps = [map_function(function) for function in activations]
        self._addresses = np.array([f.address for f in self._maps], np.uint64)
        self._losses = samples_function(chain.objective.losses, typed(arguments))
        self.bound = BoundArguments(self._losses, arguments[0], arguments[1:])
        self._forward(pairs, inputs_of(arguments, chain.inputs))
        self.there = np.empty(self.Z.shape[0])
        """Losses of the samples at theta, once `begin` has run; shape (m,)."""
        self.scale = 1.0 / self.there.size if chain.objective.mean else 1.0
        """What every sample's loss is multiplied with in the loss."""

    def _forward(self, pairs: list[tuple[Block, Block | None]], A: Floats) -> None:
        """Run the chain at theta, keeping all that the differences start from."""
        m = A.shape[0]
        widths = [matrix_shape(W)[1] for W, _ in pairs]
        self._widest = max(widths)
        self._base = np.empty(m * (sum(widths) + sum(widths[:-1])))
        self._table = np.zeros((len(pairs), 6), np.int64)
        self.layers: list[Layer] = []
        place = 0

        def array(width: int) -> Floats:
            nonlocal place
            place += m * width
            return self._base[place - m * width : place].reshape(m, width)

        for k, (W, b) in enumerate(pairs):
            n_in, n_out = matrix_shape(W)
            if A.shape[1] != n_in:
                raise ValueError(
                    f"layers: {W.name} has {n_in} rows, but its input has {A.shape[1]} columns"
                )
            self.layers.append(Layer(W, b, A, n_out))
            first_b = -1 if b is None else b.start
            self._table[k] = (W.start, n_in, n_out, first_b, place, place + m * n_out)
            self.Z = array(n_out)
            np.matmul(A, self._theta[W.start : W.stop].reshape(n_in, n_out), out=self.Z)
            if b is not None:
                self.Z += self._theta[b.start : b.stop]
            if k < len(self._maps):
                A = array(n_out)
                A[:] = self.Z
                failed = np.zeros(1, np.uint8)
                kernels.map_in_place(self._maps[k].address, A, failed)
                if failed[0]:
                    raise LossError(
                        f"the activation after layer {k + 1} raised at the given parameters"
                    )

    def begin(self) -> None:
        """Evaluate the losses of the samples at theta."""
        failed = np.zeros(1, np.uint8)
        kernels.sample_losses(self._losses.address, self.bound.address, self.Z, self.there, failed)
        if failed[0]:
            raise LossError(
                "losses raised, or did not return one loss a row of Z, at the given parameters"
            )

    def rows(self, k: int, units: Indices, offsets: Floats) -> Floats:
        """``rows[r, s]``: change of sample s's loss for ``Z[:, units[r]] + offsets[r] c``, over c.

        Raises
        ------
        LossError
            An activation or the losses raised.
        """
        m = self.there.size
        rows = np.empty((units.size, m))
        failed = np.zeros(units.size, np.uint8)
        size = 2 * m * self._widest + m
        scratch = np.empty((1, size))
        chain = (self._theta, self._table, self._base, self._addresses)
        losses = (self._losses.address, self.bound.address)

        def launch(start: int, stop: int, threads: int) -> None:
            part = slice(start, stop)
            slab = (*chain, *losses, k, units[part], offsets[part], rows[part])
            rest = (self.there, self.scale, failed[part])
            if threads == 1:
                kernels.units_serial(*slab, scratch, *rest)
            else:
                kernels.units_parallel(*slab, scratch, *rest, np.zeros(1, np.int64))

        def grow(threads: int) -> None:
            nonlocal scratch
            if threads > scratch.shape[0]:
                scratch = np.empty((threads, size))

        cost = self._losses.costs[k, m, self._table[:, 1:3].tobytes()]
        work = Work(launch, lambda start, stop: None, grow)
        in_slabs(units.size, cost, work, self._threads)
        if failed.any():
            r = int(np.flatnonzero(failed)[0])
            raise LossError(
                f"an activation or the losses raised where column {int(units[r])} of the Z of "
                f"{self.layers[k].W.name} is offset by {offsets[r]:+.3g}"
            )
        return rows


def inputs_of(arguments: tuple[Any, ...], position: int) -> Floats:
    """X among the arguments of the loss, shape (m, n_in)."""
    if not 0 <= position < len(arguments):
        raise ValueError(
            f"inputs={position}: the loss was given {len(arguments)} arguments after theta"
        )
    X = np.ascontiguousarray(arguments[position], np.float64)
    if X.ndim != 2:
        raise ValueError(f"inputs: expected an array of shape (m, n_in), got shape {X.shape}")
    return X
