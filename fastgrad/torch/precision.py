"""The precision in which a program is checked, and what its own precision makes of its gradient.

Where it runs in float64 it is checked there, derivation and all. What is trained with is the gradient
in the module's own precision: that must be the same within its rounding. How far rounding reaches is
measured, not modelled: the gradient is asked again at leaves moved by a unit in the last place each,
up or down at random, as rounding on the way would. A bias whose true gradient is zero, and sums that
cancel, have bars of the size of what cancels.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from fastgrad.arrays import Array, Floats
from fastgrad.torch.evaluator import TorchGradient, layout_values
from fastgrad.torch.program import Program
from fastgrad.torch.subject import Subject

ULP_MOVES = 8
"""Moves that the spread of a gradient is taken from."""
SPREADS = 12.0
"""Bars in such spreads: six standard deviations of a spread that came out half as large."""
PLAIN = 8.0
"""Entries that differ by so many rounding units of their block's rms need no bars to be one answer."""
FEW_ENTRIES = 1024
"""Entries that are swept where rounding does not explain them."""
SAME_OUTPUTS = 64.0
"""Outputs that differ by more rounding units, in norm, are of another function: masks of dropout may be
drawn otherwise in float64. A right bfloat16 transformer of 4 layers differs by 3."""


@dataclass(frozen=True)
class Chosen:
    """The program that differences are taken of, and the one in the module's own precision."""

    program: Program
    own: Program | None = None
    """None where they are the same."""
    remarks: tuple[str, ...] = ()


def program_of(subject: Subject, dtype: torch.dtype | str | None, seed: int) -> Chosen:
    """The program in the precision asked for; ``"auto"`` is float64 where that runs.

    Raises
    ------
    ValueError
        No such precision.
    """
    if isinstance(dtype, str) and dtype != "auto":
        raise ValueError(f'dtype={dtype!r}: expected "auto", None (its own) or a torch.dtype')
    if isinstance(dtype, torch.dtype) and not dtype.is_floating_point:
        raise ValueError(f"dtype={dtype}: expected a floating one")
    if dtype != "auto":
        return Chosen(Program(subject, dtype, seed))
    own = Program(subject, None, seed)
    if all(leaf.dtype == torch.float64 for leaf in own.reals.values()):
        return Chosen(own)
    try:
        program = Program(subject, torch.float64, seed, own.cotangents)
        with program.kept():
            program.gradients()
    except Exception as error:
        first = str(error).strip().partition("\n")[0].rstrip(".")
        said = (
            f"Checked in its own precision: in float64 it raises {type(error).__name__}, {first}."
        )
        return Chosen(own, remarks=(said,))
    return Chosen(program, own)


def eps_of(program: Program) -> float:
    """The rounding unit of the coarsest leaf."""
    return max(torch.finfo(leaf.dtype).eps for leaf in program.reals.values())


def dtype_of(program: Program) -> str:
    """The precision of the coarsest leaf, in a word."""
    coarsest = max(program.reals.values(), key=lambda leaf: torch.finfo(leaf.dtype).eps)
    return str(coarsest.dtype).removeprefix("torch.")


class RoundedGradient(TorchGradient):
    """Autograd's gradient in less than float64, with error bars for what rounding does to it."""

    def __init__(self, program: Program, seed: int):
        super().__init__(program)
        self._seed = seed

    def error_bars(self, theta: dict[str, Array]) -> dict[str, Floats]:
        """How far each entry may be off by rounding; as `Gradient` asks."""
        return self._bars

    @cached_property
    def _bars(self) -> dict[str, Floats]:
        theta = layout_values(self.program)
        here = self(theta)
        squares = {name: np.zeros(g.shape) for name, g in here.items()}
        rng = np.random.default_rng([self._seed, ULP_MOVES])
        for _ in range(ULP_MOVES):
            there = self(moved_by_ulps(self.program, rng))
            for name, g in there.items():
                squares[name] += (g.astype(np.float64) - here[name]) ** 2 / ULP_MOVES
        least, eps = plain_bars(here), PLAIN * eps_of(self.program)
        return {
            name: np.maximum(SPREADS * np.sqrt(np.maximum(s, s.mean())), eps * least[name])
            for name, s in squares.items()
        }


