"""The compiled loops of structured losses; as `fastgrad.evaluate.kernels`, the only parallel ones.

What a user wrote comes as the address of a C function of one of four signatures, so every kernel is
compiled once and cached on disk. Memory that threads write to is handed in from outside.
"""

# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from fastgrad.evaluate.kernels import _fetch_add, _kernel

DELTA_SIGNATURE = types.intp(*[types.uintp] * 6, *[types.intp] * 3, types.uintp, types.uintp)
"""``delta(theta, indices, offsets, values, failed, work: addresses; size of theta, rows, columns;
size of work, address of arguments)``: the differences of some entries, see `adapters`."""

MAP_SIGNATURE = types.intp(types.uintp, types.intp, types.uintp)
"""``map(address of numbers, how many, address of failed)``: a scalar function, in place."""

SAMPLES_SIGNATURE = types.intp(
    types.uintp, types.intp, types.intp, types.uintp, types.uintp, types.uintp
)
"""``losses(Z: address, rows, columns; losses of the rows, failed, arguments: addresses)``."""

SLOPES_SIGNATURE = types.intp(*[types.uintp] * 5, *[types.intp] * 3, types.float64)
"""``slopes(theta, nodes, slopes, failed, arguments: addresses; start, stop, nodes; step)``: the
derivatives of a scalar function at some entries, added to ``slopes``."""

EXPONENT = 0x7FF << 52
"""The bits of a float64 that are its exponent."""


def _c_function(signature, address):
    """Type and code of the C function at an address, which compiled code can call in about 1 ns."""
    function_type = types.FunctionType(signature)

    def codegen(context, builder, signature, args):
        function = cgutils.create_struct_proxy(function_type)(context, builder)
        function.c_addr = builder.inttoptr(args[0], cgutils.voidptr_t)
        return function._getvalue()

    return function_type(address), codegen


@intrinsic
def _delta_at(typingctx, address):
    return _c_function(DELTA_SIGNATURE, address)


@intrinsic
def _map_at(typingctx, address):
    return _c_function(MAP_SIGNATURE, address)


@intrinsic
def _samples_at(typingctx, address):
    return _c_function(SAMPLES_SIGNATURE, address)


@intrinsic
def _slopes_at(typingctx, address):
    return _c_function(SLOPES_SIGNATURE, address)


@njit
def power_of_two(x):
    """The largest power of two at most x: its bits without those of the significand."""
    return np.int64(np.float64(x).view(np.int64) & EXPONENT).view(np.float64)


@njit
def scale_of(x):
    """What the default step at x is over that at 1, as `fastgrad.numerics.steps.default_steps`."""
    return power_of_two(max(abs(x), 1.0))


@_kernel()
def add_slopes(function, arguments, theta, start, stop, nodes, step, slopes, failed):
    """``slopes[i] +=`` the difference quotient of a scalar function at ``theta[start:stop]``.

    Parameters
    ----------
    function, arguments : int
        Addresses of a C function of `SLOPES_SIGNATURE` and of its bound arguments.
    nodes : ndarray, shape (k, 3)
        ``(plus, minus, weight)`` of the pairs of a stencil.
    step : float
        At unit scale.
    """
    _slopes_at(function)(
        theta.ctypes.data,
        nodes.ctypes.data,
        slopes.ctypes.data,
        failed.ctypes.data,
        np.uint64(arguments),
        start,
        stop,
        nodes.shape[0],
        step,
    )


@njit
def _delta_rows(delta, arguments, theta, scratch, indices, offsets, values, failed, start, stop):
    columns = offsets.shape[1]
    _delta_at(delta)(
        theta.ctypes.data,
        indices.ctypes.data + np.uint64(8 * start),
        offsets.ctypes.data + np.uint64(8 * start * columns),
        values.ctypes.data + np.uint64(8 * start * columns),
        failed.ctypes.data + np.uint64(start * columns),
        scratch.ctypes.data,
        theta.size,
        stop - start,
        columns,
        np.uint64(scratch.size),
        np.uint64(arguments),
    )


@_kernel()
def deltas_serial(delta, arguments, work, size, scratch, indices, offsets, values, failed):
    """``values[r, j]``: what ``delta`` says of ``offsets[r, j]`` at entry ``indices[r]``.

    Parameters
    ----------
    delta, arguments : int
        Addresses of a C function of `DELTA_SIGNATURE` and of its bound arguments.
    work : ndarray, shape (threads, at least size)
        A copy of theta in each row.
    size : int
        Of theta.
    scratch : ndarray, shape (threads, k)
        Memory for ``delta`` to use.
    indices, offsets, values, failed
        As in `coordinates_serial`, C-contiguous.
    """
    row = work[0, :size]
    _delta_rows(
        delta, arguments, row, scratch[0], indices, offsets, values, failed, 0, indices.size
    )


@_kernel(parallel=True)
def deltas_parallel(
    delta, arguments, work, size, scratch, indices, offsets, values, failed, counter, grain
):
    """`deltas_serial` on one thread a row of ``work``, each taking ``grain`` entries at a time."""
    for t in prange(work.shape[0]):
        row = work[t, :size]
        start = _fetch_add(counter, grain)
        while start < indices.size:
            stop = min(start + grain, indices.size)
            _delta_rows(
                delta, arguments, row, scratch[t], indices, offsets, values, failed, start, stop
            )
            start = _fetch_add(counter, grain)


