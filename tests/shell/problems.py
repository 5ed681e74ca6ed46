"""A user's file, as `fastgrad check` is pointed at it."""

FILE = """
import numpy as np

X, y = np.arange(12.0).reshape(4, 3) / 7, np.array([1.0, 0.0, 2.0, 1.0])
theta = {"w": np.array([0.3, -0.2, 0.5]), "b": 0.1}


def loss(p, X, y):
    return 0.5 * ((X @ p["w"] + p["b"] - y) ** 2).mean() + 0.05 * (p["w"] ** 2).sum()


def right(p, X, y):
    r = (X @ p["w"] + p["b"] - y) / y.size
    return {"w": X.T @ r + 0.1 * p["w"], "b": r.sum()}


def wrong(p, X, y):
    r = (X @ p["w"] + p["b"] - y) / y.size
    return {"w": X.T @ r, "b": r.sum()}


def rough(x):
    return np.float64(np.float32(np.sin(3 * x[0]) + 1e5))


problem = (loss, right, theta, X, y)
forgotten = (loss, wrong, theta, X, y)
unsure = (rough, lambda x: 3 * np.cos(3 * x), np.array([0.3]))
fields = {"loss": loss, "grad": wrong, "theta": theta, "args": (X, y), "options": {"trainable": "b"}}


class Fields:
    def __init__(self):
        self.loss, self.grad, self.theta, self.args = loss, right, theta, (X, y)


made_fields = Fields()


def made():
    print("what the user prints")
    return forgotten


def report():
    import fastgrad

    return fastgrad.check_grad(loss, right, theta, X, y)
"""

MISTAKES = """
import numpy as np

x = np.ones(3)


def loss(x):
    return (x * x).sum()


def grad(x):
    return 2 * x


def raises(x):
    return {}["key"]


def draws(x):
    return (x * x).sum() * (1 + 1e-3 * np.random.random())


number = 3
short = (loss, grad)
swapped = (x, grad, loss)
no_grad = {"loss": loss, "theta": x}
bad_args = {"loss": loss, "grad": grad, "theta": x, "args": 3.0}
bad_option = {"loss": loss, "grad": grad, "theta": x, "options": {"rtoll": 1e-3}}
list_options = {"loss": loss, "grad": grad, "theta": x, "options": ["rtol"]}
raising = (loss, raises, x)
raising_loss = (raises, grad, x, )
wrong_shape = (loss, lambda x: np.ones(2), x)
random = (draws, grad, x)
not_finite = (loss, grad, x * np.nan)
missing_argument = (lambda x, scale: (x * x).sum(), grad, x)
words = (loss, grad, "x")
an_array = (lambda x: x * x, grad, x)
right = (loss, grad, x)


def needs(seed):
    return right


def nothing():
    right


def broken():
    return 1 / 0
"""
