"""Jacobians, dense and sparse: right ones agree, and what is wrong is found entry by entry."""

import numpy as np
import pytest
from numba import njit
from scipy import sparse

import fastgrad as fg
from fastgrad.differences.pairs import PairEvaluator
from fastgrad.errors import (
    LossCompilationError,
    LossError,
    MutatedInputError,
    NondeterministicLossError,
    StructureMismatchError,
)
from fastgrad.evaluate.protocol import Inputs
from fastgrad.evaluate.vector_backends import vector_evaluator
from fastgrad.parameters.layout import flatten
from fastgrad.parameters.pairs import Columns, PairLayout
from tests.rough import KINDS, fixed_point_tight, rough

A = np.random.default_rng(0).normal(size=(200, 100)) / 10
X = np.random.default_rng(1).normal(size=100)
BACKENDS = ("python", "compiled")


@njit(cache=True)
def layer(x, A):
    return np.tanh(A @ x)


def slopes(x, A):
    return (1 - np.tanh(A @ x) ** 2)[:, None] * A


@pytest.mark.parametrize("backend", BACKENDS)
def test_all_outputs_share_the_evaluations(backend):
    report = fg.check_jacobian(layer, slopes, X, A, backend=backend, budget=None)
    assert report, str(report)
    assert report.strategy == "sweep"
    assert report.checked == 200 * 100
    assert report.evaluations <= 2 * 100 + 60


def test_single_entries_are_named():
    def wrong(x, A):
        J = slopes(x, A)
        J[100, 50] += 1e-3
        return J

    report = fg.check_jacobian(layer, wrong, X, A, budget=None)
    assert [entry.name for entry in report.entries] == ["out[100] / x[50]"]
    assert str(report).startswith("The Jacobian is wrong: 1 of 20,000 entries")


SQUARE = np.random.default_rng(2).normal(size=(6, 6))


def waves(x):
    return np.sin(SQUARE @ x)


def of_waves(x):
    return np.cos(SQUARE @ x)[:, None] * SQUARE


LAWS = {
    "transposed": (lambda J: J.T, "transposed"),
    "a sign": (lambda J: -J, "sign"),
    "a factor": (lambda J: J / 6, "scale"),
    "a factor a row": (lambda J: J * np.linspace(0.5, 2, 6)[:, None], "line-scale"),
    "a row": (lambda J: np.where(np.arange(6)[:, None] == 3, 2 * J, J), "scale"),
    "a column": (lambda J: np.where(np.arange(6) == 2, 0.0, J), "zero"),
    "columns reversed": (lambda J: J[:, ::-1], "reversed"),
}


@pytest.mark.parametrize("name", LAWS)
def test_laws(name):
    change, law = LAWS[name]
    x = np.random.default_rng(3).normal(size=6)
    report = fg.check_jacobian(waves, lambda x: change(of_waves(x)), x, backend="python")
    (diagnosis,) = report.diagnoses
    assert set(law.split("+")) <= set(diagnosis.law.split("+")), diagnosis


@njit(cache=True)
def fit(p, t):
    """Residuals of a decay, and what is left at its end."""
    model = p.amplitude * np.exp(-p.rates[0] * t) + p.rates[1]
    return model - t, model[-1]


def residuals(p, t):
    model = p["amplitude"] * np.exp(-p["rates"][0] * t) + p["rates"][1]
    return {"residual": model - t, "end": model[-1]}


def of_residuals(p, t):
    e, a = np.exp(-p["rates"][0] * t), p["amplitude"]
    return {
        "residual": {"rates": np.stack([-a * t * e, np.ones(t.size)], axis=1), "amplitude": e},
        "end": {"rates": np.array([-a * t[-1] * e[-1], 1.0]), "amplitude": e[-1]},
    }


P, T = {"rates": np.array([0.5, 2.0]), "amplitude": 3.0}, np.linspace(0, 4, 9)


