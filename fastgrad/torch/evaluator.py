"""The evaluator of a torch program: leaves are perturbed in place, on their own device."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import torch

from fastgrad.arrays import Array, Floats, Indices, Mask
from fastgrad.checks.low_precision import SINGLE, bars_of_calls
from fastgrad.errors import LossError
from fastgrad.evaluate.explain import loss_error, place, place_along
from fastgrad.evaluate.protocol import Evaluator, Inputs
from fastgrad.torch.program import Program, require_kept
from fastgrad.torch.tensors import as_real

ON_HOST = "cpu", "mps"
"""Kinds of devices whose values are taken one by one: the second has no float64."""
SMALL = 2**13
"""Leaves of so many entries are moved together; those on a device, where every call waits, all are."""
POSITIVE = 2**63 - 1
"""Bits of a seed: equal offsets draw the same."""


class TorchEvaluator(Evaluator):
    """The loss of a program around one flat theta.

    A step costs one write, or one pass over the leaves that a direction moves; nothing is copied to
    the host but the values.

    Parameters
    ----------
    program : Program
    inputs : Inputs
        Its layout has a block for each leaf, in order.
    """

    def __init__(self, program: Program, inputs: Inputs):
        super().__init__(inputs.theta)
        self._program, self._layout = program, inputs.layout
        parts = zip(program.reals.values(), self._split(inputs.theta), strict=True)
        self._leaves = [_Leaf(tensor, values) for tensor, values in parts]
        self._points = [leaf.point for leaf in self._leaves]
        self._small = [b for b, leaf in enumerate(self._leaves) if leaf.flat is not None]
        """Leaves that are moved together."""
        self._sizes = [block.size for block in inputs.layout.blocks]
        self._starts = np.array([block.start for block in inputs.layout.blocks])
        self._away = np.zeros(len(self._leaves), np.bool_)
        """Leaves that the last line moved: they are put back when it matters."""
        program.held_by = self

    @property
    def ran(self) -> str:  # type: ignore[override]
        precision = ", ".join(dict.fromkeys(_named(leaf.point.dtype) for leaf in self._leaves))
        return f"Ran in torch {torch.__version__} on {self._program.device}, in {precision}"

    def coordinates(self, indices: Indices, offsets: Floats) -> Floats:
        """``values[k, j]``: the loss at ``theta + offsets[k, j] e_{indices[k]}``, shape (m, k).

        Where a leaf is too coarse for a point, the value is that of the straight line through theta
        and the nearest point there is.
        """
        self._stand(np.zeros_like(self._away))
        values, parts = self._room(offsets.shape), np.ones(offsets.shape)
        blocks = np.searchsorted(self._layout.stops, indices, side="right").tolist()
        with self._program.kept(), torch.no_grad():
            for k, (i, b) in enumerate(zip(indices.tolist(), blocks, strict=True)):
                leaf, at = self._leaves[b], self._layout.blocks[b].index(i)
                for j, offset in enumerate(offsets[k].tolist()):
                    parts[k, j] = leaf.move(at, offset)
                    values[k, j] = self._value(lambda i=i, t=offset: place(self._layout, i, t))
                leaf.put_back(at)
        found = _on_host(values)
        return found if (parts == 1).all() else self._at_theta + parts * (found - self._at_theta)

    def along(self, direction: Floats, offsets: Floats) -> Floats:
        """``values[j]``: the loss at ``theta + offsets[j] direction``, shape (k,)."""
        values, moves = self._room(offsets.shape), self._moved_by(direction)
        self._stand(moves)
        parts = torch.as_tensor(direction).split(self._sizes)
        together, alone = self._movers(parts, moves)
        with self._program.kept(), torch.no_grad():
            for j, t in enumerate(offsets.tolist()):
                together.move_along(t)
                for leaf, v in alone:
                    leaf.move_along(v, t)
                values[j] = self._value(lambda t=t: place_along(t))
        return _on_host(values)

    def _moved_by(self, direction: Floats) -> Mask:
        """Which leaves a direction moves: nearly all, and a look through all entries takes as long as
        a move.
        """
        moves = np.asarray(direction[self._starts] != 0)
        for b in np.flatnonzero(~moves).tolist():
            start = self._starts[b]
            moves[b] = direction[start : start + self._sizes[b]].any()
        return moves

    def _movers(
        self, parts: tuple[torch.Tensor, ...], moves: Mask
    ) -> tuple["_Together", list[tuple["_Leaf", torch.Tensor]]]:
        """Leaves to be moved, by their parts of a direction: small ones together, others alone."""
        small = self._small if moves.all() else [b for b in self._small if moves[b]]
        many = set(small)
        alone = [
            (leaf, leaf.like(parts[b]))
            for b, leaf in enumerate(self._leaves)
            if moves[b] and b not in many
        ]
        return _Together([self._leaves[b] for b in small], [parts[b] for b in small]), alone

    def _stand(self, moves: Mask) -> None:
        """Put leaves where this evaluator stands, but for those that are to be moved."""
        away = self._away if self._program.held_by is self else np.ones_like(self._away)
        for b in np.flatnonzero(away & ~moves).tolist():
            self._leaves[b].point.copy_(self._leaves[b].base)
        self._program.held_by, self._away = self, moves

    @cached_property
    def _at_theta(self) -> float:
        return self.value()

    def _room(self, shape: tuple[int, ...]) -> Any:
        """An array for values: on the device itself, which is not waited for."""
        device = self._program.device
        if device.type in ON_HOST:
            return np.empty(shape)
        return torch.empty(shape, dtype=torch.float64, device=device)

    def _split(self, flat: Array) -> list[Array]:
        return [flat[b.start : b.stop].reshape(b.shape) for b in self._layout.blocks]

    def _value(self, where: Any) -> torch.Tensor | float:
        self.evaluations += 1
        before = [point._version for point in self._points]
        try:
            value: torch.Tensor | float = self._program.value()
        except Exception as error:
            if self.evaluations == 1:
                raise LossError(str(loss_error(where(), error))) from error
            if self.outside is None:
                self.outside = loss_error(where(), error)
                self.outside.__cause__ = error
            value = float("nan")
        after = [point._version for point in self._points]
        if after != before:
            for block, *versions in zip(self._layout.blocks, before, after, strict=True):
                require_kept(self._program, block.name, versions[0] == versions[1])
        if self.advance is not None:
            self.advance(1)
        return float(value) if self._program.device.type in ON_HOST else value


def _on_host(values: Any) -> Floats:
    return values if isinstance(values, np.ndarray) else values.cpu().numpy()


class _Leaf:
    """One leaf: its values at theta, and the tensor that the program computes with.

    Parameters
    ----------
    point : tensor
    values : ndarray
        Of float64, like it; kept.
    """

    def __init__(self, point: torch.Tensor, values: Array):
        self.point, self._values = point, values
        wide = torch.float64 if point.device.type != "mps" else torch.float32
        # It outlives the call, and a vector of Python's may be read-only.
        self.base = torch.tensor(values, dtype=wide, device=point.device)
        self.point.copy_(self.base)
        self._exact = point.dtype == torch.float64
        together = point.device.type != "cpu" or point.numel() <= SMALL
        flat = self._exact and together and point.is_contiguous()
        self.flat = (point.view(-1), self.base.view(-1)) if flat else None
        """The point and the base as vectors, if it is moved together with others."""
        on_host = point.device.type == "cpu" and point.dtype != torch.bfloat16
        self._cells: Any = point.numpy() if on_host else point
        """What single entries are written to: 0.1 us by NumPy, 8 by torch."""

    def like(self, part: torch.Tensor) -> torch.Tensor:
        """A part of a direction beside the base."""
        return part.to(self.base.device, self.base.dtype).view(self.base.shape)

    def move_along(self, v: torch.Tensor, t: float) -> None:
        """Stand at ``base + t v``, or at random numbers of half precision that lie there on average."""
        if self.point.element_size() >= SINGLE:
            torch.add(self.base, v, alpha=t, out=self.point)
            return
        there = torch.add(self.base, v, alpha=t)
        same = torch.Generator(there.device).manual_seed(
            int(np.float64(t).view(np.int64)) & POSITIVE
        )
        if self.point.dtype == torch.bfloat16:
            self.point.copy_(_of_few_bits(there.float(), same))
            return
        unit = torch.ldexp(torch.ones_like(there), torch.frexp(there)[1] - 1)
        unit *= torch.finfo(self.point.dtype).eps
        draw = torch.rand(there.shape, generator=same, device=there.device)
        # What does not move stays: below a power of two numbers lie half as far apart.
        moved = torch.where(there == self.base, there, there + (draw - 0.5) * unit)
        self.point.copy_(moved)

    def move(self, at: tuple[int, ...], offset: float) -> float:
        """Offset one entry; what part of the offset that is of the way that it went."""
        here = float(self._values[at])
        if self._exact:
            self._cells[at] = here + offset
            return 1.0
        there = torch.tensor(here + offset, dtype=torch.float64).to(self.point.dtype)
        if offset and there.double() == here:
            ends = torch.tensor(np.copysign(np.inf, offset), dtype=self.point.dtype)
            there = torch.nextafter(torch.tensor(here).to(self.point.dtype), ends)
        self._cells[at] = float(there)
        went = float(there) - here
        return offset / went if offset else 1.0

    def put_back(self, at: tuple[int, ...]) -> None:
        self._cells[at] = float(self._values[at])


def _of_few_bits(values: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Numbers of float32 rounded up or down at random, by their distance, to what bfloat16 holds.

    That is float32 without its last 16 bits: what is added to them carries as often as it should, and
    never for a number that has none there.
    """
    bits = values.view(torch.int32)
    drawn = torch.randint(
        2**16, bits.shape, generator=generator, dtype=torch.int32, device=bits.device
    )
    return bits.add_(drawn).bitwise_and_(-(2**16)).view(torch.float32)


