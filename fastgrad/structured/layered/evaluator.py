"""Losses whose parameters enter through linear layers, differenced column by column of Z."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.evaluate.adapters import dispatcher
from fastgrad.evaluate.process import one_blas_thread
from fastgrad.evaluate.protocol import Inputs
from fastgrad.numerics.stencils import Stencil
from fastgrad.parameters.blocks import Block
from fastgrad.structured.evaluator import StructuredEvaluator
from fastgrad.structured.layered.chain import Chain, Layer, Objective, inside, named
from fastgrad.structured.layered.passes import Passes
from fastgrad.structured.layered.penalty import Penalty
from fastgrad.structured.structure import Plain, Structure, require_reduction

FLOOR = 0.01
"""The part of the mean magnitude that any has, so that no entry is taken to be free of noise."""
GATHERED = 1 << 20
"""Numbers gathered at a time for scattered entries."""


class Layered(Structure):
    """A loss whose parameters enter only through linear layers Z = A W + b, with one loss a sample.

    The chain is ``Z_1 = X W_1 + b_1``, ``Z_{l+1} = activation(Z_l) W_{l+1} + b_{l+1}``; the loss is
    the mean (or sum) of ``losses(Z_L)`` over the samples, the rows of X, plus a penalty. A unit's
    column of Z is offset for all samples at once: two passes a unit give the differences d of all
    samples, and ``A^T d`` those of the unit's whole column of W.

    **What it takes on trust**: the chain rule of the linear layer, ``dZ[s, j] / dW[i, j] =
    A[s, i]``, and that samples do not affect each other (no batch normalisation). Activations,
    losses and penalty are differentiated numerically. The certificate compares the outcome with
    the plain loss, along random directions and at random entries.

    Parameters
    ----------
    loss : njit function
        ``loss(theta, *args) -> float``, the plain loss.
    layers : sequence of (str, str or None)
        The blocks W and b of each layer, in order; b is None where there is none. W has shape
        (n_in, n_out), or (n_in,) for one output. A pair of names of lists or tuples of blocks,
        ``("weights", "biases")``, stands for as many layers as they hold. Blocks of theta that are
        in no layer are differenced plainly.
    losses : njit function
        ``losses(Z, *args) -> ndarray, shape (m,)``: the loss of each row of the last Z, shape
        (m, n_out).
    activations : njit function or sequence of njit functions
        ``activation(z: float) -> float`` after every layer but the last.
    penalty : njit function, optional
        ``penalty(w: float, *args) -> float``, what each penalised entry adds to the loss.
    penalised : sequence of str, optional
        Blocks that bear the penalty; by default the W of every layer.
    inputs : int
        Position of X, shape (m, n_in), among the loss's arguments after theta.
    reduction : {"mean", "sum"}
        Of the losses of the samples.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> from numba import njit
    >>> @njit
    ... def squares(Z, X, y):
    ...     return (Z[:, 0] - y) ** 2
    >>> @njit
    ... def loss(p, X, y):
    ...     return ((np.tanh(X @ p.W + p.b) @ p.v - y) ** 2).mean()
    >>> tanh = njit(lambda z: np.tanh(z))
    >>> net = fg.structured.Layered(
    ...     loss, [("W", "b"), ("v", None)], squares, activations=tanh
    ... )
    >>> theta = {"W": np.full((2, 3), 0.1), "b": np.zeros(3), "v": np.ones(3)}
    >>> X, y = np.eye(2), np.array([1.0, 0.0])
    >>> fg.grad(net)(theta, X, y)["v"].round(6)
    array([-0.040066, -0.040066, -0.040066])
    """

    kind = "layered"
    trusts = "the chain rule of the linear layers, dZ/dW = A"

    def __init__(
        self,
        loss: Callable[..., Any],
        layers: Sequence[tuple[str, str | None]],
        losses: Callable[..., Any],
        *,
        activations: Callable[..., Any] | Sequence[Callable[..., Any]] = (),
        penalty: Callable[..., Any] | None = None,
        penalised: Sequence[str] | None = None,
        inputs: int = 0,
        reduction: str = "mean",
    ):
        super().__init__(loss)
        require_reduction(reduction)
        several = (activations,) if callable(activations) else activations
        self._chain = Chain(
            layers=tuple((W, b) for W, b in layers),
            activations=tuple(map(dispatcher, several)),
            inputs=inputs,
            objective=Objective(
                losses=dispatcher(losses),
                mean=reduction == "mean",
                penalty=None if penalty is None else dispatcher(penalty),
                penalised=None if penalised is None else tuple(penalised),
            ),
        )

    def around(
        self, plain: Plain, inputs: Inputs, threads: int | None = None
    ) -> "LayeredEvaluator":
        return LayeredEvaluator(self, plain, inputs, self._chain, threads)

    def likely_cause(self, run: Any, position: int) -> str:
        name = run.layout.block_at(position).name
        return (
            f"{name} also enters elsewhere than through its layer, or the layers, activations, "
            "losses, penalty or reduction are not those of the loss"
        )


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
        inputs: Inputs,
        chain: Chain,
        threads: int | None = None,
    ):
        super().__init__(structure, plain, inputs)
        inputs = inputs._replace(arguments=self.arguments)
        objective = chain.objective
        with one_blas_thread:
            self._passes = Passes(chain, inputs, threads)
            with self.guarded("losses", objective.losses, self._passes.Z):
                self._passes.begin()
        self._layers = self._passes.layers
        layered = {block.name for layer in self._layers for block in layer.blocks}
        self._others = [block for block in self.layout.blocks if block.name not in layered]
        penalised = {layer.W.name for layer in self._layers}
        if objective.penalised is not None:
            penalised = layered & set(named(self.layout, objective.penalised))
        blocks = [block for block in self.layout.blocks if block.name in penalised]
        penalty, bound = objective.penalty, self._passes.bound
        self._penalty = penalty and Penalty(penalty, bound, blocks, inputs)

    @cached_property
    def magnitudes(self) -> Floats:
        sizes = np.zeros(self.theta.size)
        there = self._passes.there
        each = float(np.abs(there).mean()) * self._passes.scale
        for layer in self._layers:
            of_row = np.abs(layer.A).sum(axis=0) * each
            sizes[layer.W.start : layer.W.stop] = np.repeat(of_row, layer.n_out)
            if layer.b is not None:
                sizes[layer.b.start : layer.b.stop] = there.size * each
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
                for block in layer.blocks:
                    rows = inside(indices, block)
                    local = indices[rows] - block.start
                    if local.size:
                        own = np.ascontiguousarray(offsets[rows])
                        values[rows] = self._block(k, layer, block, local, own, known)
        for block in self._others:
            rows = inside(indices, block)
            if indices[rows].size:
                values[rows] = self.plain.coordinates(indices[rows], offsets[rows])
                values[rows] -= self.reference
        if self._penalty is not None:
            with self.guarded("penalty", self._penalty.function, 0.0):
                self._penalty.add_changes(indices, offsets, values)
        self._made(0, values.size)
        return values

    def gradient(self, stencil: Stencil, watch: bool = False) -> Floats | None:
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
                    np.tile(h * stencil.unit_offsets, layer.n_out),
                )
                d = rows.reshape(layer.n_out, -1, rows.shape[1])
                slope = stencil.combine_columns(d, h)
                n_in = layer.A.shape[1]
                out = slopes[layer.W.start : layer.W.stop].reshape(n_in, layer.n_out)
                np.matmul(layer.A.T, slope.T, out=out)
                if layer.b is not None:
                    slopes[layer.b.start : layer.b.stop] = slope.sum(axis=1)
        if self._penalty is not None:
            with self.guarded("penalty", self._penalty.function, 0.0):
                self._penalty.add_slopes(stencil, slopes)
        self._made(0, slopes.size)
        return slopes

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
        m = self._passes.there.size
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
        self._evaluations += units.size
        return self._passes.rows(k, units, offsets)


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
