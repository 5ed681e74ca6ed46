"""The compiled loops over perturbed parameters, the only ones in the package that run in parallel.

Every kernel evaluates *some* loss: it gets the address of a C function (see `adapters`), so one
compilation, cached on disk, serves every loss and every argument type. A loss failing inside a
worker thread cannot raise (numba loses it); it sets its own byte of ``failed`` instead.

``work`` is one row of theta a thread, *handed in from outside*. numba removes the store that
restores a row allocated in the same function as the ``prange``, and the gradient is then silently
wrong by about ``h f''``. For the same reason the work on one row is a function of its own.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import carray, get_num_threads, njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

LOSS_SIGNATURE = types.float64(types.uintp, types.intp, types.uintp, types.uintp)
"""``value = loss(address of theta, size of theta, address of failed, address of arguments)``.

With a size of -1 it releases its arguments instead."""

WROTE = 2
"""What a byte of ``failed`` says of a loss that wrote to its parameters; `in_numpy` has the others."""

ORDER = 2
"""The order of the differences that `central_gradient` takes."""
BAD, GOOD, SHOWS, NOISE = 0, 1, 2, 3
"""What `central_gradient` says of its slopes, as `in_numpy` has it too."""
HARDLY_DIFFER = 2.0**-48
"""Values that differ by less than this part of the largest, 16 units in its last place, do so by
rounding; `fastgrad.differences.misfit` looks at them closely."""
FEWEST_SINGLE = 6
"""So few values are no sign of single precision."""

LANES, CHUNK = 64, 1 << 16
"""Sums of so many entries are kept in so many lanes, one beside the other."""

LINE = 8
"""Doubles in a cache line. Rows start on one: threads share none, and BLAS sees one alignment."""


def _kernel(**options: bool) -> Callable[[Any], Any]:
    """njit without the GIL, so that Python threads run on; cached on disk where numba can write."""

    def compiled(function: Any) -> Any:
        try:
            return njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:  # neither the package's folder nor the home folder can be written to
            return njit(nogil=True, **options)(function)

    return compiled


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


@intrinsic
def _pointer(typingctx, address, item):
    """What is at an address, as items of the type of ``item``."""
    pointer_type = types.CPointer(item)

    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(pointer_type))

    return pointer_type(address, item), codegen


@njit
def _scrambled(word, place):
    """Sums of these over all words are a fingerprint.

    One changed word always changes it; an exchange of words, or of all their signs, all but
    always. Vectorised, it keeps up with the memory.
    """
    odd = (np.uint64(place) * np.uint64(0x9E3779B97F4A7C15)) | np.uint64(1)
    return (word ^ (word >> np.uint64(32))) * odd


@njit
def _fingerprint(words):
    total = np.uint64(0)
    for i in range(words.size):
        total += _scrambled(words[i], i)
    return total


@njit
def _coordinate_points(loss, arguments, theta, row, indices, offsets, values, failed, start, stop):
    function = _function_at(loss)
    r, j = divmod(start, offsets.shape[1])
    for e in range(start, stop):
        i = indices[r]
        x = theta[i] + offsets[r, j]
        before = row[i]
        row[i] = x
        values[r, j] = function(
            row.ctypes.data, theta.size, failed.ctypes.data + np.uint64(e), np.uint64(arguments)
        )
        if row[i] != x:
            failed[e] = WROTE
        row[i] = before  # not theta[i]: what an earlier evaluation wrote there is to be found
        j += 1
        if j == offsets.shape[1]:
            r, j = r + 1, 0


HALF = np.int32(1 << 14)
"""One half in units of what 16 bits tell."""


@intrinsic
def _double(typingctx, word):
    """The number whose bits a word is."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.float64))

    return types.float64(word), codegen


@njit
def _of_unit(upper_bits):
    return _double(np.uint64(upper_bits) << np.uint64(48))


@njit
def _drawn(random, unit, part):
    """An entry of a direction that is not written out, as `fill_direction` has it, in fewer operations.

    ``part`` is the scale over 2^15: what is multiplied with it is exact.
    """
    u = np.int32(random)
    return (u + HALF if u >= 0 else u - HALF) * part * _of_unit(unit)


@njit
def _sign_drawn(random, unit):
    return np.copysign(_of_unit(unit), np.float64(random))