def _named(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


class _Together:
    """Leaves of float64 that two calls move: one by one each takes as long as a thousand entries.

    Parameters
    ----------
    leaves : list of _Leaf
    parts : list of tensors
        Their parts of a direction, flat.
    """

    def __init__(self, leaves: list[_Leaf], parts: list[torch.Tensor]):
        pairs = [leaf.flat for leaf in leaves if leaf.flat is not None]
        self.points, self.bases = [p for p, _ in pairs], [b for _, b in pairs]
        self.parts = [part.to(base.device) for part, base in zip(parts, self.bases, strict=True)]

    def move_along(self, t: float) -> None:
        """Stand at ``base + t v``, rounded as a leaf alone is."""
        if self.points:
            torch._foreach_copy_(self.points, self.bases)
            torch._foreach_add_(self.points, self.parts, alpha=t)


class TorchLoss:
    """A program as a loss, which brings an evaluator of its own."""

    def __init__(self, program: Program):
        self.program = program
        self.__name__ = program.subject.name

    def __call__(self, theta: dict[str, Array], *_: Any) -> float:
        """The loss at other values of its leaves."""
        with at_values(self.program, theta):
            return float(self.program.value())

    def evaluator_at(self, inputs: Inputs) -> Evaluator:
        """What differences are taken with."""
        return TorchEvaluator(self.program, inputs)


@contextmanager
def at_values(program: Program, theta: dict[str, Array]) -> Iterator[None]:
    """A context in which the leaves of a program hold other values, and all generators are kept."""
    before = {name: leaf.clone() for name, leaf in program.reals.items()}
    with program.kept():
        try:
            for name, leaf in program.reals.items():
                leaf.copy_(torch.as_tensor(theta[name]))
            yield
        finally:
            for name, leaf in program.reals.items():
                leaf.copy_(before[name])


class TorchGradient:
    """Autograd's gradient of a program, as the gradient under test."""

    def __init__(self, program: Program):
        self.program = program
        self.unused: tuple[str, ...] = ()
        self.varies = False
        """Whether it was seen to differ from call to call."""
        self.__name__ = f"autograd's gradient of {program.subject.name}"

    def __call__(self, theta: dict[str, Array], *_: Any) -> dict[str, Array]:
        """The gradient at other values of the leaves; zero for leaves that the loss does not use."""
        with at_values(self.program, theta):
            found = self.program.gradients()
            names = list(self.program.leaves)
            self.unused = tuple(n for n, g in zip(names, found, strict=True) if g is None)
            return {
                name: _as_array(g, leaf)
                for (name, leaf), g in zip(self.program.reals.items(), found, strict=True)
            }

    def error_bars(self, theta: dict[str, Array]) -> dict[str, Floats]:
        """How far each entry may be off because it differs from call to call."""
        bars = bars_of_calls(self, theta, self.program.eps)
        self.varies = any(bar.any() for bar in bars.values())
        return bars


def _as_array(gradient: torch.Tensor | None, leaf: torch.Tensor) -> Array:
    """A leaf's gradient on the host; numpy has no bfloat16."""
    if gradient is None:
        return np.zeros(tuple(leaf.shape), np.float32)
    real = as_real(gradient.detach()).cpu()
    return (real.float() if real.dtype == torch.bfloat16 else real).numpy()
