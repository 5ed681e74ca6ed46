"""Structures of torch tensors or jax arrays as structures of NumPy's, and back; neither is imported."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Foreign:
    """A structure, and the same in NumPy arrays.

    Parameters
    ----------
    given : object
    numbers : object
    """

    given: Any
    numbers: Any

    @classmethod
    def of(cls, given: Any) -> "Foreign":
        """A structure of arrays of any of the three kinds."""
        return cls(given, _mapped(_as_numpy, given))

    def like(self, numbers: Any) -> Any:
        """Arrays of the kinds, dtypes and devices given, from NumPy's."""
        return _mapped(_like, self.given, numbers)

    @contextmanager
    def random_state_kept(self, seed: int) -> Iterator[None]:
        """A context that seeds torch's generators, if it is there, and keeps their states."""
        torch = sys.modules.get("torch")
        with ExitStack() as stack:
            if torch is not None and any(_kind(leaf) == "torch" for leaf in _leaves(self.given)):
                stack.enter_context(torch.random.fork_rng())
                torch.manual_seed(seed)
            yield


def _kind(value: Any) -> str:
    root = type(value).__module__.partition(".")[0]
    return {"jaxlib": "jax"}.get(root, root) if hasattr(value, "dtype") else ""


def _as_numpy(value: Any) -> Any:
    if _kind(value) == "torch":
        inexact = value.is_floating_point() and value.element_size() < 4
        wide = value.detach().float() if inexact else value.detach()
        return wide.cpu().numpy()
    if _kind(value) == "jax":
        array = np.asarray(value)
        return array.astype(np.float32) if array.dtype.itemsize < 4 else array
    return value


def _like(given: Any, numbers: Any) -> Any:
    if _kind(given) == "torch":
        import torch

        return torch.as_tensor(np.asarray(numbers)).to(given.device, given.dtype)
    if _kind(given) == "jax":
        import jax.numpy as jnp

        return jnp.asarray(numbers, given.dtype)
    return numbers


def _mapped(leaf: Callable[..., Any], *trees: Any) -> Any:
    """A structure like the first, of ``leaf(*parts)``."""
    first = trees[0]
    if isinstance(first, Mapping):
        made = {key: _mapped(leaf, *(tree[key] for tree in trees)) for key in first}
        return made if type(first) is dict else _as_mapping(first, made)
    if isinstance(first, list | tuple):
        parts = [_mapped(leaf, *parts) for parts in zip(*trees, strict=True)]
        return getattr(type(first), "_make", type(first))(parts)
    if is_dataclass(first) and not isinstance(first, type):
        names = [field.name for field in fields(first)]
        made = {name: _mapped(leaf, *(getattr(tree, name) for tree in trees)) for name in names}
        return replace(first, **made)
    return leaf(*trees)


def _as_mapping(first: Any, made: dict[Any, Any]) -> Any:
    """A mapping of the same kind, if it can be made of a dict."""
    try:
        return type(first)(made)
    except TypeError:
        return made


def _leaves(tree: Any) -> list[Any]:
    found: list[Any] = []
    _mapped(found.append, tree) if not is_dataclass(tree) else None
    return found
