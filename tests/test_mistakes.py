"""What newcomers get wrong, and what they read then: what was expected, what came, what to do."""

import numpy as np
import pytest
import scipy.sparse

import fastgrad as fg

X = np.array([1.0, 2.0, 3.0])
DATA, TARGET = np.ones((4, 3)), np.ones(4)
LOOP: dict = {}
LOOP["a"] = LOOP
DEEP: list = [X]
for _ in range(600):
    DEEP = [DEEP]


def squares(x):
    return float((x**2).sum())


def data_first(X, y, theta):
    return float(((X @ theta - y) ** 2).sum())


class SpeechlessError(Exception):
    def __str__(self):
        raise RuntimeError("not even this")


def speechless(x):
    raise SpeechlessError


class Leaf:
    """A leaf of a tape: NumPy may not have it."""

    shape = (3,)

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")

    def detach(self):
        return X


class Value:
    """A number of a library of its own, of shape (1, 1)."""

    shape = (1, 1)

    def __init__(self, value):
        self.value = value

    def __float__(self):
        return self.value


MISTAKES = {
    "(value, gradient)": (
        lambda: (squares, lambda x: (squares(x), 2 * x), X),
        "returned a tuple of 2: expected the gradient alone. Its second part is shaped like theta: "
        "hand over lambda *args: f(*args)[1]",
    ),
    "(gradient, hessian)": (
        lambda: (
            lambda p: squares(p["x"]),
            lambda p: ({"x": 2 * p["x"]}, {"x": 2 + 0 * p["x"]}),
            {"x": X},
        ),
        "2 of them are shaped like theta: expected the gradient alone. If it is (gradient, hessian), "
        "hand over lambda *args: f(*args)[0]",
    ),
    "a gradient for each argument": (
        lambda: (
            lambda a, b, c: float((a * b * c).sum()),
            lambda a, b, c: (b * c, a * c, a * b),
            X,
            2 * X,
            3 * X,
        ),
        "if there is one for each argument, give these as one tuple, (x, y, ...), with "
        "argnum=(0, 1, 2)",
    ),
    "the loss returns (value, gradient)": (
        lambda: (lambda x: (squares(x), 2 * x), lambda x: 2 * x, X),
        "returns a tuple of 2: expected one real number (a float); return the loss alone",
    ),
    "the data come first": (
        lambda: (data_first, lambda X, y, t: 2 * X.T @ (X @ t - y), X, DATA, TARGET),
        "theta was given as the first argument, X: if it is another one, argnum= says which, as "
        "argnum='theta'",
    ),
    "sparse theta": (
        lambda: (squares, lambda x: 2 * x, scipy.sparse.csr_matrix(np.eye(3))),
        "theta is csr_matrix: expected an array of numbers; use .toarray()",
    ),
    "a sparse gradient": (
        lambda: (squares, lambda x: scipy.sparse.csr_matrix(2 * x), np.eye(3)),
        "use .toarray()",
    ),
    "a leaf of a tape": (
        lambda: (squares, lambda x: 2 * x, Leaf()),
        "does not become an array (Can't call numpy() on Tensor that requires grad.): expected "
        "numbers; use .detach().cpu().numpy(), or fastgrad.torch.check",
    ),
    "a gradient with its tape": (lambda: (squares, lambda x: Leaf(), X), "use .detach()"),
    "a container that holds itself": (
        lambda: (squares, lambda x: x, LOOP), "does one of them hold itself?",
    ),
    "600 levels": (lambda: (squares, lambda x: x, DEEP), "nested too deeply to be read"),
    "an exception that cannot be shown": (
        lambda: (speechless, lambda x: x, X),
        "raised SpeechlessError at the given parameters: (its message cannot be shown)",
    ),
    "a gradient in a tangent space": (
        lambda: (squares, lambda q: np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0])),
        "3 numbers for 4: a gradient in a tangent space?",
    ),
    "no return": (
        lambda: (lambda x: None, lambda x: 2 * x, X), "it returns None on some path; return the loss",
    ),
    "no sum": (
        lambda: (lambda x: x**2, lambda x: 2 * x, X), "reduce it to a number (for example with .sum()",
    ),
    "a complex value": (
        lambda: (lambda x: complex((x**2).sum()), lambda x: 2 * x, X),
        "return its real part or its modulus, whichever is minimised",
    ),
    "a gradient without return": (
        lambda: (squares, lambda x: None, X), "returned None: expected numbers shaped like theta (is a "
        "return statement missing?)",
    ),
    "a transposed gradient": (
        lambda: (lambda W: squares(W), lambda W: 2 * W.T, np.ones((2, 3))),
        "expected shape (2, 3), as the parameters have, or one flat vector of 6; got (3, 2) (is it "
        "transposed?)",
    ),
    "a block forgotten": (
        lambda: (
            lambda p: squares(p["w"]) + p["b"] ** 2, lambda p: {"w": 2 * p["w"]}, {"w": X, "b": 1.0},
        ),
        "expected the fields of theta, 'w', 'b'; missing 'b'",
    ),
    "a block too much": (
        lambda: (
            lambda p: squares(p["w"]), lambda p: {"w": 2 * p["w"], "bias": 1.0}, {"w": X},
        ),
        "expected the fields of theta, 'w'; unknown 'bias', which theta has not",
    ),
    "the data forgotten": (
        lambda: (data_first, lambda X, y, t: t, X),
        "cannot be called with 1 positional argument (missing a required argument: 'y'): give what it "
        "takes, theta and then the data, in its own order: X, y, theta",
    ),
    "a gradient of theta alone": (
        lambda: (lambda t, X, y: data_first(X, y, t), lambda t: 2 * t, X, DATA, TARGET),
        "expected one that takes what the loss takes, theta and then the data; wrap it, lambda theta, "
        "*data: f(theta), with f your function",
    ),
    "the loss is called": (
        lambda: (squares(X), lambda x: 2 * x, X), "hand it over by its name, without calling it",
    ),
    "no parameters": (lambda: (squares, lambda x: x, np.zeros(0)), "theta is empty: expected at least"),
    "a theta that is no number": (
        lambda: (squares, lambda x: x, np.array([1.0, np.nan])), "theta[1] is nan: expected finite",
    ),
    "text for theta": (lambda: (squares, lambda x: x, "theta"), "theta is str: expected a number, an"),
    "a ragged array": (
        lambda: (squares, lambda x: x, np.array([X, X[:2]], dtype=object)),
        "theta is ndarray: expected a number, an array of numbers, or a dict, NamedTuple, "
        "dataclass, list or tuple of them; objects, as arrays of unlike lengths, go in a list or a dict",
    ),
    "dropout": (
        lambda: (lambda x: squares(x * (np.random.rand(3) > 0.5)), lambda x: 2 * x, X),
        "expected a function of theta. Switch dropout and other noise off, or seed it",
    ),
    "in place": (
        lambda: (lambda x: float(np.multiply(x, 2, out=x).sum()), lambda x: 2 * x, X),
        "wrote to its own parameters (theta[0] was 1, became 2): a loss must leave them alone; copy",
    ),
    "infinite": (
        lambda: (lambda x: np.inf, lambda x: x, X),
        "expected a finite number to start from; look for log(0), a division by 0 or an overflow in it",
    ),
    "a pose": (
        lambda: (squares, lambda T: np.zeros(6), np.eye(4)),
        "6 numbers for 16: a gradient in a tangent space?",
    ),
}  # fmt: skip


