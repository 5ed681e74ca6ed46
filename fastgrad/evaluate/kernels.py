"""The compiled loops over perturbed parameters, the only ones in the package that run in parallel.

Every kernel evaluates *some* loss: it gets the address of a C function (see `adapters`), so one
compilation, cached on disk, serves every loss and every argument type. A loss failing inside a
worker thread cannot raise (numba loses it); it sets its own byte of ``failed`` instead.

``work`` is one row of theta a thread, *handed in from outside*. numba removes the store that
restores a row allocated in the same function as the ``prange``, and the gradient is then silently
wrong by about ``h f''``. For the same reason the work on one row is a function of its own.
"""

import numpy as np
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

LOSS_SIGNATURE = types.float64(types.uintp, types.intp, types.uintp, types.uintp)
"""``value = loss(address of theta, size of theta, address of failed, address of arguments)``."""


@intrinsic
def _function_at(typingctx, address):
    """The C function at an address, as something compiled code can call (about 1 ns a call)."""
    function_type = types.FunctionType(LOSS_SIGNATURE)

    def codegen(context, builder, signature, args):
        function = cgutils.create_struct_proxy(function_type)(context, builder)
        function.c_addr = builder.inttoptr(args[0], cgutils.voidptr_t)
        return function._getvalue()

    return function_type(address), codegen


@intrinsic
def _fetch_add(typingctx, counter, increment):
    """Add to ``counter[0]`` atomically; return what it was."""

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.atomic_rmw("add", data, args[1], "monotonic")

    return types.intp(counter, types.intp), codegen


@njit
def _coordinate_rows(loss, arguments, theta, row, indices, offsets, values, failed, start, stop):
    function = _function_at(loss)
    k = offsets.shape[1]
    for r in range(start, stop):
        i = indices[r]
        for j in range(k):
            row[i] = theta[i] + offsets[r, j]
            values[r, j] = function(
                row.ctypes.data,
                theta.size,
                failed.ctypes.data + np.uint64(r * k + j),
                np.uint64(arguments),
            )
        row[i] = theta[i]


@njit
def _line_points(loss, arguments, theta, row, direction, offsets, values, failed, start, stop):
    function = _function_at(loss)
    for j in range(start, stop):
        for i in range(theta.size):
            row[i] = theta[i] + offsets[j] * direction[i]
        values[j] = function(
            row.ctypes.data, theta.size, failed.ctypes.data + np.uint64(j), np.uint64(arguments)
        )
    for i in range(theta.size):
        row[i] = theta[i]


@njit(nogil=True, cache=True)
def coordinates_serial(loss, arguments, theta, work, indices, offsets, values, failed):
    """``values[r, j]``: the loss at ``theta + offsets[r, j] e_{indices[r]}``, on the calling thread.

    Parameters
    ----------
    loss, arguments : int
        Addresses of the C function and of its bound arguments.
    theta : ndarray, shape (n,)
    work : ndarray, shape (threads, at least n)
        Rows equal to ``theta``; left equal to it unless the loss writes to its parameters.
    indices : ndarray of int64, shape (m,)
    offsets, values : ndarray, shape (m, k)
    failed : ndarray of uint8, shape (m, k)
        Set to 1 where the loss raised.
    """
    _coordinate_rows(
        loss, arguments, theta, work[0], indices, offsets, values, failed, 0, indices.size
    )


@njit(nogil=True, cache=True, parallel=True)
def coordinates_parallel(
    loss, arguments, theta, work, indices, offsets, values, failed, counter, grain
):
    """`coordinates_serial` on one thread a row of ``work``, each taking ``grain`` entries at a time.

    ``counter`` is an int64 array of one zero: the next entry that nobody has taken. Taking turns
    instead of halves costs nothing and keeps a thread that loses its core from being waited for.
    """
    for t in prange(work.shape[0]):
        start = _fetch_add(counter, grain)
        while start < indices.size:
            stop = min(start + grain, indices.size)
            _coordinate_rows(
                loss, arguments, theta, work[t], indices, offsets, values, failed, start, stop
            )
            start = _fetch_add(counter, grain)


@njit(nogil=True, cache=True)
def line_serial(loss, arguments, theta, work, direction, offsets, values, failed):
    """``values[j]``: the loss at ``theta + offsets[j] direction``, on the calling thread."""
    _line_points(
        loss, arguments, theta, work[0], direction, offsets, values, failed, 0, offsets.size
    )


@njit(nogil=True, cache=True, parallel=True)
def line_parallel(loss, arguments, theta, work, direction, offsets, values, failed, counter):
    """`line_serial` on one thread a row of ``work``, each taking one point at a time."""
    for t in prange(work.shape[0]):
        j = _fetch_add(counter, 1)
        while j < offsets.size:
            _line_points(
                loss, arguments, theta, work[t], direction, offsets, values, failed, j, j + 1
            )
            j = _fetch_add(counter, 1)


@njit(nogil=True, cache=True)
def is_sound(theta, work, failed):
    """Whether no evaluation failed, and every row of ``work`` still equals ``theta`` bit for bit."""
    for flag in failed.flat:
        if flag:
            return False
    for row in work:
        for i in range(theta.size):
            if row[i] != theta[i]:
                return False
    return True
