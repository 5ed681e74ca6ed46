"""check: a module, a function of tensors or an autograd Function in, a verdict on its gradients out."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from fastgrad.arrays import Array
from fastgrad.checking import check_grad
from fastgrad.checks.summary import worst_of
from fastgrad.parameters.by_name import filled
from fastgrad.parameters.trees import shortened
from fastgrad.results import GradientCheck
from fastgrad.torch.evaluator import TorchGradient, TorchLoss
from fastgrad.torch.precision import (
    RoundedGradient,
    compared,
    dtype_of,
    program_of,
)
from fastgrad.torch.program import Program
from fastgrad.torch.subject import Subject, closed_over
from fastgrad.torch.tensors import all_tensors_in as _tensors

LEAVES_OUT = (
    "Asked with other gradients of its output, the backward pass does not answer in proportion: it "
    "leaves out what it is given (grad_output), or bends it."
)
EXACT = float(np.finfo(np.float64).eps)
"""The rounding unit of what needs no error bars of its own."""


APART = 1e-2
"""The part of a gradient's norm that rounding may leave of a proportion, bfloat16 included."""


def check(
    fn_or_module: Any,
    *inputs: Any,
    named: Mapping[str, Any] | None = None,
    loss: Any = None,
    wrt: str | Sequence[str] | None = None,
    dtype: torch.dtype | str | None = "auto",
    order: int = 1,
    rtol: float = 1e-5,
    strategy: str = "auto",
    budget: float | None = 10.0,
    seed: int = 0,
    step: Any = None,
    scale: Any = None,
    bounds: Any = None,
    points: int | Sequence[Mapping[str, Any]] | None = None,
    progress: bool = False,
) -> GradientCheck:
    """Are the gradients that PyTorch computes of a module or function right, and where are they wrong?

    Judged as by `fastgrad.check_grad`, entry by entry, by differences of forward passes: every
    parameter of a module, and every input of floating numbers, by the names the module has for them
    (``encoder.0.weight[3, 17]``). It runs on a private copy, on the device where the module is; the
    module, its buffers, mode, hooks and ``.grad``, the inputs and all generators stay as they are.
    Masks of dropout are frozen: every forward pass draws the same random numbers.

    Parameters
    ----------
    fn_or_module : torch.nn.Module, callable, or subclass of torch.autograd.Function
        Of a function, the gradients in its inputs are checked.
    *inputs : tensor, or structure of tensors
        What it is called with. What is not made of floating numbers is a constant.
    named : mapping, optional
        Inputs by keyword.
    loss : callable, optional
        ``loss(outputs) -> scalar``. By default the sum of all outputs times random numbers.
    wrt : str or sequence of str, optional
        ``"parameters"``, ``"inputs"``, or names and path prefixes of them. By default all.
    dtype : {"auto"}, torch.dtype or None
        ``"auto"`` checks in float64 where the operations allow it, else in the module's own precision,
        as None does; then with the verdict that this precision allows.
    order : {1, 2}
        2 checks the double backward: a random combination of the first derivatives is the loss.
    scale : number or mapping, optional
        The unit of each entry, as of `fastgrad.check_grad`; by name for all of them.
    bounds : (low, high), optional
        Each a number, None, or tensors and numbers by the names of parameters and inputs, of which some
        may be left out: no point outside is ever evaluated.
    points : int or sequence of mappings, optional
        Check there too: at so many points in all, or at others, as ``state_dict()`` gives them.
    rtol, strategy, budget, seed, step, progress
        As of `fastgrad.check_grad`.

    Returns
    -------
    GradientCheck
        True as a condition only if the gradients agree; print it for the report.

    Raises
    ------
    MutatedInputError
        The forward pass writes to its own parameters.
    TypeError, ValueError
        Something is not of its kind; the message says what.

    Examples
    --------
    >>> import torch, fastgrad.torch
    >>> class Square(torch.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         return g * ctx.saved_tensors[0]
    >>> report = fastgrad.torch.check(Square, torch.linspace(1, 2, 5))
    >>> report.verdict, report.diagnoses[0].constants
    ('disagrees', {'factor': 0.5})
    """
    subject = Subject.of(fn_or_module, inputs, named, loss, order)
    chosen = program_of(subject, dtype, seed)
    program = chosen.program
    exact = program.eps <= EXACT
    compute = TorchGradient(program) if exact else RoundedGradient(program)
    asked = {"rtol": rtol, "strategy": strategy, "budget": budget, "seed": seed, "step": step}
    asked["trainable"] = _chosen_by(wrt, program)
    here = program.values()
    asked["scale"] = filled(scale, here, None, _on_host)
    if bounds is not None:
        ends = zip(bounds, (-np.inf, np.inf), strict=True)
        asked["bounds"] = tuple(filled(given, here, free, _on_host) for given, free in ends)
    inputs_of_check = here, *leading_dimensions(program)
    first = {**asked, "points": _points_of(points, here), "progress": progress}
    with program.kept():
        report = check_grad(TorchLoss(program), compute, *inputs_of_check, **first)
    program.stand_at(here)
    said = (*chosen.remarks, *_about(subject, compute))
    if report.verdict == "disagrees" and not in_proportion(program):
        said = (*said, LEAVES_OUT)
    report = replace(report, remarks=(*report.remarks, *said))
    if chosen.own is None or report.verdict != "agrees":
        return report
    own = RoundedGradient(chosen.own, compute)
    found = compared(chosen, own, rtol)
    if found.beyond is None:
        return replace(report, remarks=(*report.remarks, found.remark))
    asked |= {"trainable": found.beyond, "strategy": "sweep"}
    again = check_grad(TorchLoss(program), own, *inputs_of_check, **asked)
    labels = "in float64", f"in {dtype_of(chosen.own)}, as it comes"
    return worst_of([replace(r, label=w) for r, w in zip((report, again), labels, strict=True)])


