"""Laws that look at one entry at a time, or at the gradient under test alone.

Each takes a case and returns a `Finding` if every sample obeys it, else None.
"""

from collections.abc import Callable

import numpy as np

from fastgrad.arrays import Floats, Mask
from fastgrad.checks.diagnose import named_constants
from fastgrad.checks.diagnose.case import MATRIX_AXES, SHOWS, Case
from fastgrad.checks.diagnose.finding import Finding

MEMBERS = 3
"""Samples wanted on either side of a law that treats them differently."""
OF_ALL = ("sign-only", "squared")
"""What leaves no entry as it was, but those of size 1: a factor of all others is the simpler law."""
ALIKE = 1e-6
"""Factors that differ by no more are one."""


def of_theta(case: Case) -> Finding | None:
    """Only the penalty was differentiated, or the parameters came back themselves."""
    x, a = case.theta, case.analytic
    used = x != 0
    if _is_right_in_part(case):
        return None
    if np.count_nonzero(used) < MEMBERS or np.any(a[~used]) or np.ptp(x) == 0:
        return None
    ratio = float(np.median(a[used] / x[used]))
    if ratio == 0 or np.any(np.abs(a - ratio * x) > case.unit * np.abs(a)):
        return None
    weight = named_constants.coefficient(ratio, 1e-12 * abs(ratio), case.dims)
    clause = f"the analytic gradient is {weight.text} * {case.name}"
    if weight.value == 1:
        return Finding(("theta",), {"lambda": 1.0}, f"{clause}: the parameters themselves")
    clause += ": the penalty alone, without the data's part"
    return Finding(("only-l2",), {"lambda": weight.value}, clause)


def _is_right_in_part(case: Case) -> bool:
    """Whether so many entries are right that the others want an explanation of their own."""
    return bool(np.count_nonzero(~case.wrong & case.telling) >= MEMBERS)


def copied(case: Case) -> Finding | None:
    """The gradient of another block was stored here too."""
    for other in case.others:
        same = np.array_equal(other.analytic, case.analytic)
        if other.agrees and same and case.analytic.size >= MEMBERS:
            clause = f"the analytic gradient is that of {other.name}, which is right there"
            return Finding(("copied",), {}, clause)
    return None


def spurious(case: Case) -> Finding | None:
    """A gradient where the loss does not depend on the block."""
    if case.telling.any() or case.k < MEMBERS:
        return None
    clause = "the numerical gradient is zero in every entry, and the analytic one is not"
    return Finding(("spurious",), {}, clause)


def elementwise(case: Case) -> Finding | None:
    """|D|, max(D, 0), sign D, D squared: a function of every entry by itself."""
    one_factor = (
        _is_right_in_part(case) and np.ptp(case.a[case.wrong] / case.D[case.wrong]) <= ALIKE
    )
    for word, function, said in _FUNCTIONS:
        if one_factor and word in OF_ALL:
            continue
        low, high, at = (function(case.D + d) for d in (-case.bar, case.bar, 0.0))
        slack = np.maximum(np.abs(low - at), np.abs(high - at)) + case.unit * np.abs(case.a)
        changed = np.abs(at - case.D) > SHOWS * case.bar
        if np.count_nonzero(changed) < MEMBERS or not _scattered(case, changed):
            continue
        if np.all(np.abs(case.a - at) <= slack):
            return Finding((word,), {}, f"the analytic gradient is {said}")
    return None


def _scattered(case: Case, changed: Mask) -> bool:
    """Whether what changed is no set of rows or columns, which would be a simpler law."""
    same = case.telling & ~changed
    for axis in case.index if len(case.shape) >= MATRIX_AXES and same.any() else ():
        if not np.intersect1d(axis[changed], axis[same]).size:
            return False
    return True


_FUNCTIONS: tuple[tuple[str, Callable[[Floats], Floats], str], ...] = (
    ("absolute", np.abs, "the absolute value of the numerical one"),
    ("absolute", lambda d: -np.abs(d), "minus the absolute value of the numerical one"),
    ("rectified", lambda d: np.maximum(d, 0.0), "the numerical one where that is positive, else 0"),
    ("rectified", lambda d: np.minimum(d, 0.0), "the numerical one where that is negative, else 0"),
    ("sign-only", np.sign, "only the sign of the numerical one"),
    ("squared", np.square, "the square of the numerical one"),
)


