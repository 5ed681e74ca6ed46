"""Small losses and what is known of their structure, shared by the tests of structured losses."""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from fastgrad.structured import Incremental, Layered, Separable


class Case(NamedTuple):
    name: str
    structured: Any
    theta: Any
    args: tuple[Any, ...]


@njit
def squares(w, X, y):
    r = X @ w - y
    return 0.5 * (r * r).sum()


@njit
def residual(w, X, y):
    return X @ w - y


@njit
def squares_delta(w, r, j, h, work, X, y):
    total = 0.0
    for s in range(y.size):
        total += h * X[s, j] * (r[s] + 0.5 * h * X[s, j])
    return total


@njit
def tanh_net(p, X, y, l2=0.0):
    out = np.tanh(X @ p.W + p.b) @ p.v + p.c
    return ((out - y) ** 2).mean() + 0.5 * l2 * ((p.W**2).sum() + (p.v**2).sum())


class NetState(NamedTuple):
    Z: np.ndarray
    r: np.ndarray


@njit
def prepare_net(p, X, y, l2=0.0):
    Z = X @ p.W + p.b
    return NetState(Z, np.tanh(Z) @ p.v + p.c - y)


@njit
def changed_mean(r, work):
    """Mean of (r + work)^2 - r^2."""
    total = 0.0
    for s in range(r.size):
        total += work[s] * (2 * r[s] + work[s])
    return total / r.size


@njit
def delta_W(p, state, index, h, work, X, y, l2=0.0):  # noqa: N802
    i, j = index
    for s in range(y.size):
        z = state.Z[s, j]
        work[s] = p.v[j] * (np.tanh(z + h * X[s, i]) - np.tanh(z))
    return changed_mean(state.r, work[: y.size]) + l2 * h * (p.W[i, j] + 0.5 * h)


@njit
def delta_b(p, state, j, h, work, X, y, l2=0.0):
    for s in range(y.size):
        work[s] = p.v[j] * (np.tanh(state.Z[s, j] + h) - np.tanh(state.Z[s, j]))
    return changed_mean(state.r, work[: y.size])


@njit
def delta_v(p, state, j, h, work, X, y, l2=0.0):
    for s in range(y.size):
        work[s] = h * np.tanh(state.Z[s, j])
    return changed_mean(state.r, work[: y.size]) + l2 * h * (p.v[j] + 0.5 * h)


@njit
def delta_c(p, state, index, h, work, X, y, l2=0.0):
    work[: y.size] = h
    return changed_mean(state.r, work[: y.size])


@njit
def squared_errors(Z, X, y, l2=0.0):
    return (Z[:, 0] - y) ** 2


@njit
def half_square(w, X, y, l2=0.0):
    return 0.5 * l2 * w * w


@njit
def tanh(z):
    return np.tanh(z)


@njit
def relu(z):
    return max(z, 0.0)


@njit
def relu_net(p, X, y, l2=0.0):
    out = np.maximum(X @ p.W + p.b, 0.0) @ p.v + p.c
    return ((out - y) ** 2).sum()


@njit
def chain_terms(x):
    return 100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2


def chain_grad(x):
    r = x[1:] - x[:-1] ** 2
    g = np.zeros_like(x)
    g[:-1] = -400 * x[:-1] * r - 2 * (1 - x[:-1])
    g[1:] += 200 * r
    return g


@njit
def edge_terms(x, edges, weights):
    """One term an edge of a graph: (x_i - x_j)^2 weights, and none of the others."""
    out = np.empty(len(edges))
    for e in range(len(edges)):
        out[e] = weights[e] * np.cos(x[edges[e, 0]] - x[edges[e, 1]])
    return out


@njit
def scaled_net(p, X, y):
    out = np.tanh(X @ p.W + p.b) @ p.v + p.c
    return ((out - y) ** 2).mean() + np.exp(p.extra).sum()


def deltas():
    return {"W": delta_W, "b": delta_b, "v": delta_v, "c": delta_c}


def incremental_net():
    return Incremental(tanh_net, prepare_net, deltas(), work=lambda p, X, *_: len(X))


def layered_net(loss=tanh_net, activation=tanh, **options):
    return Layered(
        loss, [("W", "b"), ("v", "c")], squared_errors, activations=activation, **options
    )


def net_theta(seed=0, n_in=5, hidden=4):
    rng = np.random.default_rng(seed)
    return {
        "W": rng.normal(size=(n_in, hidden)),
        "b": rng.normal(size=hidden),
        "v": rng.normal(size=hidden),
        "c": 0.3,
    }


def net_data(seed=0, m=9, n_in=5):
    rng = np.random.default_rng(100 + seed)
    return rng.normal(size=(m, n_in)), rng.normal(size=m)


def chain_pattern(n):
    from scipy import sparse

    return sparse.diags_array([np.ones(n - 1), np.ones(n - 1)], offsets=[0, 1], shape=(n - 1, n))


def random_graph(seed=0, n=30, count=45):
    rng = np.random.default_rng(seed)
    edges = np.array([rng.choice(n, 2, replace=False) for _ in range(count)])
    return rng.normal(size=n), edges, rng.normal(size=count)


def cases():
    X, y = net_data()
    theta = net_theta()
    x, edges, weights = random_graph()
    penalised = layered_net(penalty=half_square)
    return [
        Case(
            "incremental vector",
            Incremental(squares, residual, squares_delta),
            theta["b"],
            (X[:, :4], y),
        ),
        Case("incremental net", incremental_net(), theta, (X, y)),
        Case("incremental net, l2", incremental_net(), theta, (X, y, 0.1)),
        Case("layered net", penalised, theta, (X, y)),
        Case("layered net, positive inputs, l2", penalised, theta, (abs(X), y, 0.1)),
        Case("layered relu, sum", layered_net(relu_net, relu, reduction="sum"), theta, (X, y)),
        Case(
            "layered, and a block beside",
            layered_net(scaled_net),
            {"extra": y[:2], **theta},
            (X, y),
        ),
        Case("chain", Separable(chain_terms, chain_pattern(x.size)), x, ()),
        Case("chain, detected", Separable(chain_terms, "detect"), x, ()),
        Case("mean of terms", Separable(chain_terms, "detect", reduction="mean"), x, ()),
        Case("graph", Separable(edge_terms, "detect"), x, (edges, weights)),
    ]
