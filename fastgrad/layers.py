"""check_vjp and check_jvp: a layer, and its backward pass or forward-mode rule in, a verdict out."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from fastgrad.adjoints import has_complex_leaves, named, real_view, said_of_adjoint, transposed
from fastgrad.arrays import Floats
from fastgrad.checking import check_grad
from fastgrad.checks.directional import check_along, is_off
from fastgrad.checks.options import Options
from fastgrad.checks.outputs import is_linear, sentences
from fastgrad.checks.rules import Rule
from fastgrad.checks.summary import worst_of
from fastgrad.cluster.campaign import Campaign, campaign
from fastgrad.differences.domain import edges_of
from fastgrad.differences.pairs import Directional
from fastgrad.dispatchers import is_njit
from fastgrad.errors import LossCompilationError
from fastgrad.evaluate.backends import require_backend
from fastgrad.evaluate.compiling import Clock
from fastgrad.evaluate.explain import in_python, name_of
from fastgrad.evaluate.layer import STREAM, Layer, Pushforward, inputs_of
from fastgrad.evaluate.protocol import Inputs
from fastgrad.evaluate.signature import argument_name
from fastgrad.evaluate.units import Units
from fastgrad.evaluate.vector import VectorEvaluator
from fastgrad.evaluate.vector_backends import vector_evaluator
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.parameters.bounds import bounds_of
from fastgrad.parameters.layout import Layout, flatten
from fastgrad.results import GradientCheck
from fastgrad.spaces.placed import spaces_of


def check_vjp(
    fun: Callable[..., Any],
    vjp: Callable[..., Any],
    *inputs: Any,
    argnums: Any = None,
    cache: bool = False,
    cotangents: int = 1,
    rtol: float = 1e-5,
    strategy: str = "auto",
    budget: float | None = 10.0,
    seed: int = 0,
    step: Any = None,
    scale: Any = None,
    bounds: Any = None,
    backend: str = "auto",
    space: Any = None,
    progress: bool = False,
    executor: Any = None,
    checkpoint: Any = None,
) -> GradientCheck:
    """Is the backward pass of a layer right, for which inputs not, and for which outputs?

    With c a random cotangent, shaped like the outputs, ``vjp(c, *inputs)`` must be the gradient of
    ``<c, fun(*inputs)>``: every entry of every input is judged as by `check_grad`, two calls of ``fun``
    each. Entries are named by the parameters of ``fun``: ``x[0, 3]``, ``w[2, 1]``.

    Parameters
    ----------
    fun : callable
        ``fun(*inputs)`` returns an array of floats or a structure of them; with ``cache=True``
        ``(out, cache)``, as courses teach it.
    vjp : callable
        ``vjp(cotangent, *inputs)``, or ``vjp(cotangent)`` where an object keeps what it needs; with
        ``cache=True`` ``vjp(cotangent, cache)``. The cotangent is shaped like ``out``. It returns a
        tuple of one gradient for each input (or for each one checked), a dict by their names, or, of
        one input, its gradient. ``fun`` is called before each call of it, at the same inputs.
    *inputs : array, number, or structure of them
        Where to check. Whatever is not made of floating numbers is a constant: integers, masks,
        strings, configurations.
    argnums : int, str, or sequence of them, optional
        Which inputs to check, by position or name; by default all that are floating.
    cache : bool
    cotangents : int
        How many random cotangents to check with.
    rtol, strategy, budget, seed, step, scale, bounds, progress, executor, checkpoint
        As of `check_grad`; what is shaped like theta is a dict by the names of the inputs. Workers call
        ``fun`` alone.
    backend : {"auto", "compiled", "python"}
        ``"auto"`` evaluates an njit ``fun`` of arrays and numbers in compiled threads, and calls any
        other from Python; ``"compiled"`` compiles a plain ``fun``, too. ``vjp`` is called from Python.
    space : Space, manifold, or structure of them by the names of the inputs, optional
        Where inputs live that are not in R^n, as of `check_grad`: ``space={"R": fg.spaces.rotation()}``.
        The function is called with points, of any type, and what ``vjp`` returns for such an input is a
        gradient as the space has it.

    Returns
    -------
    GradientCheck
        A block that fails for some of the outputs alone says for which.

    Raises
    ------
    MutatedInputError
        ``fun`` or ``vjp`` wrote to the inputs or to the cotangent.
    StructureMismatchError, TypeError, ValueError
        What ``vjp`` returned is not shaped like the inputs, or something is not of its kind.

    Notes
    -----
    Complex inputs and outputs are read as pairs of reals: the scalar is ``Re <c, fun(x)>``, and what is
    expected for ``fun(x) = A x`` is ``A.H c``. Of a linear map of one input the report says whether the
    two are adjoint, ``<Ax, y> = <x, A*y>``.

    Examples
    --------
    >>> def affine(x, w, b):
    ...     return x @ w + b
    >>> def backward(dout, x, w, b):
    ...     return dout @ w.T, x.T @ dout, dout[0]
    >>> x, w, b = np.ones((4, 3)), np.arange(6.0).reshape(3, 2), np.zeros(2)
    >>> report = check_vjp(affine, backward, x, w, b)
    >>> report.verdict, [block.name for block in report.blocks if block.verdict == "disagrees"]
    ('disagrees', ['b'])
    """
    if not isinstance(cotangents, int) or cotangents < 1:
        raise ValueError(f"cotangents={cotangents!r}: expected a number of them, from 1")
    by_name = {argument_name(fun, k): value for k, value in enumerate(inputs)}
    spaces = spaces_of(space, by_name)
    view = None if cache else real_view(fun, vjp, inputs, spaces)
    given = inputs
    if view is not None:
        fun, vjp, inputs = view
    require_backend(backend)
    layer = Layer.of(fun, vjp, inputs, argnums, cache, spaces)
    options = {"rtol": rtol, "strategy": strategy, "seed": seed, "step": step, "scale": scale}
    options |= {"bounds": bounds, "progress": progress}
    options["budget"] = None if budget is None else budget / cotangents
    through = campaign(
        executor,
        checkpoint,
        layer.fun,
        lambda: inputs_of(layer.operands),
        {"cache": cache},
    )
    here = executor is None and checkpoint is None
    if backend == "auto" and not (here and is_njit(layer.fun)):
        backend = "python"
    with through:
        checks = [
            _check_with(
                layer,
                backend,
                layer.cotangent(seed + k),
                {**options, "executor": through.within(f"cotangent {seed + k}")},
            )
            for k in range(cotangents)
        ]
    if not cache and layer.operands.space is None:
        of_complex = any(map(has_complex_leaves, given))
        checks = [
            _as_map(check, layer, layer.cotangent(seed + k), of_complex)
            for k, check in enumerate(checks)
        ]
    if view is not None:
        checks = [named(check, given, list(layer.operands.names)) for check in checks]
    if cotangents == 1:
        return checks[0]
    return worst_of([replace(check, label=f"for cotangent {k}") for k, check in enumerate(checks)])


def _check_with(
    layer: Layer, backend: str, cotangent: Floats, options: dict[str, Any]
) -> GradientCheck:
    """The check with one cotangent: compiled if the function is, from Python otherwise."""
    try:
        report = _check_as(layer, backend, cotangent, options)
    except LossCompilationError as error:
        if backend != "auto":
            raise
        report = _check_as(layer, "python", cotangent, options)
        report = replace(report, remarks=(*report.remarks, in_python(error)))
    single = _in_single_precision(layer, cotangent)
    report = replace(report, subject="vjp", remarks=(*report.remarks, *single))
    return report if report.verdict != "disagrees" else _blamed(report, layer, cotangent)


def _check_as(
    layer: Layer, backend: str, cotangent: Floats, options: dict[str, Any]
) -> GradientCheck:
    """The check of the layer as a loss and its gradient, compiled or in Python."""
    theta, pulled = layer.operands.theta, layer.pulled(cotangent)
    if backend != "python":
        from fastgrad.evaluate.contracted import contracted

        loss, others = contracted(layer, cotangent)
        return check_grad(loss, pulled, theta, *others, backend="compiled", **options)
    loss, space = layer.projected(cotangent), layer.operands.space
    others = layer.operands.values
    return check_grad(loss, pulled, theta, *others, space=space, backend="python", **options)


def _as_map(
    report: GradientCheck, layer: Layer, cotangent: Floats, of_complex: bool
) -> GradientCheck:
    """The report with what is said of a linear map and its adjoint."""
    said = tuple(said_of_adjoint(layer, cotangent))
    if not said:
        return report
    report = replace(report, remarks=(*said, *report.remarks))
    conjugated = transposed(layer, cotangent, of_complex) if report.verdict == "disagrees" else None
    if conjugated is None:
        return report
    others = tuple(d for d in report.diagnoses if d.block != conjugated.block)
    blocks = tuple(
        replace(b, diagnosis=conjugated.sentence) if b.name == conjugated.block else b
        for b in report.blocks
    )
    return replace(report, diagnoses=(conjugated, *others), blocks=blocks)


def _blamed(report: GradientCheck, layer: Layer, cotangent: Floats) -> GradientCheck:
    """The report with what parts of the cotangent say of the blocks that fail."""
    unlinear = is_linear(layer, cotangent)
    if unlinear:
        return replace(report, remarks=(*report.remarks, unlinear))
    failing = [block.name for block in report.blocks if block.verdict == "disagrees"]
    said = dict(sentences(layer, cotangent, failing, report.rtol))
    diagnoses = tuple(
        replace(d, sentence=f"{d.sentence} {said.pop(d.block)}") if d.block in said else d
        for d in report.diagnoses
    )
    others = tuple(f"{name}: {words}" for name, words in said.items())
    return replace(report, diagnoses=diagnoses, remarks=(*report.remarks, *others))


def _in_single_precision(layer: Layer, cotangent: Floats) -> tuple[str, ...]:
    """What to say of gradients of less precision than their inputs."""
    theta, points = layer.operands.theta, layer.operands.space or {}
    coarse = [
        f"{path} ({gradient.dtype})"
        for path, gradient in layer.backward(theta, cotangent).items()
        if path not in points
        and gradient.dtype.kind == "f"
        and gradient.dtype.itemsize < np.asarray(theta[path]).dtype.itemsize
    ]
    if not coarse:
        return ()
    return (
        f"{name_of(layer.vjp)} returned lower precision than the inputs have for "
        f"{', '.join(coarse)}: expected float64 throughout; look for a cast, or an array made with a "
        "dtype of its own.",
    )


def check_jvp(
    fun: Callable[..., Any],
    jvp: Callable[..., Any],
    *inputs: Any,
    argnums: Any = None,
    tangents: int = 1,
    rtol: float = 1e-5,
    budget: float | None = 10.0,
    seed: int = 0,
    step: Any = None,
    executor: Any = None,
    checkpoint: Any = None,
    bounds: Any = None,
) -> GradientCheck:
    """Is a forward-mode rule right, for which outputs not, and for which inputs?

    With v a random tangent, shaped like the inputs, ``jvp(v, *inputs)`` must be the derivative of
    ``fun`` along v. Every entry of every output is judged as by `check_grad`, with its own noise; some
    50 evaluations of ``fun`` in all, whatever its size.

    Parameters
    ----------
    fun : callable
        ``fun(*inputs)`` returns an array of floats or a structure of them.
    jvp : callable
        ``jvp(tangent, *inputs)`` returns what is shaped like the outputs; the tangent is a tuple of one
        for each input that is checked, or, of one input, its tangent.
    *inputs, argnums
        As of `check_vjp`.
    tangents : int
        How many random tangents to check with.
    rtol, budget, seed
        As of `check_grad`.
    step : float or "adaptive", optional
        Along the tangent, whose entries are of the size of their inputs' units.
    executor, checkpoint
        As of `check_grad`; workers call ``fun`` alone.
    bounds : (low, high), optional
        As of `check_vjp`; the tangent goes inward from them.

    Returns
    -------
    GradientCheck
        Its blocks are the outputs.

    Examples
    --------
    >>> def product(x, w):
    ...     return x @ w
    >>> def rule(tangent, x, w):
    ...     dx, dw = tangent
    ...     return dx @ w
    >>> report = check_jvp(product, rule, np.ones((4, 3)), np.eye(3))
    >>> report.verdict, report.remarks[-1]
    ('disagrees', 'Wrong for tangents of w alone.')
    """
    if not isinstance(tangents, int) or tangents < 1:
        raise ValueError(f"tangents={tangents!r}: expected a number of them, from 1")
    rule = Pushforward.of(fun, jvp, inputs, argnums)
    options = Options(step, "sweep", None if budget is None else budget / tangents, seed)
    with campaign(executor, checkpoint, rule.fun, lambda: inputs_of(rule.operands), {}) as through:
        checks = [
            _check_tangent(rule, bounds, Rule(rtol), replace(options, seed=seed + k), through)
            for k in range(tangents)
        ]
    if tangents == 1:
        return checks[0]
    return worst_of([replace(check, label=f"for tangent {k}") for k, check in enumerate(checks)])


def _check_tangent(
    rule: Pushforward, bounds: Any, allowed: Rule, options: Options, through: Campaign
) -> GradientCheck:
    """The check with one tangent, which goes inward from bounds and from edges of the domain."""
    clock = Clock()
    layout, flat = flatten(rule.operands.theta)
    units = Units.of(flat, layout)
    of_leaves, given = rule.of_leaves, Inputs(layout, flat)
    box = bounds_of(bounds, layout, flat)
    run = vector_evaluator(of_leaves, given, "python")
    run = through.outputs(run, of_leaves, given, "python").within(box)
    v = np.random.default_rng([options.seed, STREAM]).standard_normal(flat.size) * units.entry
    report = _judged_along(rule, run, (units, v), allowed, options)
    if report.verdict == "inconclusive" and box is None and not _goes_both_ways(run, v):
        box = edges_of(run, units.entry, np.arange(flat.size))
        if box is not None:
            v = box.turned(flat, v)
            report = _judged_along(rule, run, (units, v), allowed, options)
    remarks = tuple(map(_of_jvp, report.remarks))
    if report.verdict == "disagrees":
        v = flatten(layout.rebuild(v if box is None else box.turned(flat, v)))[1]
        remarks += _inputs_to_blame(rule, run.within(box), layout, v, allowed.rtol)
    return replace(
        report, subject="jvp", remarks=remarks, seconds=clock.seconds, ran=clock.said(run.ran)
    )


def _judged_along(
    rule: Pushforward,
    run: VectorEvaluator,
    tangent: tuple[Units, Floats],
    allowed: Rule,
    options: Options,
) -> GradientCheck:
    """What is said of the outputs' derivatives along a tangent, turned inward from bounds."""
    layout, flat = flatten(rule.operands.theta)
    units, v = tangent
    v = v if run.box is None else run.box.turned(flat, v)
    claimed = rule.forward(layout.rebuild(v))
    v = flatten(layout.rebuild(v))[1]  # as it was given, in its own precision
    along = Directional(v, units, rule.outputs.layout)
    if isinstance(options.steps, int | float):
        options = replace(options, steps=np.full(rule.outputs.layout.size, float(options.steps)))
    return check_along(run, layout, along, claimed, allowed, options)


def _goes_both_ways(run: VectorEvaluator, v: Floats) -> bool:
    """Whether the outputs are finite on both sides of theta, along a line."""
    return bool(np.isfinite(run.along(v, CENTRAL[2].step * np.array([1.0, -1.0]))).all())


def _inputs_to_blame(
    rule: Pushforward, run: VectorEvaluator, layout: Layout, v: Floats, rtol: float
) -> tuple[str, ...]:
    """For tangents of which inputs alone the rule is wrong, in words."""
    wrong = []
    for block in layout.blocks:
        part = np.zeros(v.size)
        part[block.start : block.stop] = v[block.start : block.stop]
        if is_off(run, part, rule.forward(layout.rebuild(part))[0], rtol):
            wrong.append(block.name)
    if not wrong:
        return ("Right for the tangent of each input by itself: the rule is not linear in it.",)
    if len(wrong) == len(layout.blocks):
        return ()
    return (f"Wrong for tangents of {' and '.join(wrong)} alone.",)


def _of_jvp(remark: str) -> str:
    return remark.replace("gradient under test", "jvp under test")
