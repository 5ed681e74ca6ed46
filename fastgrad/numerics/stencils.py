"""Difference stencils: where to evaluate, and how to combine the values."""

from dataclasses import dataclass, field

import numpy as np

from fastgrad.arrays import Floats


def second_difference(above: Floats, below: Floats, up: Floats, down: Floats) -> Floats:
    """S(s), free of the slope times what rounding of x made of the two steps.

    At f = sin(1e4 x) that is 1e4 times the noise of f.

    Parameters
    ----------
    above, below : ndarray
        f(x + up) - f(x) and f(x - down) - f(x).
    """
    return above + below - (above - below) / (up + down) * (up - down)


@dataclass(frozen=True)
class Stencil:
    """A weighted sum of divided differences of f.

    ``D = sum_p weight_p (f(x + plus_p h) - f(x + minus_p h)) / ((x + plus_p h) - (x + minus_p h))``,
    each divided by the step *really* taken in floating point.
    """

    name: str
    order: int
    pairs: tuple[tuple[int, int, float], ...]
    """``(plus, minus, weight)``, in multiples of h."""
    step: float
    """The default h at unit scale, a power of two near ``(A delta / (p C))^(1/(p+1))``."""

    multiples: tuple[int, ...] = field(init=False, repr=False, compare=False)
    """Multiples of h at which f is needed, other than 0."""
    unit_offsets: Floats = field(init=False, repr=False, compare=False)
    """The same as floats, shape (k,)."""
    needs_value: bool = field(init=False, repr=False, compare=False)
    """Whether f at theta itself is needed."""

    def __post_init__(self) -> None:
        needed = [k for plus, minus, _ in self.pairs for k in (plus, minus)]
        multiples = tuple(k for k in needed if k)
        offsets = np.array(multiples, np.float64)
        vars(self).update(multiples=multiples, unit_offsets=offsets, needs_value=0 in needed)

    @property
    def noise_gain(self) -> float:
        """sd of D over ``sigma / h``, for independent noise of sd sigma in each value."""
        return float(np.sqrt(sum(2 * (w / (p - m)) ** 2 for p, m, w in self.pairs)))

    @property
    def curvature_gain(self) -> float:
        """sd of `curvature` over that of ``S(h) / h^2``."""
        return float(np.sqrt(sum((w / p**2) ** 2 for p, _, w in self.pairs)))

    def offsets(self, h: Floats) -> Floats:
        """Offsets from x, shape (m, k), for steps of shape (m,)."""
        return h[:, None] * self.unit_offsets

    def combine(self, values: Floats, value: float, x: Floats, offsets: Floats) -> Floats:
        """The difference quotient, shape (m,).

        Parameters
        ----------
        values : ndarray, shape (m, k)
            f at x + ``offsets``.
        value : float
            f at theta itself, if the stencil needs it.
        x : ndarray, shape (m,)
        offsets : ndarray, shape (m, k)
        """
        total: Floats | None = None
        column = 0
        for plus, minus, weight in self.pairs:
            above: Floats | float = value
            below: Floats | float = value
            top = bottom = x
            if plus:
                above, top = values[:, column], x + offsets[:, column]
                column += 1
            if minus:
                below, bottom = values[:, column], x + offsets[:, column]
                column += 1
            slope = (above - below) / (top - bottom)
            term = slope if weight == 1.0 else weight * slope
            total = term if total is None else total + term
        assert total is not None
        return total

    def curvature(self, values: Floats, value: float, x: Floats, offsets: Floats) -> Floats:
        """f'' from what `combine` takes of a central stencil, shape (m,): weighted S(s) / s^2."""
        total = np.zeros(x.size)
        for k, (_, _, weight) in enumerate(self.pairs):
            up, down = (x + offsets[:, 2 * k]) - x, x - (x + offsets[:, 2 * k + 1])
            above, below = values[:, 2 * k] - value, values[:, 2 * k + 1] - value
            total += weight * second_difference(above, below, up, down) / up**2
        return total

    def combine_columns(self, changes: Floats, h: float) -> Floats:
        """The difference quotients of ``changes[j, c, s]``, shape (j, s).

        Parameters
        ----------
        changes : ndarray, shape (j, k, s)
            f at x + ``multiples[c]`` h, less f at x.
        h : float
        """
        total = np.zeros((changes.shape[0], changes.shape[2]))
        column = 0
        for plus, minus, weight in self.pairs:
            for multiple, sign in ((plus, 1.0), (minus, -1.0)):
                if multiple:
                    total += sign * weight / ((plus - minus) * h) * changes[:, column]
                    column += 1
        return total


# Weights: Fornberg (1988), Table 1, written as sums of central differences (Richardson).
# Steps: A delta / (p C) balanced for f, f^(p+1) of unit size; E* is 3e-8, 4e-11, 3.5e-13, 5e-14.
FORWARD = Stencil("forward", 1, ((1, 0, 1.0),), 2.0**-25)
BACKWARD = Stencil("backward", 1, ((0, -1, 1.0),), 2.0**-25)
CENTRAL = {
    2: Stencil("central", 2, ((1, -1, 1.0),), 2.0**-17),
    4: Stencil("central", 4, ((1, -1, 4 / 3), (2, -2, -1 / 3)), 2.0**-10),
    6: Stencil("central", 6, ((1, -1, 3 / 2), (2, -2, -3 / 5), (3, -3, 1 / 10)), 2.0**-7),
}


def stencil(method: str, order: int) -> Stencil:
    """The stencil of a method.

    Raises
    ------
    ValueError
        Naming what exists.

    Examples
    --------
    >>> stencil("central", 4).multiples
    (1, -1, 2, -2)
    """
    if method in ("forward", "backward"):
        if order != 2:
            raise ValueError(
                f'order={order!r} goes with method="central" alone; {method} has order 1'
            )
        return FORWARD if method == "forward" else BACKWARD
    if method != "central":
        raise ValueError(f'method={method!r}: expected "central", "forward" or "backward"')
    if order not in CENTRAL:
        raise ValueError(f"order={order!r}: central differences have order 2, 4 or 6")
    return CENTRAL[order]
