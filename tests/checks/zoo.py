"""Two dozen further models with right gradients: smooth, with kinks, at bounds, in mixed units.

Gradients of smooth ones are by complex step, which knows nothing of differences; those with kinks are by
hand. `problems` measures every entry in a unit of its own, over twelve decades.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

TINY = 1e-100
"""A complex step: its error is the square of this."""
DECADES = 6
"""Units are 10^-6 to 10^6."""


class Member(NamedTuple):
    """A right gradient: what is handed to `fastgrad.check_grad`, and bounds if theta is at them."""

    name: str
    loss: Callable[[np.ndarray], float]
    gradient: np.ndarray
    theta: np.ndarray
    bounds: tuple[np.ndarray, np.ndarray] | None = None


def complex_step(loss: Callable[[np.ndarray], Any], theta: np.ndarray) -> np.ndarray:
    """The gradient to rounding."""
    moved = theta.astype(complex)
    found = np.empty(theta.size)
    for i in range(theta.size):
        moved[i] += 1j * TINY
        found[i] = loss(moved).imag / TINY
        moved[i] = theta[i]
    return found


# ---- smooth -----------------------------------------------------------------------------------------


def quartic(rng, n):
    A = rng.normal(size=(n, n)) / n
    return (lambda x: (x * (A @ x)).sum() + (x**4).sum() / 4), rng.normal(size=n)


def chain(rng, n):
    return (lambda x: (10 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()), rng.normal(
        size=n
    )


def soft_maximum(rng, n):
    return (lambda x: np.log(np.exp(x).sum())), 3 * rng.normal(size=n)


def regression(link):
    def made(rng, n):
        X, y = rng.normal(size=(2 * n, n)) / np.sqrt(n), rng.normal(size=2 * n)
        return (lambda w: link(X @ w, y).mean()), rng.normal(size=n)

    return made


def net(rng, n):
    X, y = rng.normal(size=(30, 4)), rng.normal(size=30)
    h = n // 5

    def loss(w):
        return ((np.tanh(X @ w[: 4 * h].reshape(4, h)) @ w[4 * h : 5 * h] - y) ** 2).mean()

    return loss, rng.normal(size=5 * h)


def recurrent(rng, n):
    x = rng.normal(size=12)
    h = int(np.sqrt(n)) - 1

    def loss(w):
        W, u, v = w[: h * h].reshape(h, h) / np.sqrt(h), w[h * h : h * h + h], w[h * h + h :]
        s = np.zeros(h, w.dtype)
        for value in x:
            s = np.tanh(W @ s + u * value)
        return (s @ v - 0.3) ** 2

    return loss, rng.normal(size=h * h + 2 * h)


def attention(rng, n):
    X, d = rng.normal(size=(6, 4)), 4

    def loss(w):
        Q, K, V = (X @ M for M in w[: 3 * d * d].reshape(3, d, d))
        S = np.exp(Q @ K.T / 2)
        return (((S / S.sum(1, keepdims=True)) @ V) ** 2).mean()

    return loss, rng.normal(size=3 * d * d)


def decays(rng, n):
    t = np.linspace(0, 2, 20)
    y = rng.normal(size=20)

    def loss(p):
        return ((p[: n // 2] @ np.exp(-np.outer(p[n // 2 :], t)) - y) ** 2).mean()

    return loss, np.r_[rng.normal(size=n // 2), rng.uniform(0.3, 3, n - n // 2)]


def volatility(rng, n):
    r = rng.normal(size=n)

    def loss(s):
        return (np.log(s) + 0.5 * (r / s) ** 2).sum() + 3 * ((s[1:] - s[:-1]) ** 2).sum()

    return loss, rng.uniform(0.5, 2, n)


def determinant(rng, n):
    k = int(np.sqrt(n))

    def loss(x):
        A = 3 * np.eye(k) + 0.2 * x.reshape(k, k)
        return np.log(np.linalg.det(A @ A.T))

    return loss, rng.normal(size=k * k)


def waves(rng, n):
    k = rng.uniform(0.5, 8, n)
    return (lambda x: (np.sin(k * x) / k).sum() + np.cos(x.sum())), rng.normal(size=n)


def cluster(rng, n):
    m = n // 3
    start = 1.1 * np.array(np.unravel_index(np.arange(m), (4, 4, 4))).T + 0.05 * rng.normal(
        size=(m, 3)
    )
    pairs = np.triu_indices(m, 1)

    def loss(x):
        d = x.reshape(m, 3)[pairs[0]] - x.reshape(m, 3)[pairs[1]]
        r2 = (d**2).sum(-1)
        return (r2**-6 - r2**-3).sum()

    return loss, start.ravel()


def entropy(rng, n):
    q = rng.uniform(0.1, 1, n)
    return (lambda p: (p * np.log(p / q)).sum() + p.sum() ** 2), rng.uniform(0.05, 2, n)


def pendulums(rng, n):
    def loss(z):
        q, v = z[: n // 2], z[n // 2 : 2 * (n // 2)]
        for _ in range(8):
            v = v - 0.1 * (np.sin(q) + 0.5 * (2 * q - np.roll(q, 1) - np.roll(q, -1)))
            q = q + 0.1 * v
        return (q**2).sum() + 0.5 * (v**2).sum()

    return loss, rng.normal(size=2 * (n // 2))


def power_law(rng, n):
    e = rng.uniform(-2, 3, n)
    return (lambda x: (x**e).sum() + np.log(x).sum() ** 2 / n), rng.uniform(0.3, 3, n)


def rates(rng, n):
    T = np.linspace(0.5, 2, 15)
    y = rng.normal(size=15)

    def loss(p):
        A, E = p[: n // 2], p[n // 2 : 2 * (n // 2)]
        return ((np.exp(-np.outer(1 / T, E)) @ A / n - y) ** 2).sum()

    return loss, rng.uniform(0.5, 3, 2 * (n // 2))


SMOOTH: dict[str, Callable[[Any, int], tuple[Callable[[np.ndarray], Any], np.ndarray]]] = {
    "quartic": quartic,
    "chain": chain,
    "soft maximum": soft_maximum,
    "least squares": regression(lambda z, y: (z - y) ** 2),
    "logistic": regression(lambda z, y: np.log1p(np.exp(-np.sign(y) * z))),
    "Poisson": regression(lambda z, y: np.exp(z) - np.abs(y) * z),
    "Cauchy": regression(lambda z, y: np.log1p((z - y) ** 2)),
    "probit-like": regression(lambda z, y: np.arctan(z - y) ** 2),
    "net": net,
    "recurrent": recurrent,
    "attention": attention,
    "decays": decays,
    "volatility": volatility,
    "determinant": determinant,
    "waves": waves,
    "cluster": cluster,
    "entropy": entropy,
    "pendulums": pendulums,
    "power law": power_law,
    "rates": rates,
}

# ---- kinks, many at once; a loss and its gradient, valid where it has several ------------------------


def lasso(rng, n):
    """A third of the entries are at their kink, with any slope of the interval."""
    A = rng.normal(size=(n, n)) / np.sqrt(n)
    x = rng.normal(size=n) * (np.arange(n) % 3 > 0)
    slope = np.where(x == 0, rng.uniform(-0.9, 0.9, n), np.sign(x))
    return (
        (lambda x: float(((A @ x) ** 2).sum() + 0.7 * np.abs(x).sum())),
        x,
        2 * A.T @ (A @ x) + 0.7 * slope,
    )


def hinges(rng, n):
    X = rng.normal(size=(2 * n, n)) / np.sqrt(n)
    w = rng.normal(size=n)
    short = 1 - X @ w > 0
    return (lambda w: float(np.maximum(1 - X @ w, 0).sum() + (w**2).sum())), w, 2 * w - X.T @ short


def relu_net(rng, n):
    """Biases of dead units are zero, and their inputs too: kinks that do not matter."""
    X, h = rng.normal(size=(25, 4)), n // 5
    W, v = rng.normal(size=(4, h)), rng.normal(size=h)
    y = rng.normal(size=25)

    def loss(w):
        return float(((np.maximum(X @ w[: 4 * h].reshape(4, h), 0) @ w[4 * h :] - y) ** 2).mean())

    Z = X @ W
    r = 2 * (np.maximum(Z, 0) @ v - y) / 25
    g = X.T @ ((Z > 0) * np.outer(r, v))
    return loss, np.r_[W.ravel(), v], np.r_[g.ravel(), np.maximum(Z, 0).T @ r]


def variation(rng, n):
    """Plateaus: neighbours that are equal share a kink; each is moved by half of it, which is valid."""
    x = np.repeat(rng.normal(size=n // 2), 2)
    y = rng.normal(size=x.size)
    s = np.sign(np.diff(x))
    g = 2 * (x - y)
    g[:-1] -= s
    g[1:] += s
    return (lambda x: float(np.abs(np.diff(x)).sum() + ((x - y) ** 2).sum())), x, g


def pools(rng, n):
    """Maxima of fives, no ties."""
    x = rng.normal(size=(n // 5, 5))
    c = rng.normal(size=n // 5)
    g = np.zeros_like(x)
    g[np.arange(n // 5), x.argmax(1)] = c
    return (lambda v: float(c @ v.reshape(-1, 5).max(1))), x.ravel(), g.ravel()


def quantiles(rng, n):
    y = rng.normal(size=n)
    x = y + rng.normal(size=n)
    g = np.where(y > x, -0.8, 0.2) + 0.1 * x
    return (
        (lambda x: float(np.maximum(0.8 * (y - x), 0.2 * (x - y)).sum() + 0.05 * (x**2).sum())),
        x,
        g,
    )


KINKS = {
    "lasso": lasso,
    "hinges": hinges,
    "ReLU net": relu_net,
    "variation": variation,
    "pools": pools,
    "quantiles": quantiles,
}

# ---- at bounds: nothing is evaluated outside, where the loss is no number -------------------------


def roots(rng, n):
    """Half of the entries are at their bound of 0, where the slope is one-sided."""
    x = rng.uniform(0.2, 2, n) * (np.arange(n) % 2)
    c = rng.normal(size=n)
    g = c + 1.5 * np.sqrt(x) + 0.5 / np.sqrt(x + 1)
    return (lambda x: float((x**1.5 + c * x).sum() + np.sqrt(x + 1).sum())), x, g


def boxes(rng, n):
    x = np.clip(rng.normal(size=n), 0, None)
    A = rng.normal(size=(n, n)) / n

    def loss(x):
        return float(x @ A @ x + np.cos(x).sum()) if (x >= 0).all() else np.nan

    return loss, x, (A + A.T) @ x - np.sin(x)


AT_BOUNDS = {"roots": roots, "boxes": boxes}


def in_units(loss, gradient, theta, s):
    """The same problem with every entry measured in a unit of its own."""
    return (lambda u: loss(u / s)), gradient / s, theta * s


def problems(seeds: range, n: int = 60) -> Iterator[Member]:
    """Every model at every seed: as it is at even seeds, each entry in a unit of its own at odd ones."""
    for seed in seeds:
        for k, name in enumerate([*SMOOTH, *KINKS, *AT_BOUNDS]):
            rng = np.random.default_rng([1129, seed, k])
            if name in SMOOTH:
                smooth, x = SMOOTH[name](rng, n)
                loss, g = (lambda v, f=smooth: float(f(v))), complex_step(smooth, x)
            else:
                loss, x, g = (KINKS | AT_BOUNDS)[name](rng, n)
            low = np.zeros(x.size)
            if seed % 2:
                s = 10.0 ** rng.uniform(-DECADES, DECADES, x.size)
                loss, g, x = in_units(loss, g, x, s)
            bounds = (low, np.full(x.size, np.inf)) if name in AT_BOUNDS else None
            yield Member(f"{name} {seed}", loss, g, x, bounds)
