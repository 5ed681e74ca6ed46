"""Losses that know how they depend on theta, and cost far less than two evaluations an entry.

`Incremental` says how the loss changes with one entry, `Separable` which terms each entry is in,
`Layered` where theta enters through linear layers. Each is accepted wherever a loss is, and is
certified against the plain loss on first use: `fastgrad.errors.StructureError` says where it fails.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastgrad.evaluate.adapters import dispatcher
from fastgrad.evaluate.structured.base import Plain, Structure, register
from fastgrad.evaluate.structured.chain import Chain
from fastgrad.evaluate.structured.incremental import IncrementalEvaluator
from fastgrad.evaluate.structured.layered import LayeredEvaluator
from fastgrad.evaluate.structured.separable import SeparableEvaluator, checksum, reduced
from fastgrad.evaluate.structured.sparsity import Pattern, detect
from fastgrad.params import Floats, Layout

__all__ = ["Incremental", "Layered", "Separable", "Structure", "register"]


class Incremental(Structure):
    """A loss with functions that give ``f(theta + h e_i) - f(theta)`` without evaluating f.

    Parameters
    ----------
    loss : njit function
        ``loss(theta, *args) -> float``, the plain loss.
    prepare : njit function
        ``prepare(theta, *args) -> state``: whatever the deltas share, computed once for a theta and
        read by all threads; an array or a (named) tuple. Nothing may write to it.
    delta : njit function, or mapping of block names to njit functions
        ``delta(theta, state, index, h, work, *args) -> f(theta + h e_index) - f(theta)``. ``theta``
        and ``args`` come as the loss gets them. ``index`` is that of the entry in its block:
        ``j`` for a vector, ``(i, j)`` for a matrix, 0 for a number. Blocks in a list or tuple share
        one function, ``{"layers.W": delta_W}`` for ``layers.0.W``, ``layers.1.W``, ..., and their
        index begins with the position: ``(layer, i, j)``. ``work`` is a float64 vector of scratch
        memory of the thread's own, with anything in it.
    work : int, or callable
        Length of ``work``, or ``work(theta, *args) -> int``.

    Notes
    -----
    Return a difference that was computed as one, not a new value less an old one: nothing large
    cancels then, and the gradient is 30 to 40 times more accurate than that of the plain loss.

    Examples
    --------
    Least squares: with r = X w - y kept in the state, changing ``w[j]`` by h adds ``h X[:, j]``.

    >>> import numpy as np, fastgrad as fg
    >>> from numba import njit
    >>> @njit
    ... def loss(w, X, y):
    ...     r = X @ w - y
    ...     return 0.5 * r @ r
    >>> @njit
    ... def prepare(w, X, y):
    ...     return X @ w - y
    >>> @njit
    ... def delta(w, r, j, h, work, X, y):
    ...     return (h * X[:, j] * (r + 0.5 * h * X[:, j])).sum()
    >>> least_squares = fg.structured.Incremental(loss, prepare, delta)
    >>> X = np.array([[1.0, 0.0], [1.0, 2.0]])
    >>> fg.grad(least_squares)(np.zeros(2), X, np.ones(2))
    array([-2., -2.])
    """

    kind = "incremental"

    def __init__(
        self,
        loss: Callable[..., Any],
        prepare: Callable[..., Any],
        delta: Callable[..., Any] | Mapping[str, Callable[..., Any]],
        *,
        work: int | Callable[..., int] = 0,
    ):
        super().__init__(loss)
        self._prepare = dispatcher(prepare)
        self._delta = (
            {name: dispatcher(f) for name, f in delta.items()}
            if isinstance(delta, Mapping)
            else dispatcher(delta)
        )
        self._work = work

    def around(
        self,
        plain: Plain,
        layout: Layout,
        theta: Floats,
        arguments: tuple[Any, ...],
        threads: int | None = None,
    ) -> IncrementalEvaluator:
        return IncrementalEvaluator(
            self, plain, layout, theta, arguments, self._prepare, self._delta, self._work, threads
        )

    def likely_cause(self, run: Any, position: int) -> str:
        block = run.layout.block_at(position)
        return f"the delta of {block.name} leaves out a term, or adds one, or has the wrong sign"


class Separable(Structure):
    """A loss that is a sum or a mean of terms, each of which depends on few entries of theta.

    Entries that share no term are perturbed together, so the gradient costs two evaluations a
    colour: 4 for a chain, whatever its length, instead of two an entry.

    Parameters
    ----------
    terms : njit function
        ``terms(theta, *args) -> ndarray, shape (T,)``.
    sparsity : scipy.sparse matrix or array, shape (T, n), or "detect"
        Where term t depends on entry i of theta; only the places of stored entries count. Entries
        are in theta's order, blocks one after the other, each row by row. ``"detect"`` finds it by
        perturbing entries, once for these parameters and arguments (about 20 levels of a few
        evaluations where terms are local in the order of entries, up to 6 n where they are not).
    reduction : {"sum", "mean"}
        Of the terms, to the loss.
    loss : njit function, optional
        The plain loss, to be certified against; by default the reduction of the terms.

    Notes
    -----
    The difference of an entry is that of its own terms, so it is free of the rounding of a large
    sum. A dependence that no probe shows (a branch not taken nearby) is not detected, nor is it
    there for a derivative at this theta.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> from numba import njit
    >>> @njit
    ... def rosenbrock(x):
    ...     return 100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2
    >>> g = fg.grad(fg.structured.Separable(rosenbrock, "detect"))
    >>> g(np.full(100_000, 2.0))[:3].round(6)
    array([1602., 1202., 1202.])
    """

    kind = "separable"

    def __init__(
        self,
        terms: Callable[..., Any],
        sparsity: Any,
        *,
        reduction: str = "sum",
        loss: Callable[..., Any] | None = None,
    ):
        require_reduction(reduction)
        self._terms = dispatcher(terms)
        self._mean = reduction == "mean"
        super().__init__(reduced(self._terms, self._mean) if loss is None else loss)
        self.__name__ = getattr(terms, "__name__", "terms")
        if isinstance(sparsity, str) and sparsity != "detect":
            raise ValueError(f'sparsity={sparsity!r}: expected a scipy.sparse pattern, or "detect"')
        self._given = None if isinstance(sparsity, str) else Pattern(sparsity)
        self._detected: dict[Any, Pattern] = {}

    def around(
        self, plain: Plain, layout: Layout, theta: Floats, arguments: tuple[Any, ...]
    ) -> SeparableEvaluator:
        def pattern(terms: Callable[[Floats], Floats], theta: Floats) -> Pattern:
            if self._given is not None:
                return self._given
            key = layout.tree, checksum(arguments)
            if key not in self._detected:
                self._detected = {key: detect(terms, theta)}
            return self._detected[key]

        return SeparableEvaluator(
            self, plain, layout, theta, arguments, self._terms, pattern, self._mean
        )

    def likely_cause(self, run: Any, position: int) -> str:
        missing = run.missing_terms(position)
        found = (int(missing[0]), position) if missing.size else run.intruder(position)
        if found is not None:
            return (
                f"the sparsity pattern says that term {found[0]} does not depend on "
                f"{run.layout.name(found[1])}, but it changes with it"
            )
        return (
            "terms and loss are not the same function (another reduction, or a term beside the sum)"
        )


class Layered(Structure):
    """A loss whose parameters enter only through linear layers Z = A W + b, with one loss a sample.

    The chain is ``Z_1 = X W_1 + b_1``, ``Z_{l+1} = activation(Z_l) W_{l+1} + b_{l+1}``; the loss is
    the mean (or sum) of ``losses(Z_L)`` over the samples, the rows of X, plus a penalty. A unit's
    column of Z is offset for all samples at once: two passes a unit give the differences d of all
    samples, and ``A^T d`` those of the unit's whole column of W.

    **What it takes on trust**: the chain rule of the linear layer, ``dZ[s, j] / dW[i, j] =
    A[s, i]``, and that samples do not affect each other (no batch normalisation). Activations,
    losses and penalty are differentiated numerically. The certificate compares the outcome with
    the plain loss, along random directions and at random entries.

    Parameters
    ----------
    loss : njit function
        ``loss(theta, *args) -> float``, the plain loss.
    layers : sequence of (str, str or None)
        The blocks W and b of each layer, in order; b is None where there is none. W has shape
        (n_in, n_out), or (n_in,) for one output. A pair of names of lists or tuples of blocks,
        ``("weights", "biases")``, stands for as many layers as they hold. Blocks of theta that are
        in no layer are differenced plainly.
    losses : njit function
        ``losses(Z, *args) -> ndarray, shape (m,)``: the loss of each row of the last Z, shape
        (m, n_out).
    activations : njit function or sequence of njit functions
        ``activation(z: float) -> float`` after every layer but the last.
    penalty : njit function, optional
        ``penalty(w: float, *args) -> float``, what each penalised entry adds to the loss.
    penalised : sequence of str, optional
        Blocks that bear the penalty; by default the W of every layer.
    inputs : int
        Position of X, shape (m, n_in), among the loss's arguments after theta.
    reduction : {"mean", "sum"}
        Of the losses of the samples.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> from numba import njit
    >>> @njit
    ... def squares(Z, X, y):
    ...     return (Z[:, 0] - y) ** 2
    >>> @njit
    ... def loss(p, X, y):
    ...     return ((np.tanh(X @ p.W + p.b) @ p.v - y) ** 2).mean()
    >>> tanh = njit(lambda z: np.tanh(z))
    >>> net = fg.structured.Layered(
    ...     loss, [("W", "b"), ("v", None)], squares, activations=tanh
    ... )
    >>> theta = {"W": np.full((2, 3), 0.1), "b": np.zeros(3), "v": np.ones(3)}
    >>> X, y = np.eye(2), np.array([1.0, 0.0])
    >>> fg.grad(net)(theta, X, y)["v"].round(6)
    array([-0.040066, -0.040066, -0.040066])
    """

    kind = "layered"
    trusts = "the chain rule of the linear layers, dZ/dW = A"

    def __init__(
        self,
        loss: Callable[..., Any],
        layers: Sequence[tuple[str, str | None]],
        losses: Callable[..., Any],
        *,
        activations: Callable[..., Any] | Sequence[Callable[..., Any]] = (),
        penalty: Callable[..., Any] | None = None,
        penalised: Sequence[str] | None = None,
        inputs: int = 0,
        reduction: str = "mean",
    ):
        super().__init__(loss)
        require_reduction(reduction)
        several = (activations,) if callable(activations) else activations
        self._chain = Chain(
            layers=tuple((W, b) for W, b in layers),
            activations=tuple(map(dispatcher, several)),
            losses=dispatcher(losses),
            penalty=None if penalty is None else dispatcher(penalty),
            penalised=None if penalised is None else tuple(penalised),
            inputs=inputs,
            mean=reduction == "mean",
        )

    def around(
        self,
        plain: Plain,
        layout: Layout,
        theta: Floats,
        arguments: tuple[Any, ...],
        threads: int | None = None,
    ) -> LayeredEvaluator:
        return LayeredEvaluator(self, plain, layout, theta, arguments, self._chain, threads)

    def likely_cause(self, run: Any, position: int) -> str:
        name = run.layout.block_at(position).name
        return (
            f"{name} also enters elsewhere than through its layer, or the layers, activations, "
            "losses, penalty or reduction are not those of the loss"
        )


def require_reduction(reduction: str) -> None:
    """Raise ValueError unless ``reduction`` is one there is."""
    if reduction not in ("sum", "mean"):
        raise ValueError(f'reduction={reduction!r}: expected "sum" or "mean"')
