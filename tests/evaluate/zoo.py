"""Losses as people write them in numba: kinds of residuals, each in every form that numba takes.

A loss is ``sum phi(X @ p - y)``; a form is how that is organised, and where its data come from.
"""

import math
from collections import namedtuple
from typing import Any, NamedTuple

import numpy as np
from numba import cfunc, guvectorize, njit, objmode, prange, typed, types, vectorize
from numba.experimental import jitclass

ROWS, SIZE = 60, 6
RNG = np.random.default_rng(7)
X = RNG.normal(size=(ROWS, SIZE))
Y = RNG.normal(size=ROWS)
P = RNG.normal(size=SIZE) / 2
Blocks = namedtuple("Blocks", "w b")


def phi(function):
    return njit(function)


KINDS = {
    "square": (phi(lambda r: r * r), lambda r: 2 * r),
    "log cosh": (phi(lambda r: math.log(math.cosh(r))), np.tanh),
    "pseudo Huber": (phi(lambda r: math.sqrt(1 + r * r) - 1), lambda r: r / np.sqrt(1 + r * r)),
    "exponential": (phi(lambda r: math.exp(0.3 * r)), lambda r: 0.3 * np.exp(0.3 * r)),
    "wave": (phi(lambda r: math.sin(r) + 0.1 * r), lambda r: np.cos(r) + 0.1),
    "softplus": (phi(lambda r: math.log1p(math.exp(r))), lambda r: 1 / (1 + np.exp(-r))),
    "Cauchy": (phi(lambda r: math.log1p(r * r)), lambda r: 2 * r / (1 + r * r)),
    "quartic": (phi(lambda r: (r * r) * (r * r) / 10), lambda r: 0.4 * r**3),
    "arctan": (phi(lambda r: r * math.atan(r)), lambda r: np.arctan(r) + r / (1 + r * r)),
    "error function": (
        phi(lambda r: math.erf(r)),
        lambda r: 2 / math.sqrt(math.pi) * np.exp(-r * r),
    ),
}


class Animal(NamedTuple):
    loss: Any
    arguments: Any
    """Makes the other arguments, afresh."""
    theta: Any = staticmethod(lambda p: p)
    """What the loss takes, of a flat p."""


@jitclass([("X", types.float64[:, ::1]), ("y", types.float64[::1])])
class Data:
    def __init__(self, X, y):
        self.X = X
        self.y = y

    def residual(self, i, p):
        return np.dot(self.X[i], p) - self.y[i]


@jitclass([("p", types.float64[::1]), ("calls", types.int64)])
class Told:
    def __init__(self):
        self.p = np.zeros(1)
        self.calls = 0

    def residual(self, x, y):
        return np.dot(x, self.p) - y


def loops(phi):
    @njit
    def loss(p, X, y):
        total = 0.0
        for i in range(y.size):
            total += phi(np.dot(X[i], p) - y[i])
        return total

    return Animal(loss, lambda: (X, Y))


def plain(phi):
    def loss(p, X, y):
        total = 0.0
        for i in range(y.size):
            r = -y[i]
            for j in range(p.size):
                r += X[i, j] * p[j]
            total += phi(r)
        return total

    return Animal(loss, lambda: (X, Y))


def comprehension(phi):
    @njit
    def loss(p, X, y):
        r = X @ p - y
        return np.array([phi(v) for v in r]).sum()

    return Animal(loss, lambda: (X, Y))


def parallel(phi):
    @njit(parallel=True)
    def loss(p, X, y):
        values = np.empty(y.size)
        for i in prange(y.size):
            r = -y[i]
            for j in range(p.size):
                r += X[i, j] * p[j]
            values[i] = phi(r)
        return values.sum()

    return Animal(loss, lambda: (X, Y))


def fast(phi):
    @njit(fastmath=True, boundscheck=False)
    def loss(p, X, y):
        total = 0.0
        for i in range(y.size):
            total += phi((X[i] * p).sum() - y[i])
        return total

    return Animal(loss, lambda: (X, Y))


def eager(phi):
    @njit("float64(float64[::1], float64[:, ::1], float64[::1])")
    def loss(p, X, y):
        total = 0.0
        for i in range(y.size):
            total += phi(np.dot(X[i], p) - y[i])
        return total

    return Animal(loss, lambda: (np.asfortranarray(X), Y))


def dict_of_blocks(phi):
    @njit
    def loss(p, X, y):
        total = 0.0
        for i in range(y.size):
            total += phi(np.dot(X[i, 1:], p["w"]) + X[i, 0] * p["b"] - y[i])
        return total

    return Animal(loss, lambda: (X, Y), lambda p: {"b": float(p[0]), "w": p[1:]})


def named_blocks(phi):
    @njit
    def loss(p, X, y):
        total = 0.0
        for i in range(y.size):
            total += phi(np.dot(X[i, :4], p.w) + np.dot(X[i, 4:], p.b[0]) - y[i])
        return total

    return Animal(loss, lambda: (X, Y), lambda p: Blocks(p[:4], p[4:].reshape(1, 2)))


def list_of_rows(phi):
    @njit
    def loss(p, rows, y):
        total = 0.0
        for i, row in enumerate(rows):
            total += phi(np.dot(row, p) - y[i])
        return total

    return Animal(loss, lambda: (typed.List(list(X)), Y))


def tuple_of_parts(phi):
    @njit
    def loss(p, parts, scale=1.0):
        X, y = parts
        total = 0.0
        for i in range(y.size):
            total += phi(np.dot(X[i], p) - y[i])
        return total * scale

    return Animal(loss, lambda: ((X, Y),))


