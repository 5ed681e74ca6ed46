"""What is checked: a module or function of tensors, where, and by which scalar of its outputs."""

import copy
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from fastgrad.evaluate.signature import argument_name
from fastgrad.torch.tensors import is_inexact, mapped, to_precision

TRAINERS = "_trainer", "_fabric"
"""Attributes that lead from a module of Lightning to all that trains it: a copy does without."""


@dataclass(frozen=True)
class Subject:
    """A module or function at some inputs.

    Parameters
    ----------
    call : callable
        A module, or a function of tensors.
    inputs : tuple
    named : mapping
        Inputs by keyword.
    loss : callable or None
        The scalar of the outputs; None for a random combination of all of them.
    order : int
        1 for the gradient, 2 for the gradient of the gradient.
    """

    call: Callable[..., Any]
    inputs: tuple[Any, ...]
    named: Mapping[str, Any] = field(default_factory=dict)
    loss: Callable[..., Any] | None = None
    order: int = 1

    @classmethod
    def of(cls, call: Any, inputs: tuple[Any, ...], named: Any, loss: Any, order: int) -> "Subject":
        """What a user handed over; an autograd Function stands for its ``apply``.

        Raises
        ------
        TypeError, ValueError
        """
        if _is_function(call):
            call = call.apply
        if isinstance(call, type) or not callable(call):
            raise TypeError(
                f"{call!r}: expected a module, a function of tensors or an autograd Function"
                + (" (an instance of the class)" if isinstance(call, type) else "")
            )
        if loss is not None and not callable(loss):
            raise TypeError(f"loss is {type(loss).__name__}: expected a function of the outputs")
        if order not in (1, 2):
            raise ValueError(f"order={order!r}: expected 1, or 2 for the double backward")
        return cls(call, inputs, dict(named or {}), loss, order)

    @property
    def module(self) -> nn.Module | None:
        """The module, if it is one."""
        return self.call if isinstance(self.call, nn.Module) else None

    @property
    def name(self) -> str:
        """What to call it."""
        owner: Any = getattr(self.call, "__self__", None)
        if isinstance(owner, type):  # Function.apply
            return owner.__name__
        return getattr(self.call, "__name__", type(self.call).__name__)

    def input_names(self) -> list[str]:
        """The names of the positional inputs: those of the function's own parameters."""
        owner: Any = getattr(self.call, "__self__", None)
        if _is_function(owner):
            separate = owner.setup_context is not torch.autograd.Function.setup_context
            names = list(inspect.signature(owner.forward).parameters)[0 if separate else 1 :]
            return [names[k] if k < len(names) else f"argument{k}" for k in range(len(self.inputs))]
        function = self.call.forward if isinstance(self.call, nn.Module) else self.call
        return [argument_name(function, k) for k in range(len(self.inputs))]

    def copied(self, dtype: torch.dtype | None) -> "Subject":
        """The same on private copies of the module and the inputs, in another precision.

        Raises
        ------
        TypeError
            The module cannot be copied.
        """

        def own(_: str, tensor: torch.Tensor) -> torch.Tensor:
            return to_precision(tensor, dtype)

        call = self.call if self.module is None else _copied_module(self.module, dtype)
        inputs = mapped(self.inputs, "", own)
        return replace(self, call=call, inputs=inputs, named=mapped(self.named, "", own))


def _is_function(value: Any) -> bool:
    """Whether it is a subclass of torch.autograd.Function."""
    return isinstance(value, type) and issubclass(value, torch.autograd.Function)


def closed_over(function: Any) -> list[str]:
    """Names of modules that a plain function reaches beside its arguments."""
    if not inspect.isfunction(function):
        return []
    seen = inspect.getclosurevars(function)
    return [
        name
        for name, value in {**seen.globals, **seen.nonlocals}.items()
        if isinstance(value, nn.Module) and any(p.requires_grad for p in value.parameters())
    ]


def _copied_module(module: nn.Module, dtype: torch.dtype | None) -> nn.Module:
    """A copy of a module, tensors that are plain attributes too; forward has run in the past, maybe."""
    memo: dict[int, Any] = {}
    for part in module.modules():
        memo |= {id(v): None for k, v in vars(part).items() if k in TRAINERS and v is not None}
        for value in vars(part).values():
            if isinstance(value, torch.Tensor):  # one that is computed refuses to be copied
                memo[id(value)] = to_precision(value, dtype)
    try:
        own = copy.deepcopy(module, memo)
    except Exception as error:
        raise TypeError(
            f"the module cannot be copied, and is checked on a copy so that it stays as it is "
            f"({type(error).__name__}: {error}): expected one that copy.deepcopy takes"
        ) from error
    for parameter in own.parameters():
        parameter.grad = None
        parameter.data = to_precision(parameter.data, dtype)
    for part in own.modules():
        for name, buffer in part.named_buffers(recurse=False):
            if is_inexact(buffer):
                part._buffers[name] = to_precision(buffer, dtype)
    return own
