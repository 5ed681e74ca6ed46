"""The precision in which a program is checked, and what its own precision makes of its gradient.

Where it runs in float64 it is checked there, derivation and all. What is trained with is the gradient
in the module's own precision: that must be the same within its rounding. How far rounding reaches is
measured, not modelled: the gradient is asked again at leaves moved by a unit in the last place each,
up or down at random, as rounding on the way would. A bias whose true gradient is zero, and sums that
cancel, have bars of the size of what cancels.
"""

from dataclasses import dataclass

import numpy as np
import torch

from fastgrad.arrays import Array
from fastgrad.torch.evaluator import TorchGradient, at_values, layout_values
from fastgrad.torch.program import Program
from fastgrad.torch.subject import Subject

ULP_MOVES = 8
"""Moves that the spread of a gradient is taken from."""
SPREADS = 12.0
"""Bars in such spreads: with eight moves, 6 standard deviations of a spread that is half as large."""
SAME_LOSS = 64.0
"""Losses in two precisions are of one function if they differ by so many spreads of the coarser:
masks of dropout may be drawn otherwise in float64."""


@dataclass(frozen=True)
class Chosen:
    """A program, and why it is not in float64."""

    program: Program
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
    try:
        program = Program(subject, torch.float64, seed)
        with program.kept():
            program.gradients()
    except Exception as error:
        own = Program(subject, None, seed)
        why = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
        return Chosen(own, (f"Checked in its own precision; in float64 it raises {why}.",))
    return Chosen(program)


def own_precision(subject: Subject, program: Program, seed: int) -> Program | None:
    """The program in the module's own precision, where that is not the one it was checked in."""
    own = Program(subject, None, seed)
    before, after = own.reals, program.reals
    same = all(before[name].dtype == after[name].dtype for name in before)
    return None if same else own


class MovedByUlps:
    """A program's gradient, and its spread where its leaves move by a unit in the last place.

    Parameters
    ----------
    program : Program
    """

    def __init__(self, program: Program, seed: int):
        self.theta = layout_values(program)
        compute = TorchGradient(program)
        self.here = _wide(compute(self.theta))
        rng = np.random.default_rng([seed, ULP_MOVES])
        moved = [_moved(program, self.theta, rng) for _ in range(ULP_MOVES)]
        answers = [_wide(compute(there)) for there in moved]
        self.values = np.array([_value(program, there) for there in (self.theta, *moved)])
        self.bars = {
            name: SPREADS * _spread(np.array([a[name] for a in answers]) - self.here[name])
            for name in self.here
        }
        self.unused = compute.unused

    @property
    def spread_of_value(self) -> float:
        """How far the loss itself moves."""
        return float(np.abs(self.values[1:] - self.values[0]).max())


def _spread(changes: Array) -> Array:
    """The root mean square of changes an entry, at least that of the typical entry."""
    own = np.sqrt(np.mean(changes**2, axis=0))
    return np.maximum(own, np.sqrt(np.mean(changes**2)) if own.size else 0.0)


def _moved(program: Program, theta: dict[str, Array], rng: np.random.Generator) -> dict[str, Array]:
    """Leaves moved by one unit in their last place each, up or down."""
    found = {}
    for name, leaf in program.reals.items():
        ends = torch.as_tensor(np.where(rng.random(theta[name].shape) < 0.5, -np.inf, np.inf))
        there = torch.nextafter(leaf.detach().cpu(), ends.to(leaf.dtype))
        found[name] = there.double().numpy()
    return found


def _value(program: Program, theta: dict[str, Array]) -> float:
    with at_values(program, theta):
        return float(program.value())


def _wide(gradient: dict[str, Array]) -> dict[str, Array]:
    return {name: g.astype(np.float64) for name, g in gradient.items()}