def star(phi):
    @njit
    def loss(p, y, *columns):
        r = -y
        for j in range(len(columns)):
            r = r + columns[j] * p[j]
        total = 0.0
        for v in r:
            total += phi(v)
        return total

    return Animal(loss, lambda: (Y, *(np.ascontiguousarray(c) for c in X.T)))


def dict_of_columns(phi):
    @njit
    def loss(p, columns, y):
        r = -y
        for j, name in enumerate(columns):
            r = r + columns[name] * p[j]
        total = 0.0
        for v in r:
            total += phi(v)
        return total

    def columns():
        made = typed.Dict.empty(types.unicode_type, types.float64[::1])
        for j in range(SIZE):
            made[f"x{j}"] = np.ascontiguousarray(X[:, j])
        return made, Y

    return Animal(loss, columns)


def records(phi):
    @njit
    def loss(p, table):
        total = 0.0
        for row in table:
            total += phi(np.dot(row.x, p) - row.y)
        return total

    def table():
        made = np.zeros(ROWS, [("x", "f8", (SIZE,)), ("y", "f8")])
        made["x"], made["y"] = X, Y
        return (made,)

    return Animal(loss, table)


def of_a_class(phi):
    @njit
    def loss(p, data):
        total = 0.0
        for i in range(data.y.size):
            total += phi(data.residual(i, p))
        return total

    return Animal(loss, lambda: (Data(X, Y),))


def told_its_parameters(phi):
    @njit
    def loss(p, model, X, y):
        model.p = p
        model.calls += 1
        total = 0.0
        for i in range(y.size):
            total += phi(model.residual(X[i], y[i]))
        return total

    return Animal(loss, lambda: (Told(), X, Y))


def of_a_callback(phi):
    @njit
    def loss(p, f, X, y):
        total = 0.0
        for i in range(y.size):
            total += f(np.dot(X[i], p) - y[i])
        return total

    callback = cfunc("float64(float64)")(phi.py_func)
    return Animal(loss, lambda: (callback, X, Y))


def into_a_buffer(phi):
    @njit
    def loss(p, X, y, out):
        for i in range(y.size):
            out[i] = np.dot(X[i], p) - y[i]
        total = 0.0
        for v in out:
            total += phi(v)
        return total

    return Animal(loss, lambda: (X, Y, np.zeros(ROWS)))


def in_object_mode(phi):
    @njit
    def loss(p, X, y):
        with objmode(r="float64[:]"):
            r = X @ p - y
        total = 0.0
        for v in r:
            total += phi(v)
        return total

    return Animal(loss, lambda: (X, Y))


def by_generator(phi):
    @njit
    def residuals(p, X, y):
        for i in range(y.size):
            yield np.dot(X[i], p) - y[i]

    @njit
    def loss(p, X, y):
        total = 0.0
        for r in residuals(p, X, y):
            total += phi(r)
        return total

    return Animal(loss, lambda: (X, Y))


def with_exceptions(phi):
    @njit
    def loss(p, X, y):
        total = 0.0
        for i in range(y.size):
            try:
                if i < 0:
                    raise ValueError("never")
                total += phi(np.dot(X[i], p) - y[i])
            except Exception:
                total += 1e9
        return total

    return Animal(loss, lambda: (X, Y))


def by_ufunc(phi):
    ufunc = vectorize(["float64(float64)"])(phi.py_func)

    @njit
    def loss(p, X, y):
        return ufunc(X @ p - y).sum()

    return Animal(loss, lambda: (X, Y))


def by_gufunc(phi):
    @guvectorize(["float64[:], float64[:], float64[:]"], "(n),(n)->()", nopython=True)
    def product(x, p, out):
        out[0] = (x * p).sum()

    @njit
    def loss(p, X, y):
        r = np.empty(y.size)
        product(X, p, r)
        total = 0.0
        for i in range(y.size):
            total += phi(r[i] - y[i])
        return total

    return Animal(loss, lambda: (X, Y))


def with_options(phi):
    @njit
    def loss(p, data, mode, weights=None):
        total = 0.0
        for i in range(data["y"].size):
            r = np.dot(data["X"][i], p) - data["y"][i]
            value = phi(r) if mode == "sum" else 0.0
            total += value if weights is None else value * weights[i]
        return total if "offset" not in data else 0.0

    return Animal(loss, lambda: ({"X": X, "y": Y}, "sum"))


def over_the_closure(phi):
    def make(X, y):
        @njit
        def loss(p):
            total = 0.0
            for i in range(y.size):
                total += phi(np.dot(X[i], p) - y[i])
            return total

        return loss

    return Animal(make(X, Y), lambda: ())


FORMS = (
    loops, plain, comprehension, parallel, fast, eager, dict_of_blocks, named_blocks, list_of_rows,
    tuple_of_parts, star, dict_of_columns, records, of_a_class, told_its_parameters, of_a_callback,
    into_a_buffer, in_object_mode, by_generator, with_exceptions, by_ufunc, by_gufunc, with_options,
    over_the_closure,
)  # fmt: skip
ZOO = [
    (form, kind) for k, form in enumerate(FORMS) for j, kind in enumerate(KINDS) if (j + k) % 2 == 0
]
"""Every form with every second kind: 120."""


def gradient(kind, p):
    return X.T @ KINDS[kind][1](X @ p - Y)
