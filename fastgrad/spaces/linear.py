"""R^n in which a gradient means something else: complex numbers, and weighted inner products."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastgrad.arrays import Array, Floats
from fastgrad.parameters.numbers import rounding_of
from fastgrad.spaces.charts import Chart, Reading, numbers, require_shape
from fastgrad.spaces.points import pairs_of
from fastgrad.spaces.space import Space
from fastgrad.spaces.verify import SAME

CONVENTIONS: dict[str, tuple[float, float, str]] = {
    "steepest": (1.0, 1.0, "df/dx + i df/dy"),
    "conjugate": (1.0, -1.0, "df/dx - i df/dy"),
    "wirtinger": (2.0, -2.0, "(df/dx - i df/dy) / 2"),
    "wirtinger conjugate": (2.0, 2.0, "(df/dx + i df/dy) / 2"),
}
"""What the parts of a complex gradient are multiplied with to be the slopes; and what it is."""
PARTS = (".re", ".im")


class Complex(Space):
    """Complex numbers, as pairs of reals."""

    title = "complex"
    for_arrays = True

    def __init__(self, convention: str = "steepest"):
        if convention not in CONVENTIONS:
            names = ", ".join(map(repr, CONVENTIONS))
            raise ValueError(f"convention={convention!r}: expected one of {names}")
        self.convention = convention
        super().__init__(lambda z, d: z + d, project=lambda z, w: w)

    def __repr__(self) -> str:
        return f"complex({self.convention!r})"

    def at(self, point: Any, name: str) -> Chart:
        array = np.asarray(point)
        if array.dtype.kind not in "iufc":
            raise TypeError(f"complex: {name} is {type(point).__name__}: expected complex numbers")
        if array.dtype.kind != "c":
            raise TypeError(
                f"complex: {name} is real ({array.dtype}): expected complex numbers, or no space there"
            )
        return ComplexChart(self, point, name)


class ComplexChart(Chart):
    """Complex numbers around their values: entries are real and imaginary parts in turn.

    Charts are equal if they are alike but for these values, which are handed over once.
    """

    linear = True

    def __init__(self, space: Complex, point: Any, name: str):
        self.space, self.name = space, name
        array = np.asarray(point)
        self.scalar = np.isscalar(point)
        self.dtype, self.points = array.dtype.newbyteorder("="), array.shape
        self._values: Floats | None = pairs_of(array)
        super().__init__((*array.shape, 2), np.broadcast_to(np.float64(0), (2 * array.size,)))
        self._alike = space.convention, name, self.points, self.dtype, self.scalar

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ComplexChart) and self._alike == other._alike

    def __hash__(self) -> int:
        return hash(self._alike)

    def values(self) -> Floats:
        values, self._values = self._values, None
        assert values is not None
        return values

    def point(self, x: Floats) -> Any:
        z = x.view(np.complex128).reshape(self.points)
        if self.scalar:
            return self.dtype.type(z[()]) if self.dtype != np.complex128 else complex(z[()])
        return z.astype(self.dtype, copy=False)

    def native(self, x: Floats) -> Any:
        z = x.view(np.complex128).reshape(self.points)
        return complex(z[()]) if self.scalar else z

    def compiled(self) -> tuple[Any, Floats | None] | None:
        from fastgrad.spaces import retractions

        if self.scalar:
            return retractions.complex_number, None
        if len(self.points) == 1:
            return retractions.complex_numbers, None
        return retractions.arrays_of(len(self.points), True), np.zeros(self.points)

    def claimed(self, gradient: Any, what: str) -> tuple[Floats, float]:
        array = numbers(gradient, what)
        shapes = [self.points] if array.dtype.kind == "c" else [self.points, self.shape]
        require_shape(array, shapes, what, f"of complex numbers, as {self.name} has")
        if array.shape == self.shape and array.dtype.kind != "c":
            return np.asarray(array, np.float64).reshape(-1), rounding_of(array)
        g = pairs_of(array.astype(np.complex128))
        return self._slopes(g, self.space.convention), rounding_of(array)

    def _slopes(self, g: Floats, convention: str) -> Floats:
        real, imaginary, _ = CONVENTIONS[convention]
        return np.asarray((g.reshape(-1, 2) * [real, imaginary]).reshape(-1))

    def gradient(self, slopes: Floats) -> Any:
        real, imaginary, _ = CONVENTIONS[self.space.convention]
        return self.point((slopes.reshape(-1, 2) / [real, imaginary]).reshape(-1))

    def alike(self, values: Floats) -> Any:
        return self.point(values)

    def values_of(self, given: Any, who: str) -> Floats:
        return pairs_of(np.asarray(given))

    def entry(self, index: tuple[int, ...]) -> str:
        return super().entry(index[:-1]) + PARTS[index[-1]]

    def readings(self, slopes: Floats) -> Iterator[Reading]:
        own = self.space.convention
        real, imaginary, _ = CONVENTIONS[own]
        raw = (slopes.reshape(-1, 2) / [real, imaginary]).reshape(-1)
        for name, (_, _, formula) in CONVENTIONS.items():
            if name != own:
                yield Reading(
                    "conjugate" if _is_conjugate(name, own) else "convention",
                    f'read as convention "{name}", {formula}, all of it agrees: expected "{own}", '
                    f"{CONVENTIONS[own][2]}",
                    self._slopes(raw, name),
                )

    def remarks(self, name: str) -> Iterator[str]:
        own = self.space.convention
        yield f'The gradient for {name} was read as {CONVENTIONS[own][2]}, convention "{own}".'


def _is_conjugate(one: str, other: str) -> bool:
    (a, b, _), (c, d, _) = CONVENTIONS[one], CONVENTIONS[other]
    return a == c and b == -d


class Inner(Space):
    """Arrays with an inner product of their own: the gradient g has <M g, d> = DJ[d]."""

    title = "inner"
    for_arrays = False

    def __init__(self, M: Any):
        self.M = M
        super().__init__(lambda p, d: p + d, project=lambda p, w: w)

    def at(self, point: Any, name: str) -> Chart:
        return InnerChart(self, point, name)

    def apply(self, g: Floats) -> Floats:
        """M g, for M a matrix, weights of the entries, a sparse matrix, or a function."""
        M = self.M
        if callable(M) and not hasattr(M, "shape"):
            return np.asarray(M(g), np.float64).reshape(-1)
        if np.ndim(M) == 2 or hasattr(M, "tocsr") or hasattr(M, "matvec"):
            return np.asarray(M @ g, np.float64).reshape(-1)
        return np.asarray(
            np.broadcast_to(M, g.shape if np.ndim(M) == 0 else np.shape(M)).reshape(-1) * g
        )

    def solve(self, g: Floats) -> Floats | None:
        """M^-1 g; None where M is too large or no matrix."""
        M = self.M
        if callable(M) and not hasattr(M, "shape"):
            return None
        if hasattr(M, "toarray"):
            M = M.toarray()
        if np.ndim(M) == 2 and not hasattr(M, "matvec"):
            return np.asarray(np.linalg.solve(M, g))
        return (
            None
            if np.ndim(M) > 1 or hasattr(M, "matvec")
            else np.asarray(g / self.apply(np.ones(g.size)))
        )


class InnerChart(Chart):
    """Arrays around their values, whose gradient is multiplied with M."""

    linear = True

    def __init__(self, space: Inner, point: Any, name: str):
        self.space, self.base, self.name = space, point, name
        array = np.asarray(point)
        if array.dtype.kind not in "iuf":
            raise TypeError(
                f"inner: {name} is {type(point).__name__}: expected an array of real numbers"
            )
        self.dtype = array.dtype if array.dtype.kind == "f" else np.dtype(np.float64)
        super().__init__(array.shape, np.asarray(array, np.float64).flatten())
        self._require_product()

    def _require_product(self) -> None:
        rng = np.random.default_rng(0)
        u, w = rng.standard_normal((2, self.origin.size))
        try:
            Mu, Mw = self.space.apply(u), self.space.apply(w)
        except ValueError as error:
            raise ValueError(
                f"inner: M does not fit {self.name}, which has {self.origin.size} entries: {error}"
            ) from error
        if Mu.shape != u.shape:
            raise ValueError(
                f"inner: M gives {Mu.size} numbers for the {u.size} of {self.name}: expected as many"
            )
        size = np.linalg.norm(u) * np.linalg.norm(Mw)
        if not abs(u @ Mw - w @ Mu) <= SAME * size:
            raise ValueError(
                f"inner: M is not symmetric: <u, M w> = {u @ Mw:.6g}, <w, M u> = {w @ Mu:.6g}: expected "
                "an inner product"
            )
        if not (u @ Mu > 0 and w @ Mw > 0):
            raise ValueError("inner: M is not positive definite: expected an inner product")

    def point(self, x: Floats) -> Any:
        return x.reshape(self.shape).astype(self.dtype, copy=False)

    def native(self, x: Floats) -> Any:
        return x.reshape(self.shape)

    def compiled(self) -> tuple[Any, Floats | None] | None:
        from fastgrad.spaces import retractions

        return retractions.arrays_of(len(self.shape), False), np.zeros(self.shape)

    def claimed(self, gradient: Any, what: str) -> tuple[Floats, float]:
        array: Array = numbers(gradient, what)
        require_shape(array, [self.shape], what, f"as {self.name} has")
        return self.space.apply(np.asarray(array, np.float64).reshape(-1)), rounding_of(array)

    def gradient(self, slopes: Floats) -> Any:
        found = self.space.solve(slopes)
        if found is None:
            raise ValueError(
                "inner: the gradient needs M^-1: expected M as a matrix, or as weights of the entries"
            )
        return found.reshape(self.shape).astype(self.dtype, copy=False)

    def values_of(self, given: Any, who: str) -> Floats:
        return pairs_of(np.asarray(given))

    def readings(self, slopes: Floats) -> Iterator[Reading]:
        raw = self.space.solve(slopes)
        if raw is not None:
            missing = (
                "it is without the weights of the inner product: read as the derivative by the "
            )
            yield Reading("without-weights", f"{missing}entries, all of it agrees", raw)
            wrong = self.space.solve(raw)
            if wrong is not None:
                said = "it was multiplied with the weights where it should be divided by them"
                yield Reading("weights-twice", f"{said}: read so, all of it agrees", wrong)
        twice = "it has the weights of the inner product twice: read so, all of it agrees"
        yield Reading("weights-twice", twice, self.space.apply(slopes))