def clipped(case: Case) -> Finding | None:
    """Entries cut off at a bound: gradient clipping was left on."""
    bounds = []
    for sign in (1.0, -1.0):
        limit = float((sign * case.analytic).max())
        near = limit - sign * case.a <= 2 * case.loose * abs(limit)
        cut = near & (sign * case.D > limit + SHOWS * case.bar)
        bounds.append((limit, np.asarray(cut & (limit > 0))))
    either = bounds[0][1] | bounds[1][1]
    untouched = np.abs(case.a - case.D) <= case.bar + case.unit * np.abs(case.a)
    shown = untouched & (np.abs(case.D) > SHOWS * case.bar)
    if not np.all(untouched | either) or not shown.any() or not either.any():
        return None
    if min(shown.sum(), either.sum()) < MEMBERS and not _is_round_limit(case, either):
        return None
    constant = named_constants.coefficient(
        max(limit for limit, cut in bounds if cut.any()), 2 * case.loose * np.abs(case.a).max(), ()
    )
    clause = f"the analytic gradient is the numerical one clipped at {constant.text}"
    return Finding(("clipped",), {"limit": constant.value}, clause)


def _is_round_limit(case: Case, cut: Mask) -> bool:
    """Whether what was cut is a decimal of two digits to the last bit, which nothing computed is."""
    limit = float(np.abs(case.a[cut]).max())
    same = bool(np.all(np.abs(case.a[cut]) == limit)) and limit == float(f"{limit:.1e}")
    return same and bool(np.all(np.abs(case.a) <= limit))


def not_clipped(case: Case) -> Finding | None:
    """The loss's slope stops at a limit, as Huber's does, and the gradient goes on."""
    over = case.wrong & (np.abs(case.a) > np.abs(case.D)) & (case.a * case.D > 0)
    right = ~over & case.telling
    if over.sum() < MEMBERS or right.sum() < MEMBERS or np.any(case.wrong & ~over):
        return None
    ends = np.abs(case.D[over])
    limit, slack = float(np.median(ends)), case.bar[over] + case.bar[over].min()
    if np.any(np.abs(ends - limit) > slack) or np.ptp(np.abs(case.a[over])) <= SHOWS * slack.max():
        return None
    if np.any(np.abs(case.D[right]) > limit + case.bar[right] + slack.max()):
        return None
    constant = named_constants.coefficient(limit, float(slack.max()), ())
    clause = (
        f"the numerical gradient stops at {constant.text} in {int(over.sum()):,} entries where the "
        "analytic one goes on: the loss has a limit there, as Huber's or a hinge, and the gradient not"
    )
    return Finding(("not-clipped",), {"limit": constant.value}, clause)


def repeated(case: Case) -> Finding | None:
    """One number everywhere, or one row (or column) over and over: a sum over the wrong axis."""
    A = case.analytic.reshape(case.shape)
    if case.analytic.size < MEMBERS or not np.any(A) or _is_right_in_part(case):
        return None
    if np.ptp(A) == 0:
        value = float(A.flat[0])
        clause = f"the analytic gradient is {value:.6g} in every entry{_total(case, value)}"
        return Finding(("repeated",), {"value": value}, clause)
    if A.ndim != MATRIX_AXES or min(A.shape) < MEMBERS:
        return None
    for axis, line in ((0, "row"), (1, "column")):
        if not np.any(np.ptp(A, axis=axis)):
            clause = f"every {line} of the analytic gradient is the same: one {line} was broadcast"
            return Finding(("repeated",), {"axis": float(axis)}, clause)
    return None


def _total(case: Case, value: float) -> str:
    """Whether one number is the sum or the mean of all."""
    if not case.complete:
        return ""
    total, bar = float(case.D.sum()), float(case.bar.sum())
    if abs(value - total) <= bar:
        return ": the sum of the numerical one, taken over an axis too many"
    if abs(value * case.k - total) <= bar:
        return ": the mean of the numerical one, taken over an axis too many"
    return ""


ELEMENTWISE = (copied, of_theta, spurious, repeated, elementwise, clipped, not_clipped)
