"""What people get wrong, and what they are told: expected, got, what to do."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from numba import njit

import fastgrad as fg
from fastgrad import errors

X = np.array([1.0, 2.0, 3.0])
P = {"W": np.ones((2, 3)), "b": np.ones(3)}


def squares(x):
    return (x * x).sum()


def ridge(w, X, y):
    return ((X @ w - y) ** 2).sum()


def of_blocks(p):
    return (p.W * p.W).sum() + p.b[0]


def of_dict(p):
    return float((p["W"] ** 2).sum() + p["b"][0])


def log_of(x):
    return np.log(x).sum()


class Call(NamedTuple):
    loss: Any
    args: tuple[Any, ...]
    options: dict[str, Any]

    def made(self, **more):
        return fg.grad(self.loss, **self.options, **more)(*self.args)


def call(loss, *args, **options):
    return Call(loss, args, options)


BOTH = ("auto", "python")

# name: (a call, the exception, words that its message must have)
THETA = {
    "no argument": (call(squares), TypeError, "squares(x) cannot be called with 0"),
    "None": (call(squares, None), TypeError, "theta is NoneType: expected a number"),
    "a string": (call(squares, "x"), TypeError, "theta is str: expected a number"),
    "booleans": (call(squares, np.array([True])), TypeError, "theta is boolean: expected a number"),
    "complex": (call(squares, X + 1j), TypeError, "the loss squares returns complex128 modulus"),
    "objects": (
        call(squares, np.array([X, None], object)), TypeError, "theta is ndarray: expected",
    ),
    "a masked array": (
        call(squares, np.ma.array([1.0, 2.0])), TypeError, "theta is a masked array: .filled()",
    ),
    "text in a block": (
        call(of_blocks, {"W": np.ones(2), "b": ["a"]}), TypeError, "b.0 is str: expected",
    ),
    "None in a block": (call(of_blocks, {"W": {"deep": None}}), TypeError, "W.deep is NoneType"),
    "empty": (call(squares, np.zeros(0)), ValueError, "theta is empty: expected at least one"),
    "empty list": (call(squares, []), ValueError, "theta is empty: expected at least one"),
    "empty dict": (call(of_blocks, {}), ValueError, "theta is empty: expected at least one"),
    "only empty blocks": (call(of_blocks, {"W": np.zeros((0, 2))}), ValueError, "theta is empty"),
    "NaN": (
        call(squares, np.array([1, np.nan])), ValueError, "theta[1] is nan: expected finite 1 of 2",
    ),
    "infinite": (call(squares, np.inf), ValueError, "theta is inf: expected finite"),
    "NaN in a block": (
        call(of_blocks, {"W": np.ones(2), "b": np.array([[1, -np.inf]])}), ValueError,
        "b[0, 1] is -inf: expected finite 1 of 4",
    ),
    "NaN in another argument's place": (
        call(ridge, X, np.full((2, 3), np.nan), X[:2], argnum=1), ValueError,
        "X[0, 0] is nan: expected finite 6 of 6",
    ),
}  # fmt: skip

OPTIONS = {
    "no function": (call(3, X), TypeError, "the loss is int: expected a function"),
    "argnum": (call(squares, X, argnum=-1), ValueError, "argnum=-1: expected position from 0"),
    "argnum True": (call(squares, X, argnum=True), ValueError, "argnum=True: expected position"),
    "argnum too large": (call(squares, X, argnum=1), TypeError, "argnum=1: expected at least 2"),
    "method": (
        call(squares, X, method="centered"), ValueError,
        "method='centered' central forward backward",
    ),
    "order": (call(squares, X, order=3), ValueError, "order=3: 2, 4 or 6"),
    "order of forward": (
        call(squares, X, method="forward", order=4), ValueError, "order=4 central alone forward",
    ),
    "step 0": (call(squares, X, step=0), ValueError, "step is 0.0 for theta[0]: expected positive"),
    "step < 0": (call(squares, X, step=-1e-5), ValueError, "step is -1e-05 expected positive"),
    "step NaN": (call(squares, X, step=np.nan), ValueError, "step is nan expected positive"),
    "step infinite": (call(squares, X, step=np.inf), ValueError, "step is inf expected positive"),
    "step of an entry": (
        call(squares, X, step=np.array([1e-5, 0, 1e-5])), ValueError, "0.0 for theta[1] positive",
    ),
    "step a word": (
        call(squares, X, step="small"), ValueError, "step='small': expected None number",
    ),
    "step complex": (call(squares, X, step=1j), TypeError, "step is complex"),
    "step None in a block": (
        call(of_blocks, P, step={"W": None, "b": 1}), TypeError, "step for W is NoneType",
    ),
    "step of another shape": (
        call(squares, X, step=np.ones(4)), errors.StructureMismatchError,
        "step for theta: expected shape (3,), got (4,)",
    ),
    "step of another structure": (
        call(of_blocks, P, step={"W": 1e-5}), errors.StructureMismatchError,
        "step: expected fields 'W', 'b'; missing 'b'",
    ),
    "step lost in rounding": (
        call(squares, 1e6 * X, step=1e-12), ValueError,
        "step 1e-12 lost in rounding beside theta[0] = 1e+06: expected at least 1.16e-10",
    ),
    "step out of range": (
        call(squares, 1e308 * X[:1], step=1e308), ValueError,
        "step 1e+308 leaves the range of floats from theta[0] = 1e+308: expected a smaller",
    ),
    "trainable: no such name": (
        call(of_blocks, P, trainable="w"), ValueError, "no block 'w'; its blocks are 'W', 'b'",
    ),
    "trainable: shape": (
        call(of_blocks, P, trainable={"W": np.ones((3, 2), bool), "b": True}),
        errors.StructureMismatchError, "trainable for W: expected shape (2, 3), got (3, 2)",
    ),
    "trainable: nothing": (
        call(of_blocks, P, trainable={"W": False, "b": False}), ValueError, "selects no entry",
    ),
    "trainable: numbers": (
        call(squares, X, trainable=[1, 0, 1]), TypeError, "trainable for theta: expected booleans",
    ),
}  # fmt: skip

ARGUMENTS = {
    "too few": (call(ridge, X), TypeError, "ridge(w, X, y) cannot be called with 1 positional"),
    "too many": (
        call(squares, X, 1.0), TypeError, "squares(x) cannot be called with 2 too many positional",
    ),
    "a function": (
        call(lambda x, f: f(x), X, squares, backend="compiled"),
        errors.LossCompilationError,
        'cannot type the argument f, function: expected numbers, arrays backend="python"',
    ),
    "an object": (
        call(lambda x, thing: x[0], X, object(), backend="compiled"),
        errors.LossCompilationError,
        "cannot type the argument thing, object",
    ),
    "a masked array": (
        call(lambda x, data: x[0], X, np.ma.array([1.0]), backend="compiled"),
        errors.LossCompilationError,
        "cannot type the argument data, MaskedArray",
    ),
    "an array of objects": (
        call(lambda x, data: x[0], X, np.array([1.0, "a"], object), backend="compiled"),
        errors.LossCompilationError,
        "cannot type the argument data, ndarray of shape (2,) of object",
    ),
    "before theta": (
        call(lambda data, x: x[0], object(), X, argnum=1, backend="compiled"),
        errors.LossCompilationError,
        "cannot type the argument data, object",
    ),
    "a key that is a number": (
        call(lambda x, d: x[0], X, {0: 1.0}, backend="compiled"),
        errors.LossCompilationError,
        "the key 0 cannot be a field expected a string",
    ),
    "a number too large": (
        call(lambda x, k: x[0] * k, X, 10**30, backend="compiled"),
        errors.LossCompilationError, "the argument k, int",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", [*THETA, *OPTIONS, *ARGUMENTS])
def test_what_is_said(name):
    wrong, exception, words = (THETA | OPTIONS | ARGUMENTS)[name]
    with pytest.raises(exception) as info:
        wrong.made()
    check(info.value, words)


@pytest.mark.parametrize("name", [*THETA, *OPTIONS])
def test_the_python_backend_says_the_same(name):
    wrong, exception, words = (THETA | OPTIONS)[name]
    with pytest.raises(exception) as info:
        wrong.made(backend="python")
    check(info.value, words)


def check(error, words):
    """All the words, in their order."""
    position = 0
    for word in words.split(" "):
        found = str(error).find(word, position)
        assert found >= 0, f"{word!r} is not in {str(error)[position:]!r}"
        position = found + len(word)


def test_a_backend_that_does_not_exist():
    with pytest.raises(
        ValueError, match="backend='gpu': expected one of 'auto', 'compiled', 'python'"
    ):
        fg.grad(squares, backend="gpu")


@njit
def maybe_none(x):
    if x[0] > 0:
        return None
    return x[1]


RETURNS = {
    "an array": (lambda x: x * x, TypeError, "returns array ndarray expected one real .sum()"),
    "an array of one": (lambda x: x[:1], TypeError, "expected one real number .sum()"),
    "an int": (lambda x: 3, TypeError, "int expected one real number a float"),
    "a bool": (lambda x: x[0] > 0, TypeError, "bool expected one real number return a float"),
    "None": (lambda x: None, TypeError, "expected one real number None on some path"),
    "sometimes None": (maybe_none, TypeError, "expected one real number None on some path"),
    "complex": (lambda x: (x * 1j).sum(), TypeError, "complex expected one real part modulus"),
    "a tuple": (lambda x: (x[0], x[1]), TypeError, "expected one real number"),
    "a string": (lambda x: "abc", TypeError, "expected one real number return the loss alone"),
}


@pytest.mark.parametrize("backend", BOTH)
@pytest.mark.parametrize("name", RETURNS)
def test_what_a_loss_may_not_return(name, backend):
    loss, exception, words = RETURNS[name]
    with pytest.raises(exception) as info:
        fg.grad(loss, backend=backend)(X)
    kinds = {"array", "ndarray", "returns"} if name == "an array" else set()
    check(info.value, " ".join(word for word in words.split(" ") if word not in kinds))


def still_to_be_written(x):
    if x[0] > 0:
        raise NotImplementedError
    raise ValueError("not yet")


def test_a_loss_that_raises_whatever_it_is_given():
    """Compiled code has a type for it, that of None; it is not told to return on every path."""
    for loss in (still_to_be_written, njit(still_to_be_written)):
        with pytest.raises(
            TypeError, match="still_to_be_written raises an exception on every path"
        ):
            fg.grad(loss, backend="compiled")(X)


@njit
def nan_above(x):
    return np.sqrt(2.0 - x[1]) + x[0]


@njit
def raises_above(x):
    if x[2] > 3.0:
        raise ValueError("too large")
    return x[0]


FAILS = {
    "infinite at theta": (
        lambda x: x[0] * np.inf, errors.NonFiniteLossError, "inf at smaller step", {},
    ),
    "NaN at theta, forward": (
        lambda x: x[0] * np.nan, errors.NonFiniteLossError,
        "nan at the given parameters: expected a finite number", {"method": "forward"},
    ),
    "NaN beside theta": (
        nan_above, errors.NonFiniteLossError,
        "nan at theta[1] +1.53e-05 theta[1] = 2 smaller step further from the edge", {},
    ),
    "raises beside theta": (
        raises_above, errors.LossError, "ValueError at theta[2] +1.53e-05: too large", {},
    ),
    "log of a negative": (
        log_of, errors.NonFiniteLossError, "nan at theta[0] -1 theta[0] = 1", {"step": 1.5},
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy's own, in the Python backend
@pytest.mark.parametrize("backend", BOTH)
@pytest.mark.parametrize("name", FAILS)
def test_losses_that_fail_somewhere(name, backend):
    loss, exception, words, options = FAILS[name]
    with pytest.raises(exception) as info:
        fg.grad(loss, backend=backend, **options)(X)
    check(info.value, words)


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.LossCompilationError, TypeError),
        (errors.PythonBackendWarning, UserWarning),
        (errors.GradientAlarm, UserWarning),
        (errors.LossError, RuntimeError),
        (errors.NonFiniteLossError, ArithmeticError),
        (errors.NondeterministicLossError, ValueError),
        (errors.MutatedInputError, ValueError),
        (errors.StructureMismatchError, ValueError),
        (errors.StructureError, ValueError),
        (errors.GradientMismatch, AssertionError),
    ],
)
def test_every_error_is_also_a_builtin_kind(kind, builtin):
    assert issubclass(kind, builtin)
    assert kind.__doc__


def test_no_error_is_missing_from_the_table_above():
    kinds = [v for v in vars(errors).values() if isinstance(v, type) and issubclass(v, Exception)]
    beside = {errors.CheckpointError, errors.ExecutorError}  # tests/cluster
    beside |= {errors.StepWarning}  # tests/test_misfit.py
    assert len({*kinds} - beside) == 10