@njit
def _fill_point(row, theta, way, offset):
    """Fill a row with the point ``theta + offset v`` along a way."""
    direction, random, units, spans, shares, scale = way
    if random.size == 0:
        for i in range(theta.size):
            row[i] = theta[i] + offset * direction[i]
        return
    done = 0
    for k in range(spans.shape[0]):
        start, stop = spans[k, 0], spans[k, 1]
        _fill_beside(row[done:start], theta[done:start], offset)
        own = row[start:stop], theta[start:stop], random[start:stop], units[start:stop]
        _fill_span(*own, shares[k], scale, offset)
        done = stop
    _fill_beside(row[done:], theta[done:], offset)


@njit
def _fill_beside(row, theta, offset):
    for i in range(theta.size):
        row[i] = theta[i] + offset * 0.0


@njit
def _fill_span(row, theta, random, units, share, scale, offset):
    """A part of `_fill_point`; indices that might be negative are not vectorised."""
    offset *= share  # a power of two
    if scale == 0.0:
        for i in range(theta.size):
            row[i] = theta[i] + offset * _sign_drawn(random[i], units[i])
    else:
        part = scale * 2.0**-15
        for i in range(theta.size):
            row[i] = theta[i] + offset * _drawn(random[i], units[i], part)


@njit
def _line_points(loss, arguments, theta, row, way, offsets, values, failed, start, stop, watch):
    function = _function_at(loss)
    words = row[: theta.size].view(np.uint64)
    for j in range(start, stop):
        _fill_point(row, theta, way, offsets[j])
        given = _fingerprint(words) if watch else np.uint64(0)
        values[j] = function(
            row.ctypes.data, theta.size, failed.ctypes.data + np.uint64(j), np.uint64(arguments)
        )
        if watch and _fingerprint(words) != given:
            failed[j] = WROTE  # a fingerprint reads less than comparing


@_kernel()
def coordinates_serial(loss, arguments, theta, work, indices, offsets, values, failed, start, stop):
    """``values[r, j]``: the loss at ``theta + offsets[r, j] e_{indices[r]}``, on this thread.

    Parameters
    ----------
    loss, arguments : int
        Addresses of the C function and of its bound arguments.
    theta : ndarray, shape (n,)
    work : ndarray, shape (threads, at least n)
        Rows equal to ``theta``; left equal to it unless the loss writes to its parameters.
    indices : ndarray of int64, shape (m,)
    offsets, values : ndarray, shape (m, k)
    failed : ndarray of uint8, shape (m k,)
        Set where the loss did not just return, to one of `in_numpy.RAISED` and what follows it.
    start, stop : int
        The evaluations to make, counted along the rows of ``values``.
    """
    _coordinate_points(
        loss, arguments, theta, work[0], indices, offsets, values, failed, start, stop
    )


@_kernel(parallel=True)
def coordinates_parallel(
    loss, arguments, theta, work, indices, offsets, values, failed, start, stop, taken, grain
):
    """`coordinates_serial` on one thread a row of ``work``, in turns of ``grain`` evaluations.

    ``taken`` is an int64 array of one zero: how many evaluations somebody has taken. Taking turns
    instead of halves costs nothing and keeps a thread that loses its core from being waited for.
    """
    for t in prange(work.shape[0]):
        first = start + _fetch_add(taken, grain)
        while first < stop:
            last = min(first + grain, stop)
            _coordinate_points(
                loss, arguments, theta, work[t], indices, offsets, values, failed, first, last
            )
            first = start + _fetch_add(taken, grain)


@_kernel()
def line_serial(loss, arguments, theta, work, way, offsets, values, failed, start, stop, watch):
    """``values[j]``: the loss at ``theta + offsets[j] v``, on this thread; ``way`` says what v is.

    The row of ``work`` may hold anything before, and holds one of these points afterwards. With
    ``watch`` it is looked whether the loss wrote to it, which costs as much again as filling it.
    See `fastgrad.evaluate.drawn_directions.Way`.
    """
    _line_points(loss, arguments, theta, work[0], way, offsets, values, failed, start, stop, watch)


