"""Linear maps and their adjoints, of real and complex arrays, for `check_vjp`.

Complex arrays are pairs of reals: the scalar is ``Re <c, fun(x)>``, whose gradient df/dx + i df/dy is
``A.H c`` for ``fun(x) = A x``.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.errors import NonFiniteLossError
from fastgrad.evaluate.layer import STREAM, Layer
from fastgrad.evaluate.signature import argument_name
from fastgrad.findings import Diagnosis, EntryCheck
from fastgrad.numerics.norms import norm
from fastgrad.parameters.layout import flatten
from fastgrad.parameters.operands import floating_leaves, with_leaves
from fastgrad.results import GradientCheck

LINEAR = 2.0**14
"""Rounding units by which f(x + u) and f(x) + f(u) may differ: sums of many terms come to that."""
PARTS = (".re", ".im")


def has_complex_leaves(value: Any) -> bool:
    """Whether an array or number in a structure is complex."""
    return any(np.iscomplexobj(leaf) for _, leaf in floating_leaves(value, ""))


def paired(value: Any) -> Any:
    """A structure whose complex leaves are arrays of pairs of reals, on a last axis."""

    def leaf(old: Any) -> Any:
        if not np.iscomplexobj(old):
            return old
        array = np.asarray(old)
        kind = np.float32 if array.dtype == np.complex64 else np.float64
        return np.stack([array.real, array.imag], axis=-1).astype(kind)

    return with_leaves(value, leaf)


def unpaired(value: Any, like: Any) -> Any:
    """`paired`, undone where ``like`` is complex."""
    left = iter([leaf for _, leaf in floating_leaves(value, "")])

    def leaf(old: Any) -> Any:
        own = next(left)
        if not np.iscomplexobj(old):
            return own
        pairs = np.asarray(own)
        z = pairs[..., 0] + 1j * pairs[..., 1]
        return z.astype(np.asarray(old).dtype) if isinstance(old, np.ndarray) else z[()]

    return with_leaves(like, leaf)


def real_view(
    fun: Callable[..., Any],
    vjp: Callable[..., Any],
    inputs: tuple[Any, ...],
    spaces: tuple[Any, ...],
) -> tuple[Callable[..., Any], Callable[..., Any], tuple[Any, ...]] | None:
    """A function and its backward pass of pairs of reals; None where nothing is complex.

    They take the cotangent and the inputs, or the cotangent alone, as the user's do. Inputs that have a
    space stay as they are.
    """
    plain = [space is None for space in spaces]
    some = any(has_complex_leaves(x) for x, own in zip(inputs, plain, strict=True) if own)
    out = fun(*inputs) if some or _may_be_complex(fun, inputs) else None
    if out is None:
        return None

    def given(parts: tuple[Any, ...]) -> list[Any]:
        both = zip(parts, inputs, plain, strict=False)
        return [unpaired(part, like) if own else part for part, like, own in both]

    @functools.wraps(fun)
    def real_fun(*parts: Any) -> Any:
        return paired(fun(*given(parts)))

    @functools.wraps(vjp)
    def real_vjp(c: Any, *parts: Any) -> Any:
        grads = vjp(unpaired(c, out), *given(parts))
        if all(plain):
            several = isinstance(grads, tuple | list | dict)
            return paired(grads) if several else _of_input(grads, inputs)
        return _beside_points(grads, names, plain)

    names = [argument_name(fun, k) for k in range(len(inputs))]
    pairs = tuple(paired(x) if own else x for x, own in zip(inputs, plain, strict=True))
    return real_fun, real_vjp, pairs


def _beside_points(grads: Any, names: list[str], plain: list[bool]) -> Any:
    """Gradients of which those by inputs without a space are pairs of reals."""
    if isinstance(grads, dict):
        kept = {name for name, own in zip(names, plain, strict=True) if not own}
        return {k: g if k in kept else paired(g) for k, g in grads.items()}
    if isinstance(grads, tuple | list) and len(grads) == len(plain):
        return tuple(paired(g) if own else g for g, own in zip(grads, plain, strict=True))
    return grads


def _may_be_complex(fun: Callable[..., Any], inputs: tuple[Any, ...]) -> bool:
    """Whether the function of real inputs returns complex numbers, as a Fourier transform does."""
    try:
        return has_complex_leaves(fun(*inputs))
    except Exception:  # whoever calls it next says what is wrong with it
        return False


def _of_input(gradient: Any, inputs: tuple[Any, ...]) -> Any:
    """The gradient by the only input: its real part where that is real."""
    if len(inputs) == 1 and not has_complex_leaves(inputs[0]) and np.iscomplexobj(gradient):
        return np.real(gradient)
    return paired(gradient)


def named(report: GradientCheck, inputs: tuple[Any, ...], names: list[str]) -> GradientCheck:
    """The report with entries called ``x[3].im`` for the pairs of complex inputs."""
    complexes = {
        path
        for name, value in zip(names, inputs, strict=True)
        for path, leaf in floating_leaves(value, name)
        if np.iscomplexobj(leaf)
    }

    def renamed(entry: EntryCheck) -> EntryCheck:
        if entry.block not in complexes:
            return entry
        index = ", ".join(map(str, entry.index[:-1]))
        return replace(
            entry, name=f"{entry.block}{f'[{index}]' if index else ''}{PARTS[entry.index[-1]]}"
        )

    return replace(report, entries=tuple(map(renamed, report.entries)))


def said_of_adjoint(layer: Layer, cotangent: Floats) -> Iterator[str]:
    """Whether a linear map of one input and the other are adjoint, in three calls of each."""
    found = _products(layer, cotangent)
    if found is None:
        return
    forward, backward, size, rounding = found
    off = abs(forward - backward) / size
    if off <= LINEAR * rounding:
        yield f"Adjoint to rounding: <Ax, y> = <x, A*y> to {max(off, 1e-17):.0e}."
    else:
        yield f"A is linear, and not adjoint: <Ax, y> = {forward:.6g} where <x, A*y> = {backward:.6g}."


def transposed(layer: Layer, cotangent: Floats, of_complex: bool) -> Diagnosis | None:
    """The diagnosis of a backward pass that is A.T where A.H is expected; of complex inputs or real."""
    block = next(iter(layer.operands.theta))

    def conjugated(c: Floats) -> Floats:
        return np.asarray((c.reshape(-1, 2) * [1.0, -1.0]).reshape(-1))

    if any(b.shape[-1:] != (2,) for b in layer.outputs.layout.blocks):
        return None
    after = conjugated if of_complex else np.asarray
    found = _products(layer, cotangent, (conjugated, after))
    if found is None or abs(found[0] - found[1]) > LINEAR * found[3] * found[2]:
        return None
    return Diagnosis(
        block,
        "conjugate",
        {},
        f"{block}: it is A.T where A.H is expected: conjugated before and after, it is adjoint to "
        "rounding.",
    )


def _products(
    layer: Layer,
    cotangent: Floats,
    around: tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]] = (
        np.asarray,
        np.asarray,
    ),
) -> tuple[float, float, float, float] | None:
    """<Au, y> and <u, A*y>, the product of the norms, and the rounding unit; None if A is not linear."""
    theta = layer.operands.theta
    if len(theta) != 1:
        return None
    layout, x = flatten(theta)
    eps = max(
        float(np.finfo(b.float_dtype).eps) for b in (*layout.blocks, *layer.outputs.layout.blocks)
    )
    u = np.random.default_rng(STREAM).standard_normal(x.size) * (norm(x) or 1.0)
    try:
        of_u, of_x, of_both = (layer.forward(layout.rebuild(v.copy())) for v in (u, x, u + x))
        before, after = around
        y = before(cotangent)
        back = np.concatenate([np.ravel(g) for g in layer.backward(theta, y).values()]).astype(
            float
        )
    except (ArithmeticError, ValueError, NonFiniteLossError):
        return None
    back = after(back)
    largest = norm(of_u) + norm(of_x)
    if not largest or not norm(of_both - of_u - of_x) <= LINEAR * eps * largest:
        return None
    size = max(norm(of_u) * norm(cotangent), norm(u) * norm(back))
    return float(of_u @ cotangent), float(u @ back), size, eps
