"""Triples of entries whose norms are right and whose directions are not: a gradient in another frame."""

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.checks.diagnose.case import SHOWS, Case
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.numerics.norms import norm

AXES = 3
EXACT_OF_ONE, EXACT_OF_SEVERAL = 1e6, 1e3
"""Norms are equal by no accident if they are so many of their bars, of one triple or of more."""
SEVERAL = 2


def turned(case: Case) -> Finding | None:
    """The norm of every three entries is right, and the direction is not."""
    if case.chart is not None or not case.complete or not case.shape or case.shape[-1] % AXES:
        return None
    a, D = case.a.reshape(-1, AXES), case.D.reshape(-1, AXES)
    bar = case.bar.reshape(-1, AXES) + case.unit * np.abs(a)
    slack = np.sqrt(AXES) * np.linalg.norm(bar, axis=1)
    sizes = np.linalg.norm(D, axis=1)
    told = sizes > SHOWS * slack
    exact = EXACT_OF_ONE if np.count_nonzero(told) < SEVERAL else EXACT_OF_SEVERAL
    if not told.any() or np.any(sizes[told] <= exact * slack[told]):
        return None
    if np.any(np.abs(np.linalg.norm(a, axis=1) - sizes) > slack):
        return None
    if np.all(np.abs(np.abs(a) - np.abs(D)) <= SHOWS * slack[:, None]):  # signs, and no turn
        return None
    angle = _one_rotation(a, D, bar) if np.count_nonzero(told) >= SEVERAL else None
    how = "" if angle is None else f", all by one rotation, of {angle:.4g} degrees"
    clause = (
        f"in every three entries the norm is right and the direction is not{how}: it is in another "
        "frame (the world's for the body's, or turned by a rotation that was transposed); if these are "
        "rotations or poses, say so by space=, and the frame is named"
    )
    return Finding(("frame",), {} if angle is None else {"degrees": angle}, clause)


def _one_rotation(a: Floats, D: Floats, bar: Floats) -> float | None:
    """The angle of the rotation that takes all of D to a; None if none does (Kabsch's algorithm)."""
    u, _, v = np.linalg.svd(D.T @ a)
    Q = u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ v))]) @ v
    if np.any(np.linalg.norm(D @ Q - a, axis=1) > SHOWS * np.linalg.norm(bar, axis=1)):
        return None
    sine = norm(np.array([Q[2, 1] - Q[1, 2], Q[0, 2] - Q[2, 0], Q[1, 0] - Q[0, 1]])) / 2
    return float(np.degrees(np.arctan2(sine, (np.trace(Q) - 1) / 2)))
