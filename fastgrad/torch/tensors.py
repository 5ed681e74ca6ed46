"""Tensors in structures: found, named, and put into structures like them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch

CONTAINERS = (list, tuple)


def mapped(value: Any, path: str, leaf: Callable[[str, torch.Tensor], Any]) -> Any:
    """A structure with other things in the places of its tensors; anything else is passed on."""
    if isinstance(value, torch.Tensor):
        return leaf(path, value)
    if type(value) is tuple:
        return tuple([mapped(part, f"{path}.{k}", leaf) for k, part in enumerate(value)])
    if isinstance(value, Mapping):
        return {key: mapped(part, f"{path}.{key}", leaf) for key, part in value.items()}
    if isinstance(value, CONTAINERS):
        parts = [mapped(part, f"{path}.{k}", leaf) for k, part in enumerate(value)]
        make = getattr(type(value), "_make", type(value))  # a NamedTuple has its own
        return make(parts)
    return value


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """The tensors of floating or complex numbers in what a module returned, in order."""
    return (tensor for tensor in all_tensors_in(value) if is_inexact(tensor))


def all_tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """The tensors in a structure, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from all_tensors_in(part)
    elif isinstance(value, CONTAINERS):
        for part in value:
            yield from all_tensors_in(part)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from all_tensors_in(getattr(value, field.name))


def is_inexact(tensor: torch.Tensor) -> bool:
    """Whether it is of floating or complex numbers."""
    return tensor.is_floating_point() or tensor.is_complex()


def as_real(tensor: torch.Tensor) -> torch.Tensor:
    """The same numbers, complex ones as pairs along a last axis; a view."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def to_precision(tensor: torch.Tensor, dtype: torch.dtype | None) -> torch.Tensor:
    """A private copy, of its own strides; floating and complex numbers in the precision of ``dtype``."""
    if dtype is not None and is_inexact(tensor):
        wanted = dtype.to_complex() if tensor.is_complex() else dtype
        if tensor.dtype != wanted:
            return tensor.detach().to(wanted, memory_format=torch.preserve_format)
    return tensor.detach().clone(memory_format=torch.preserve_format)
