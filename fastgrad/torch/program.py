"""A module or function on a private copy: its loss as a function of its leaves, and autograd's gradient.

Every call gets inputs of its own, the buffers the module came with, and the same random numbers: masks
of dropout are frozen, running statistics stand still. Nothing of the user's is written to.
"""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fastgrad.arrays import Array, Floats
from fastgrad.errors import MutatedInputError
from fastgrad.torch.subject import Subject
from fastgrad.torch.tensors import as_real, is_inexact, mapped, tensors_in

STREAM = 0x636F74
"""Beside the seed, what draws cotangents."""
SECOND_STREAM = 0x636F75
"""The same of the second order."""
COTANGENT = "cotangent"
SEEDS: tuple[Callable[[int], None], ...] = random.seed, np.random.seed
"""What begins the generators of Python and NumPy anew: 7 and 5 us, only if forward passes draw there."""
SCALAR_COTANGENT = -4.0
"""What the gradient of one number is asked with, and divided by: a backward pass that leaves out what it
is given is off by it. A power of two, so that nothing is rounded."""


@dataclass
class Buffer:
    """A buffer of the private module, and what it is to hold at every call."""

    owner: Any
    name: str
    pristine: torch.Tensor
    working: torch.Tensor
    version: int

    def restore(self) -> None:
        """Put back what a forward pass wrote to."""
        now = self.owner._buffers[self.name]
        if now is self.working and now._version == self.version:
            return
        self.working = self.owner._buffers[self.name] = self.pristine.clone()
        self.version = self.working._version


class _Keeping(threading.local):
    """Whether a context that keeps the generators is open on this thread, and of which devices."""

    devices: tuple[int, ...] | None = None


_keeping = _Keeping()


@contextmanager
def all_generators_kept(devices: Sequence[int] | None = None) -> Iterator[None]:
    """A context that leaves the generators of Python, NumPy and torch as they are.

    Within another of these it does nothing: it takes 140 us, most of them NumPy's, and a check opens it
    for every line.
    """
    asked = range(torch.cuda.device_count()) if devices is None else devices
    outer = _keeping.devices
    if outer is not None and set(asked) <= set(outer):
        yield
        return
    python, legacy = random.getstate(), np.random.get_state(legacy=False)
    _keeping.devices = tuple(asked)
    try:
        with torch.random.fork_rng(devices=list(asked)):
            yield
    finally:
        _keeping.devices = outer
        random.setstate(python)
        np.random.set_state(legacy)