@_kernel(parallel=True)
def line_parallel(
    loss, arguments, theta, work, way, offsets, values, failed, start, stop, watch, taken
):
    """`line_serial` on one thread a row of ``work``, each taking one point at a time."""
    for t in prange(work.shape[0]):
        j = start + _fetch_add(taken, 1)
        while j < stop:
            _line_points(
                loss, arguments, theta, work[t], way, offsets, values, failed, j, j + 1, watch
            )
            j = start + _fetch_add(taken, 1)


@_kernel()
def project(values, way, sums):
    """``sums[k]``: of the products of chunk k of some values with a way, and of their squares.

    The way is one that is not written out. Sums are kept in `LANES` lanes.
    """
    _, random, units, spans, shares, scale = way
    products = np.zeros(CHUNK)
    for k in range(sums.shape[0]):
        first = k * CHUNK
        size = min(CHUNK, values.size - first)
        done = 0
        for s in range(spans.shape[0]):
            start = min(max(spans[s, 0] - first, 0), size)
            stop = min(max(spans[s, 1] - first, start), size)
            products[done:start] = 0.0
            own = slice(first + start, first + stop)
            _multiply(products[start:stop], values[own], random[own], units[own], shares[s], scale)
            done = stop
        products[done:size] = 0.0
        sums[k, 0], sums[k, 1] = _sums_in_lanes(products[:size])


@njit
def _multiply(products, values, random, units, share, scale):
    if scale == 0.0:
        for i in range(values.size):
            products[i] = values[i] * (_sign_drawn(random[i], units[i]) * share)
    else:
        part = scale * 2.0**-15
        for i in range(values.size):
            products[i] = values[i] * (_drawn(random[i], units[i], part) * share)


@njit
def _sums_in_lanes(x):
    """The sum and the sum of squares, in an order that NumPy can keep as well."""
    sums, squares = np.zeros(LANES), np.zeros(LANES)
    whole = x.size // LANES * LANES
    for i in range(0, whole, LANES):
        for j in range(LANES):
            sums[j] += x[i + j]
            squares[j] += x[i + j] * x[i + j]
    for i in range(whole, x.size):
        sums[i - whole] += x[i]
        squares[i - whole] += x[i] * x[i]
    total, total_squares = 0.0, 0.0
    for j in range(LANES):
        total += sums[j]
        total_squares += squares[j]
    return total, total_squares


@_kernel()
def fill_units(units, theta, stops, one_unit, settings):
    """The unit of every entry, a power of two, and whether a block is of one unit.

    See `fastgrad.evaluate.units`, whose constants ``settings`` are: how many entries a block must
    have to be of one unit, how far below the rms its entries may lie, what part of them must not lie
    further below; from where up a block, an entry by itself, and one beside a block of pure numbers
    counts as near one; and up to what rms a block is one of pure numbers.
    """
    fewest, below, part, near_block, near_entry, near_beside, pure = settings
    sizes = np.empty(stops.size)
    start = 0
    for b in range(stops.size):
        stop = stops[b]
        sizes[b] = rms = _rms(theta, start, stop)
        count, close = 0, 0
        for i in range(start, stop):
            count += theta[i] != 0.0
            close += (theta[i] != 0.0) & (abs(theta[i]) >= below * rms)
        if count < stop - start and count > 0 and close < part * count:
            sizes[b] = _middle(theta, start, stop)
        one_unit[b] = count >= fewest and close >= part * count
        if one_unit[b] and near_block <= rms <= pure:
            near_entry = near_beside
        start = stop
    overall = sizes[0] if stops.size == 1 else _rms(theta, 0, theta.size)
    start = 0
    for b in range(stops.size):
        stop, rms = stops[b], sizes[b]
        floor = _unit(rms, near_block) if one_unit[b] else 0.0
        of_zero = _unit(rms, near_block) if rms > 0.0 else _unit(overall, near_block)
        near = 1.0 if floor > 0.0 else near_entry
        _fill_block(units[start:stop], theta[start:stop], near, floor, of_zero)
        start = stop


