"""Layers as courses have people write them, from the mathematics, and three planted bugs in each.

A forward pass returns ``(out, cache)``, a backward pass takes ``(dout, cache)``; losses return
``(loss, dx)``. A bug is an edit of a backward pass's source, and names the inputs that it spoils.
"""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

EPS = 1e-5


def affine_forward(x, w, b):
    return x.reshape(len(x), -1) @ w + b, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    dx = (dout @ w.T).reshape(x.shape)
    dw = x.reshape(len(x), -1).T @ dout
    db = dout.sum(axis=0)
    return dx, dw, db


def relu_forward(x):
    return np.maximum(x, 0), x


def relu_backward(dout, cache):
    return dout * (cache > 0)


def leaky_forward(x, slope=0.1):
    return np.where(x > 0, x, slope * x), (x, slope)


def leaky_backward(dout, cache):
    x, slope = cache
    return dout * np.where(x > 0, 1.0, slope), (dout * np.where(x > 0, 0.0, x)).sum()


def dropout_forward(x, mask, keep):
    return x * mask / keep, (mask, keep)


def dropout_backward(dout, cache):
    mask, keep = cache
    return dout * mask / keep


def batchnorm_forward(x, gamma, beta):
    mu, var = x.mean(axis=0), x.var(axis=0)
    s = 1 / np.sqrt(var + EPS)
    xhat = (x - mu) * s
    return gamma * xhat + beta, (xhat, gamma, s)


def batchnorm_backward(dout, cache):
    xhat, gamma, s = cache
    N = len(dout)
    dxhat = dout * gamma
    dx = s / N * (N * dxhat - dxhat.sum(axis=0) - xhat * (dxhat * xhat).sum(axis=0))
    return dx, (dout * xhat).sum(axis=0), dout.sum(axis=0)


def layernorm_forward(x, gamma, beta):
    mu, var = x.mean(axis=1, keepdims=True), x.var(axis=1, keepdims=True)
    s = 1 / np.sqrt(var + EPS)
    xhat = (x - mu) * s
    return gamma * xhat + beta, (xhat, gamma, s)


def layernorm_backward(dout, cache):
    xhat, gamma, s = cache
    dxhat = dout * gamma
    a = dxhat.mean(axis=1, keepdims=True)
    b = (dxhat * xhat).mean(axis=1, keepdims=True)
    return s * (dxhat - a - xhat * b), (dout * xhat).sum(axis=0), dout.sum(axis=0)


def conv_forward(x, w, b, stride=1, pad=1):
    """x (N, C, H, W), w (F, C, k, k), b (F,)."""
    k = w.shape[2]
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(xp, (k, k), axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride]
    out = np.einsum("nchwij,fcij->nfhw", windows, w) + b[:, None, None]
    return out, (xp, windows, w, stride, pad)


def conv_backward(dout, cache):
    xp, windows, w, stride, pad = cache
    k = w.shape[2]
    dxp = np.zeros_like(xp)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            patch = np.einsum("nf,fcij->ncij", dout[:, :, i, j], w)
            dxp[:, :, i * stride : i * stride + k, j * stride : j * stride + k] += patch
    dw = np.einsum("nfhw,nchwij->fcij", dout, windows)
    db = dout.sum(axis=(0, 2, 3))
    return dxp[:, :, pad:-pad, pad:-pad], dw, db


def pool_forward(x):
    """2 x 2 windows."""
    N, C, H, W = x.shape
    blocks = x.reshape(N, C, H // 2, 2, W // 2, 2)
    out = blocks.max(axis=(3, 5))
    return out, (x, out)


def pool_backward(dout, cache):
    x, out = cache
    up = out.repeat(2, axis=2).repeat(2, axis=3)
    return (x == up) * dout.repeat(2, axis=2).repeat(2, axis=3)


def rnn_forward(x, h, Wx, Wh, b):
    new = np.tanh(x @ Wx + h @ Wh + b)
    return new, (x, h, Wx, Wh, new)


def rnn_backward(dout, cache):
    x, h, Wx, Wh, new = cache
    dz = dout * (1 - new**2)
    return dz @ Wx.T, dz @ Wh.T, x.T @ dz, h.T @ dz, dz.sum(axis=0)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def lstm_forward(x, h, c, Wx, Wh, b):
    """Returns the next h and c, as a tuple."""
    a = x @ Wx + h @ Wh + b
    i, f, o, g = np.split(a, 4, axis=1)
    i, f, o, g = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(g)
    new_c = f * c + i * g
    t = np.tanh(new_c)
    return (o * t, new_c), (x, h, c, Wx, Wh, i, f, o, g, t)


def lstm_backward(dout, cache):
    dh, dc = dout
    x, h, c, Wx, Wh, i, f, o, g, t = cache
    dc = dc + dh * o * (1 - t**2)
    do = dh * t
    di, df, dg = dc * g, dc * c, dc * i
    da = np.hstack([di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)])
    return da @ Wx.T, da @ Wh.T, dc * f, x.T @ da, h.T @ da, da.sum(axis=0)


