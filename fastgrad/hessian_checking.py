"""check_hessian and check_hvp: a loss and its second derivatives in, a verdict out."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from fastgrad.arrays import Floats, Indices
from fastgrad.checking import check_grad
from fastgrad.checks.bars_alone import judge_plainly
from fastgrad.checks.claim import Claim
from fastgrad.checks.diagnose import diagnose, evidence_of
from fastgrad.checks.domain_edges import about_edge, about_sides
from fastgrad.checks.matrix import asked, caller_of, dense_matrix, is_sparse
from fastgrad.checks.options import Options
from fastgrad.checks.outcome import Outcome
from fastgrad.checks.rules import Rule
from fastgrad.checks.summary import summarise
from fastgrad.differences.loss import Loss
from fastgrad.differences.measured import Measured
from fastgrad.differences.repeats import Repeats
from fastgrad.errors import MutatedInputError
from fastgrad.evaluate.compiling import Clock
from fastgrad.evaluate.explain import name_of
from fastgrad.evaluate.layer import require_functions, require_takes
from fastgrad.evaluate.protocol import Evaluator
from fastgrad.evaluate.units import Units
from fastgrad.hessians import Curvature, Curved
from fastgrad.jacobian_checking import swept_pairs
from fastgrad.parameters.bounds import Box
from fastgrad.parameters.layout import Layout
from fastgrad.parameters.operands import floating_leaves
from fastgrad.parameters.outputs import Outputs
from fastgrad.results import GradientCheck

ASYMMETRY = 1e-12
"""A Hessian is symmetric to this part of its largest entry, or its asymmetry is worth a number."""
FURTHEST = 2.0**-4 * 7
"""What second differences of the loss reach, in units."""
STREAM = 0x687670
"""Beside the seed, what draws vectors that a Hessian is multiplied with."""


def check_hessian(
    loss: Callable[..., Any],
    hess: Any,
    theta: Any,
    *args: Any,
    grad: Callable[..., Any] | None = None,
    trainable: Any = None,
    rtol: float = 1e-5,
    budget: float | None = 10.0,
    seed: int = 0,
    scale: Any = None,
    bounds: Any = None,
    backend: str = "auto",
    space: Any = None,
    executor: Any = None,
    checkpoint: Any = None,
) -> GradientCheck:
    """Is a Hessian right, and where is it wrong?

    With ``grad`` the gradient is checked first, then the Hessian against its differences, two calls an
    entry of theta; without it, against second differences of the loss. Whether the Hessian is symmetric
    is said by itself.

    Parameters
    ----------
    loss : callable
        ``loss(theta, *args) -> float``, as for `check_grad`.
    hess : callable, array, sparse matrix or structure
        The Hessian under test, ``hess(theta, *args)``, or its value: of shape (n, n) or
        ``theta.shape + theta.shape``, or a structure like theta of structures like theta.
    theta : number, array or structure of arrays
    grad : callable, optional
        ``grad(theta, *args)``.
    trainable, rtol, budget, seed, scale, bounds, backend, executor, checkpoint
        As of `check_grad`.
    space : Space, manifold, or structure of them by block, optional
        Where theta lives, as of `check_grad`. The Hessian is then that of ``loss(retract(theta, v))`` at
        v = 0: a row and a column for each coordinate, or for each entry of a theta that moves along its
        tangent space (in the inner product of the entries), for real and imaginary parts in turn of
        complex numbers. Where the retraction is of second order, as those of rotations, spheres and
        frames are, that is the Riemannian Hessian.

    Returns
    -------
    GradientCheck
        Its entries are named ``theta[0] / theta[3]``.

    Examples
    --------
    >>> def loss(x):
    ...     return float(x[0] ** 2 * x[1])
    >>> def hess(x):
    ...     return np.array([[2 * x[1], x[0]], [x[0], 0.0]])
    >>> report = check_hessian(loss, hess, np.array([1.0, 3.0]), backend="python")
    >>> report.verdict, report.entries[0].name
    ('disagrees', 'theta[0] / theta[1]')
    """
    shaped = {"trainable": trainable, "scale": scale, "bounds": bounds, "space": space}
    running = {"backend": backend, "executor": executor, "checkpoint": checkpoint}
    curved = Curved.of(loss, grad, theta, args, {**shaped, **running})
    options = Options(None, "sweep", budget, seed)
    return _checked(curved, partial(_check_matrix, hess), Rule(rtol), options)


def check_hvp(
    loss: Callable[..., Any],
    hvp: Callable[..., Any],
    theta: Any,
    *args: Any,
    grad: Callable[..., Any] | None = None,
    trainable: Any = None,
    rtol: float = 1e-5,
    budget: float | None = 10.0,
    seed: int = 0,
    scale: Any = None,
    bounds: Any = None,
    backend: str = "auto",
    executor: Any = None,
    checkpoint: Any = None,
) -> GradientCheck:
    """Is a product of the Hessian with a vector right? Along a random vector.

    Parameters
    ----------
    hvp : callable
        ``hvp(theta, v, *args)``, as scipy's ``hessp``: shaped like theta, as v is.
    loss, theta, grad, trainable, rtol, budget, seed, scale, bounds, backend, executor, checkpoint
        As of `check_hessian`; with a gradient some 50 calls of it in all.

    Examples
    --------
    >>> def loss(x):
    ...     return float(np.sum(x**4))
    >>> x = np.array([1.0, 2.0])
    >>> check_hvp(loss, lambda x, v: 12 * x**2 * v, x, backend="python").verdict
    'agrees'
    """
    shaped = {"trainable": trainable, "scale": scale, "bounds": bounds}
    running = {"backend": backend, "executor": executor, "checkpoint": checkpoint}
    curved = Curved.of(loss, grad, theta, args, {**shaped, **running})
    require_functions(hvp=hvp)
    require_takes(hvp, "(theta, v, *args)", 2 + len(args))
    options = Options(None, "sweep", budget, seed)
    return _checked(curved, partial(_check_product, hvp), Rule(rtol), options)


def _checked(
    curved: Curved,
    check: Callable[[Curved, Rule, Options], GradientCheck],
    rule: Rule,
    options: Options,
) -> GradientCheck:
    """The check of second derivatives, after that of the gradient, where there is one."""
    clock = Clock()
    with curved.through:
        failed, said = _gradient_first(curved, rule, options)
        if failed is not None:
            return failed
        report = check(curved, rule, options)
    remarks = (*said, *map(_of_hessian, report.remarks))
    return replace(report, remarks=remarks, seconds=clock.seconds, ran=clock.said(report.ran))


def _check_matrix(hess: Any, curved: Curved, rule: Rule, options: Options) -> GradientCheck:
    """The check of a Hessian, and whether it is symmetric."""
    layout, _ = curved.point()
    value = asked(hess, (curved.theta, *curved.args), curved.args)
    value = value.toarray() if is_sparse(value) else value
    example = layout.filled([np.zeros(block.shape) for block in layout.blocks])
    matrix, unit = dense_matrix(
        value, Outputs(example, layout), layout, caller_of(hess, "the Hessian")
    )
    report = _judged_matrix(curved, (matrix, unit), rule, options)
    remarks = (_symmetry(matrix, layout), *report.remarks)
    return replace(report, subject="Hessian", remarks=remarks)


def _check_product(hvp: Any, curved: Curved, rule: Rule, options: Options) -> GradientCheck:
    """The check of a Hessian's product with a vector, which is drawn."""
    layout, flat = curved.point()
    free, units = curved.free, curved.units
    v = np.random.default_rng([options.seed, STREAM]).standard_normal(flat.size) * units.entry
    if free is not None:
        v[~free] = 0.0
    if curved.box is not None:
        v = curved.box.turned(flat, v)
    claimed, unit = _product_under_test(curved, hvp, v)
    found = curved.product(v)
    if free is not None:
        claimed = np.where(free, claimed, 0.0)
    claim = Claim(claimed, np.full(len(layout.blocks), unit))
    outcome = judge_plainly(layout, claim, (found.value, found.bar), units.entry, rule)
    report = _reported(outcome, layout, claim, (units.entry, found), (rule, options))
    remarks = (*report.remarks, *_one_sided(curved, found))
    return replace(report, subject="hvp", remarks=remarks)


