"""Arguments in another form than they were passed, where the loss compiles for that one."""

import numba
import numpy as np
import pytest
import scipy.special
from numba import njit

import fastgrad as fg
from fastgrad.errors import (
    LossCompilationError,
    LossError,
    MutatedInputError,
    PythonBackendWarning,
    StructureMismatchError,
)
from tests.losses import evaluator_of

RNG = np.random.default_rng(0)


def compilations(loss):
    return len(loss.signatures)


@njit
def of_groups(t, groups):
    total = 0.0
    for k in range(len(groups)):
        total += t[k % t.size] * groups[k].sum()
    return total


def test_lists_of_arrays_compile_once_for_any_length():
    t = np.array([1.0, 2.0])
    for k in (9, 10, 100):
        groups = [np.full(3, float(i)) for i in range(k)]
        expected = [3.0 * sum(range(j, k, 2)) for j in (0, 1)]
        np.testing.assert_allclose(fg.grad(of_groups)(t, groups), expected, rtol=1e-9)
    assert compilations(of_groups) == 1
    report = fg.check_grad(of_groups, lambda t, groups: np.array(expected), t, groups)
    assert report.verdict == "agrees"
    wrong = fg.check_grad(of_groups, lambda t, groups: 1.01 * np.array(expected), t, groups)
    assert wrong.verdict == "disagrees"


@njit
def of_layers(p, x):
    total = 0.0
    for k, layer in enumerate(p["layers"]):
        total += (k + 1) * np.sin(layer["W"]).sum() * layer["b"][-1] + layer["b"].size * layer["s"]
    return total * x + (p["last"] ** 3).sum()


def layers(count):
    rng = np.random.default_rng(count)
    made = [
        {"W": rng.normal(size=(2, 1 + k % 3)), "b": rng.normal(size=1 + k % 2), "s": float(k)}
        for k in range(count)
    ]
    return {"first": rng.normal(), "layers": made, "last": rng.normal(size=4)}


def test_lists_of_parameters_compile_once_for_any_length():
    """Beside the same loss in Python, at the same steps."""
    for count in (9, 10, 100):
        p = layers(count)
        got = fg.grad(of_layers)(p, 2.0)
        expected = fg.grad(of_layers.py_func, backend="python")(p, 2.0)
        np.testing.assert_allclose(got["last"], expected["last"], rtol=1e-12, atol=1e-6)
        assert type(got["layers"]) is list
        for mine, its in zip(got["layers"], expected["layers"], strict=True):
            for name in its:
                np.testing.assert_allclose(mine[name], its[name], rtol=1e-6, atol=1e-5)
    assert compilations(of_layers) == 1
    p = layers(9)
    wrong = fg.grad(of_layers.py_func, backend="python", order=4)(p, 2.0)
    assert fg.check_grad(of_layers, wrong, p, 2.0).verdict == "agrees"
    wrong["layers"][7]["b"][-1] *= 1.01
    report = fg.check_grad(of_layers, wrong, p, 2.0)
    assert report.entries[0].name == "layers.7.b[1]"


@pytest.mark.parametrize("shapes", [[(3,)] * 8 + [(3, 1)], [(3,)] * 8])
def test_lists_of_parameters_that_are_not_alike_or_few_are_tuples(shapes):
    @njit
    def loss(p):
        return (p[0] ** 2).sum() + p[7][0]

    p = [np.full(shape, 2.0) for shape in shapes]
    got = fg.grad(loss)(p)
    np.testing.assert_allclose(got[0], np.full(3, 4.0), rtol=1e-9)
    assert "ListType" not in str(loss.signatures)


@pytest.mark.slow
def test_what_raises_in_a_list_of_parameters_is_the_users_own():
    @njit
    def loss(p):
        if p[8][0] > 0.0:
            raise ValueError("not there")
        return p[0][0]

    with pytest.raises(LossError, match="not there"):
        fg.grad(loss)([np.ones(2) for _ in range(12)])


@pytest.mark.slow
def test_parameters_that_only_tuples_serve_are_tuples():
    @njit
    def loss(p):
        return (np.concatenate(p) ** 2).sum()

    p = [np.full(2, float(k)) for k in range(10)]
    for _ in range(2):
        np.testing.assert_allclose(fg.grad(loss)(p), 2 * np.array(p), rtol=1e-8, atol=1e-8)
    assert compilations(loss) == 1


def test_what_is_written_to_an_array_in_a_list_is_seen():
    @njit
    def writes(t, groups):
        groups[3][0] += 1.0
        return t[0] * groups[0][0]

    with pytest.raises(MutatedInputError, match=r"groups\.3"):
        fg.grad(writes)(np.ones(2), [np.ones(2) for _ in range(12)])


def test_a_list_that_is_taken_apart_is_a_tuple_as_before():
    @njit
    def taken_apart(t, groups):
        a, b, _, _, _, _, _, _, _ = groups
        return t[0] * a[0] + b[0]

    groups = [np.full(2, 3.0) for _ in range(9)]
    for _ in range(2):
        assert fg.grad(taken_apart)(np.ones(1), groups)[0] == pytest.approx(3.0)


def test_tuples_stay_tuples():
    def along_edges(t, edges):
        total = 0.0
        for i, j, w in edges:
            total += w * (t[i] - t[j]) ** 2
        return total

    t, edges = np.array([1.0, 2.0, 4.0]), [(0, 1, 2.0), (1, 2, 3)]
    got = fg.grad(along_edges, backend="compiled")(t, edges)
    np.testing.assert_allclose(got, [-4.0, -8.0, 12.0], rtol=1e-8)
    matrix = fg.grad(lambda t, m: t[0] * m.sum(), backend="compiled")(t, [(1.0, 2.0), (3.0, 4.0)])
    np.testing.assert_allclose(matrix, [10.0, 0.0, 0.0], atol=1e-8)