def attention_forward(q, k, v):
    """One head: q (T, d), k (S, d), v (S, e)."""
    z = q @ k.T / np.sqrt(q.shape[1])
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return p @ v, (q, k, v, p)


def attention_backward(dout, cache):
    q, k, v, p = cache
    dp = dout @ v.T
    dz = p * (dp - (dp * p).sum(axis=1, keepdims=True))
    dz = dz / np.sqrt(q.shape[1])
    return dz @ k, dz.T @ q, p.T @ dout


def embedding_forward(table, words):
    return table[words], (table.shape, words)


def embedding_backward(dout, cache):
    shape, words = cache
    dtable = np.zeros(shape)
    np.add.at(dtable, words, dout)
    return dtable


def softmax_loss(x, y):
    """Returns the loss and its gradient by x, as a loss layer does."""
    N = len(x)
    p = np.exp(x - x.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(N), y]).sum() / N
    dx = p.copy()
    dx[np.arange(N), y] -= 1
    dx = dx / N
    return loss, dx


def svm_loss(x, y):
    N = len(x)
    rows = np.arange(N)
    margins = np.maximum(0, x - x[rows, y][:, None] + 1)
    margins[rows, y] = 0
    loss = margins.sum() / N
    dx = (margins > 0).astype(float)
    dx[rows, y] -= (margins > 0).sum(axis=1)
    dx = dx / N
    return loss, dx


class Form(NamedTuple):
    """A layer, ``inputs(rng)`` to check it at, and bugs: (old, new, the inputs that they spoil)."""

    forward: Callable[..., Any]
    backward: Callable[..., Any]
    inputs: Callable[[np.random.Generator], tuple[Any, ...]]
    bugs: tuple[tuple[str, str, set[str]], ...]


