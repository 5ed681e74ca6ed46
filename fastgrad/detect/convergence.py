"""The h/10 table: the error of a difference against its step, along the worst direction."""

import numpy as np

from fastgrad.evaluate import Evaluator
from fastgrad.params import Floats
from fastgrad.results import Convergence, ConvergenceRow

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


def convergence(
    run: Evaluator, direction: Floats, slope: float, sigma: float, bar: float
) -> Convergence:
    """Errors of central differences along a direction, for steps from 1e-1 to 1e-9.

    Parameters
    ----------
    direction : ndarray, shape (n,)
    slope : float
        The directional derivative that the gradient under test claims.
    sigma : float
        sd of the noise of the loss.
    bar : float
        Rounding of ``slope`` itself.
    """
    steps = np.array(STEPS)
    values = run.along(direction, np.concatenate([steps, -steps]))
    errors = np.abs((values[: steps.size] - values[steps.size :]) / (2 * steps) - slope)
    floors = 6 * sigma / (np.sqrt(2.0) * steps) + bar
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