@njit
def _fill_block(units, theta, near, floor, of_zero):
    """The units of a block, in loops without branches, which are vectorised: a tenth of the time."""
    bits, sizes = units.view(np.uint64), theta.view(np.uint64)
    odd = 0
    for i in range(theta.size):
        size = abs(theta[i])
        odd += (size != 0.0) & ((size < LEAST_UNIT) | (size >= MOST_UNIT))
        bits[i] = sizes[i] & EXPONENT  # a power of two has no other bits
    for i in range(theta.size):
        size, unit = abs(theta[i]), units[i]
        unit = 1.0 if (near <= size) & (size < 1.0) else unit
        unit = unit if unit > floor else floor
        units[i] = of_zero if size == 0.0 else unit
    if odd:
        for i in range(theta.size):
            size = abs(theta[i])
            if size != 0.0 and not LEAST_UNIT <= size < MOST_UNIT:
                units[i] = max(_unit(size, near), floor)


LEAST_UNIT, MOST_UNIT = 2.0**-900, 2.0**900
"""Units lie between these, where differences neither vanish nor overflow; a sum of squares that does
has lost nothing."""
EXPONENT = np.uint64(0x7FF0000000000000)
"""The bits of a number's exponent."""


@njit
def fill_steps(units, theta, stops, one_unit, step, order):
    """The default steps of a gradient in the place of units; see `fastgrad.evaluate.units`.

    Parameters
    ----------
    units, theta : ndarray, shape (n,)
    stops, one_unit : ndarray, shape (blocks,)
        As `fill_units` left them.
    step : float
        The stencil's own, at unit scale.
    order : int
        Of its truncation.
    """
    start = 0
    for b in range(stops.size):
        stop = stops[b]
        most = _band(theta, start, stop, order) if one_unit[b] else math.inf
        for i in range(start, stop):
            unit = min(units[i], most)
            if not one_unit[b]:
                size = abs(theta[i])
                if unit == 1.0 and SMALL <= size < 1.0:
                    unit = OF_NEAR_ONE
                elif unit < SMALL and SMALLER <= size < SMALL:
                    unit = SMALL
            units[i] = step * unit
        start = stop


SMALLER, SMALL, OF_NEAR_ONE = 2.0**-5, 2.0**-3, 2.0**-1
"""Entries in units of their own: those from one of these up to the next are differenced in the unit of
the latter, and those from the second up to 1 in that of the third."""
NARROW = 2.0**6
"""Entries about a point so many times as far away as they are wide, and as 1, are about an offset."""


