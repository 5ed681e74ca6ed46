"""Names of fitted constants: -1, 2, 1/2, sizes that are in the data, units, 1/k, round decimals."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from fastgrad.checks.diagnose.known_numbers import LOSS, PARAMETER, Size

CLOSE = 1e-9
"""Relative slack of a name beside the constant's own tolerance: rounding of the fit."""
NAMEABLE = 3e-3
"""A constant known no better than this, relatively, may be anything."""
ROUND_DIGITS = 2
"""Round decimals have at most so many digits, and are believed if one in `ROUND_ODDS` is hit."""
ROUND_ODDS = 50.0
SURE_UNIT = 3e-5
"""A constant that is known this well, relatively, is compared with factors between units: of some 80
of either sign, over ten decades, one is hit by chance once in a thousand times at worst, where the
gradient is known to rtol alone; where its bar tells, some 1e-9, never."""
LARGEST_EXPONENT = 50.0
LARGEST_PART = 30
"""Ratios of two whole numbers up to this are named: 0.461538 is 6/13."""
SURE_RATIO = 1e-7
"""Such a ratio is believed from so many digits on: of some 300 one is hit once in 10,000 times."""
UNIT_DIGITS = 1e-6
"""Relative slack of physical constants: code has six or seven digits of them."""
LARGEST_INTEGER = 100_000
SURE_INTEGER = 1e-3
"""A constant that is so many units near an integer, or its inverse, by its own tolerance."""


CLOSE_TO_ONE = 1e-3
"""A ratio this near to 1 is told by its distance from it."""


@dataclass(frozen=True)
class Constant:
    """A fitted constant: ``value`` is the exact one if it has a name, ``text`` how it is printed.

    ``meaning`` says what a named factor usually comes from; it is empty for others.
    """

    value: float
    text: str
    named: bool
    meaning: str = ""
    usual: bool = False
    """Whether it is -1, 2, 1/2, made of m, or between units: more than a round decimal."""


def factor(value: float, tolerance: float, dims: tuple[Size, ...], ratios: bool = True) -> Constant:
    """Name a factor of a gradient.

    Parameters
    ----------
    value, tolerance : float
        The fitted factor, and how far off it may be.
    dims : tuple of Size
        What the data have so many of.
    ratios : bool
        Whether 6/13 is a name: not of one entry, whose two numbers may be round themselves.
    """
    value, tolerance = float(value), float(tolerance)
    if tolerance > NAMEABLE * abs(value):
        return Constant(value, _digits(value, tolerance), False)
    for candidate, symbol, meaning in _factors(dims):
        if _near(value, candidate, tolerance):
            text = f"{candidate:.9g}"
            named = f"{text} (= {symbol})" if symbol else text
            return Constant(candidate, named, True, meaning, usual=True)
    round_ = _as_part(_rounded(value, tolerance))
    return _unit(value, tolerance, dims) or (
        round_ if round_.named else _whole(value, tolerance, ratios) or round_
    )


def _as_part(constant: Constant) -> Constant:
    """A round decimal that is one over a whole number, with that: 0.02 as the mean over 50 leaves it."""
    if not constant.named or not 0 < abs(constant.value) < 1:
        return constant
    whole = round(1 / constant.value)
    if abs(whole) > LARGEST_INTEGER or abs(constant.value * whole - 1) > CLOSE:
        return constant
    sign = "-" if whole < 0 else ""
    return replace(constant, text=f"{constant.text} (= {sign}1/{abs(whole)})")


def is_whole(value: float, tolerance: float) -> bool:
    """Whether a factor is 2, 3, ..., one over it, or minus that, beyond chance."""
    return _integer(value, tolerance) is not None


def coefficient(value: float, tolerance: float, dims: tuple[Size, ...]) -> Constant:
    """Name a weight such as lambda: a round decimal, or a round decimal over m."""
    plain = _rounded(float(value), float(tolerance))
    if plain.named:
        return plain
    for m in (int(size.value) for size in dims if size.leads):
        scaled = _rounded(value * m, tolerance * m)
        if scaled.named:
            return Constant(scaled.value / m, f"{scaled.text}/{m}", True)
    return plain


def _factors(dims: tuple[Size, ...]) -> list[tuple[float, str, str]]:
    found = [
        (-1.0, "", ""),
        (
            2.0,
            "",
            "perhaps the 2 of a square's derivative, or a 1/2 forgotten",
        ),
        (0.5, "1/2", "perhaps a 1/2 too much, or the 2 of a square's derivative forgotten"),
    ]
    for m, symbol, said in dims:
        summed = f"{said}: perhaps a sum for a mean"
        averaged = f"{said}: perhaps a mean for a sum, or averaged twice"
        if symbol in (LOSS, PARAMETER):
            continue
        if not symbol:
            averaged = f"{said}: perhaps a mean for a sum"
            found += [
                (float(m), "", summed),
                (1 / m, f"1/{m}", averaged),
                (m**0.5, f"sqrt({m})", f"{said}, and this its root"),
                (m**-0.5, f"1/sqrt({m})", f"{said}, and this 1 over its root"),
            ]
            ddof = f"{said}: perhaps a factor k/(k - 1)"
            for up, down in ((m, m - 1), (m - 1, m)) if m > 2 else ():
                if up / down != float(f"{up / down:.3g}"):  # 1.25 and 0.8 need no reason
                    found.append((up / down, f"{up}/{down}", ddof))
            continue
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


