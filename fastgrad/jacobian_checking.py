"""check_jacobian: a function of many outputs and its Jacobian in, a verdict out."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.checking import check_grad
from fastgrad.checks.block_checks import checked_block, overall
from fastgrad.checks.budget import Budget
from fastgrad.checks.claim import Claim
from fastgrad.checks.cut_short import judged_so_far
from fastgrad.checks.diagnose import diagnose, evidence_of
from fastgrad.checks.domain_edges import REACH
from fastgrad.checks.matrix import asked, caller_of, dense_matrix, is_sparse
from fastgrad.checks.options import Options
from fastgrad.checks.outcome import Outcome
from fastgrad.checks.rules import SEVERITY, Rule, Verdict
from fastgrad.checks.sparse import sparse_sweep
from fastgrad.checks.summary import summarise
from fastgrad.checks.sweep import sweep
from fastgrad.differences.pairs import pair_loss
from fastgrad.errors import ExecutorError
from fastgrad.evaluate.compiling import Clock
from fastgrad.evaluate.units import Units
from fastgrad.evaluate.vector import VectorEvaluator
from fastgrad.findings import Diagnosis
from fastgrad.jacobians import Question
from fastgrad.parameters.pairs import PairLayout
from fastgrad.results import GradientCheck

MOST_PAIRS = 1 << 22
"""Entries of a Jacobian judged one by one: some 160 bytes each."""
SCREENS = 2
"""Random cotangents that a screen takes."""
STREAM = 0x6A6163
"""Beside the seed, what draws them."""
LOCATED = 16
"""Columns of a Jacobian looked at one by one after a screen."""


def check_jacobian(
    fun: Callable[..., Any],
    jac: Any,
    x: Any,
    *args: Any,
    trainable: Any = None,
    rtol: float = 1e-5,
    strategy: str = "auto",
    budget: float | None = 10.0,
    seed: int = 0,
    step: Any = None,
    scale: Any = None,
    bounds: Any = None,
    backend: str = "auto",
    progress: bool = False,
    executor: Any = None,
    checkpoint: Any = None,
) -> GradientCheck:
    """Is a Jacobian right, and where is it wrong? Two evaluations of the function an input in all.

    Every entry, the slope of one output by one input, is judged as by `check_grad`, with the noise of
    its own output. Entries are named ``out[4] / x[2]``, ``out.residual[4] / W1[3, 17]``.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args)`` returns an array of floats or a structure of them: an njit function, a plain
        function that numba can compile, or any callable.
    jac : callable, array, sparse matrix or structure
        The Jacobian under test, ``jac(x, *args)``, or its value: an array of shape (outputs, inputs) or
        ``out.shape + x.shape``, a structure like the outputs of structures like x, or one of scipy's
        sparse arrays. Of a sparse one, inputs that no output shares are moved together, and entries
        that it wrongly leaves out are found.
    x : number, array or structure of arrays
        Where to check.
    trainable, rtol, seed, step, scale, bounds, backend, progress, executor, checkpoint
        As of `check_grad`.
    strategy : {"auto", "sweep", "screen"}
        ``"screen"`` checks random combinations of outputs along random directions, and looks at the
        inputs that these blame.
    budget : float or None
        Seconds to spend.

    Returns
    -------
    GradientCheck

    Raises
    ------
    StructureMismatchError, TypeError, ValueError
        The Jacobian is not shaped outputs x inputs, or something is not of its kind.

    Examples
    --------
    >>> def polar(x):
    ...     return np.array([x[0] * np.cos(x[1]), x[0] * np.sin(x[1])])
    >>> def jac(x):
    ...     c, s = np.cos(x[1]), np.sin(x[1])
    ...     return np.array([[c, -x[0] * s], [s, x[0]]])
    >>> report = check_jacobian(polar, jac, np.array([2.0, 0.5]), backend="python")
    >>> report.verdict, report.entries[0].name
    ('disagrees', 'out[1] / x[1]')
    """
    clock, rule = Clock(), Rule(rtol)
    if strategy not in ("auto", "sweep", "screen"):
        raise ValueError(f'strategy={strategy!r}: expected "auto", "sweep" or "screen"')
    shaped = {"trainable": trainable, "scale": scale, "bounds": bounds}
    running = {"backend": backend, "executor": executor, "checkpoint": checkpoint}
    question = Question.of(fun, x, args, shaped, running)
    options = Options(step, strategy, None if strategy == "sweep" else budget, seed, progress)
    with question.through:
        value = asked(jac, (x, *args), args)
        if is_sparse(value):
            report = _check_sparse(question, value, rule, options)
        else:
            given = dense_matrix(
                value, question.run.outputs, question.layout, caller_of(jac, "the Jacobian")
            )
            report = _check_dense(question, given, rule, options)
    return replace(
        report,
        subject="Jacobian",
        remarks=tuple(_of_jacobian(remark) for remark in report.remarks),
        seconds=clock.seconds,
        ran=clock.said(question.run.ran),
    )


def _check_dense(
    question: Question, given: tuple[Floats, float], rule: Rule, options: Options
) -> GradientCheck:
    """Judge all pairs, or those of the inputs that random cotangents blame."""
    matrix, unit = given
    budget = Budget(question.run.recorder, options.seconds)
    entries = question.entries
    with budget.timing():
        question.run.base()
    fits = budget.sweep_seconds(entries.size) <= budget.left()
    fits &= question.run.outputs.layout.size * entries.size <= MOST_PAIRS
    if options.strategy == "sweep" or (options.strategy == "auto" and fits):
        return _swept(question, question.pairs(), (matrix, unit), rule, (options, budget))
    screened, blamed = _screened(question, matrix, rule, options)
    near = _near_bounds(question)
    looked_at = np.union1d(sorted(blamed)[:LOCATED], near[:LOCATED]).astype(np.intp)
    if looked_at.size == 0:
        return screened
    pairs = question.pairs(looked_at)
    found = _swept(question, pairs, (matrix, unit), rule, (options, budget))
    verdict = min(screened.verdict, found.verdict, key=SEVERITY.index)
    return replace(
        found,
        verdict=verdict,
        strategy="screen",
        evaluations=screened.evaluations + found.evaluations,
        remarks=(
            *found.remarks,
            f"Random combinations of the outputs blame {len(blamed)} of {entries.size} inputs"
            + (f", of which {LOCATED} were looked at." if len(blamed) > LOCATED else "."),
            *_about_near(near),
        ),
    )


def _near_bounds(question: Question) -> Indices:
    """Inputs near a bound, which directions do not move."""
    run, box = question.run, question.run.box
    if box is None:
        return np.zeros(0, np.intp)
    near = box.near(run.theta, REACH * question.units.entry)
    return question.entries[near[question.entries]]


def _about_near(near: Indices) -> list[str]:
    if near.size == 0:
        return []
    left = f"; {near.size - LOCATED:,} of them were not" if near.size > LOCATED else ""
    return [f"Inputs near a bound are not seen by directions, and were looked at one by one{left}."]


def _swept(
    question: Question,
    pairs: PairLayout,
    given: tuple[Floats, float],
    rule: Rule,
    with_: tuple[Options, Budget],
) -> GradientCheck:
    """Judge pairs one by one, with the user's steps."""
    options, budget = with_
    chosen = replace(options, steps=question.steps(pairs, options.steps), seconds=budget.seconds)
    return swept_pairs(question.run, pairs, question.units, given, (rule, chosen))


