"""Losses in njit whose arguments hold state: threads would share it, and theta may be kept in it."""

from typing import Any, NamedTuple

import numpy as np
from numba import njit, typed, types
from numba.experimental import jitclass

X = np.random.default_rng(0).normal(size=(400, 12))
Y = np.tanh(X[:, 0])
ARRAY = types.float64[::1]


@jitclass([("X", types.float64[:, ::1]), ("r", ARRAY)])
class Buffered:
    """A work buffer in a field: overwritten, then read."""

    def __init__(self, X):
        self.X = X
        self.r = np.zeros(X.shape[0])

    def nll(self, p, y):
        for i in range(self.X.shape[0]):
            self.r[i] = np.dot(self.X[i], p) - y[i]
        total = 0.0
        for i in range(self.r.size):
            total += self.r[i] * self.r[i]
        return total


@jitclass([("p", ARRAY), ("scale", types.float64)])
class Model:
    """A model that is told its parameters, and keeps them."""

    def __init__(self):
        self.p = np.zeros(1)
        self.scale = 1.0

    def nll(self, X, y):
        total = 0.0
        for i in range(X.shape[0]):
            r = np.dot(X[i], self.p) - y[i]
            total += r * r
        return total * self.scale


@jitclass([("seed", types.uint64)])
class Random:
    """A generator with a seed of its own."""

    def __init__(self):
        self.seed = 1

    def draw(self):
        self.seed = self.seed * types.uint64(6364136223846793005) + types.uint64(
            1442695040888963407
        )
        return (self.seed >> types.uint64(11)) * 2.0**-53


@njit
def squares(p, X, y):
    total = 0.0
    for i in range(X.shape[0]):
        r = np.dot(X[i], p) - y[i]
        total += r * r
    return total


@njit
def buffered(p, model, y):
    return model.nll(p, y)


@njit
def told(p, model, X, y):
    model.p = p
    return model.nll(X, y)


@njit
def only_read(p, model, X, y):
    return squares(p, X, y) * model.scale


@njit
def buffer_in_a_list(p, buffers, X, y):
    r = buffers[0]
    for i in range(X.shape[0]):
        r[i] = np.dot(X[i], p) - y[i]
    total = 0.0
    for i in range(r.size):
        total += r[i] * r[i]
    return total


@njit
def traced(p, trace, X, y):
    trace.append(squares(p, X, y))
    return trace[-1]


@njit
def keeps_points(p, trace, X, y):
    trace.append(p)
    return squares(trace[-1], X, y)


@njit
def remembers(p, memo, X, y):
    key = p[0]
    memo[key] = squares(p, X, y)
    return memo[key]


@njit
def remembers_wrongly(p, memo, X, y):
    key = round(p[0], 3)
    if key not in memo:
        memo[key] = squares(p, X, y)
    return memo[key]


@njit
def keeps_in_a_dict(p, memo, X, y):
    memo["p"] = p
    return squares(memo["p"], X, y)


@njit
def resets_a_record(p, rec, X, y):
    rec.s = 0.0
    for i in range(X.shape[0]):
        r = np.dot(X[i], p) - y[i]
        rec.s += r * r
    return rec.s


@njit
def adds_to_a_record(p, rec, X, y):
    rec.s += squares(p, X, y)
    return rec.s


@njit
def reads_a_record(p, rec, X, y):
    return squares(p, X, y) * rec.k


@njit
def own_random(p, rng, X, y):
    return squares(p, X, y) + rng.draw()


@njit
def seeded_random(p, rng, X, y):
    rng.seed = types.uint64(7)
    return squares(p, X, y) * (1.0 + rng.draw())


@njit
def groups(p, parts, y):
    total = 0.0
    for part in parts:
        r = np.dot(part, p[: part.size]) - y[0]
        total += r * r
    return total


@njit
def of_a_set(p, chosen, X, y):
    total = squares(p, X, y)
    for k in chosen:
        total += p[k] ** 2
    return total


@njit
def counts(p, counter, X, y):
    counter["calls"] = counter["calls"] + 1.0
    return squares(p, X, y)


@njit
def pops(p, stack, X, y):
    stack.append(p[0])
    return squares(p, X, y) + stack.pop()


@njit
def sorts(p, values, X, y):
    values.sort()
    return squares(p, X, y) * values[0]


@jitclass([("depth", types.float64)])
class Nested:
    """Nothing is left of what it writes."""

    def __init__(self):
        self.depth = 1.0

    def scaled(self, value, k):
        self.depth += 1.0
        made = value if k == 0 else self.scaled_again(value)
        self.depth -= 1.0
        return made

    def scaled_again(self, value):
        return value * self.depth / 2.0


