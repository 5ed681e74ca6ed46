"""Gradients in one call of compiled code, and what the optimiser proves of arguments."""

import math
import threading
import warnings
from collections import namedtuple
from contextlib import suppress

import numba
import numpy as np
import pytest
from numba import njit, objmode

import fastgrad as fg
from fastgrad import bound_gradient
from fastgrad.errors import LossError, MutatedInputError, NonFiniteLossError
from fastgrad.evaluate.adapters import compiled_for
from fastgrad.evaluate.never_written import only_read
from tests.losses import bought, evaluator_of, quadratic, rosenbrock, rosenbrock_grad

Pair = namedtuple("Pair", "first second")


@pytest.fixture(autouse=True)
def kernels_at_once():
    """However small a problem is."""
    with bought():
        yield


@njit
def weighted(x, w, c):
    total = 0.0
    for i in range(x.size):
        total += w[i] * np.sin(x[i]) + c * x[i] * x[i - 1]
    return total


def entry_by_entry(loss, x, *args):
    """The naive oracle: one evaluation after the other, at the default steps of entries near one."""
    gradient = np.empty(x.shape)
    for i in np.ndindex(x.shape):
        at, x_i = x.copy(), x[i]
        at[i] = above = x_i + 2.0**-17
        up = loss(at, *args)
        at[i] = below = x_i - 2.0**-17
        gradient[i] = (up - loss(at, *args)) / (above - below)
    return gradient


@pytest.mark.parametrize("n", [2, 3, 10, 100])
def test_bound_and_unbound_are_bit_for_bit_the_naive_loop(n):
    rng = np.random.default_rng(n)
    w = rng.normal(size=n)
    bound, unbound = fg.grad(weighted).bind(w, 0.5), fg.grad(weighted)
    for _ in range(5):
        x = rng.uniform(1.0, 1.99, n)
        expected = entry_by_entry(weighted, x, w, 0.5)
        assert np.array_equal(bound(x), expected)
        assert np.array_equal(unbound(x, w, 0.5), expected)


def test_the_direct_way_is_gone_and_gives_what_entries_give():
    """At sizes from 1e-8 to 1e8, whose steps differ."""
    rng = np.random.default_rng(1)
    g = fg.grad(rosenbrock).bind()
    g(np.ones(4))
    for _ in range(20):
        x = rng.normal(size=4) * 10.0 ** rng.integers(-8, 8)
        assert g._direct(x) is not None
        by_entries = fg.grad(rosenbrock, trainable=np.ones(4, bool))(x)
        assert np.array_equal(g(x), by_entries)


def test_matrices_numbers_and_blas():
    A = np.random.default_rng(2).normal(size=(3, 3))
    x = np.array([1.0, -2.0, 1.5])
    g = fg.grad(quadratic).bind(A)
    expected = 0.5 * (A + A.T) @ x
    for _ in range(3):
        np.testing.assert_allclose(g(x), expected, rtol=1e-8)
    total = fg.grad(lambda W: (W**3).sum()).bind()
    for _ in range(3):
        got = total(A)
        np.testing.assert_allclose(got, 3 * A**2, rtol=1e-7, atol=1e-9)
        assert got.shape == (3, 3)
    cube = fg.grad(lambda t: t**3).bind()
    assert [round(cube(2.0), 6) for _ in range(3)] == [12.0] * 3


def test_other_shapes_types_and_orders_of_theta_take_the_general_way():
    g = fg.grad(rosenbrock).bind()
    x = np.linspace(0.5, 1.5, 6)
    g(x), g(x)
    expected = rosenbrock_grad(x)
    read_only = x.copy()
    read_only.flags.writeable = False
    for theta in (x.astype(np.float32), np.repeat(x, 2)[::2], list(x), read_only, x.astype(">f8")):
        np.testing.assert_allclose(g(theta), expected, rtol=1e-5)
    np.testing.assert_allclose(g(x[:3]), rosenbrock_grad(x[:3]), rtol=1e-6)
    with pytest.raises(ValueError, match=r"theta\[1\] is nan"):
        g(np.array([1.0, np.nan, 1.0, 1.0, 1.0, 1.0]))