UNITS = (
    (np.pi / 180, "pi/180", "degrees taken for radians"),
    (100.0, "100", "per cent"),
    (1e4, "1e4", "basis points"),
    (252.0, "252", "trading days of a year"),
    (252.0**0.5, "sqrt(252)", "the root of the trading days of a year"),
    (365.0, "365", "days of a year"),
    (365.25, "365.25", "days of a year"),
    (365 / 360, "365/360", "actual/360 for actual/365"),
    (360.0, "360", "days of a banker's year, or degrees of a turn"),
    (12.0, "12", "months of a year, or inches of a foot"),
    (60.0, "60", "minutes or seconds, or a number of rows"),
    (3600.0, "3600", "seconds of an hour"),
    (86400.0, "86400", "seconds of a day"),
    (1e3, "1e3", "a prefix of units, milli or kilo"),
    (1e6, "1e6", "a prefix of units, micro or mega"),
    (1e9, "1e9", "a prefix of units, nano or giga"),
    (1e12, "1e12", "a prefix of units, pico or tera"),
    (np.log(10), "ln 10", "log10 for the natural logarithm"),
    (np.log(2), "ln 2", "log2 for the natural logarithm, or a half-life for a rate"),
    (10 / np.log(10), "10/ln 10", "decibels"),
    (20 / np.log(10), "20/ln 10", "decibels of an amplitude"),
    (np.pi, "pi", ""),
    (2 * np.pi, "2 pi", "a frequency for an angular frequency"),
    (4 * np.pi, "4 pi", ""),
    (np.pi / 2, "pi/2", ""),
    ((2 * np.pi) ** 0.5, "sqrt(2 pi)", "the constant of a normal density"),
    (2.0**0.5, "sqrt(2)", ""),
    (np.e, "e", ""),
    (0.529177211, "0.529177", "bohr and angstrom"),
    (27.2113862, "27.2114", "hartree and electron volt"),
    (51.4220675, "51.4221", "hartree/bohr and electron volt/angstrom"),
    (13.6056931, "13.6057", "rydberg and electron volt"),
    (627.509474, "627.509", "hartree and kcal/mol"),
    (2625.49964, "2625.5", "hartree and kJ/mol"),
    (96.4853321, "96.4853", "electron volt and kJ/mol"),
    (23.0605478, "23.0605", "electron volt and kcal/mol"),
    (4.184, "4.184", "calorie and joule"),
    (8.31446262, "8.31446", "the gas constant"),
    (1.98720426, "1.98720", "the gas constant in cal/(mol K)"),
    (8.61733326e-5, "8.61733e-05", "Boltzmann's constant in eV/K"),
    (1.380649e-23, "1.380649e-23", "Boltzmann's constant"),
    (332.06371, "332.0637", "Coulomb's constant in kcal/mol, angstrom and elementary charges"),
    (14.3996448, "14.3996", "Coulomb's constant in eV, angstrom and elementary charges"),
    (138.935458, "138.935", "Coulomb's constant in kJ/mol, nm and elementary charges"),
    (160.217663, "160.218", "eV/angstrom^3 and GPa"),
    (1.60217663e-19, "1.60218e-19", "electron volt and joule"),
    (6.02214076e23, "6.02214e+23", "Avogadro's number"),
    (96485.3321, "96485.3", "Faraday's constant"),
    (9.80665, "9.80665", "standard gravity"),
    (101325.0, "101325", "atmosphere and pascal"),
    (760.0, "760", "atmosphere and torr"),
    (1.01325, "1.01325", "atmosphere and bar"),
    (0.0820573661, "0.0820574", "the gas constant in L atm/(mol K)"),
    (0.0831446262, "0.0831446", "the gas constant in L bar/(mol K)"),
    (219474.631, "219475", "hartree and wavenumbers"),
    (8065.54394, "8065.54", "electron volt and wavenumbers"),
    (2.54, "2.54", "inch and centimetre"),
    (0.3048, "0.3048", "foot and metre"),
    (1.609344, "1.60934", "mile and kilometre"),
    (0.45359237, "0.453592", "pound and kilogram"),
)
"""Factors that are forgotten between units, one way or the other."""


