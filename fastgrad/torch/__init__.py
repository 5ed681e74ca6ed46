"""Gradients of PyTorch modules, functions and autograd Functions, checked: `check`, and a `Monitor`."""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"fastgrad.torch needs PyTorch ({error}): python -m pip install 'fastgrad[torch]'"
    ) from error

from fastgrad.torch.checking import check
from fastgrad.torch.monitor import Monitor

__all__ = ["Monitor", "check"]
