"""Why is a gradient wrong? Laws of its error, block by block.

With a the gradient under test, D the difference quotients and B their bars, a law is a formula for
D in terms of a and theta. It is named only if **every** sampled residual lies within its bar, the
least complex law first, and only if half of the wrong samples are wrong by 100 bars. A law is a
function ``Case -> Finding | None``; `laws.LAWS` lists them in order.

The vocabulary of ``Diagnosis.law``, with the names of its constants in parentheses. Where a block
has several, they are joined by ``+``, as in ``transposed+missing-l2``. The analytic gradient is...

zero
    zero in every entry.
not-finite (entries)
    infinite or NaN in some entries.
rounded
    right to the digits of float32, float16, bfloat16, or a few decimals.
sign (factor), scale (factor)
    -1 times, or a factor times, the numerical one.
missing-l2, extra-l2 (lambda); missing-l1, extra-l1 (lambda1)
    without ``lambda * theta`` (``lambda1 * sign(theta)``), or with that much of it too much.
offset (offset)
    wrong by the same number in every entry.
scale+l2, sign+l2 (factor, lambda); scale+l1, sign+l1 (factor, lambda1)
    ``factor * D + lambda * theta`` (``sign(theta)``). Either the data's part alone is scaled and
    the penalty is right, or all is scaled and the penalty is wrong: numbers cannot tell.
transposed, memory-order, reversed, rolled (shift)
    the right one transposed, reshaped in another memory order, reversed along rows, columns or
    both, or off by one (by ``shift``, in memory). With ``right-l2`` (lambda) this is so but for its
    L2 term, which stands where it should.
swapped, copied
    that of another block of the same size, which has this one's, or is right.
permuted (moved), misplaced (blocks)
    right, but with its values in other places of the block, or in other blocks.
theta, only-l2 (lambda)
    theta itself, or ``lambda * theta``, without the data's part.
repeated (value, axis)
    one number, one row or one column over and over.
spurious
    not zero where the loss does not depend on the block.
absolute, rectified, sign-only, squared
    ``|D|``, ``max(D, 0)`` or ``min(D, 0)``, ``sign(D)``, ``D**2``.
clipped (limit), not-clipped (limit)
    cut off at a limit; or goes on where the loss's is cut off.
entry-weights (entries)
    a whole number of its own times the numerical one in some entries, or one over it.
line-scale (axis, min, max)
    scaled by a factor of its own in every row, or column.
line-offset (axis), marginal-offset
    with a constant of its own too much in every row, or column; or one for each of both.
softmax-diagonal, softmax-sum (axis)
    that by a softmax of theta with the diagonal of its Jacobian alone; or a multiple of softmax(theta)
    too much in every line.
normalisation (axis)
    with a constant and a multiple of theta too much in every line, where the loss is free of shifts.
at-zero, branch (entries)
    right, but where theta is exactly 0; or but on one side of a value of theta.
masked (entries)
    right, but for entries on which the loss does not depend: dropout, a clip, a ReLU.
conjugate
    of the wrong sign in every second entry; of complex theta, its conjugate.
frame (degrees), exchanged-halves, degrees (factor)
    right, by a rotation or pose in another frame, order or unit than its space has; without a space,
    right but for a turn of every three entries.
normal-part (norm, part)
    right but for a part that is normal to the tangent space.
metric, convention, without-weights, weights-twice, one-triangle
    right, in another inner product, another convention of complex numbers, or one triangle.
smeared (entries, largest)
    the projection of one that is wrong in single entries.
triangle, off-diagonal (factor)
    that by a symmetric matrix, where the loss reads one triangle; right on the diagonal, and twice or
    half of it elsewhere.
change-of-variables (sign)
    the derivative by log(theta), exp(theta), softplus(theta), ...
factor-of-theta (factor)
    the numerical one times a function of theta, entry by entry, and a constant.
function-of-theta (weight)
    with a multiple of exp(theta), theta**2, ... too much: a function of each entry's own parameter.
hessian, newton, times-hessian
    the second derivative; the first over the second; the first times the second.
not-projected (lambda), not-scale-free, not-shift-free, not-rotation-free (largest)
    not 0 where the loss does not change: along theta or ones alone; with lengths; when all is
    shifted, or rotated.
constant, unread (blocks), linear-term (largest), entry-factors (min, max), radial (weight)
    the same elsewhere; the same when a block changes; off by the same numbers, or by the same factors,
    elsewhere; or by another multiple of theta (`fastgrad.checks.away_from_theta`).
another-loss (mixed, of_the_loss)
    that of another function (`fastgrad.checks.away_from_theta`).
unused
    whatever it is: the loss does not change with theta at all.
biased (bias, standard_error)
    off in the mean over seeds (`fastgrad.checks.seeds`).
wrong-range (start, stop)
    right, but for a range or a box.
wrong-blocks (blocks)
    right, but for the blocks on the diagonal of a matrix, or for all but these.
wrong-row, wrong-column, wrong-axis2, ..., wrong-entries
    right, or as the words before say, but for these, where it obeys no law.
unexplained (cosine, norm_ratio)
    wrong in none of these ways.
tolerance (size)
    off by errors of one small size, everywhere and without a law (`fastgrad.checks.tolerance`).
ties (entries, claimed)
    no subgradient along entries that share a kink (`fastgrad.checks.ties`).
stale, accumulates, random (first, second, third)
    not one gradient: what it says at one theta depends on where the loss was evaluated last, grows
    from call to call, or varies (`fastgrad.checks.repeated_answers`).

A law of some rows, columns or entries only says which: ``row``, ``column``, ``axis2``, or how many:
``rows``, ``columns``, ``entries``, are among its constants.
"""