@_kernel()
def map_in_place(function, numbers, failed):
    """Apply the C function of `MAP_SIGNATURE` at an address to a contiguous array."""
    _map_at(function)(numbers.ctypes.data, numbers.size, failed.ctypes.data)


@_kernel()
def sample_losses(losses, arguments, Z, out, failed):
    """``out[s]``: the loss of row s of Z, by the C function of `SAMPLES_SIGNATURE`."""
    _samples_at(losses)(
        Z.ctypes.data,
        Z.shape[0],
        Z.shape[1],
        out.ctypes.data,
        failed.ctypes.data,
        np.uint64(arguments),
    )


@njit
def _unit_row(chain, layer, unit, offset, before, scratch, failed):
    """Losses of all samples after ``z += offset scale_of(z)`` for a column z of Z, into ``before``."""
    theta, table, base, activations, losses, arguments = chain
    m = before.size
    last = table.shape[0] - 1
    first = min(layer + 1, last)
    n = table[first, 2]
    start = table[first, 4]
    half = (scratch.size - m) // 2
    Z = scratch[: m * n].reshape((m, n))
    old = base[start : start + m * n].reshape((m, n))
    if layer == last:
        Z[:] = old
        for s in range(m):
            Z[s, unit] += offset * scale_of(Z[s, unit])
    else:
        width = table[layer, 2]
        z = base[table[layer, 4] : table[layer, 4] + m * width].reshape((m, width))
        a = base[table[layer, 5] : table[layer, 5] + m * width].reshape((m, width))
        column = scratch[scratch.size - m :]
        for s in range(m):
            column[s] = z[s, unit] + offset * scale_of(z[s, unit])
        map_in_place(activations[layer], column, failed)
        w = theta[table[first, 0] + unit * n : table[first, 0] + (unit + 1) * n]
        for s in range(m):
            change = column[s] - a[s, unit]
            for k in range(n):
                Z[s, k] = old[s, k] + change * w[k]
    side = 0
    for k in range(first, last):
        map_in_place(activations[k], Z, failed)
        side = 1 - side
        n_in, n_out = table[k + 1, 1], table[k + 1, 2]
        W = theta[table[k + 1, 0] : table[k + 1, 0] + n_in * n_out].reshape((n_in, n_out))
        following = scratch[side * half : side * half + m * n_out].reshape((m, n_out))
        np.dot(Z, W, following)
        if table[k + 1, 3] >= 0:
            for s in range(m):
                for j in range(n_out):
                    following[s, j] += theta[table[k + 1, 3] + j]
        Z = following
    sample_losses(losses, arguments, Z, before, failed)


@njit
def _unit_rows(chain, layer, units, offsets, rows, scratch, there, scale, failed, start, stop):
    for r in range(start, stop):
        if offsets[r] == 0.0:
            rows[r, :] = 0.0
            continue
        _unit_row(chain, layer, units[r], offsets[r], rows[r], scratch, failed[r : r + 1])
        m = rows.shape[1]
        table, base = chain[1], chain[2]
        first, width = table[layer, 4] + units[r], table[layer, 2]
        for s in range(m):
            rows[r, s] = (rows[r, s] - there[s]) * scale / scale_of(base[first + s * width])


@_kernel()
def units_serial(
    theta, table, base, activations, losses, arguments,
    layer, units, offsets, rows, scratch, losses_there, scale, failed,
):  # fmt: skip
    """``rows[r, s]``: change of the loss of sample s when unit ``units[r]`` of a layer is offset.

    Its Z is offset by ``offsets[r]`` at unit scale, and the change divided by that scale, so that
    inputs of any size are differenced at their own step.

    Parameters
    ----------
    theta : ndarray, shape (n,)
    table : ndarray of int64, shape (layers, 6)
        Of each layer: where W starts in theta, its two sizes, where b starts (-1: none), and where
        Z and its activation start in ``base``.
    base : ndarray
        Z and activation of every layer at theta, one after the other.
    activations, losses, arguments : ndarray of uint64, int, int
        Addresses of the C functions after each layer but the last, of the losses of the rows of
        the last Z, and of their bound arguments.
    units, offsets : ndarray, shape (r,)
    rows : ndarray, shape (r, m)
    scratch : ndarray, shape (threads, 2 m widest + m)
    losses_there : ndarray, shape (m,)
        Of the samples, at theta.
    scale : float
        Of every sample's loss in the loss.
    failed : ndarray of uint8, shape (r,)
    """
    chain = (theta, table, base, activations, losses, arguments)
    _unit_rows(
        chain, layer, units, offsets, rows, scratch[0], losses_there, scale, failed, 0, units.size
    )


@_kernel(parallel=True)
def units_parallel(
    theta, table, base, activations, losses, arguments,
    layer, units, offsets, rows, scratch, losses_there, scale, failed, counter,
):  # fmt: skip
    """`units_serial` on one thread a row of ``scratch``, each taking one unit at a time."""
    for t in prange(scratch.shape[0]):
        r = _fetch_add(counter, 1)
        while r < units.size:
            _unit_rows(
                (theta, table, base, activations, losses, arguments),
                layer, units, offsets, rows, scratch[t], losses_there, scale, failed, r, r + 1,
            )  # fmt: skip
            r = _fetch_add(counter, 1)