def _chosen_by(wrt: str | Sequence[str] | None, program: Program) -> list[str] | None:
    """The blocks to check, by name: ``wrt`` also says "parameters" or "inputs"."""
    if wrt is None:
        return None
    module = program.subject.module
    parameters = [] if module is None else [name for name, _ in module.named_parameters()]
    groups = {
        "parameters": [name for name in program.leaves if name in parameters],
        "inputs": [name for name in program.leaves if name not in parameters],
    }
    names = [wrt] if isinstance(wrt, str) else list(wrt)
    chosen = [n for name in names for n in groups.get(name, [name])]
    if not chosen:
        raise ValueError(f"wrt={wrt!r}: {program.subject.name} has none that can be checked")
    return chosen


def _on_host(value: Any) -> Any:
    return value.detach().cpu().double().numpy() if torch.is_tensor(value) else np.asarray(value)


def _points_of(points: Any, here: dict[str, Array]) -> Any:
    """Points as arrays of all leaves; a state also has buffers, which stay as they are."""
    if points is None or isinstance(points, int):
        return points
    known = [{name: value for name, value in p.items() if name in here} for p in points]
    return [filled(point, here, here, _on_host) for point in known]


def in_proportion(program: Program) -> bool:
    """Whether the gradient of a number is the same however large the gradient it is asked with."""
    if program.top == 1:
        return True
    with program.kept():
        pairs = list(zip(program.gradients(), program.gradients(1.0), strict=True))
    return all(
        a is None or b is None or not bool((a - b).norm() > APART * b.norm()) for a, b in pairs
    )


def leading_dimensions(program: Program) -> list[Array]:
    """Empty arrays of as many rows as the inputs have: laws name factors of them, 1/m."""
    rows = {t.shape[0] for t in _tensors((program.subject.inputs, program.subject.named)) if t.ndim}
    return [np.zeros((m, 0)) for m in sorted(rows)]


def _about(subject: Subject, compute: TorchGradient) -> list[str]:
    """What a report says of leaves without a gradient, and of modules that stand still."""
    said = []
    if compute.unused:
        names = shortened(compute.unused)
        said.append(f"The loss does not use {names}, says autograd: taken for a gradient of zero.")
    if compute.varies:
        said.append(
            "Autograd's gradient differs from call to call (additions in any order?): it has error bars "
            "of its own."
        )
    for what, function in (("function", subject.call), ("loss", subject.loss)):
        for name in closed_over(function):
            said.append(
                f"The {what} reaches the module {name} beside its arguments: its parameters were not "
                "perturbed. Hand over the module itself, or one whose forward computes all of it."
            )
    return said
