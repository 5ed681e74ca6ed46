"""The h/10 table: the error of a difference against its step, along the worst direction."""

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.claim import Claim
from fastgrad.checks.outcome import Judged
from fastgrad.differences.confined import Confined
from fastgrad.differences.loss import Loss
from fastgrad.findings import ConvergenceRow
from fastgrad.numerics.quotients import Quotients
from fastgrad.results import Convergence

STEPS = tuple(10.0**-k for k in range(1, 10))
"""Eight decades; decimal, as in the books."""

READINGS = {
    "truncation": "falls by 100: truncation, the gradient is right so far",
    "wrong": "stays: the gradient is wrong by this much",
    "noise": "at the noise of the loss: says nothing",
    "kinks": "irregular: a kink of the loss",
    "start": "",
}
SUMMARIES = {
    "truncation": "The error falls by 100 for each step 10 times smaller, until noise: the gradient "
    "is right along this direction.",
    "wrong": "The error settles at {error:.2g} however small the step: the gradient is wrong along "
    "this direction.",
    "noise": "Every error is at the noise of the loss: the gradient is right along this direction "
    "as far as differences can tell.",
    "kinks": "The error is irregular: the loss has kinks along this direction.",
}


def convergence(loss: Loss, claim: Claim, judged: Judged | None) -> Convergence:
    """The table along the residual, or along everything where none is known, in units of theta."""
    indices = np.arange(loss.theta.size) if judged is None else judged.indices
    a = np.nan_to_num(claim.values[indices], posinf=0.0, neginf=0.0)
    residual = np.zeros(a.size) if judged is None else a - judged.numeric
    residual = np.where(np.isfinite(residual), residual, 0.0)
    unit = loss.units.entry[indices]
    largest = np.abs(residual * unit).max(initial=0.0)
    direction = np.zeros(loss.theta.size)
    direction[indices] = (residual * unit / largest if largest else 1.0) * unit
    if isinstance(loss.run, Confined):
        direction = loss.run.box.turned(loss.theta, direction)
    claimed = a * direction[indices]
    rounding = float(np.finfo(np.float64).eps * np.abs(claimed).sum())
    return errors_along(loss, direction, float(claimed.sum()), rounding)


def errors_along(loss: Loss, direction: Floats, slope: float, bar: float) -> Convergence:
    """Errors of central differences along a direction, for steps from 1e-1 to 1e-9.

    Parameters
    ----------
    direction : ndarray, shape (n,)
    slope : float
        The directional derivative that the gradient under test claims.
    bar : float
        Rounding of ``slope`` itself.
    """
    steps = np.array(STEPS)
    offsets, noise = np.concatenate([steps, -steps]), loss.noise
    if isinstance(loss.run, Confined):
        values, noise = loss.run.continued_along(direction, offsets), noise * loss.run.gain
    else:
        values = loss.along(direction, offsets)
    values = values.reshape(2, -1)
    found = Quotients.central(values.T, steps, noise)
    errors, floors = np.abs(found.D - slope), found.bar + bar
    rows, kinds = [], []
    for k, (h, error) in enumerate(zip(steps, errors, strict=True)):
        ratio = float(errors[k - 1] / error) if k and error else float("nan")
        kind = _reading(ratio, float(error), float(floors[k]), first=k == 0)
        kinds.append(kind)
        rows.append(ConvergenceRow(float(h), float(error), ratio, READINGS[kind]))
    summary = _summary(kinds)
    settled = [row.error for row, kind in zip(rows, kinds, strict=True) if kind == "wrong"]
    return Convergence(
        tuple(rows), SUMMARIES[summary].format(error=settled[-1] if settled else np.nan)
    )


def _reading(ratio: float, error: float, floor: float, first: bool) -> str:
    if error <= floor:
        return "noise"
    if first or not np.isfinite(ratio):
        return "start"
    if 30 <= ratio <= 300:
        return "truncation"
    return "wrong" if 0.9 <= ratio <= 1.1 else "kinks"


def _summary(kinds: list[str]) -> str:
    """Settling beats falling; what is neither counts where nothing else was seen to the end."""
    if kinds.count("wrong") >= 2:
        return "wrong"
    if "truncation" in kinds:
        return "truncation"
    return "kinks" if "kinks" in kinds else "noise"