@njit
def _band(theta, start, stop, order):
    """The largest unit of a block of one unit: of one about an offset, between its width and that.

    Noise is ``eps offset / h`` of the slope if f varies over the offset, truncation
    ``(h / width)^order`` if over the width: steps at which these are alike do least harm, whichever
    it is.
    """
    count, total, apart = stop - start, 0.0, 0.0
    for i in range(start, stop):
        total += theta[i]
    middle = total / count
    for i in range(start, stop):
        apart += (theta[i] - middle) * (theta[i] - middle)
    width = max(math.sqrt(apart / count), 1.0)
    if apart == 0.0 or not NARROW * width <= abs(middle) < math.inf:
        return math.inf
    wide, far = math.frexp(width)[1] - 1, math.frexp(middle)[1] - 1
    return math.ldexp(1.0, (order * wide + far) // (order + 1))


@njit
def _middle(theta, start, stop):
    """The geometric mean of the entries that are not zero: of unlike ones it is near most of them."""
    total, count = 0.0, 0
    for i in range(start, stop):
        if theta[i] != 0.0:
            total += math.log(abs(theta[i]))
            count += 1
    return math.exp(total / count)


@njit
def _rms(theta, start, stop):
    """rms of some entries, free of overflow."""
    total = 0.0
    for i in range(start, stop):
        total += theta[i] * theta[i]
    if LEAST_UNIT < total < MOST_UNIT:
        return math.sqrt(total / (stop - start))
    largest = 0.0
    for i in range(start, stop):
        largest = max(largest, abs(theta[i]))
    if largest == 0.0:
        return 0.0
    total = 0.0
    for i in range(start, stop):
        total += (theta[i] / largest) ** 2
    return largest * math.sqrt(total / (stop - start))


@njit
def _unit(size, near_one):
    """The largest power of two at most ``size``; 1 for what is near it from below."""
    if size == 0.0 or near_one <= size < 1.0:
        return 1.0
    return math.ldexp(1.0, min(max(math.frexp(size)[1] - 1, -900), 900))


@_kernel()
def fill_direction(out, random, units, exact, scale):
    """Signed uniform entries times each parameter's own unit.

    Parameters
    ----------
    out, units : ndarray, shape (m,)
        Units are powers of two.
    random : ndarray of int16, shape (m,)
        Any 16 bits: the sign, and 15 of the size.
    exact : bool
        Signs alone, times the powers of two.
    scale : float
        What the sizes, uniform in [1/2, 3/2], are multiplied with.
    """
    for i in range(out.size):
        u = random[i] * 2.0**-15
        out[i] = math.copysign(1.0 if exact else scale * (0.5 + abs(u)), u)
        out[i] *= units[i]


@_kernel()
def central_gradient(plan, settings, theta, gradient):
    """The gradient by central differences at default steps in one call; `BAD`, `GOOD` or `SHOWS`.

    Entry by entry the numbers of `coordinates_serial`, `fill_units` and `fill_steps`. Where anything is
    not as it should be (theta or a value is not finite, the loss raised or wrote to its parameters) it
    stops. `SHOWS` is good, of values that hardly differ or that all are numbers of single precision;
    `NOISE` is of a block whose steps are lost in noise.

    Parameters
    ----------
    plan : ndarray of int64
        Addresses of the C function and of its bound arguments, then where blocks of theta stop.
    settings : ndarray
        The step at unit scale, then the settings of `fill_units`.
    theta, gradient : ndarray, shape (n,)
    """
    n = theta.size
    memory = np.empty(n + LINE)
    start = -(memory.ctypes.data // 8) % LINE
    row = memory[start : start + n]
    for i in range(n):
        row[i] = theta[i]
        if not math.isfinite(theta[i]):
            return BAD
    one_unit = np.empty(plan.size - 2, np.bool_)
    fill_units(gradient, theta, plan[2:], one_unit, _seven(settings))
    fill_steps(gradient, theta, plan[2:], one_unit, settings[0], ORDER)
    failed = np.zeros(1, np.uint8)
    asked = _asked_in(plan[2:], one_unit)
    found = _central_differences(plan[0], plan[1], row, gradient, failed, asked)
    for i in range(n):
        if row[i] != theta[i]:
            return BAD
    return found


@njit
def _seven(settings):
    return (
        settings[1],
        settings[2],
        settings[3],
        settings[4],
        settings[5],
        settings[6],
        settings[7],
    )


PLACES = 0.25, 0.6180339887498949, 0.8541019662496845
NOISY = 2.0**-13
SAME_NOISE = 4.0
LONGEST_EXPONENT = 27
"""What is said of noise, as `fastgrad.differences.noisy_steps` has it."""


@njit
def _asked_in(stops, one_unit):
    """The entries that are asked for noise, three of each block of one unit, ascending."""
    asked = np.empty(3 * np.count_nonzero(one_unit), np.int64)
    count, start = 0, 0
    for b in range(stops.size):
        if one_unit[b]:
            for place in PLACES:
                asked[count] = start + np.int64((stops[b] - start) * place)
                count += 1
        start = stops[b]
    return asked


@njit
def _central_differences(loss, arguments, row, gradient, failed, asked):
    """Slopes in the place of steps; `BAD` if one is not finite or anything failed."""
    function = _function_at(loss)
    lowest, highest, single = math.inf, -math.inf, 2 * row.size >= FEWEST_SINGLE
    seen, next_asked = np.empty((asked.size, 3)), 0
    for i in range(row.size):
        x, h = row[i], gradient[i]
        above, below = x + h, x - h
        row[i] = above
        up = function(row.ctypes.data, row.size, failed.ctypes.data, np.uint64(arguments))
        kept = row[i] == above
        row[i] = below
        down = function(row.ctypes.data, row.size, failed.ctypes.data, np.uint64(arguments))
        kept &= row[i] == below
        row[i] = x
        gradient[i] = (up - down) / (above - below)
        if failed[0] or not (kept and math.isfinite(gradient[i])):
            return BAD
        lowest, highest = min(lowest, up, down), max(highest, up, down)
        single = single and np.float32(up) == up and np.float32(down) == down
        while next_asked < asked.size and asked[next_asked] == i:
            seen[next_asked, 0], seen[next_asked, 1], seen[next_asked, 2] = up, down, h
            next_asked += 1
    for first in range(0, asked.size, len(PLACES)):
        factor = _lengthening(seen[first : first + len(PLACES)])
        if factor > 1.0:
            which, values = asked[first : first + len(PLACES)], seen[first : first + len(PLACES)]
            if _is_noise(loss, arguments, row, failed, which, values, factor):
                return NOISE
    size = max(abs(lowest), abs(highest))
    return SHOWS if single or highest - lowest <= HARDLY_DIFFER * size else GOOD


@njit
def _lengthening(seen):
    """How much longer steps are to be if the middles of values differ by noise, else 1."""
    lowest, highest, change = math.inf, -math.inf, 0.0
    for k in range(len(PLACES)):
        middle = seen[k, 0] / 2 + seen[k, 1] / 2
        lowest, highest = min(lowest, middle), max(highest, middle)
        change = max(change, abs(seen[k, 0] - seen[k, 1]))
    apart = highest - lowest
    if not NOISY * change < apart < math.inf:
        return 1.0
    exponent = math.frexp(apart / change)[1] - 1 if change > 0.0 else 0
    return math.ldexp(1.0, (min(exponent, 0) + LONGEST_EXPONENT) // 3)


@njit
def _is_noise(loss, arguments, row, failed, which, seen, factor):
    """Whether middles differ by as much over steps so much longer, and slopes are the same but for it.

    Also where anything failed: who calls finds out what.
    """
    function = _function_at(loss)
    lowest, highest, low, high = math.inf, -math.inf, math.inf, -math.inf
    for k in range(len(PLACES)):
        middle = seen[k, 0] / 2 + seen[k, 1] / 2
        lowest, highest = min(lowest, middle), max(highest, middle)
    apart = highest - lowest
    for k in range(len(PLACES)):
        i, h = which[k], seen[k, 2]
        x, wide = row[i], factor * seen[k, 2]
        row[i] = x + wide
        up = function(row.ctypes.data, row.size, failed.ctypes.data, np.uint64(arguments))
        row[i] = x - wide
        down = function(row.ctypes.data, row.size, failed.ctypes.data, np.uint64(arguments))
        row[i] = x
        if failed[0] or not (math.isfinite(up) and math.isfinite(down)):
            return bool(failed[0])
        slope, other = (seen[k, 0] - seen[k, 1]) / (2 * h), (up - down) / (2 * wide)
        if not abs(other - slope) <= SAME_NOISE * apart / h:
            return False
        middle = up / 2 + down / 2
        low, high = min(low, middle), max(high, middle)
    return high - low <= SAME_NOISE * apart


@_kernel()
def checksums(spans, sums):
    """``sums[k]``: a fingerprint of the ``spans[k, 1]`` bytes at address ``spans[k, 0]``."""
    for k in range(spans.shape[0]):
        words = carray(_pointer(spans[k, 0], np.uint64(0)), spans[k, 1] // 8)
        total = _fingerprint(words)
        bytes_ = carray(_pointer(spans[k, 0], np.uint8(0)), spans[k, 1])
        for i in range(8 * words.size, bytes_.size):
            total += _scrambled(np.uint64(bytes_[i]), i)
        sums[k] = total


@njit(nogil=True)
def row_of_one(row):
    """The row of the only thread, shape (1, n)."""
    return row.reshape((1, row.size))


@njit(nogil=True)
def rows_of_threads(row):
    """A copy of a row for each of numba's threads; rows start on a cache line."""
    width = (row.size + LINE - 1) // LINE * LINE
    made = np.empty((min(get_num_threads(), row.size), width))
    for t in range(made.shape[0]):
        made[t, : row.size] = row
    return made


def slopes_of(slope: Any, parallel: bool) -> Any:
    """A compiled loop over ``slope(row, theta, i, h, arguments)``, on one thread a row.

    It is called with ``gradient`` full of steps h, and leaves slopes there.
    """

    @njit(nogil=True, error_model="numpy", parallel=parallel)
    def slopes(rows, theta, gradient, arguments):
        taken = np.zeros(1, np.int64)
        for t in prange(rows.shape[0]):
            _slopes_in(rows[t, : gradient.size], theta, gradient, arguments, taken)

    @njit(nogil=True, error_model="numpy")
    def _slopes_in(row, theta, gradient, arguments, taken):
        i = _fetch_add(taken, 1)
        while i < row.size:
            gradient[i] = slope(row, theta, i, gradient[i], arguments)
            i = _fetch_add(taken, 1)

    return slopes
