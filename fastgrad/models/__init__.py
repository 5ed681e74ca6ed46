"""Reference losses with hand-derived gradients, and real digits to train them on.

Every model is a module of one shape: ``init(...)`` makes a `Parameters`, ``loss(params, X, y, l2,
l1)`` is compiled by numba, and ``grad``, with the same arguments, is its gradient, as `Parameters`
again. The derivation and its source are in the module's docstring.
"""

from fastgrad.models import deep, dropout, garch, linear, logistic, softmax, svm, two_layer
from fastgrad.models.digits import digits

__all__ = [
    "deep",
    "digits",
    "dropout",
    "garch",
    "linear",
    "logistic",
    "softmax",
    "svm",
    "two_layer",
]