def _of_the_loss(dims: tuple[Size, ...]) -> Iterator[tuple[float, str, str]]:
    """What the derivative of a function of the loss differs by from the loss's own."""
    for J in (size.value for size in dims if size.symbol == LOSS):
        yield 2 * J, "2 J", "J is the loss: perhaps the derivative of its square"
        yield 0.5 / J, "1/(2 J)", "J is the loss, which is perhaps the square of what was derived"
        yield 1 / J, "1/J", "J is the loss: perhaps the derivative of its logarithm"
        yield J, "J", "J is the loss, which is perhaps the logarithm of what was derived"
        if J > 0:
            yield 0.5 / J**0.5, "1/(2 sqrt(J))", "J is the loss: perhaps the derivative of its root"
            yield 2 * J**0.5, "2 sqrt(J)", "J is the loss, perhaps the square of what was derived"
        if abs(J) < LARGEST_EXPONENT:
            yield np.exp(J), "exp(J)", "J is the loss, the logarithm of what was derived"
            yield np.exp(-J), "exp(-J)", "J is the loss, minus the logarithm of what was derived"


def _of_parameters(dims: tuple[Size, ...]) -> Iterator[tuple[float, str, str]]:
    """What is made of a parameter that is one number: a scale, or the logarithm of one."""
    for x, _, name in (size for size in dims if size.symbol == PARAMETER):
        said = f"{name} is {x:.6g}: perhaps left out of a product, or there twice"
        for power, text in ((1, name), (2, f"{name}**2")):
            yield x**power, text, said
            yield x**-power, f"1/{text}", said
        if abs(x) < LARGEST_EXPONENT:
            for power, text in ((1, name), (-1, f"-{name}"), (2, f"2 {name}"), (-2, f"-2 {name}")):
                yield np.exp(power * x), f"exp({text})", said


def _units() -> Iterator[tuple[float, str, str]]:
    for value, symbol, meaning in UNITS:
        inverse = f"1/({symbol})" if "/" in symbol or " " in symbol else f"1/{symbol}"
        inverse = "180/pi" if symbol == "pi/180" else inverse
        yield value, symbol, f"perhaps {meaning}" if meaning else "a factor of a formula"
        yield 1 / value, inverse, f"perhaps {meaning}" if meaning else "a factor of a formula"


def _unit(value: float, tolerance: float, dims: tuple[Size, ...]) -> Constant | None:
    """A factor between units, or of the loss, of either sign, where it is known well enough."""
    if tolerance > SURE_UNIT * abs(value):
        return None
    sign, size = "-" if value < 0 else "", abs(value)
    made = [
        (text, meaning)
        for candidate, text, meaning in _of_parameters(dims)
        if _near(size, abs(candidate), tolerance)
    ]
    is_round = float(f"{size:.{ROUND_DIGITS}g}") == size  # as many other things are
    if len({meaning for _, meaning in made}) == 1 and not is_round:
        text, meaning = made[0]
        return Constant(value, f"{value:.6g} (= {sign}{text})", True, meaning, usual=True)
    for size, symbol, meaning in (*_units(), *_of_the_loss(dims)):
        if abs(abs(value) - abs(size)) <= tolerance + UNIT_DIGITS * abs(size):
            sign = "-" if value < 0 else ""
            size = abs(size)
            exact = f"{sign}{size:.6g}"
            said = exact if exact == f"{sign}{symbol}" else f"{exact} (= {sign}{symbol})"
            return Constant(float(np.copysign(size, value)), said, True, meaning, usual=True)
    return None


def _integer(value: float, tolerance: float) -> Constant | None:
    """An integer k, or 1/k, that chance does not give."""
    if not value or not np.isfinite(value):
        return None
    inverse = abs(value) < 1
    k, near = (1 / value, tolerance / value**2) if inverse else (value, tolerance)
    whole = float(np.round(k))
    exact = near <= SURE_INTEGER and abs(k - whole) <= near + CLOSE * abs(k)
    if not exact or not 2 <= abs(whole) <= LARGEST_INTEGER:
        return None
    if inverse:
        sign = "-" if whole < 0 else ""
        return Constant(1 / whole, f"{sign}1/{abs(whole):.0f}", True)
    return Constant(whole, f"{whole:.0f}", True)


def _whole(value: float, tolerance: float, ratios: bool) -> Constant | None:
    """An integer, one over an integer, or a ratio of two small ones."""
    whole = _integer(value, tolerance)
    sure = ratios and np.isfinite(value) and tolerance <= SURE_RATIO * abs(value)
    if whole is not None or not sure:
        return whole
    ratio = Fraction(value).limit_denominator(LARGEST_PART)
    near = abs(value - float(ratio)) <= tolerance + CLOSE * abs(value)
    if not near or not 1 < abs(ratio.numerator) <= LARGEST_PART:
        return None
    short = float(ratio) == float(f"{float(ratio):.3g}")
    text = f"{value:.6g}" if short else f"{value:.6g} (= {ratio.numerator}/{ratio.denominator})"
    return Constant(float(ratio), text, True)


def beside_one(value: float, digits: int = 4) -> str:
    """A ratio in words that show how far it is from 1."""
    off = value - 1.0
    if off and abs(off) < CLOSE_TO_ONE:
        return f"1 {'+' if off > 0 else '-'} {abs(off):.2g}"
    return f"{value:.{digits}g}"


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