@njit
def least_squares(w, X, y):
    r = X @ w - y
    return (r * r).sum()


def test_float32_everywhere_is_evaluated_in_float64():
    X, w = RNG.normal(size=(20, 3)).astype(np.float32), np.ones(3, np.float32)
    y = RNG.normal(size=20).astype(np.float32)
    g = fg.grad(least_squares, backend="compiled")
    exact = 2 * X.astype(float).T @ (X.astype(float) @ w - y)
    assert g(w, X, y).dtype == np.float32
    np.testing.assert_allclose(g(w, X, y), exact, rtol=1e-5)
    np.testing.assert_allclose(g(w.astype(float), X, y), exact, rtol=1e-7)
    assert evaluator_of(least_squares, w, X, y).compiled.given[1] == numba.float64[:, ::1]
    report = fg.check_grad(least_squares, lambda w, X, y: 2 * X.T @ (X @ w - y), w, X, y)
    assert report.verdict == "agrees"
    assert not any("Python" in remark for remark in report.remarks)


@njit("f4(f4[::1], f4[::1])")
def single(a, b):
    return (a * b).sum()


@njit
def by_single(v, t):
    return single(t, v) + np.float32(1.0)


def plainly_by_single(v, t):
    return single(t, v) + np.float32(1.0)


@pytest.mark.parametrize("loss", [by_single, plainly_by_single])
def test_functions_of_float32_alone_are_handed_a_theta_in_float32(loss):
    t, v = np.linspace(0.5, 1.5, 3, dtype=np.float32), np.array([1.0, -2.0, 3.0], np.float32)
    np.testing.assert_allclose(fg.grad(loss, argnum=1, step=0.125)(v, t), v, rtol=1e-5)
    report = fg.check_grad(loss, v, t, v, argnum=1)
    assert report.verdict == "agrees"
    assert report.ran.startswith("Ran compiled")
    wrong = fg.check_grad(loss, v * np.array([1, -1, 1], np.float32), t, v, argnum=1)
    assert [e.name for e in wrong.entries if e.verdict == "disagrees"] == ["t[1]"]


def masked(t, d):
    e = d.copy()
    e[e > 0] = 0.0
    return (e * t[0]).sum()


def generated(t):
    return sum(x**2 for x in t)


def special(t):
    return scipy.special.gammaln(t).sum()


def of_a_list(t):
    return np.abs([t[0], 2.0]).sum()


REFUSED = {
    "mask": (masked, (np.ones((2, 2)),), 2, r"np\.where\(mask"),
    "generator": (generated, (), None, r"sum\(\["),
    "scipy.special": (special, (), None, "numba-scipy"),
    "ufunc of a list": (of_a_list, (), 1, r"np\.array\(\["),
    "signature": (lambda t, v: single(t, v), (np.ones(2, "f4"),), None, "Leave the signature"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_numba_refuses_has_a_line_and_the_usual_remedy(case):
    loss, args, line, remedy = REFUSED[case]
    with pytest.raises(LossCompilationError, match=remedy) as caught:
        fg.grad(loss, backend="compiled")(np.ones(2), *args)
    if line is not None:
        assert f"line {loss.__code__.co_firstlineno + line})" in str(caught.value)


def test_the_remedy_for_functions_of_float32_alone_cures():
    def cured(t, v):
        return single(t.astype(np.float32), v)

    t, v = np.linspace(0.5, 1.5, 3), np.array([1.0, -2.0, 3.0], np.float32)
    report = fg.check_grad(cured, v.astype(float), t, v, backend="compiled")
    assert report.verdict == "agrees"
    wrong = fg.check_grad(cured, -v.astype(float), t, v, backend="compiled")
    assert wrong.verdict == "disagrees"


def test_a_theta_that_is_not_the_first_argument_is_pointed_at():
    def loss(X, y, theta):
        return ((X @ theta - y) ** 2).sum()

    def gradient(X, y, theta):
        return 2 * X.T @ (X @ theta - y)

    X, y, theta = RNG.normal(size=(5, 3)), np.ones(5), np.ones(3)
    with pytest.raises(StructureMismatchError, match="argnum=2"):
        fg.check_grad(loss, gradient, X, y, theta)
    assert fg.check_grad(loss, gradient, theta, X, y, argnum=2)


def test_arguments_by_keyword_alone_have_a_cure_that_cures():
    def loss(t, *, c):
        return (t * c).sum()

    with (
        pytest.raises(TypeError, match=r"give lambda t, c: loss\(t, c=c\)"),
        pytest.warns(PythonBackendWarning),
    ):
        fg.grad(loss)(np.ones(2), 2.0)
    with pytest.warns(PythonBackendWarning):
        got = fg.grad(lambda t, c: loss(t, c=c))(np.ones(2), 2.0)
    np.testing.assert_allclose(got, [2.0, 2.0], rtol=1e-9)


def test_functions_are_arguments():
    def loss(t, f):
        return f(t).sum()

    t = np.array([0.5, 1.0])
    np.testing.assert_allclose(fg.grad(loss)(t, njit(lambda x: x**2)), 2 * t, rtol=1e-9)
    with pytest.warns(PythonBackendWarning):
        np.testing.assert_allclose(fg.grad(loss)(t, lambda x: x**2), 2 * t, rtol=1e-9)