from collections.abc import Sequence

import numpy as np

from fastgrad.checks.diagnose.case import case_of
from fastgrad.checks.diagnose.evidence import Evidence, evidence_of
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.checks.diagnose.known_numbers import Size, numbers_of, sizes_of
from fastgrad.checks.diagnose.laws import explain
from fastgrad.checks.diagnose.several_blocks import shared
from fastgrad.checks.diagnose.where_to_start import start_here
from fastgrad.findings import Diagnosis

__all__ = ["Evidence", "diagnose", "evidence_of"]

L2_TERMS = {"missing-l2", "extra-l2", "l2"}
"""Words of laws with an L2 term."""


def diagnose(
    evidence: Sequence[Evidence],
    dims: Sequence[int | Size] = (),
    rtol: float = 0.0,
    value: float = 0.0,
) -> tuple[Diagnosis, ...]:
    """Why do the blocks disagree that do? One diagnosis for each of them.

    Parameters
    ----------
    evidence : sequence of Evidence
        All blocks, in the order in which the loss applies them.
    dims : sequence of int or Size
        Lengths of the arrays that the loss reads, for constants such as 1/m.
    rtol : float
        A law that holds within so much of the gradient holds.
    value : float
        The loss at theta, for what is the derivative of its square, root or logarithm.

    Examples
    --------
    >>> g, w = np.array([0.3, -1.2, 0.7, 2.1]), np.array([1.0, 2.0, -1.0, 0.5])
    >>> block = Evidence("w", (4,), w, g - 0.01 * w, np.arange(4), g, np.full(4, 1e-10), False)
    >>> print(diagnose([block])[0].sentence)
    w: the analytic gradient is the numerical one minus 0.01 * w: the L2 term (lambda = 0.01) is...
    """
    everywhere = _unused(evidence)
    failing = [block for block in evidence if not block.agrees]
    numbers = numbers_of((b.name, float(b.theta[0])) for b in evidence if b.theta.size == 1)
    cases = []
    for block in failing:
        sizes = sizes_of(dims, block.name, block.shape, value)
        # A number has laws of its own parameter, of which round values of others may be look-alikes.
        sizes += numbers if block.theta.size > 1 else ()
        cases.append(case_of(block, [b for b in evidence if b is not block], sizes))
    laws = shared(cases, [everywhere or explain(case, rtol) for case in cases], rtol)
    start = None if everywhere else start_here(evidence)
    found = []
    for block, law in zip(failing, laws, strict=True):
        stop = "" if law.clause.endswith("?") else "."
        sentence = f"{law.clause}{stop}"
        if L2_TERMS.intersection(law.words):
            sentence += _hidden(law, evidence)
        if not law.clause.startswith(f"{block.name}["):
            sentence = f"{block.name}: {sentence}"
        if start and start[0] == block.name:
            sentence += f" {start[1]}"
        found.append(Diagnosis(block.name, law.law, law.constants, sentence))
    return tuple(found)


def _unused(evidence: Sequence[Evidence]) -> Finding | None:
    """The law of every block, where no difference of the loss is anything but 0."""
    known = [block.numeric for block in evidence]
    if sum(D.size for D in known) == 0 or any(np.any(D) for D in known):
        return None
    if any(block.moves for block in evidence):
        return None
    names = ", ".join(block.name for block in evidence[:3])
    names += f" and {len(evidence) - 3} more blocks" if len(evidence) > 3 else ""
    clause = f"the loss does not change with {names} at all: does it use its argument?"
    return Finding(("unused",), {}, clause)


def _hidden(law: Finding, evidence: Sequence[Evidence]) -> str:
    """What a law with an L2 term cannot tell: a smaller lambda, and penalties that zeros hide."""
    text = ""
    if "missing-l2" in law.words and "norm(" not in law.clause:
        text = " (An L2 term that is there, but too small by this lambda, looks the same.)"
    hidden = [b.name for b in evidence if b.agrees and not np.any(b.theta)]
    if hidden:
        text += (
            f" {', '.join(hidden)} {'is' if len(hidden) == 1 else 'are'} all zero, which hides such "
            "an error there."
        )
    return text
