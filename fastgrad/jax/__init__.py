"""Gradients of JAX functions of pytrees, checked: `check`."""

try:
    import jax as _jax  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"fastgrad.jax needs JAX ({error}): python -m pip install 'fastgrad[jax]'"
    ) from error

from fastgrad.jax.checking import check

__all__ = ["check"]
