"""The precision in which a program is checked, and what its own precision makes of its gradient.

Where it runs in float64 it is checked there, derivation and all. What is trained with is the gradient
in the module's own precision: that must be the same within its rounding
(`fastgrad.checks.low_precision`).
"""

from dataclasses import dataclass

import torch

from fastgrad.checks.low_precision import (
    Comparison,
    Precision,
    Rounds,
    beside,
    other_function,
)
from fastgrad.torch.evaluator import TorchGradient
from fastgrad.torch.program import Program
from fastgrad.torch.subject import Subject


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


def dtype_of(program: Program) -> str:
    """The precision of the coarsest leaf, in a word."""
    coarsest = max(program.reals.values(), key=lambda leaf: torch.finfo(leaf.dtype).eps)
    return str(coarsest.dtype).removeprefix("torch.")


class RoundedGradient(Rounds, TorchGradient):
    """Autograd's gradient in less than float64, with error bars for what rounding does to it.

    Parameters
    ----------
    program : Program
    exact : TorchGradient, optional
        The same in float64.
    """

    def __init__(self, program: Program, exact: TorchGradient | None = None):
        super().__init__(program)
        self.exact, self.eps = exact, program.eps


def compared(chosen: Chosen, own: RoundedGradient, rtol: float) -> Comparison:
    """Whether the gradient in the module's own precision is that of float64 within its rounding."""
    at = Precision(dtype_of(own.program), own.program.eps, rtol)
    said = other_function(own.program.outputs(), chosen.program.outputs(), at)
    if said:
        return Comparison(said)
    theta = chosen.program.values()
    exact, rounded = TorchGradient(chosen.program)(theta), own(theta)
    return beside(exact, rounded, lambda: own.error_bars(theta), at)