def test_the_advice_for_a_gradient_for_each_argument_cures():
    def loss(a, b, c):
        return float((a * b * c).sum())

    def each(a, b, c):
        return b * c, a * c, a * b

    assert fg.check_grad(loss, each, (X, 2 * X, 3 * X), argnum=(0, 1, 2), backend="python")


@pytest.mark.parametrize("name", MISTAKES)
def test_what_newcomers_read(name):
    call, said = MISTAKES[name]
    with pytest.raises((TypeError, ValueError, RuntimeError, ArithmeticError)) as caught:
        fg.check_grad(*call(), backend="python")
    assert said in str(caught.value)


def test_keys_that_are_one_name_in_normal_form():
    theta = {"\ufb01": X, "fi": 2 * X}
    with pytest.raises(fg.errors.LossCompilationError, match="one and the same name to Python"):
        fg.grad(lambda p: p["fi"].sum(), backend="compiled")(theta)
    report = fg.check_grad(
        lambda p: float(p["fi"].sum() + (p["\ufb01"] ** 2).sum()),
        lambda p: {"fi": np.ones(3), "\ufb01": 2 * p["\ufb01"]},
        theta,
    )
    assert report


def test_a_value_is_a_value():
    assert fg.check_grad(lambda x: Value(squares(x)), lambda x: 2 * x, X, backend="python")


def test_a_gradient_function_bears_the_name_of_its_loss():
    import inspect

    g = fg.grad(data_first, argnum=2, order=4)
    assert g.__name__ == "data_first"
    assert list(inspect.signature(g).parameters) == ["X", "y", "theta"]
    assert repr(g) == "grad(data_first, argnum=2, method='central', order=4)"
    assert repr(fg.grad(squares)) == "grad(squares)"


OPTIONS = {
    "a strategy mistyped": ({"strategy": "swep"}, "expected one of 'auto', 'sweep', 'screen'"),
    "a backend that is not": ({"backend": "numba"}, "backend='numba': expected one of"),
    "a tolerance below 0": ({"rtol": -1e-5}, "rtol=-1e-05: expected a number from 0 up"),
    "a tolerance as text": ({"rtol": "1e-5"}, "rtol='1e-5' is str: expected a number"),
    "seconds as text": ({"budget": "10s"}, "budget='10s' is str: expected a number"),
    "a seed as text": ({"seed": "a"}, "seed='a' is str: expected a whole number"),
    "one seed": ({"seeds": 5}, "seeds=5: expected several, such as seeds=range(20)"),
    "a block mistyped": ({"trainable": "tehta"}, "(did you mean 'theta'?)"),
    "no points": ({"points": 0}, "points=0: expected at least 1"),
    "no step": ({"step": 0.0}, "step is 0.0 for theta[0]: expected a positive number"),
    "one bound": ({"bounds": 3.0}, "bounds: expected (low, high), each a number, None, or"),
    "an argument that is not there": (
        {"argnum": 4},
        "argnum=4: expected at least 4 arguments beside theta, got 0 (argnum counts the arguments of "
        "the loss from 0 on)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIONS)
def test_what_is_said_of_options(name):
    options, said = OPTIONS[name]
    with pytest.raises((TypeError, ValueError)) as caught:
        fg.check_grad(squares, lambda x: 2 * x, X, **{"backend": "python", **options})
    assert said in str(caught.value)


def test_the_table_is_long_enough():
    assert len(MISTAKES) + len(OPTIONS) >= 40