def _product_under_test(curved: Curved, hvp: Any, v: Floats) -> tuple[Floats, float]:
    """What ``hvp`` says of the product with v, and its rounding unit.

    Raises
    ------
    MutatedInputError, StructureMismatchError, TypeError
    """
    layout, _ = curved.point()
    given, rest = layout.rebuild(v.copy()), curved.args
    result = asked(lambda point, *args: hvp(point, given, *args), (curved.theta, *rest), rest)
    who, root = name_of(hvp), layout.root
    before = floating_leaves(layout.rebuild(v.copy()), root)
    for (path, old), (_, new) in zip(before, floating_leaves(given, root), strict=True):
        if not np.array_equal(old, new):
            raise MutatedInputError(
                f"{who} wrote to the vector v that it was given (that of {path}): whoever calls it may "
                "need v again; copy what it changes first"
            )
    if result is None:
        raise TypeError(
            f"{who} returned None: expected the product, shaped like theta (no return?)"
        )
    leaves = [np.asarray(leaf).dtype for _, leaf in floating_leaves(result, "")]
    unit = max((float(np.finfo(dtype).eps) for dtype in leaves), default=0.0)
    return layout.claimed_vector(result, f"what {who} returned"), unit


def _gradient_first(
    curved: Curved, rule: Rule, options: Options
) -> tuple[GradientCheck | None, tuple[str, ...]]:
    """The gradient's own report where it is not right, and what is said of it where it is."""
    if curved.grad is None:
        return None, ("Judged by second differences of the loss.",)
    first = check_grad(
        curved.loss,
        curved.grad,
        curved.theta,
        *curved.args,
        trainable=curved.options["trainable"],
        scale=curved.options["scale"],
        bounds=curved.options["bounds"],
        backend=curved.options["backend"],
        space=curved.options.get("space"),
        rtol=rule.rtol,
        budget=options.seconds,
        seed=options.seed,
        executor=curved.through.within("gradient"),
    )
    if first and curved.by_gradient:
        return None, (
            "Judged by differences of the gradient, which was checked first: it is right.",
        )
    if first:
        return None, (
            "Judged by second differences of the loss along the space; the gradient was checked first: "
            "it is right.",
        )
    said = "The gradient is checked first, and it is not right: the Hessian was not looked at."
    return replace(first, remarks=(*first.remarks, said)), ()


