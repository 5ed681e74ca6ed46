"""Losses whose parameters enter through linear layers: `fastgrad.structured.Layered`."""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastgrad.errors import LossError
from fastgrad.evaluate.adapters import BoundArguments
from fastgrad.evaluate.slabs import in_slabs
from fastgrad.evaluate.state import one_blas_thread
from fastgrad.evaluate.structured import kernels
from fastgrad.evaluate.structured.adapters import typed
from fastgrad.evaluate.structured.base import Plain, Structure, StructuredEvaluator
from fastgrad.evaluate.structured.chain import Chain, Layer, matrix_shape, named, pairs_of
from fastgrad.evaluate.structured.layer_adapters import (
    map_function,
    penalty_function,
    penalty_slopes,
    samples_function,
)
from fastgrad.numerics.stencils import Stencil
from fastgrad.params import Block, Floats, Layout

Indices = NDArray[np.int64]

FLOOR = 0.01
"""Of the mean magnitude, so that no entry is taken to be free of noise."""
GATHERED = 1 << 20
"""Numbers gathered at a time for scattered entries."""


class LayeredEvaluator(StructuredEvaluator):
    """One column of Z is offset for all samples at once; every entry above it reads its share.

    With d(h) the changes of the samples' losses when ``z = Z[:, j]`` is offset by ``h c``, over c,
    the powers of two ``c = 2^floor(log2 max(|z|, 1))`` of the default step, the difference of
    ``W[i, j]`` is ``sum_s |A[s, i]| d_s(sign(A[s, i]) h)``: its central difference is that of
    the chain rule, ``A^T (d(h) - d(-h)) / 2h``, and its one-sided slopes are those of the loss.
    """

    def __init__(
        self,
        structure: Structure,
        plain: Plain,
        layout: Layout,
        theta: Floats,
        arguments: tuple[Any, ...],
        chain: Chain,
        threads: int | None = None,
    ):
        super().__init__(structure, plain, layout, theta, arguments)
        self._threads = threads
        self._chain = chain
        types = typed(self.arguments)
        names = chain.activations
        pairs = pairs_of(layout, chain.layers)
        if len(names) == 1:
            names = names * (len(pairs) - 1)
        if len(names) != len(pairs) - 1:
            raise ValueError(
                f"activations: expected one function, or one after each of {len(pairs) - 1} hidden "
                f"layers; got {len(names)}"
            )
        self._maps = [map_function(function) for function in names]
        self._losses = samples_function(chain.losses, types)
        self._bound = BoundArguments(self._losses, self.arguments[0], self.arguments[1:])  # type: ignore[arg-type]
        penalty = chain.penalty
        self._penalty = None if penalty is None else penalty_function(penalty, types)
        self._penalty_slopes = None if penalty is None else penalty_slopes(penalty, types)
        layered = {block.name for pair in pairs for block in pair if block is not None}
        self._others = [block for block in layout.blocks if block.name not in layered]
        chosen = chain.penalised
        self._penalised = (
            {W.name for W, _ in pairs} if chosen is None else layered & set(named(layout, chosen))
        )
        with one_blas_thread:
            self._forward(pairs, chain)

    def _forward(self, pairs: list[tuple[Block, Block | None]], chain: Chain) -> None:
        """Run the chain at theta, keeping all that the differences start from."""
        A = self._inputs(chain.inputs)
        m = A.shape[0]
        widths = [matrix_shape(W)[1] for W, _ in pairs]
        self._base = np.empty(m * (sum(widths) + sum(widths[:-1])))
        self._table = np.zeros((len(pairs), 6), np.int64)
        self._layers: list[Layer] = []
        place = 0
        for k, (W, b) in enumerate(pairs):
            n_in, n_out = matrix_shape(W)
            if A.shape[1] != n_in:
                raise ValueError(
                    f"layers: {W.name} has {n_in} rows, but its input has {A.shape[1]} columns"
                )
            start = -1 if b is None else b.start
            self._layers.append(Layer(W, b, A, n_out))
            self._table[k] = (W.start, n_in, n_out, start, place, place + m * n_out)
            Z = self._base[place : place + m * n_out].reshape(m, n_out)
            np.matmul(A, self.theta[W.start : W.stop].reshape(n_in, n_out), out=Z)
            if b is not None:
                Z += self.theta[b.start : b.stop]
            place += m * n_out
            if k < len(pairs) - 1:
                A = self._base[place : place + m * n_out].reshape(m, n_out)
                A[:] = Z
                self._apply(k, A)
                place += m * n_out
        self._widest = max(widths)
        self._addresses = np.array([f.address for f in self._maps], np.uint64)
        self._there = np.empty(m)
        failed = np.zeros(1, np.uint8)
        with self.guarded("losses", chain.losses, Z):
            kernels.sample_losses(self._losses.address, self._bound.address, Z, self._there, failed)
        if failed[0]:
            raise LossError(
                "losses raised, or did not return one loss a row of Z, at the given parameters"
            )
        self._scale = 1.0 / m if chain.mean else 1.0

    def _inputs(self, position: int) -> Floats:
        if not 0 <= position < len(self.arguments):
            raise ValueError(
                f"inputs={position}: the loss was given {len(self.arguments)} arguments after theta"
            )
        X = np.ascontiguousarray(self.arguments[position], np.float64)
        if X.ndim != 2:
            raise ValueError(f"inputs: expected an array of shape (m, n_in), got shape {X.shape}")
        return X

    def _apply(self, k: int, A: Floats) -> None:
        failed = np.zeros(1, np.uint8)
        kernels.map_in_place(self._maps[k].address, A, failed)
        if failed[0]:
            raise LossError(f"the activation after layer {k + 1} raised at the given parameters")

    @cached_property
    def magnitudes(self) -> Floats:
        sizes = np.zeros(self.theta.size)
        each = float(np.abs(self._there).mean()) * self._scale
        for layer in self._layers:
            of_row = np.abs(layer.A).sum(axis=0) * each
            sizes[layer.W.start : layer.W.stop] = np.repeat(of_row, layer.n_out)
            if layer.b is not None:
                sizes[layer.b.start : layer.b.stop] = self._there.size * each
        floor = FLOOR * float(sizes.mean())
        return np.maximum(sizes, floor if floor > 0 else 1.0)

    def coordinates(self, indices: Indices, offsets: Floats) -> Floats:
        """``values[k, j]``: f(theta + offsets[k, j] e_{indices[k]}) - f(theta), shape (m, k).

        Raises
        ------
        LossError
            An activation or the losses raised.
        """
        values = np.zeros(offsets.shape)
        known: dict[tuple[int, bytes], Floats] = {}
        with one_blas_thread:
            for k, layer in enumerate(self._layers):
                for block in (layer.W, layer.b):
                    if block is None:
                        continue
                    inside = _inside(indices, block)
                    local = indices[inside] - block.start
                    if local.size:
                        own = np.ascontiguousarray(offsets[inside])
                        values[inside] = self._block(k, layer, block, local, own, known)
        for block in self._others:
            inside = _inside(indices, block)
            if indices[inside].size:
                values[inside] = self.plain.coordinates(indices[inside], offsets[inside])
                values[inside] -= self.reference
        if self._penalty is not None:
            with self.guarded("penalty", self._chain.penalty, 0.0):
                self._add_penalty(indices, offsets, values)
        self._made(0, values.size)
        return values

    def gradient(self, stencil: Stencil) -> Floats | None:
        """The whole gradient at the stencil's default step, by the shortest way, shape (n,)."""
        if self._others:
            return None
        slopes = np.zeros(self.theta.size)
        h = stencil.step
        with one_blas_thread:
            for k, layer in enumerate(self._layers):
                units = np.arange(layer.n_out)
                rows = self._rows(
                    k,
                    np.repeat(units, len(stencil.multiples)),
                    np.tile(h * np.array(stencil.multiples, np.float64), layer.n_out),
                )
                d = rows.reshape(layer.n_out, -1, rows.shape[1])
                slope = stencil.combine_columns(d, h)
                n_in = layer.A.shape[1]
                out = slopes[layer.W.start : layer.W.stop].reshape(n_in, layer.n_out)
                np.matmul(layer.A.T, slope.T, out=out)
                if layer.b is not None:
                    slopes[layer.b.start : layer.b.stop] = slope.sum(axis=1)
        if self._penalty is not None:
            with self.guarded("penalty", self._chain.penalty, 0.0):
                self._add_penalty_slopes(stencil, slopes)
        self._made(0, slopes.size)
        return slopes

    def _add_penalty_slopes(self, stencil: Stencil, slopes: Floats) -> None:
        assert self._penalty_slopes is not None
        nodes = np.array(stencil.pairs, np.float64)
        failed = np.zeros(1, np.uint8)
        for block in self.layout.blocks:
            if block.name in self._penalised:
                kernels.add_slopes(
                    self._penalty_slopes.address,
                    self._bound.address,
                    self.theta,
                    block.start,
                    block.stop,
                    nodes,
                    stencil.step,
                    slopes,
                    failed,
                )
        if failed[0]:
            raise LossError("the penalty raised near the given parameters")

    def _block(
        self,
        k: int,
        layer: Layer,
        block: Block,
        local: Indices,
        offsets: Floats,
        known: dict[tuple[int, bytes], Floats],
    ) -> Floats:
        """The differences of some entries of W or b of one layer."""
        J = offsets.shape[1]
        units = local % layer.n_out
        if local.size == block.size and np.array_equal(local, np.arange(block.size)):
            grid = offsets.reshape(-1, layer.n_out, J)
            if (grid == grid[0]).all():
                d = self._changes(k, grid[0], known)
                if block is layer.b:
                    return np.asarray(d.sum(axis=2))
                turned = None if layer.positive else self._changes(k, -grid[0], known)
                return _shares(layer.A, d, turned).reshape(-1, J)
        values = np.empty(offsets.shape)
        for j in range(J):
            values[:, j] = self._scattered(
                k, layer, block, local // layer.n_out, units, offsets[:, j]
            )
        return values

    def _changes(self, k: int, offsets: Floats, known: dict[tuple[int, bytes], Floats]) -> Floats:
        """``d[j, c, s]``: change of sample s's loss for ``Z[:, j] + offsets[j, c]``."""
        key = k, offsets.tobytes()
        if key not in known:
            turned = known.get((k, offsets[:, ::-1].tobytes()))
            if turned is not None:
                known[key] = turned[:, ::-1]
            else:
                units = np.repeat(np.arange(offsets.shape[0]), offsets.shape[1])
                rows = self._rows(k, units, offsets.ravel())
                known[key] = rows.reshape(*offsets.shape, -1)
        return known[key]

    def _scattered(
        self, k: int, layer: Layer, block: Block, inputs: Indices, units: Indices, h: Floats
    ) -> Floats:
        """Differences of entries that do not fill a block, or with steps of their own, (r,)."""
        m = self._there.size
        signs = np.array([1.0]) if block is layer.b or layer.positive else np.array([1.0, -1.0])
        values = np.zeros(h.size)
        sizes, which = np.unique(h, return_inverse=True)
        code = units * sizes.size + which
        needed, row = np.unique(code, return_inverse=True)
        for sign in signs:
            d = self._rows(k, needed // sizes.size, sign * sizes[needed % sizes.size])
            for start in range(0, h.size, max(1, GATHERED // m)):
                part = slice(start, start + max(1, GATHERED // m))
                if block is layer.b:
                    values[part] = d[row[part]].sum(axis=1)
                    continue
                A = (
                    np.maximum(sign * layer.A[:, inputs[part]], 0.0)
                    if signs.size > 1
                    else layer.A[:, inputs[part]]
                )
                values[part] += np.einsum("sr,rs->r", A, d[row[part]])
        return values

    def _rows(self, k: int, units: Indices, offsets: Floats) -> Floats:
        """``rows[r, s]``: change of sample s's loss for ``Z[:, units[r]] + offsets[r] c``, over c."""
        m = self._there.size
        rows = np.empty((units.size, m))
        failed = np.zeros(units.size, np.uint8)
        size = 2 * m * self._widest + m
        scratch = np.empty((1, size))

        def launch(start: int, stop: int, threads: int) -> None:
            chain = (
                self.theta,
                self._table,
                self._base,
                self._addresses,
                self._losses.address,
                self._bound.address,
            )
            part = slice(start, stop)
            slab = (k, units[part], offsets[part], rows[part])
            rest = (self._there, self._scale, failed[part])
            if threads == 1:
                kernels.units_serial(*chain, *slab, scratch, *rest)
            else:
                kernels.units_parallel(*chain, *slab, scratch, *rest, np.zeros(1, np.int64))

        def done(start: int, stop: int) -> None:
            self._own += stop - start

        def grow(threads: int) -> None:
            nonlocal scratch
            if threads > scratch.shape[0]:
                scratch = np.empty((threads, size))

        cost = self._losses.costs[k, m, self._table[:, 1:3].tobytes()]
        in_slabs(units.size, cost, launch, done, grow, self._threads)
        if failed.any():
            r = int(np.flatnonzero(failed)[0])
            layer = self._layers[k]
            raise LossError(
                f"an activation or the losses raised where column {int(units[r])} of the Z of "
                f"{layer.W.name} is offset by {offsets[r]:+.3g}"
            )
        return rows

    def _add_penalty(self, indices: Indices, offsets: Floats, values: Floats) -> None:
        assert self._penalty is not None
        for block in self.layout.blocks:
            if block.name not in self._penalised:
                continue
            inside = _inside(indices, block)
            own = np.ascontiguousarray(values[inside])
            if own.size == 0:
                continue
            failed = np.zeros(own.shape, np.uint8)
            kernels.deltas_serial(
                self._penalty.address,
                self._bound.address,
                self.theta[None, :],
                self.theta.size,
                np.zeros((1, 8)),
                np.ascontiguousarray(indices[inside], np.int64),
                np.ascontiguousarray(offsets[inside]),
                own,
                failed,
            )
            if failed.any():
                raise LossError(f"the penalty raised at an entry of {block.name}")
            values[inside] = own


def _shares(A: Floats, d: Floats, turned: Floats | None) -> Floats:
    """``values[i, j, c]``, what each entry of W has of ``d[j, c, s]``, shape (n_in, n_out, J).

    ``turned`` is d of the opposite offsets, which negative inputs bring about.
    """
    n_out, J, m = d.shape
    if turned is None:
        return np.asarray(A.T @ d.reshape(-1, m).T).reshape(-1, n_out, J)
    total = np.maximum(A, 0.0).T @ d.reshape(-1, m).T
    total += np.maximum(-A, 0.0).T @ turned.reshape(-1, m).T
    return np.asarray(total).reshape(-1, n_out, J)


def _inside(indices: Indices, block: Block) -> Any:
    """Which of the indices lie in a block: a slice where they are sorted."""
    if indices.size < 2 or (np.diff(indices) > 0).all():
        first, last = np.searchsorted(indices, (block.start, block.stop))
        return slice(int(first), int(last))
    return np.flatnonzero((indices >= block.start) & (indices < block.stop))