def swept_pairs(
    run: VectorEvaluator,
    pairs: PairLayout,
    units: Units,
    given: tuple[Floats, float],
    asked: tuple[Rule, Options],
) -> GradientCheck:
    """Judge the pairs of a matrix one by one, and look for laws of what is wrong."""
    (matrix, unit), (rule, options) = given, asked
    loss = pair_loss(run, pairs, units, options.seed)
    values = pairs.vector(matrix[:, pairs.columns.first])
    claim = Claim(values, np.full(len(pairs.blocks), unit))
    budget = Budget(run.recorder, options.seconds)
    try:
        outcome = sweep(loss, claim, rule, budget, options)
    except ExecutorError as error:
        outcome = judged_so_far(loss, claim, rule, error)
    outcome = _zeros_agree(outcome, pairs)
    diagnoses: tuple[Diagnosis, ...] = ()
    if outcome.verdict == "disagrees":
        diagnoses = diagnose(evidence_of(outcome, loss, claim))
    report = summarise(outcome, loss, rule, options, diagnoses)
    return replace(report, strategy="sweep")


def _zeros_agree(outcome: Outcome, pairs: PairLayout) -> Outcome:
    """Pairs that do not depend on one another agree, however noisy the output is beside its others.

    Both the claim and the difference are exactly zero.
    """
    judged = outcome.judged
    assert judged is not None
    zero = (judged.analytic == 0) & (judged.numeric == 0)
    zero &= judged.verdict == Verdict.INCONCLUSIVE
    if not zero.any():
        return outcome
    verdict = np.where(zero, np.int8(Verdict.AGREES), judged.verdict)
    judged = replace(judged, verdict=verdict)
    blocks = tuple(checked_block(judged, pairs, b) for b in range(len(pairs.blocks)))
    return replace(outcome, verdict=overall(verdict), blocks=blocks, judged=judged)


def _screened(
    question: Question, matrix: Floats, rule: Rule, options: Options
) -> tuple[GradientCheck, set[int]]:
    """Random combinations of the outputs as losses, and the inputs that they blame."""
    fun, x, args = question.asked
    outputs, layout = question.run.outputs, question.layout
    rng = np.random.default_rng([options.seed, STREAM])
    checks, blamed = [], set()
    seconds = None if options.seconds is None else options.seconds / (2 * SCREENS)
    for k in range(SCREENS):
        c = rng.standard_normal(outputs.layout.size)

        def combination(x: Any, *args: Any, c: Floats = c) -> float:
            return float(np.sum(c * outputs.vector(fun(x, *args), "fun")))

        found = check_grad(
            combination,
            c @ matrix,
            x,
            *args,
            trainable=question.free,
            bounds=question.bounds,
            rtol=rule.rtol,
            strategy="screen",
            budget=seconds,
            seed=options.seed + k,
            backend="python",
            executor=question.through.within(f"combination {options.seed + k}"),
        )
        checks.append(found)
        of = {block.name: block for block in layout.blocks}
        for entry in found.entries:
            if entry.verdict == "disagrees":
                block = of[entry.block if entry.block in of else layout.blocks[0].name]
                blamed.add(
                    block.start + int(np.ravel_multi_index(entry.index, block.shape or (1,)))
                )
        if blamed:
            break
    worst = next((check for check in checks if not check), checks[-1])
    return replace(worst, evaluations=sum(check.evaluations for check in checks)), blamed


def _check_sparse(question: Question, matrix: Any, rule: Rule, options: Options) -> GradientCheck:
    """Judge the entries of the pattern, and look for others."""
    given = matrix, question.free
    return sparse_sweep(question.run, question.layout, question.units, given, rule, options)


def _of_jacobian(remark: str) -> str:
    return remark.replace("gradient under test", "Jacobian under test").replace(
        "checked by central differences", "checked by central differences of all outputs together"
    )