def test_arguments_are_held_and_not_copied():
    w = np.ones(3)
    g = fg.grad(weighted).bind(w, 0.0)
    x = np.array([1.0, 1.25, 1.5])
    first = g(x)
    assert np.array_equal(g(x), first)
    w *= 2.0
    np.testing.assert_allclose(g(x), 2.0 * first, rtol=1e-12)


def test_what_a_plain_function_reads_from_outside_is_what_it_is_now():
    scope = {"np": np, "factor": 1.0}
    exec("def loss(x, w):\n    return factor * (w * x**2).sum()", scope)
    bound, alone = fg.grad(scope["loss"]).bind(np.ones(2)), fg.grad(lambda x: (a * x).sum())
    x, a = np.array([1.0, 2.0]), 1.0
    for factor in (1.0, 1.0, 3.0, 3.0):
        scope["factor"] = a = factor
        np.testing.assert_allclose(bound(x), 2 * factor * x, rtol=1e-9)
        np.testing.assert_allclose(alone(x), [a, a], rtol=1e-9)


@njit
def writes_later(x, w):
    if x[0] > 2.0:
        w[1] += 1.0
    return x[0] * w[0]


@njit
def writes_to_theta(x):
    if x[0] > 2.0:
        x[1] = 0.0
    return x.sum()


@njit
def raises_later(x):
    if x[0] > 2.0:
        raise ValueError("too large")
    return x.sum()


def test_what_goes_wrong_after_binding_is_told_as_ever():
    near, far = np.array([1.0, 1.0]), np.array([3.0, 1.0])
    for loss, args, error in (
        (writes_later, (np.ones(2),), MutatedInputError),
        (writes_to_theta, (), MutatedInputError),
        (raises_later, (), LossError),
    ):
        g = fg.grad(loss).bind(*args)
        g(near), g(near)
        with pytest.raises(error):
            g(far)


def test_the_edge_of_the_domain_is_found_by_the_general_way():
    g = fg.grad(lambda x: np.log(x).sum()).bind()
    x = np.array([1.0, 2.0])
    g(x), g(x)
    np.testing.assert_allclose(g(np.array([1e-7, 1.0])), [1e7, 1.0], rtol=1e-6)
    with pytest.raises(NonFiniteLossError):
        g(np.array([-1.0, 1.0]))


def test_constants_are_never_perturbed():
    @njit
    def loss(x):
        return x[0] ** 2 + (0.0 if x[1] == 1.0 else np.nan)

    g = fg.grad(loss, trainable=[True, False])
    for _ in range(3):
        np.testing.assert_allclose(g(np.array([1.0, 1.0])), [2.0, 0.0])


def test_a_scale_of_the_users_is_obeyed():
    g = fg.grad(weighted, scale=2.0**-10).bind(np.ones(3), 0.0)
    x = np.array([1.0, 1.25, 1.5])
    for _ in range(3):
        assert not np.array_equal(g(x), fg.grad(weighted)(x, np.ones(3), 0.0))
        np.testing.assert_allclose(g(x), np.cos(x), rtol=1e-6)


def test_argnum_and_structures_and_values():
    @njit
    def loss(X, p, y):
        return ((X @ p["w"] + p["b"] - y) ** 2).sum()

    X, y = np.eye(3), np.zeros(3)
    p = {"w": np.arange(3.0), "b": 1.0}
    g = fg.grad(loss, argnum=1).bind(X, y)
    for _ in range(3):
        value, got = g.value_and_grad(p)
        np.testing.assert_allclose(got["w"], 2 * (p["w"] + 1.0), rtol=1e-9)
        np.testing.assert_allclose(g(p)["b"], 12.0, rtol=1e-9)
        assert value == 14.0