def _judged_matrix(
    curved: Curved, given: tuple[Floats, float], rule: Rule, options: Options
) -> GradientCheck:
    matrix, unit = given
    pairs, free, units = curved.pairs(), curved.free, curved.units
    if free is not None:
        matrix = np.where(free[:, None], matrix, 0.0)
    if curved.by_gradient:
        by_gradient = curved.gradient_run()
        report = swept_pairs(by_gradient, pairs, units, (matrix, unit), (rule, options))
        return replace(report, ran=by_gradient.ran)
    found, chosen = curved.matrix(), pairs.columns.first
    claim = Claim(pairs.vector(matrix[:, chosen]), np.full(len(pairs.blocks), unit))
    numeric = pairs.vector(found.value[:, chosen]), pairs.vector(found.bar[:, chosen])
    scale = pairs.vector(np.outer(units.entry, units.entry)[:, chosen])
    outcome = judge_plainly(pairs, claim, numeric, scale, rule)
    report = _reported(outcome, pairs, claim, (scale, found), (rule, options))
    return replace(report, remarks=(*report.remarks, *_one_sided(curved, found)))


def _one_sided(curved: Curved, found: Curvature) -> list[str]:
    """What to say of entries at bounds, near them, or at the edge of the domain of the loss."""
    layout, flat = curved.point()
    box = Box.unbounded(flat.size) if curved.box is None else curved.box
    sided = np.zeros(flat.size, np.bool_)
    sided[found.sided] = True
    near = sided & box.near(flat, FURTHEST * curved.units.entry)
    at_bound = box.at_bound(flat)[near]
    said = about_sides(np.flatnonzero(near), at_bound, layout)
    if (sided & ~near).any():
        said.append(about_edge(np.flatnonzero(sided & ~near), "on one side", layout))
    return said


def _reported(
    outcome: Outcome,
    layout: Layout,
    claim: Claim,
    known: tuple[Floats, Curvature],
    asked: tuple[Rule, Options],
) -> GradientCheck:
    """The report of values that were judged plainly."""
    units, found = known
    run = found.run
    loss = Loss(
        _Finished(run.evaluations, layout.size),
        layout,
        None,
        Units(units, np.ones(len(layout.blocks), np.bool_), units),
        Measured(Repeats(0.0), least=found.noise),
    )
    if outcome.verdict != "disagrees":
        return replace(summarise(outcome, loss, *asked), strategy="sweep", ran=run.ran)
    diagnoses = diagnose(evidence_of(outcome, loss, claim))
    return replace(summarise(outcome, loss, *asked, diagnoses), strategy="sweep", ran=run.ran)


class _Finished(Evaluator):
    """What is left of an evaluator when its work is done: how many evaluations it made."""

    structured = True

    def __init__(self, evaluations: int, size: int):
        # No parameters: laws of the error that need them must fail.
        super().__init__(np.random.default_rng(0).standard_normal(size))
        self.evaluations = evaluations

    def coordinates(self, indices: Indices, offsets: Floats) -> Floats:
        raise NotImplementedError("its work is done: nothing is evaluated any more")

    def along(self, direction: Floats, offsets: Floats) -> Floats:
        raise NotImplementedError("its work is done: nothing is evaluated any more")


def _symmetry(matrix: Floats, layout: Layout) -> str:
    """Whether the Hessian under test is symmetric, and where it is least."""
    largest = float(np.abs(matrix).max(initial=0.0))
    apart = np.abs(matrix - matrix.T)
    i, j = np.unravel_index(int(np.nan_to_num(apart, nan=np.inf).argmax()), matrix.shape)
    if apart[i, j] <= ASYMMETRY * largest:
        return "The Hessian under test is symmetric."
    a, b = layout.name(int(i)), layout.name(int(j))
    return (
        f"The Hessian under test is not symmetric: {a} / {b} is {matrix[i, j]:.6g}, {b} / {a} is "
        f"{matrix[j, i]:.6g}."
    )


def _of_hessian(remark: str) -> str:
    return remark.replace("gradient under test", "Hessian under test")