def test_structures_of_outputs_and_inputs():
    report = fg.check_jacobian(residuals, of_residuals, P, T, backend="python")
    assert report, str(report)
    assert [block.name for block in report.blocks] == [
        f"out.{out} / {p}" for out in ("residual", "end") for p in ("rates", "amplitude")
    ]

    def wrong(p, t):
        J = of_residuals(p, t)
        J["residual"]["rates"][4, 0] *= -1
        return J

    report = fg.check_jacobian(residuals, wrong, P, T, backend="python")
    assert [entry.name for entry in report.entries] == ["out.residual[4] / rates[0]"]
    as_matrix = np.vstack(
        [
            np.column_stack([part["rates"].reshape(-1, 2), np.ravel(part["amplitude"])])
            for part in of_residuals(P, T).values()
        ]
    )
    assert fg.check_jacobian(residuals, as_matrix, P, T, backend="python")
    assert fg.check_jacobian(fit, as_matrix, P, T, backend="compiled")


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_estimate_has_the_structures_and_honest_bars(backend):
    fun = fit if backend == "compiled" else residuals
    found = fg.jacobian(fun, backend=backend).estimate(P, T)
    parts = list(found.jacobian.values()) if backend == "python" else list(found.jacobian)
    bars = list(found.error.values()) if backend == "python" else list(found.error)
    for got, bar, expected in zip(parts, bars, of_residuals(P, T).values(), strict=True):
        for key in ("rates", "amplitude"):
            assert np.shape(got[key]) == np.shape(expected[key])
            assert np.all(np.abs(got[key] - expected[key]) <= bar[key])
            assert np.max(bar[key]) < 1e-7


FUNCTIONS = {
    "waves": (waves, of_waves),
    "powers": (lambda x: x[:4] ** 3 * x[2:], lambda x: (
        np.eye(4, 6) * (3 * x[:4] ** 2 * x[2:])[:, None] + np.eye(4, 6, 2) * (x[:4] ** 3)[:, None]
    )),
    "exponentials": (lambda x: np.exp(np.outer(np.arange(3), x).ravel()), lambda x: np.vstack(
        [np.diag(k * np.exp(k * x)) for k in range(3)]
    )),
    "softmax": (
        lambda x: np.exp(x) / np.exp(x).sum(),
        lambda x: (lambda p: np.diag(p) - np.outer(p, p))(np.exp(x) / np.exp(x).sum()),
    ),
    "norms": (
        lambda x: np.array([np.sqrt(x @ x), 1e6 * x.sum(), 1e-6 * np.prod(x)]),
        lambda x: np.stack([x / np.sqrt(x @ x), np.full(6, 1e6), 1e-6 * np.prod(x) / x]),
    ),
}  # fmt: skip


def coverage(order, seeds):
    """Entries and how many of their true errors lie within their bars."""
    inside = total = 0
    for fun, jac in FUNCTIONS.values():
        for seed in seeds:
            x = np.random.default_rng(seed).normal(size=6)
            found = fg.jacobian(fun, order=order, backend="python").estimate(x)
            inside += np.count_nonzero(np.abs(found.jacobian - jac(x)) <= found.error)
            total += found.jacobian.size
    return inside, total


@pytest.mark.parametrize("order", [2, 4])
def test_error_bars_hold_true_errors(order):
    """Counted: all of 1,110 at each order, and of 8,880 more at 40 other seeds."""
    inside, total = coverage(order, range(5))
    assert inside >= 0.999 * total


@pytest.mark.slow
@pytest.mark.parametrize("order", [2, 4, 6])
def test_error_bars_hold_999_of_1000_true_errors(order):
    inside, total = coverage(order, range(200))
    assert inside >= 0.999 * total, (inside, total)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_right_jacobians_agree_and_small_errors_show(name):
    fun, jac = FUNCTIONS[name]
    for seed in range(3):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=6)
        J = jac(x)
        report = fg.check_jacobian(fun, J, x, backend="python", seed=seed)
        assert report, str(report)
        i, j = rng.choice(np.argwhere(np.abs(J) > 1e-3 * np.abs(J).max()))
        J[i, j] *= 1 + 1e-3
        report = fg.check_jacobian(fun, J, x, backend="python", seed=seed)
        assert [entry.name for entry in report.entries] == [f"out[{i}] / x[{j}]"]


def test_zeros_beside_large_outputs_agree():
    """An output of 1e6 is noisy by 1e-10, and depends on one input."""

    def fun(x):
        return np.array([1e6 + x[0], x[1], x[0] * x[2]])

    J = np.array([[1.0, 0, 0], [0, 1, 0], [3.0, 0, 2.0]])
    report = fg.check_jacobian(fun, J, np.array([2.0, 1.0, 3.0]), backend="python")
    assert report, str(report)