def test_a_bound_gradient_is_called_from_many_threads():
    g = fg.grad(weighted).bind(np.ones(8), 0.5)
    points = np.random.default_rng(3).uniform(1.0, 1.99, (4, 8))
    expected = [entry_by_entry(weighted, x, np.ones(8), 0.5) for x in points]
    wrong = []

    def repeat(k):
        for _ in range(500):
            if not np.array_equal(g(points[k]), expected[k]):
                wrong.append(k)

    threads = [threading.Thread(target=repeat, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_loss_that_numba_cannot_compile_is_bound_too():
    table = {"a": 2.0}
    g = fg.grad(lambda x, c: table["a"] * c * float(x @ x), backend="python").bind(3.0)
    for _ in range(2):
        np.testing.assert_allclose(g(np.array([1.0, 2.0])), [12.0, 24.0], rtol=1e-9)


@njit
def reads(x, a, b):
    return x[0] * a.sum() + b[0, 1]


@njit
def writes_by_a_helper(x, a, b):
    _fill(a)
    return x[0] + b[0, 0]


@njit
def _fill(a):
    a[:] = 1.0


@njit
def by_blas(x, a, b):
    return (b @ a).sum() * x[0]


@njit
def in_tuples(x, pair, rest):
    rest[0][0] = pair.first[0]
    return x[0]


@njit
def starred(x, *rest):
    return x[0] * rest[0][0] * rest[1]


@njit
def in_python(x, a, b):
    with objmode():
        a[0] = 2.0
    return x[0] + b[0, 0]


A, B = np.ones(3), np.ones((3, 3))
PROOFS = {
    "reads": (reads, (A, B), (True, True)),
    "writes by a helper": (writes_by_a_helper, (A, B), (False, True)),
    "BLAS is not followed": (by_blas, (A, B), (False, False)),
    "in tuples": (in_tuples, (Pair(A, 1.0), (A, 2)), (True, False)),
    "starred": (starred, (A, 2.0), (True,)),
    "Python is not followed": (in_python, (A, B), (False, True)),
}


@pytest.mark.parametrize("case", PROOFS)
def test_what_is_proved_of_arguments(case):
    import numba

    loss, args, expected = PROOFS[case]
    result, _ = compiled_for(loss, tuple(map(numba.typeof, (np.ones(2), *args))))
    assert only_read(result)[1:] == expected


@pytest.mark.parametrize(
    ("loss", "args", "leaves"),
    [
        (rosenbrock, (), True),
        (writes_to_theta, (), False),
        (quadratic, (np.eye(3),), False),  # BLAS is not followed
        (weighted, (np.ones(3), 0.5), True),
    ],
)
def test_lines_are_watched_unless_theta_is_proved_to_be_left_alone(loss, args, leaves, monkeypatch):
    from fastgrad.evaluate import on_demand

    watched, line = [], on_demand.line_serial

    def spy(*asked):
        watched.append(asked[10])
        line(*asked)

    monkeypatch.setattr(on_demand, "line_serial", spy)
    run = evaluator_of(loss, np.ones(3), *args)
    with suppress(MutatedInputError):
        run.along(np.ones(3), np.zeros(2))
    assert set(watched) == {not leaves}


def test_nothing_is_proved_beside_what_is_not_followed():
    """A typed list may hold another argument, and write to it."""
    import numba
    from numba.typed import List

    @njit
    def loss(x, held, a):
        held[0][0] += 1.0
        return x[0] + a[0]

    a = np.ones(2)
    held = List([a])
    result, _ = compiled_for(loss, tuple(map(numba.typeof, (np.ones(2), held, a))))
    assert only_read(result) == (False, False, False)


@pytest.mark.parametrize("keeps", [True, False])
def test_arguments_that_are_the_same_are_bound_once(keeps, monkeypatch):
    if not keeps:
        monkeypatch.setattr(bound_gradient, "KEPT_BYTES", 0)
    g, made = fg.grad(weighted), []
    monkeypatch.setattr(fg.gradient.GradientFunction, "bind", counting(made))
    x, w = np.array([1.0, 1.25, 1.5]), np.arange(1.0, 4.0)
    for c in (0.5, 0.5, 0.5, 0.0, -0.0, 2):
        w *= 2.0
        x = x + 0.125
        assert np.array_equal(g(x, w, c), fg.grad(weighted, trainable=np.ones(3, bool))(x, w, c))
    others = [w.copy(), w[::-1], w.astype(np.float32)]
    for other in others:
        expected = fg.grad(weighted, trainable=np.ones(3, bool))(x, other, 0.5)
        assert np.array_equal(g(x, other, 0.5), expected)
    with pytest.raises(TypeError, match="argument"):
        g(x, w)
    assert len(made) == (4 + len(others) + 1 if keeps else 0)


def counting(made):
    """`GradientFunction.bind` that counts the calls for arguments."""
    real = fg.gradient.GradientFunction.bind

    def bind(self, *args):
        if args and self._function.shaped["trainable"] is None:
            made.append(args)
        return real(self, *args)

    return bind


def test_lists_are_read_at_every_call():
    """They may hold other things by then."""

    def loss(x, parts):
        return (parts[0] * x**2).sum()

    g, parts = fg.grad(loss), [np.ones(2)]
    np.testing.assert_allclose(g(np.ones(2), parts), 2.0, rtol=1e-8)
    parts[0] = np.full(2, 3.0)
    np.testing.assert_allclose(g(np.ones(2), parts), 6.0, rtol=1e-8)


def test_an_array_that_is_given_another_shape_is_bound_again():
    def loss(x, w):
        return x[0] * w.size + x[1] * w.ndim

    g, w = fg.grad(loss), np.ones(4)
    np.testing.assert_allclose(g(np.ones(2), w), [4.0, 1.0], rtol=1e-8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated
        w.shape = (2, 2)
    np.testing.assert_allclose(g(np.ones(2), w), [4.0, 2.0], rtol=1e-8)


@njit
def noisy(x, a, noise):
    total = 0.0
    for i in range(x.size):
        total += a[i] * (x[i] - 1.0) ** 2 + math.sin(x[i])
    return total * (1.0 + noise * math.sin(1e11 * total))


@pytest.mark.parametrize("noise", [0.0, 1e-7, 1e-5])
def test_steps_that_are_lost_in_noise_are_those_of_entries(noise):
    """Noise and bends are told apart by a kernel as elsewhere, at minima and away from them."""
    lengthened = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(8, 40))
        x, a = rng.normal(size=n), 10.0 ** rng.uniform(-2, 2, n)
        if seed % 2:
            x = 1.0 - math.cos(1.0) / (2 * a) + 1e-3 * rng.normal(size=n)
        direct, by_entries = fg.grad(noisy), fg.grad(noisy, trainable=np.ones(n, bool))
        for _ in range(3):
            expected = by_entries(x, a, noise)
            np.testing.assert_array_equal(direct(x, a, noise), expected)
        lengthened += direct._differencing.is_noisy
        assert by_entries._differencing.is_noisy == direct._differencing.is_noisy
    assert lengthened >= {0.0: 0, 1e-7: 3, 1e-5: 10}[noise]
    assert noise or not lengthened


def test_lengthened_steps_are_the_same_on_any_number_of_threads():
    rng = np.random.default_rng(0)
    x, a = rng.normal(size=300), 10.0 ** rng.uniform(-2, 2, 300)
    threads, found = numba.get_num_threads(), []
    try:
        for count in (1, threads):
            numba.set_num_threads(count)
            g = fg.grad(noisy, trainable=np.ones(300, bool))
            found.append(g(x, a, 1e-5))
            assert g._differencing.is_noisy
    finally:
        numba.set_num_threads(threads)
    np.testing.assert_array_equal(found[0], found[1])