@njit
def writes_and_restores(p, model, X, y):
    return model.scaled(squares(p, X, y), 1)


@njit
def swaps(p, model, other, X, y):
    model.p, other.p = p, model.p
    return squares(model.p, X, y)


@njit
def views(p, model, X, y):
    model.p = p[:12]
    return model.nll(X, y)


@njit
def keeps_the_data(p, data, X, y):
    data["X"] = X
    return squares(p, data["X"], y)


@njit
def nested(p, pair, X, y):
    pair[0].p = p
    return pair[0].nll(X, y) * pair[1]


@njit
def warm(p, model, X, y):
    total = squares(p, X, y) + 1e-3 * model.scale
    model.scale = p[0]
    return total


def typed_list(*items):
    made = typed.List()
    for item in items:
        made.append(item)
    return made


def typed_dict(key_type, value_type, **items):
    made = typed.Dict.empty(key_type, value_type)
    for key, value in items.items():
        made[key] = value
    return made


def empty_list(item_type):
    return typed.List.empty_list(item_type)


def record():
    return np.zeros(1, [("s", "f8"), ("k", "f8")])[0]


def weighted():
    rec = record()
    rec["k"] = 1.0
    return rec


class Stateful(NamedTuple):
    loss: Any
    argument: Any
    """Makes what holds the state, afresh."""
    refused: bool = False
    """Whether no gradient exists: it reads what its last evaluation left."""
    rest: tuple[Any, ...] = (X, Y)
    plus: Any = None
    """What its gradient has beside that of `squares`."""


def of_first(p):
    return np.eye(p.size)[0]


STATEFUL = {
    "buffer in a jitclass": Stateful(buffered, lambda: Buffered(X), rest=(Y,)),
    "told its parameters": Stateful(told, Model),
    "only read": Stateful(only_read, Model),
    "buffer in a List": Stateful(buffer_in_a_list, lambda: typed_list(np.zeros(400))),
    "appends values": Stateful(traced, lambda: empty_list(types.float64)),
    "appends points": Stateful(keeps_points, lambda: empty_list(ARRAY)),
    "memo": Stateful(remembers, lambda: typed_dict(types.float64, types.float64)),
    "wrong memo": Stateful(
        remembers_wrongly, lambda: typed_dict(types.float64, types.float64), refused=None
    ),
    "points in a Dict": Stateful(keeps_in_a_dict, lambda: typed_dict(types.unicode_type, ARRAY)),
    "record reset": Stateful(resets_a_record, record),
    "record added to": Stateful(adds_to_a_record, record, refused=True),
    "record read": Stateful(reads_a_record, weighted),
    "random of its own": Stateful(own_random, Random, refused=True),
    "random, seeded": Stateful(
        seeded_random, Random, plus=lambda p: squares_gradient(p) * Random_first()
    ),
    "set": Stateful(of_a_set, lambda: {0}, plus=lambda p: 2 * p * of_first(p)),
    "counter": Stateful(counts, lambda: typed_dict(types.unicode_type, types.float64, calls=0.0)),
    "stack": Stateful(pops, lambda: empty_list(types.float64), plus=of_first),
    "sorts": Stateful(sorts, lambda: typed_list(3.0, 1.0, 2.0)),
    "views": Stateful(views, Model),
    "keeps the data": Stateful(
        keeps_the_data, lambda: typed_dict(types.unicode_type, types.float64[:, ::1])
    ),
    "nested": Stateful(nested, lambda: (Model(), 1.0)),
    "warm start": Stateful(warm, Model, refused=True),
    "written and restored": Stateful(writes_and_restores, Nested),
    "two models": Stateful(swaps, Model, rest=(Model(), X, Y)),
    "groups": Stateful(
        groups,
        lambda: typed_list(*(np.ones(k) for k in range(1, 13))),
        rest=(Y,),
        plus=lambda p: groups_gradient(p) - squares_gradient(p),
    ),
}


def squares_gradient(p):
    return 2 * X.T @ (X @ p - Y)


def groups_gradient(p):
    gradient = np.zeros(p.size)
    for k in range(1, 13):
        gradient[:k] += 2 * (p[:k].sum() - Y[0])
    return gradient


def Random_first():  # noqa: N802
    rng = Random()
    rng.seed = 7
    return rng.draw()


def gradient_of(problem, p):
    return squares_gradient(p) + (0.0 if problem.plus is None else problem.plus(p))