# ---- sparse ------------------------------------------------------------------------------------


def chain(x):
    out = x**3
    out[1:] += np.sin(x[:-1])
    out[:-1] += x[1:] ** 2
    return out


def of_chain(x):
    diagonals = [np.cos(x[:-1]), 3 * x**2, 2 * x[1:]]
    return sparse.diags_array(diagonals, offsets=[-1, 0, 1], format="csr")


LONG = np.random.default_rng(4).normal(size=2000)


def test_a_tridiagonal_jacobian_by_colours():
    report = fg.check_jacobian(chain, of_chain, LONG, backend="python")
    assert report, str(report)
    assert report.checked == 3 * 2000
    assert report.evaluations <= 150


@pytest.mark.slow
def test_a_tridiagonal_jacobian_of_1e5():
    """In 131 evaluations, 1.1 s of one core; under 2 s where two are free."""
    x = np.random.default_rng(0).normal(size=100_000)
    report = fg.check_jacobian(chain, of_chain, x, backend="python")
    assert report
    assert report.evaluations <= 150


def test_entries_wrongly_left_out_are_found():
    def wrong(x):
        J = of_chain(x).tolil()
        J[500, 501] = 0
        J[1400, 1399] *= -1
        J = J.tocsr()
        J.eliminate_zeros()
        return J

    report = fg.check_jacobian(chain, wrong, LONG, backend="python")
    assert {entry.name for entry in report.entries if entry.verdict == "disagrees"} == {
        "out[500] / x[501]",
        "out[1400] / x[1399]",
    }
    assert "leaves it out, is out[500] / x[501]" in str(report)
    entry = next(e for e in report.entries if e.name == "out[500] / x[501]")
    assert entry.analytic == 0
    assert entry.numeric == pytest.approx(2 * LONG[501])


def test_one_that_shares_its_colour_with_an_entry_of_the_pattern():
    """The output then moves by both."""
    n = 40
    pattern = sparse.eye_array(n, format="csr")  # one colour
    x = LONG[:n]

    def fun(x):
        out = 2 * x
        out[7] += 3 * x[30]
        return out

    report = fg.check_jacobian(fun, 2 * pattern, x, backend="python")
    (entry,) = [e for e in report.entries if e.verdict == "disagrees"]
    assert (entry.name, entry.analytic) == ("out[7] / x[30]", 0)
    assert entry.numeric == pytest.approx(3, rel=1e-6)


def test_sparse_laws():
    report = fg.check_jacobian(chain, lambda x: of_chain(x).T, LONG[:50], backend="python")
    assert report.diagnoses[0].law == "transposed"
    report = fg.check_jacobian(chain, lambda x: -of_chain(x), LONG[:50], backend="python")
    assert report.diagnoses[0].law == "sign"


def test_sparse_estimates():
    x = LONG[:300] * 10.0 ** np.random.default_rng(0).integers(-2, 3, 300)
    found = fg.jacobian(chain, sparsity=of_chain(x), backend="python").estimate(x)
    error = np.abs((found.jacobian - of_chain(x)).toarray())
    assert np.mean(error <= found.error.toarray()) >= 0.999
    assert found.evaluations < 100
    J = fg.jacobian(chain, sparsity=of_chain(x), backend="python")(LONG[:300])
    np.testing.assert_allclose(J.toarray(), of_chain(LONG[:300]).toarray(), atol=1e-8)


# ---- where there are too many ------------------------------------------------------------------


def test_a_screen_finds_the_input_and_then_the_outputs():
    def wrong(x, A):
        J = slopes(x, A)
        J[17, 60] += 0.01
        return J

    report = fg.check_jacobian(layer, wrong, X, A, strategy="screen")
    assert report.strategy == "screen"
    assert [entry.name for entry in report.entries] == ["out[17] / x[60]"]
    assert "blame 1 of 100 inputs" in str(report)
    assert fg.check_jacobian(layer, slopes, X, A, strategy="screen")


