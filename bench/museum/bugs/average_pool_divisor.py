"""Average pooling: a divisor that was not given was taken for 0, in the backward pass alone."""

import numpy as np

SOURCE = "dotnet/TorchSharp#189, 2020-11-26"
KIND = "division by zero"
LAWS = ("not-finite",)
SAYS = "every entry is infinite"

rng = np.random.default_rng(61)
C = rng.normal(size=(2, 3))
theta = rng.normal(size=(4, 6))


def pooled(x):
    return x.reshape(2, 2, 3, 2).mean(axis=(1, 3))


def loss(x):
    return float((C * np.tanh(pooled(x))).sum())


def backward(x, divisor):
    d = C * (1 - np.tanh(pooled(x)) ** 2)
    with np.errstate(all="ignore"):
        return (d / np.float64(divisor)).repeat(2, axis=0).repeat(2, axis=1)


def right(x):
    return backward(x, 4)


def wrong(x):
    return backward(x, 0)
