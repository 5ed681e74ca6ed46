"""The evaluator of a torch program: leaves are perturbed in place, on their own device."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import torch

from fastgrad.arrays import Array, Floats, Indices
from fastgrad.checks.rounded import SINGLE, bars_of_calls
from fastgrad.errors import LossError
from fastgrad.evaluate.explain import loss_error, place, place_along
from fastgrad.evaluate.protocol import Evaluator, Inputs
from fastgrad.torch.program import Program, require_kept
from fastgrad.torch.tensors import as_real

ON_HOST = "cpu", "mps"
"""Kinds of devices whose values are taken one by one: the second has no float64."""
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

    @property
    def ran(self) -> str:
        precision = ", ".join(dict.fromkeys(_named(leaf.point.dtype) for leaf in self._leaves))
        return f"Ran in torch {torch.__version__} on {self._program.device}, in {precision}"

    def coordinates(self, indices: Indices, offsets: Floats) -> Floats:
        """``values[k, j]``: the loss at ``theta + offsets[k, j] e_{indices[k]}``, shape (m, k).

        Where a leaf is too coarse for a point, the value is that of the straight line through theta
        and the nearest point there is.
        """
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
        values = self._room(offsets.shape)
        moved = [
            (leaf, leaf.like(part))
            for leaf, part in zip(self._leaves, self._split(direction), strict=True)
            if part.any()
        ]
        with self._program.kept(), torch.no_grad():
            for j, t in enumerate(offsets.tolist()):
                for leaf, v in moved:
                    leaf.move_along(v, t)
                values[j] = self._value(lambda t=t: place_along(t))
            for leaf, _ in moved:
                leaf.point.copy_(leaf.base)
        return _on_host(values)

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
        self._evaluations += 1
        before = [leaf.point._version for leaf in self._leaves]
        try:
            value: torch.Tensor | float = self._program.value()
        except Exception as error:
            if self._evaluations == 1:
                raise LossError(str(loss_error(where(), error))) from error
            if self.outside is None:
                self.outside = loss_error(where(), error)
                self.outside.__cause__ = error
            value = float("nan")
        after = [leaf.point._version for leaf in self._leaves]
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
        on_host = point.device.type == "cpu" and point.dtype != torch.bfloat16
        self._cells: Any = point.numpy() if on_host else point
        """What single entries are written to: 0.1 us by NumPy, 8 by torch."""

    def like(self, values: Array) -> torch.Tensor:
        """A part of a direction beside the base."""
        return torch.as_tensor(values, dtype=self.base.dtype, device=self.base.device)

    def move_along(self, v: torch.Tensor, t: float) -> None:
        """Stand at ``base + t v``, or at random numbers of half precision that lie there on average."""
        if self.point.element_size() >= SINGLE:
            torch.add(self.base, v, alpha=t, out=self.point)
            return
        there = torch.add(self.base, v, alpha=t)
        unit = torch.ldexp(torch.ones_like(there), torch.frexp(there)[1] - 1)
        unit *= torch.finfo(self.point.dtype).eps
        same = torch.Generator(there.device).manual_seed(
            int(np.float64(t).view(np.int64)) & POSITIVE
        )
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


def _named(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


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