class Program:
    """The loss of a subject's leaves.

    Parameters
    ----------
    subject : Subject
    dtype : torch.dtype or None
        The precision to compute in; None for the module's own.
    seed : int
        What random numbers the module draws, and which combination of the outputs is the loss.
    cotangents : list of tensors, optional
        Of a program in another precision, whose combination it is to be.
    """

    def __init__(
        self,
        subject: Subject,
        dtype: torch.dtype | None,
        seed: int,
        cotangents: list[torch.Tensor] | None = None,
    ):
        self.subject = subject.copied(dtype)
        self.seed = seed
        self.leaves: dict[str, torch.Tensor] = {}
        self.cotangents: list[torch.Tensor] = []
        self._given = cotangents or []
        self.top = 1.0
        """What the loss is multiplied by for autograd."""
        self.held_by: Any = None
        """Whose values the leaves have: an evaluator moves them, and leaves them where they are."""
        self._recorded = False
        self._others: tuple[Callable[[int], None], ...] = ()
        """What seeds the generators of Python and NumPy, if the forward pass draws from them."""
        self._buffers = list(self._own_buffers())
        self._name_leaves()
        self.devices = sorted({t.device.index or 0 for t in self.leaves.values() if t.is_cuda})
        self._first_call()

    @property
    def reals(self) -> dict[str, torch.Tensor]:
        """The leaves as real numbers; views."""
        return {name: as_real(leaf.detach()) for name, leaf in self.leaves.items()}

    @property
    def eps(self) -> float:
        """The rounding unit of the coarsest leaf."""
        return max(torch.finfo(leaf.dtype).eps for leaf in self.reals.values())

    def values(self) -> dict[str, Array]:
        """Theta: the leaves as float64 arrays, by name."""
        return {name: leaf.cpu().double().numpy().copy() for name, leaf in self.reals.items()}

    def stand_at(self, values: dict[str, Array]) -> None:
        """Give the leaves other values."""
        self.held_by = None
        for name, leaf in self.reals.items():
            leaf.copy_(torch.as_tensor(values[name]))

    def nearest(self, name: str, values: Array) -> Floats:
        """The nearest numbers that a leaf can hold."""
        return torch.as_tensor(values).to(self.reals[name].dtype).double().numpy()

    def next(self, name: str, values: Array, ends: Array) -> Floats:
        """The numbers that a leaf can hold next to others, towards ends of infinity."""
        own = torch.as_tensor(values).to(self.reals[name].dtype)
        return torch.nextafter(own, torch.as_tensor(ends).to(own.dtype)).double().numpy()

    @property
    def device(self) -> torch.device:
        """The device it runs on, as far as one can say."""
        return next(iter(self.leaves.values())).device

    @contextmanager
    def kept(self) -> Iterator[None]:
        """A context that leaves all random generators as they are."""
        with all_generators_kept(self.devices):
            yield

    def value(self) -> torch.Tensor:
        """The loss at the leaves as they are: a float64 tensor of one number, without a graph."""
        if self.subject.order == 2:
            with torch.enable_grad():
                return self._contracted(self._gradients(create_graph=False)).detach()
        with torch.set_grad_enabled(self._recorded):
            return self._loss().detach() / self.top

    def gradients(self, top: float | None = None) -> list[torch.Tensor | None]:
        """Autograd's gradient, a leaf each; None where it says that the loss does not use it.

        ``top`` is what the gradient of one number is asked with, `SCALAR_COTANGENT` unless given.
        """
        with torch.enable_grad():
            if self.subject.order == 1:
                asked = self.top if top is None else top
                found = self._gradients(create_graph=False, times=asked / self.top)
                return found if asked == 1 else [g if g is None else g / asked for g in found]
            total = self._contracted(self._gradients(create_graph=True))
            return _gradients_of(total, self.leaves.values(), create_graph=False)

    def outputs(self) -> list[Array]:
        """What the subject returns at the leaves as they are, in float64."""
        with self.kept(), torch.set_grad_enabled(self._recorded):
            found = [as_real(part.detach()) for part in tensors_in(self._outputs())]
        return [part.double().cpu().numpy() for part in found]

    def _gradients(self, create_graph: bool, times: float = 1.0) -> list[torch.Tensor | None]:
        return _gradients_of(self._loss() * times, self.leaves.values(), create_graph)

    def _contracted(self, gradients: list[torch.Tensor | None]) -> torch.Tensor:
        """A random combination of first derivatives."""
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for c, g in zip(self._second, gradients, strict=False):
            if g is not None:
                total = total + (c * as_real(g).double()).sum().to(self.device)
        return total

    def _loss(self) -> torch.Tensor:
        out = self._outputs()
        if self.subject.loss is not None:
            return _one_number(self.subject.loss(out))
        found = [as_real(part) for part in tensors_in(out)]
        if not found:
            raise TypeError(
                f"{self.subject.name} returned {type(out).__name__}: expected tensors of floats"
            )
        terms = [
            (c.double() * part.double()).sum()
            for c, part in zip(self._cotangents_for(found), found, strict=True)
        ]
        return sum(terms[1:], terms[0])

    def _cotangents_for(self, outputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """A Gaussian cotangent each, in the output's own precision, drawn at the first call; of one
        number in all `SCALAR_COTANGENT`.
        """
        if not self.cotangents:
            rng = np.random.default_rng([self.seed, STREAM])
            if self.subject.order == 1 and sum(part.numel() for part in outputs) == 1:
                self.top = SCALAR_COTANGENT
            for k, part in enumerate(outputs):
                c = torch.as_tensor(rng.standard_normal(tuple(part.shape)))
                c = c if self.top == 1 else torch.full(tuple(part.shape), self.top)
                c = self._given[k].detach() if self._given else c
                self.cotangents.append(c.to(part.device, part.dtype))
            if self.subject.order == 2:
                for k, c in enumerate(self.cotangents):
                    self.leaves[f"{COTANGENT}.{k}"] = c.requires_grad_()
        return self.cotangents

    def _outputs(self) -> Any:
        for buffer in self._buffers:
            buffer.restore()
        self._reseed()
        inputs, named = mapped((self.subject.inputs, self.subject.named), "", _fresh)
        return self.subject.call(*inputs, **named)

    def _reseed(self) -> None:
        for begin in self._others:
            begin(self.seed)
        torch.default_generator.manual_seed(self.seed)
        for index in self.devices:
            torch.cuda.default_generators[index].manual_seed(self.seed)
        if torch.backends.mps.is_available() and self.device.type == "mps":
            torch.mps.manual_seed(self.seed)

    def _own_buffers(self) -> Iterator[Buffer]:
        module = self.subject.module
        if module is None:
            return
        for part in module.modules():
            for name, buffer in part.named_buffers(recurse=False):
                yield Buffer(part, name, buffer.clone(), buffer, buffer._version)

    def _name_leaves(self) -> None:
        module = self.subject.module
        if module is not None:
            for name, parameter in module.named_parameters():
                if parameter.requires_grad:
                    self.leaves[name] = parameter

        def leaf(path: str, tensor: torch.Tensor) -> torch.Tensor:
            if is_inexact(tensor) and tensor.numel():
                name = path.removeprefix(".")
                name = f"inputs.{name}" if name in self.leaves else name
                self.leaves[name] = tensor.requires_grad_()
            return tensor

        given = zip(self.subject.input_names(), self.subject.inputs, strict=True)
        for name, value in (*given, *self.subject.named.items()):
            mapped(value, name, leaf)
        if not self.leaves:
            raise TypeError(
                f"{self.subject.name}: expected parameters that require a gradient, or inputs of "
                "floating numbers; there is nothing to differentiate by"
            )

    def _first_call(self) -> None:
        """Draw the cotangents; see whether the forward pass needs autograd to be on."""
        before = {name: leaf.detach().clone() for name, leaf in self.leaves.items()}
        with self.kept():
            generators = _states()
            try:
                with torch.no_grad():
                    self._loss()
            except RuntimeError:
                self._recorded = True
                with torch.enable_grad():
                    self._loss()
            pairs = zip(SEEDS, generators, _states(), strict=True)
            self._others = tuple(begin for begin, old, new in pairs if old != new)
            for name, leaf in before.items():
                require_kept(self, name, torch.equal(leaf, self.leaves[name].detach()))
            rng = np.random.default_rng([self.seed, SECOND_STREAM])
            self._second = [
                torch.as_tensor(rng.standard_normal(tuple(leaf.shape))).to(leaf.device)
                for name, leaf in self.reals.items()
                if self.subject.order == 2 and not name.startswith(f"{COTANGENT}.")
            ]


def _states() -> tuple[Any, Any]:
    numpy = np.random.get_state(legacy=False)
    return random.getstate(), (numpy["state"]["pos"], numpy["state"]["key"].tobytes())


def require_kept(program: Program, name: str, kept: bool) -> None:
    """Raise `MutatedInputError` unless a leaf was left alone."""
    if not kept:
        raise MutatedInputError(
            f"{program.subject.name} wrote to its own {name} in its forward pass: expected it to leave "
            "parameters and inputs alone; a gradient by what is overwritten means nothing"
        )


def _fresh(_: str, tensor: torch.Tensor) -> torch.Tensor:
    return tensor.clone(memory_format=torch.preserve_format)


def _gradients_of(
    total: torch.Tensor, leaves: Any, create_graph: bool
) -> list[torch.Tensor | None]:
    """Autograd's gradient, dense; None for all where the graph holds no leaf at all."""
    leaves = list(leaves)
    if not total.requires_grad:
        return [None] * len(leaves)
    found = torch.autograd.grad(total, leaves, create_graph=create_graph, allow_unused=True)
    # Embeddings may have theirs as the rows that were looked up.
    return [g if g is None or g.layout == torch.strided else g.to_dense() for g in found]


def _one_number(value: Any) -> torch.Tensor:
    """The loss, in float64.

    Raises
    ------
    TypeError
    """
    if isinstance(value, torch.Tensor) and value.numel() == 1 and value.is_floating_point():
        return value.reshape(()).double()
    got = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else value
    raise TypeError(
        f"loss(outputs) returned {got}: expected one real number; leave loss out to have a random "
        "combination of all outputs checked"
    )