def plain_bars(gradient: dict[str, Array]) -> dict[str, Floats]:
    """What rounding units are counted in: the entry, or the rms of its block."""
    wide = {name: np.abs(g.astype(np.float64)) for name, g in gradient.items()}
    return {name: np.maximum(g, np.sqrt(np.mean(g**2))) for name, g in wide.items()}


def moved_by_ulps(program: Program, rng: np.random.Generator) -> dict[str, Array]:
    """Leaves moved by one unit in their last place each, up or down."""
    found = {}
    for name, leaf in program.reals.items():
        ends = np.where(rng.random(tuple(leaf.shape)) < 0.5, -np.inf, np.inf)
        there = torch.nextafter(leaf.cpu(), torch.as_tensor(ends).to(leaf.dtype))
        found[name] = there.double().numpy()
    return found


@dataclass(frozen=True)
class Comparison:
    """The gradient in the module's own precision beside that in float64, which was found right."""

    remark: str
    beyond: dict[str, Array] | None = None
    """Which entries rounding does not explain, by block; None where it explains all."""


def compared(chosen: Chosen, own: RoundedGradient, rtol: float) -> Comparison:
    """Whether the gradient in the module's own precision is that of float64 within its rounding."""
    eps, word = eps_of(own.program), dtype_of(own.program)
    apart = _relative(own.program.outputs(), chosen.program.outputs())
    if not apart <= SAME_OUTPUTS * eps:
        said = (
            f"In {word} its outputs differ from those in float64 by {apart:.2g} of their norm (other "
            "masks of dropout?): the gradient was checked in float64 alone. dtype=None checks in "
            f"{word}."
        )
        return Comparison(said)
    theta = layout_values(chosen.program)
    exact, rounded = TorchGradient(chosen.program)(theta), own(theta)
    worst, beyond, scale = ("", 0.0), {}, plain_bars(exact)
    for name, g in exact.items():
        apart_here = np.abs(rounded[name].astype(np.float64) - g)
        beyond[name] = ~(apart_here <= max(rtol, PLAIN * eps) * scale[name])
        if beyond[name].any():
            beyond[name] &= ~(apart_here <= own.error_bars(theta)[name])
        relative = _relative([rounded[name].astype(np.float64)], [g])
        if g.any() and relative > worst[1]:
            worst = name, relative
    said = f"In {word} itself the gradient is the same within its rounding"
    said = f"{said}, {worst[1]:.2g} in norm at most ({worst[0]})."
    return Comparison(said, _worth_checking(beyond) if _any(beyond) else None)


def _any(masks: dict[str, Array]) -> bool:
    return any(mask.any() for mask in masks.values())


def _worth_checking(beyond: dict[str, Array]) -> dict[str, Array]:
    """All entries of the blocks in which some are beyond rounding, if they are few; else those."""
    blocks = {name: np.full(mask.shape, mask.any()) for name, mask in beyond.items()}
    return blocks if sum(mask.sum() for mask in blocks.values()) <= FEW_ENTRIES else _some(beyond)


def _some(beyond: dict[str, Array]) -> dict[str, Array]:
    """A part of them, spread evenly."""
    flat = np.concatenate([mask.ravel() for mask in beyond.values()])
    wrong = np.flatnonzero(flat)
    flat[np.setdiff1d(wrong, wrong[:: -(-wrong.size // FEW_ENTRIES)])] = False
    stops = np.cumsum([mask.size for mask in beyond.values()])[:-1]
    parts = zip(beyond.items(), np.split(flat, stops), strict=True)
    return {name: part.reshape(mask.shape) for (name, mask), part in parts}


def _relative(one: list[Array], other: list[Array]) -> float:
    """The norm of a difference beside that of the second."""
    with np.errstate(invalid="ignore"):
        apart = sum(float(np.sum((a - b) ** 2)) for a, b in zip(one, other, strict=True))
    size = sum(float(np.sum(b**2)) for b in other)
    return float(np.sqrt(apart / size)) if size else float(np.sqrt(apart))
