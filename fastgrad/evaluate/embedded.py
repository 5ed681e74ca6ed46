"""A numerical gradient that compiled code calls: an njit function made around an njit loss."""

# mypy: allow-untyped-defs

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload

from fastgrad.evaluate.kernels import fill_units
from fastgrad.evaluate.units import SETTINGS
from fastgrad.numerics.stencils import Stencil

SHORTENED = 16
"""How often a step is divided by 8 where the loss is not finite: 2^-17 down to 2^-65."""


def embedded(loss: Any, argnum: int, stencil: Stencil, step: float | None) -> Any:
    """An njit function of the arguments of the loss: its gradient by one of them.

    The parameters are an array of any shape, or a number; each entry is differenced as by
    `fastgrad.grad`. Nothing is raised: where the loss is not finite at any step, the slope is NaN.

    Parameters
    ----------
    loss : njit function
    argnum : int
    stencil : Stencil
    step : float or None
        The absolute step; None for that of the entry's unit.
    """
    before = [f"before{k}" for k in range(argnum)]
    given = ", ".join([*before, "theta", "*rest"])
    held = ", ".join([*before, "rest"])
    source = (
        "def slopes(row, theta, gradient, arguments):\n"
        f"    {held}{',' if not before else ''} = arguments\n"
        "    for i in range(row.size):\n"
        "        x, h = row[i], gradient[i]\n"
        "        for _ in range(SHORTENED):\n"
        "            gradient[i] = 0.0\n"
        "            for p in range(len(PLUS)):\n"
        "                above, below = x + PLUS[p] * h, x + MINUS[p] * h\n"
        "                row[i] = above\n"
        f"                up = loss({_call(before, 'shaped(row, theta)')})\n"
        "                row[i] = below\n"
        f"                down = loss({_call(before, 'shaped(row, theta)')})\n"
        "                gradient[i] += WEIGHT[p] * ((up - down) / (above - below))\n"
        "            row[i] = x\n"
        "            if isfinite(gradient[i]):\n"
        "                break\n"
        "            gradient[i] = nan\n"
        "            h /= 8.0\n"
        f"def gradient({given}):\n"
        "    row = flat(theta)\n"
        "    gradient = steps(row)\n"
        f"    slopes(row, theta, gradient, ({held},))\n"
        "    return shaped(gradient, theta)\n"
    )
    plus, minus, weight = zip(*stencil.pairs, strict=True)
    scope: dict[str, Any] = {
        "loss": loss,
        "flat": _flat,
        "shaped": _shaped,
        "steps": _steps(stencil.step, step),
        "isfinite": np.isfinite,
        "nan": np.nan,
        "SHORTENED": SHORTENED if step is None else 1,
        "PLUS": tuple(map(float, plus)),
        "MINUS": tuple(map(float, minus)),
        "WEIGHT": tuple(map(float, weight)),
    }
    exec(compile(source, "<fastgrad gradient>", "exec"), scope)
    scope["slopes"] = njit(nogil=True, error_model="numpy")(scope["slopes"])
    made = njit(nogil=True)(scope["gradient"])
    made.__name__ = f"gradient of {loss.__name__}"
    return made


def _call(before: list[str], theta: str) -> str:
    return ", ".join([*before, theta, "*rest"])


def _steps(unit_step: float, step: float | None) -> Any:
    """An njit function of theta: the step of each entry."""
    if step is not None:
        return njit(lambda row: np.full(row.size, step))

    @njit
    def steps(row):
        units = np.empty(row.size)
        fill_units(units, row, np.array([row.size]), np.empty(1, np.bool_), SETTINGS)
        return unit_step * units

    return steps


def _flat(theta):
    """A copy of theta as a flat array of floats."""


def _shaped(row, theta):
    """A flat array in the shape of theta."""


@overload(_flat)
def _flat_of(theta):
    if isinstance(theta, types.Array):
        return lambda theta: theta.astype(np.float64).copy().reshape(-1)
    if isinstance(theta, types.Float | types.Integer):
        return lambda theta: np.array([float(theta)])
    return None


@overload(_shaped)
def _shaped_like(row, theta):
    if isinstance(theta, types.Array) and theta.ndim == 1:
        return lambda row, theta: row
    if isinstance(theta, types.Array):
        return lambda row, theta: row.reshape(theta.shape)
    if isinstance(theta, types.Float | types.Integer):
        return lambda row, theta: row[0]
    return None
