"""Kernels where they pay: NumPy does their work until what that cost is what a kernel costs.

Loading one from the disk's cache takes some thousandths of a second, compiling one up to a second, and
loading numba a third of one: more than most problems ask for. Whoever rents until the rent paid is the
price, and buys then, never pays more than twice the least. What is counted is work, not time, so that
the same calls choose alike whatever the machine does besides; and the answers have the same bits either
way.
"""

import importlib
import sys
from collections.abc import Callable
from typing import Any

from fastgrad.arrays import CHUNK
from fastgrad.evaluate import directions_in_numpy, in_numpy

LOADING_SECONDS = 5e-3
"""What it takes to find a kernel in the disk's cache, and to link it."""
COMPILING_SECONDS = 0.4
"""What it takes to compile one, about: from 0.1 to 1.1 s were seen."""
IN_A_LOOP_SECONDS = 0.1
"""The price of what was called a thousand times by then: whoever does that is in a loop, and goes on."""
IMPORTING_SECONDS = 0.3
"""What numba takes to load, where nobody has."""
KERNELS = "fastgrad.evaluate.kernels"


class OnDemand:
    """A kernel, called by way of NumPy until it pays.

    Parameters
    ----------
    name : str
        Of the kernel.
    instead : callable, optional
        Does the same in NumPy. Without it, whoever calls the kernel has asked `pays` before.
    longer : callable, or two numbers
        ``longer(*args)``: seconds that NumPy takes longer over a call; or seconds of every call, and of
        every entry of its first argument.
    price : float
        Seconds that compiling it is worth.
    """

    def __init__(
        self,
        name: str,
        instead: Callable[..., Any] | None = None,
        longer: Callable[..., float] | tuple[float, float] = (0.0, 0.0),
        price: float = COMPILING_SECONDS,
    ):
        self.name, self._instead, self._longer, self._price = name, instead, longer, price
        self.paid = 0.0
        """Seconds that doing without it took so far."""
        self.owned = False
        """Whether the kernel is loaded."""
        self._cached: bool | None = None
        """Whether it is in the disk's cache; None before anybody looked."""

    def __call__(self, *args: Any) -> Any:
        if not self.owned and self._instead is not None:
            longer = self._longer
            seconds = longer(*args) if callable(longer) else longer[0] + longer[1] * args[0].size
            if not self.pays(seconds):
                self.paid += seconds
                return self._instead(*args)
        return self.kernel()(*args)

    def kernel(self) -> Any:
        """The kernel itself, from now on."""
        if not self.owned:
            self._found()
            self.owned = True
        return getattr(sys.modules[KERNELS], self.name)

    def _found(self) -> Any:
        kernel = getattr(importlib.import_module(KERNELS), self.name)
        if hasattr(kernel, "_cache"):
            from fastgrad.evaluate.disk_cache import forgiving

            forgiving(kernel)
        return kernel

    def pays(self, seconds: float) -> bool:
        """Whether it is worth its price, where going on without it costs so much more."""
        if self.owned:
            return True
        due = self.paid + seconds
        least = LOADING_SECONDS
        if "numba" not in sys.modules:
            least += IMPORTING_SECONDS
        if due < least:
            return False
        if self._cached is None:
            self._cached = is_ready(self._found())
        return self._cached or due >= self._price


def is_ready(kernel: Any) -> bool:
    """Whether a kernel is compiled, here or in the disk's cache; each is for types of one kind."""
    if getattr(kernel, "overloads", True):
        return True
    cache = kernel._cache
    file = getattr(cache, "_cache_file", None)
    if file is None:  # there is no folder to write to
        return False
    _, *here = cache._index_key((), kernel.targetctx.codegen())
    try:
        return any(key[1:] == tuple(here) for key in file._load_index())
    except Exception:  # it cannot be read: whoever calls the kernel is told, by `disk_cache`
        return True


def _evaluations(*args: Any) -> float:
    """What `coordinates_serial` would save: an evaluation from Python takes a microsecond longer."""
    return 1e-6 * (args[-1] - args[-2])


def _points(*args: Any) -> float:
    """What `line_serial` would save: NumPy goes over memory five times, and not once."""
    theta, start, stop = args[2], *args[8:10]
    return (4e-6 + 2e-9 * theta.size) * (stop - start)


def _sums(spans: Any, _: Any) -> float:
    return 5e-6 + 6e-7 * len(spans) + 1.5e-10 * int(spans[:, 1].sum())


def _units(units: Any, _: Any, stops: Any, *args: Any) -> float:
    each = 6e-8 if units.size > CHUNK else 1e-9  # beyond the caches it is slow
    return 14e-6 * len(stops) + each * units.size


coordinates_serial = OnDemand("coordinates_serial", in_numpy.coordinates, _evaluations)
project = OnDemand("project", directions_in_numpy.project, (2e-6, 4e-9))
line_serial = OnDemand("line_serial", in_numpy.line, _points)
coordinates_parallel = OnDemand("coordinates_parallel")
line_parallel = OnDemand("line_parallel")
central_gradient = OnDemand("central_gradient", price=IN_A_LOOP_SECONDS)
checksums = OnDemand("checksums", in_numpy.checksums, _sums)
fill_direction = OnDemand("fill_direction", directions_in_numpy.fill_direction, (2e-6, 1e-9))
fill_units = OnDemand("fill_units", in_numpy.fill_units, _units)