FORMS = {
    "affine": Form(
        affine_forward,
        affine_backward,
        lambda r: (r.normal(size=(3, 2, 2)), r.normal(size=(4, 3)), r.normal(size=3)),
        (
            ("dout.sum(axis=0)", "dout.mean(axis=0)", {"b"}),
            (
                "dw = x.reshape(len(x), -1).T @ dout",
                "dw = x.reshape(len(x), -1).T @ dout / len(x)",
                {"w"},
            ),
            ("dx = (dout @ w.T)", "dx = (dout @ w[:, ::-1].T)", {"x"}),
        ),
    ),
    "relu": Form(
        relu_forward,
        relu_backward,
        lambda r: (r.normal(size=(4, 5)),),
        (
            ("(cache > 0)", "(cache < 0)", {"x"}),
            ("dout * (cache > 0)", "dout", {"x"}),
            ("(cache > 0)", "np.maximum(cache, 0)", {"x"}),
        ),
    ),
    "leaky relu": Form(
        leaky_forward,
        leaky_backward,
        lambda r: (r.normal(size=(4, 5)), 0.1),
        (
            ("1.0, slope)", "1.0, 0.0)", {"x"}),
            ("0.0, x)", "0.0, 1.0)", {"slope"}),
            ("x > 0, 0.0, x", "x > 0, x, 0.0", {"slope"}),
        ),
    ),
    "dropout": Form(
        dropout_forward,
        dropout_backward,
        lambda r: (r.normal(size=(4, 5)), r.random((4, 5)) < 0.6, np.float32(0.6).item()),
        (
            (" / keep", "", {"x"}),
            ("dout * mask", "dout", {"x"}),
            ("dout * mask / keep", "dout * mask * keep", {"x"}),
        ),
    ),
    "batch norm": Form(
        batchnorm_forward,
        batchnorm_backward,
        lambda r: (r.normal(size=(5, 4)) * 3 + 1, r.normal(size=4) + 2, r.normal(size=4)),
        (
            ("dxhat = dout * gamma", "dxhat = dout", {"x"}),
            (" - xhat * (dxhat * xhat).sum(axis=0)", "", {"x"}),
            (
                "(dout * xhat).sum(axis=0), dout.sum",
                "(dout * xhat).mean(axis=0), dout.sum",
                {"gamma"},
            ),
        ),
    ),
    "layer norm": Form(
        layernorm_forward,
        layernorm_backward,
        lambda r: (r.normal(size=(4, 6)) * 2, r.normal(size=6) + 2, r.normal(size=6)),
        (
            ("a = dxhat.mean(axis=1", "a = dxhat.mean(axis=0", {"x"}),
            ("xhat * b)", "b)", {"x"}),
            ("dout.sum(axis=0)", "dout.sum(axis=0) / 4", {"beta"}),
        ),
    ),
    "conv": Form(
        conv_forward,
        conv_backward,
        lambda r: (r.normal(size=(2, 2, 4, 4)), r.normal(size=(2, 2, 3, 3)), r.normal(size=2)),
        (
            ("dxp[:, :, pad:-pad, pad:-pad]", "dxp[:, :, : -2 * pad, : -2 * pad]", {"x"}),
            ('"nfhw,nchwij->fcij", dout', '"nfhw,nchwij->fcji", dout', {"w"}),
            ("+= patch", "= patch", {"x"}),
        ),
    ),
    "max pool": Form(
        pool_forward,
        pool_backward,
        lambda r: (r.normal(size=(2, 2, 4, 4)),),
        (
            ("(x == up) * ", "", {"x"}),
            ("(x == up) * ", "(x == up) / 4 * ", {"x"}),
            ("dout.repeat(2, axis=2).repeat(2, axis=3)", "np.tile(dout, (2, 2))", {"x"}),
        ),
    ),
    "rnn step": Form(
        rnn_forward,
        rnn_backward,
        lambda r: tuple(r.normal(size=s) for s in ((3, 4), (3, 5), (4, 5), (5, 5), 5)),
        (
            ("(1 - new**2)", "(1 - new)", {"x", "h", "Wx", "Wh", "b"}),
            ("dz @ Wh.T", "dz @ Wh", {"h"}),
            ("h.T @ dz", "new.T @ dz", {"Wh"}),
        ),
    ),
    "lstm step": Form(
        lstm_forward,
        lstm_backward,
        lambda r: tuple(r.normal(size=s) for s in ((2, 3), (2, 3), (2, 3), (3, 12), (3, 12), 12)),
        (
            ("dc = dc + dh * o * (1 - t**2)", "dc = dc + dh * o", {"x", "h", "c", "Wx", "Wh", "b"}),
            ("dc * f, x.T", "dc, x.T", {"c"}),
            ("dg * (1 - g**2)", "dg * g * (1 - g)", {"x", "h", "Wx", "Wh", "b"}),
        ),
    ),
    "attention": Form(
        attention_forward,
        attention_backward,
        lambda r: (r.normal(size=(3, 4)), r.normal(size=(5, 4)), r.normal(size=(5, 2))),
        (
            ("dz = dz / np.sqrt(q.shape[1])", "pass", {"q", "k"}),
            ("p * (dp - (dp * p).sum(axis=1, keepdims=True))", "p * (1 - p) * dp", {"q", "k"}),
            ("p.T @ dout", "p[:, ::-1].T @ dout", {"v"}),
        ),
    ),
    "embedding": Form(
        embedding_forward,
        embedding_backward,
        lambda r: (r.normal(size=(6, 3)), np.array([0, 2, 2, 5])),
        (
            ("np.add.at(dtable, words, dout)", "dtable[words] += dout", {"table"}),
            ("np.add.at(dtable, words, dout)", "dtable[words] = dout", {"table"}),
            ("dtable, words, dout", "dtable, words, dout / len(words)", {"table"}),
        ),
    ),
}

LOSSES = {
    "softmax loss": (
        softmax_loss,
        (
            ("dx = dx / N", "pass"),
            ("dx[np.arange(N), y] -= 1", "dx[np.arange(N), y] += 1"),
            ("dx = p.copy()", "dx = p * (1 - p)"),
        ),
    ),
    "svm loss": (
        svm_loss,
        (
            ("(margins > 0).sum(axis=1)", "1"),
            ("dx = dx / N", "pass"),
            ("dx[rows, y] -=", "dx[rows, y] +="),
        ),
    ),
}


def edited(function: Callable[..., Any], old: str, new: str) -> Callable[..., Any]:
    """A function with a piece of its source replaced."""
    source = inspect.getsource(function)
    assert old in source, f"{function.__name__} has no {old!r}"
    scope = dict(function.__globals__)
    exec(compile(source.replace(old, new), function.__code__.co_filename, "exec"), scope)
    return scope[function.__name__]