@pytest.mark.parametrize("own", [False, True])
def test_pairs_are_what_a_loop_over_them_says(own):
    """Whether all outputs ask for the same offsets of a column, or each for its own."""
    layout, flat = flatten(X)
    run = vector_evaluator(layer, Inputs(layout, flat, (A,)), "python")
    pairs = PairLayout(run.outputs.layout, layout, Columns.of_each(np.array([3, 7, 50]), 100))
    base = run.base()
    evaluator = PairEvaluator(run, pairs, np.ones(100), base, np.ones(base.size))
    indices = np.random.default_rng(5).permutation(pairs.size)[:200]
    outputs, columns = pairs.pairs(indices)
    offsets = np.array([0.5, -0.25]) * (1 + columns[:, None])
    if own:
        offsets = offsets + np.arange(200)[:, None] % 3
    got = evaluator.coordinates(indices, offsets)
    for k in range(0, 200, 7):
        for j in range(2):
            point = X.copy()
            point[[3, 7, 50][columns[k]]] += offsets[k, j]
            expected = layer(point, A)[outputs[k]] - base[outputs[k]]
            assert got[k, j] == pytest.approx(expected, rel=1e-12, abs=1e-14)
    if not own:
        assert run.evaluations <= 3 * 2 + 3


# ---- evaluators --------------------------------------------------------------------------------


@pytest.mark.parametrize("fun", [layer, lambda x, A: (x[:3] * A[0, 0], {"s": x.sum()})])
def test_the_values_of_an_evaluator_gain_an_axis(fun):
    """A naive loop over points is the oracle; threads take rows of the store as they come."""
    layout, flat = flatten(X)
    for backend in BACKENDS if fun is layer else BACKENDS[:1]:
        run = vector_evaluator(fun, Inputs(layout, flat, (A,)), backend)
        indices, offsets = np.arange(100).repeat(20), np.linspace(0, 1, 2000)[:, None]
        got = run.coordinates(indices, offsets)
        for k in range(0, 2000, 97):
            point = X.copy()
            point[indices[k]] += offsets[k, 0]
            np.testing.assert_array_equal(got[k, 0], run.outputs.vector(fun(point, A), ""))
        got = run.along(np.ones(100), np.array([0.0, 0.5]))
        np.testing.assert_array_equal(got[1], run.outputs.vector(fun(X + 0.5, A), ""))
        assert run.evaluations == 2002
        np.testing.assert_array_equal(run.theta, X)


def random_outputs(x):
    return x + np.random.normal(size=x.size)


def shrinking(x):
    return x[: 3 if x[0] > 1 else 2] * 1.0


@njit
def raises_beyond(x):
    if x[0] > 1.0:
        raise ValueError("too far")
    return x * 2.0


