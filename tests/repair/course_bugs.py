"""Bugs of courses and textbooks: mistakes that people make when they derive or copy these gradients.

Written before the operators of `fastgrad.repair` were tuned, and not changed since: they say what it
mends of what it was not made for. A bug is edits of the module's text.
"""

from typing import NamedTuple


class CourseBug(NamedTuple):
    """``edits`` are (old, new) pieces of the text of ``module``; ``problem`` prefixes its names."""

    module: str
    problem: str
    name: str
    edits: tuple[tuple[str, str], ...]


def bug(module: str, name: str, *edits: tuple[str, str], problem: str = "") -> CourseBug:
    return CourseBug(module, problem, name, edits)


COURSE_BUGS = [
    bug("logistic", "penalty forgotten", (" + lam / m * p", "  # + lam / m * p")),
    bug("logistic", "penalty not averaged", ("error / m + lam / m", "error / m + lam")),
    bug("logistic", "labels minus predictions", ("error = h - y", "error = y - h")),
    bug("logistic", "bias summed", ("db = error.mean()", "db = error.sum()")),
    bug("logistic", "squared error's slope", ("error = h - y", "error = (h - y) * h * (1 - h)")),
    bug(
        "layers", "relu passes where the error is positive", ("dout * (x > 0)", "dout * (dout > 0)")
    ),
    bug("layers", "bias not summed", ("np.sum(dout, axis=0)", "dout[-1]")),
    bug("layers", "the true class not subtracted", ("    dscores[np.arange(n), y] -= 1\n", "")),
    bug("layers", "not divided by n", ("    dscores /= n\n", "")),
    bug("layers", "twice the penalty", ('grads["W2"] += reg * p', 'grads["W2"] += 2 * reg * p')),
    bug("layers", "penalty replaces the gradient", ('grads["W1"] += reg', 'grads["W1"] = reg')),
    bug("layers", "relu left out", ("da1 = relu_backward(dhidden, relu_cache)", "da1 = dhidden")),
    bug("network", "slope of the sigmoid", ("* (1 - a1**2)", "* (a1 * (1 - a1))")),
    bug("network", "slope taken at the slope", ("* (1 - a1**2)", "* (1 - np.tanh(a1) ** 2)")),
    bug(
        "network",
        "decay on the wrong layer",
        ('decay * p["W2"]\n        gb2', "decay\n        gb2"),
    ),
    bug(
        "network",
        "bias of the wrong layer",
        ("gb1 = d1.sum(axis=0)", "gb1 = (d2 @ p['W2'].T).sum(axis=0)"),
    ),
    bug("network", "batch size of the features", ("m = a1.shape[0]", "m = a1.shape[1]")),
    bug("hinge", "the correct class is left alone", ("                dW[:, y[i]] -= X[i]\n", "")),
    bug("hinge", "the penalty halved", ("2 * reg * W", "reg * W")),
    bug("hinge", "not averaged", ("    dW /= X.shape[0]\n", "")),
    bug("hinge", "margin without its one", ("correct + 1.0", "correct")),
    bug("hinge", "averaged over classes", ("dW /= X.shape[0]", "dW /= W.shape[1]")),
    bug(
        "regressions", "sigma for its square", ("r / sigma**2\n", "r / sigma\n"), problem="normal_"
    ),
    bug(
        "regressions",
        "by sigma, not its log",
        ("n - np.sum(r**2) / sigma**2", "n / sigma - np.sum(r**2) / sigma**3"),
        problem="normal_",
    ),
    bug(
        "regressions",
        "sign of the score",
        ("-X.T @ r / sigma**2", "X.T @ r / sigma**2"),
        problem="normal_",
    ),
    bug(
        "regressions",
        "exposure forgotten",
        ("mu = exposure * np.exp", "mu = np.exp"),
        problem="poisson_",
    ),
    bug(
        "regressions",
        "log-likelihood's gradient",
        ("tau**2 - score", "tau**2 + score"),
        problem="poisson_",
    ),
    bug(
        "regressions",
        "standard deviation for variance",
        ("beta / tau**2 -", "beta / tau -"),
        problem="poisson_",
    ),
    bug(
        "regressions",
        "by k, not its log",
        ("event * (1 + k * np.log(u)) - k * u**k", "event * (1 / k + np.log(u)) - u**k"),
        problem="weibull_",
    ),
    bug(
        "regressions",
        "power off by one",
        ("event * k - k * u**k", "event * k - k * u ** (k - 1)"),
        problem="weibull_",
    ),
    bug(
        "attention",
        "scale of the scores forgotten",
        ("softmax_backward(dA, A) / root", "softmax_backward(dA, A)"),
    ),
    bug(
        "attention",
        "softmax's diagonal alone",
        ("A * (dA - np.sum(dA * A, axis=1, keepdims=True))", "dA * A * (1 - A)"),
    ),
    bug("attention", "keys not transposed", ("dK = dS.T @ Q", "dK = dS @ Q")),
    bug("attention", "sum over the wrong axis", ("np.sum(dA * A, axis=1", "np.sum(dA * A, axis=0")),
    bug(
        "recurrent",
        "forget gate's error lost",
        ("dc = dc * f", "dc = np.zeros(n)"),
        problem="lstm_",
    ),
    bug("recurrent", "next cell for the last", ("dc * c_prev", "dc * c"), problem="lstm_"),
    bug(
        "recurrent",
        "cell's error overwritten",
        ("dc = dc + dh * o", "dc = dh * o"),
        problem="lstm_",
    ),
    bug(
        "recurrent",
        "slope of the candidate",
        ("dg * (1 - g**2)", "dg * g * (1 - g)"),
        problem="lstm_",
    ),
    bug("recurrent", "wrong rows of W", ('p["W"][len(x) :] @', 'p["W"][:n] @'), problem="lstm_"),
    bug("recurrent", "half forgotten", ("0.5 - 0.5 * w * e**2", "1 - w * e**2"), problem="ar_"),
    bug("recurrent", "lag off by one", ("w * e * y[t - 1]", "w * e * y[t]"), problem="ar_"),
    bug(
        "factors",
        "repeated items overwritten",
        ("np.add.at(dV, items, e[:, None] * p", "dV[items] += (e[:, None] * p"),
        ("[users])\n    np.add.at(dc", "[users])\n    np.add.at(dc"),
        problem="ratings_",
    ),
    bug(
        "factors",
        "factors exchanged",
        ('users, e[:, None] * p["V"][items]', 'users, e[:, None] * p["U"][users]'),
        problem="ratings_",
    ),
    bug(
        "factors",
        "penalty of the other factor",
        ('dV + lam * p["V"]', 'dV - lam * p["V"]'),
        problem="ratings_",
    ),
    bug(
        "factors",
        "mean of the responsibilities",
        ("len(x) * prior - R.sum(axis=0)", "prior - R.mean(axis=0)"),
        problem="mixture_",
    ),
    bug(
        "factors",
        "responsibilities over the data",
        ("W / W.sum(axis=1, keepdims=True)", "W / W.sum(axis=0)"),
        problem="mixture_",
    ),
    bug("factors", "one spread forgotten", ("(R * z / s)", "(R * z)"), problem="mixture_"),
    bug("factors", "the one of the normaliser", ("z**2 - 1", "z**2"), problem="mixture_"),
    bug(
        "factors", "input for its normalisation", ("(dy * xhat)", "(dy * X)"), problem="layer_norm_"
    ),
    bug(
        "factors",
        "gain for bias",
        ('"bias": dy.sum', '"bias": (dy * p["gain"]).sum'),
        problem="layer_norm_",
    ),
]
