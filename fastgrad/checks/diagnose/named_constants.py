"""Names of fitted constants: -1, 2, 1/2, m, 1/m and their products, and round decimals."""

from dataclasses import dataclass

import numpy as np

CLOSE = 1e-9
"""Relative slack of a name beside the constant's own tolerance: rounding of the fit."""
NAMEABLE = 3e-3
"""A constant known no better than this, relatively, may be anything."""
ROUND_DIGITS = 2
"""Round decimals have at most so many digits, and are believed if one in `ROUND_ODDS` is hit."""
ROUND_ODDS = 50.0


@dataclass(frozen=True)
class Constant:
    """A fitted constant: ``value`` is the exact one if it has a name, ``text`` how it is printed.

    ``meaning`` says what a named factor usually comes from; it is empty for others.
    """

    value: float
    text: str
    named: bool
    meaning: str = ""


def factor(value: float, tolerance: float, dims: tuple[int, ...]) -> Constant:
    """Name a factor of a gradient.

    Parameters
    ----------
    value, tolerance : float
        The fitted factor, and how far off it may be.
    dims : tuple of int
        Leading dimensions of the loss's arguments.
    """
    value, tolerance = float(value), float(tolerance)
    if tolerance > NAMEABLE * abs(value):
        return Constant(value, _digits(value, tolerance), False)
    for candidate, symbol, meaning in _factors(dims):
        if _near(value, candidate, tolerance):
            text = f"{candidate:.9g}"
            return Constant(candidate, f"{text} (= {symbol})" if symbol else text, True, meaning)
    return _rounded(value, tolerance)


def has_name(constant: Constant, dims: tuple[int, ...]) -> bool:
    """Whether a factor is -1, 2, 1/2, or made of m: more than a round decimal."""
    return any(constant.value == value for value, _, _ in _factors(dims))


def coefficient(value: float, tolerance: float, dims: tuple[int, ...]) -> Constant:
    """Name a weight such as lambda: a round decimal, or a round decimal over m."""
    plain = _rounded(float(value), float(tolerance))
    if plain.named:
        return plain
    for m in dims:
        scaled = _rounded(value * m, tolerance * m)
        if scaled.named:
            return Constant(scaled.value / m, f"{scaled.text}/{m}", True)
    return plain


def _factors(dims: tuple[int, ...]) -> list[tuple[float, str, str]]:
    found = [
        (-1.0, "", ""),
        (
            2.0,
            "",
            "perhaps the 2 of a square's derivative, or a 1/2 forgotten",
        ),
        (0.5, "1/2", "perhaps a 1/2 too much, or the 2 of a square's derivative forgotten"),
    ]
    for m in dims:
        said = f"m = {m} is the length of an argument of the loss"
        summed, averaged = (
            f"{said}: perhaps a sum for a mean",
            f"{said}: perhaps averaged twice",
        )
        found += [
            (float(m), "m", summed),
            (1 / m, "1/m", averaged),
            (2.0 * m, "2m", summed),
            (2 / m, "2/m", averaged),
            (m / 2, "m/2", summed),
            (0.5 / m, "1/(2m)", averaged),
        ]
        if m > 2:
            ddof = f"{said}: perhaps m - 1 for m"
            found += [(m / (m - 1), "m/(m - 1)", ddof), ((m - 1) / m, "(m - 1)/m", ddof)]
    signed = [(-value, f"-{symbol}" if symbol else "", why) for value, symbol, why in found[1:]]
    return found + signed


def _near(value: float, candidate: float, tolerance: float) -> bool:
    return abs(value - candidate) <= tolerance + CLOSE * abs(candidate)


def _rounded(value: float, tolerance: float) -> Constant:
    """The shortest decimal within the tolerance, if chance does not give it."""
    if value and np.isfinite(value):
        for digits in range(1, ROUND_DIGITS + 1):
            candidate = float(f"{value:.{digits - 1}e}")
            spacing = 10.0 ** (np.floor(np.log10(abs(value))) - digits + 1)
            if _near(value, candidate, tolerance) and ROUND_ODDS * tolerance <= spacing:
                return Constant(candidate, f"{candidate:.9g}", True)
    return Constant(value, _digits(value, tolerance), False)


def _digits(value: float, tolerance: float) -> str:
    """The number in as many digits as the tolerance leaves, six at most."""
    if not value or not tolerance:
        return f"{value:.6g}"
    known = int(np.clip(np.floor(np.log10(abs(value) / tolerance)), 1, 6))
    return f"{value:.{known}g}"