BAD = {
    "a transposed one": (
        lambda x: x[:2] ** 2, lambda x: np.zeros((3, 2)), np.ones(3),
        StructureMismatchError, "returned has shape (3, 2): expected (2, 3) transposed?",
    ),
    "a vector": (
        lambda x: x**2, lambda x: 2 * x, np.ones(3),
        StructureMismatchError, "has shape (3,): expected (3, 3), a row for each output",
    ),
    "a sparse one transposed": (
        lambda x: x[:2] ** 2, sparse.csr_array(np.ones((3, 2))), np.ones(3),
        StructureMismatchError, "sparse Jacobian has shape (3, 2): expected (2, 3) transposed?",
    ),
    "None": (lambda x: x**2, lambda x: None, np.ones(3), TypeError, "NoneType"),
    "a dict without an output": (
        lambda x: {"a": x, "b": x.sum()}, lambda x: {"a": np.eye(3)}, np.ones(3),
        StructureMismatchError, "expected 'b' in it, as out has",
    ),
    "one array for two outputs": (
        lambda x: {"a": x, "b": x.sum()}, lambda x: np.eye(3), np.ones(3),
        StructureMismatchError, "structure like the outputs (out.a, out.b), or one array of 4 rows",
    ),
    "no floats": (lambda x: "a", lambda x: x, np.ones(3), TypeError, "returned str: expected"),
    "it raises": (
        lambda x: x[7], lambda x: x, np.ones(3), LossError, "raised IndexError at the given parameters",
    ),
    "random": (
        random_outputs, lambda x: np.eye(3), np.ones(3), NondeterministicLossError, "different values",
    ),
    "it shrinks": (
        shrinking, lambda x: np.eye(2, 3), np.ones(3), LossError, "the same shapes",
    ),
    "jac writes to x": (
        lambda x: x**2, lambda x: np.diag(x.__imul__(2)), np.ones(3), MutatedInputError, "copy",
    ),
    "no function": (3, lambda x: x, np.ones(3), TypeError, "fun is int"),
    "not finite": (
        lambda x: np.log(-x), lambda x: np.eye(3), np.ones(3), ValueError, "out[0] is nan",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_inputs_are_told_what_to_do(name):
    fun, jac, x, kind, words = BAD[name]
    with np.errstate(invalid="ignore"), pytest.raises(kind) as caught:
        fg.check_jacobian(fun, jac, x, backend="auto" if fun is raises_beyond else "python")
    for word in words.split():
        assert word in str(caught.value), str(caught.value)


def test_what_cannot_be_compiled_runs_in_python_and_says_so():
    def fun(x):
        return np.array([float(str(v)) for v in x])

    report = fg.check_jacobian(fun, np.eye(3), np.ones(3))
    assert report
    assert "called from Python" in str(report)
    with pytest.raises(LossCompilationError):
        fg.check_jacobian(fun, np.eye(3), np.ones(3), backend="compiled")


def test_trainable_inputs_alone():
    report = fg.check_jacobian(residuals, of_residuals, P, T, trainable="rates", backend="python")
    assert report
    assert [block.name for block in report.blocks] == ["out.residual / rates", "out.end / rates"]


def raises_below(x):
    if x[1] < 0:
        raise ValueError("negative")
    return np.array([np.exp(x[0]), x[0] * x[1] ** 2 + x[1]])


@pytest.mark.parametrize("fun", [raises_below, raises_beyond])
def test_at_the_edge_of_the_domain_slopes_are_one_sided(fun):
    if fun is raises_beyond:
        x, J = np.array([1.0, 2.0]), 2 * np.eye(2)
    else:
        x, J = np.array([0.5, 0.0]), np.array([[np.exp(0.5), 0], [0, 1.0]])
    backend = "auto" if fun is raises_beyond else "python"
    report = fg.check_jacobian(fun, J, x, backend=backend)
    assert report, str(report)
    assert "at the edge" in str(report)
    wrong = J.copy()
    wrong[1, 1] *= 1.01
    report = fg.check_jacobian(fun, wrong, x, backend=backend)
    assert [e.name for e in report.entries if e.verdict == "disagrees"] == ["out[1] / x[1]"]


UNTOLD = (fixed_point_tight,)
"""What a tolerance leaves is a smooth function of its own."""


@pytest.mark.parametrize("seed", range(2))
def test_bars_hold_where_slopes_depend_on_the_step(seed):
    """Outputs of every kind of rough loss, twice: kinks, single precision, jumps, stairs, solvers."""
    for kind in KINDS:
        if kind in UNTOLD:
            continue
        (problem,) = rough((kind,), range(seed, seed + 1))

        def both(t, loss=problem.loss):
            return np.array([loss(t), -2 * loss(t)])

        got = fg.jacobian(both, backend="python").estimate(problem.theta)
        error = np.abs(got.jacobian - np.outer([1.0, -2.0], problem.gradient))
        assert np.all(error <= got.error), kind.__name__


def test_wide_looks_are_shared_and_widen_no_bar_of_a_smooth_function():
    got = fg.jacobian(layer, backend="python").estimate(X, A)
    assert got.evaluations <= 4 * 100 + 2 * 20 + 60
    assert np.max(got.error) <= 1e-8
    kinks = fg.jacobian(lambda x: np.maximum(SQUARE @ x, 0), backend="python")
    x = np.random.default_rng(5).normal(size=6)
    assert np.median(kinks.estimate(x).error) <= 1e-8


def test_a_function_that_raises_a_wide_step_away_keeps_its_bars():
    def root(x):
        if np.abs(x - 1).max() > 1e-3:
            raise ValueError("too far")
        return np.sqrt(x)

    got = fg.jacobian(root, backend="python").estimate(np.ones(3))
    np.testing.assert_allclose(got.jacobian, 0.5 * np.eye(3), atol=1e-8)
