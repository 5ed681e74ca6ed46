"""Nets of five families in float64, float32 and bfloat16, and what goes wrong with their gradients.

Right gradients are autograd's. Losses are called with theta as it is trained: in float32, which the
net rounds to what it computes in. `screened` is one check; ``python -m bench.noise`` counts verdicts.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as functions

from fastgrad.results import GradientCheck
from tests.checks.nets import FAULTS, screened

CLASSES, BATCH = 10, 128
DTYPES = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16}
ACTIVATIONS = {
    "relu": torch.relu,
    "silu": functions.silu,
    "gelu": functions.gelu,
    "tanh": torch.tanh,
}
MISTAKEN = {
    "relu": torch.ones_like,
    "silu": torch.sigmoid,
    "gelu": lambda z: 0.5 * (1 + torch.erf(z * 0.5**0.5)),
    "tanh": lambda z: 1 - torch.tanh(z),
}
"""Derivatives that people write."""

Theta = dict[str, Any]
Forward = Callable[[dict[str, Tensor], Tensor, "Activation"], Tensor]


class Activation:
    """The activation of one kind; layer number ``mistaken`` has a derivative that is not its own."""

    def __init__(self, kind: str, mistaken: int):
        self.kind, self.mistaken = kind, mistaken

    def __call__(self, z: Tensor, layer: int = 0) -> Tensor:
        out = ACTIVATIONS[self.kind](z)
        if layer != self.mistaken:
            return out
        slope = MISTAKEN[self.kind](z.detach())
        return out.detach() + slope * (z - z.detach())


@dataclass(frozen=True)
class Net:
    """A net, a batch, and what it computes in; logits are of float32 at least, as autocast has it."""

    theta: Theta
    forward: Forward
    X: Any
    y: Any
    kind: str
    layers: int
    """Layers that have an activation."""
    dtype: str = "float32"
    mistaken: int = -1

    def _loss(self, leaves: dict[str, Tensor]) -> Tensor:
        dtype = DTYPES[self.dtype]
        X = torch.as_tensor(self.X)
        X = X.to(dtype) if X.is_floating_point() else X
        own = {name: leaf.to(dtype) for name, leaf in leaves.items()}
        logits = self.forward(own, X, Activation(self.kind, self.mistaken))
        logits = logits.float() if dtype == torch.bfloat16 else logits
        return functions.cross_entropy(
            logits.reshape(-1, logits.shape[-1]), torch.as_tensor(self.y)
        )

    def with_other_batch(self, rng: np.random.Generator) -> "Net":
        if self.X.dtype.kind == "i":
            tokens = rng.integers(0, self.X.max() + 1, self.X.shape)
            return replace(self, X=tokens, y=rng.permutation(self.y))
        y = rng.integers(0, CLASSES, self.y.size)
        return replace(self, X=rng.normal(size=self.X.shape), y=y)

    def loss(self, theta: Theta) -> Any:
        with torch.no_grad():
            return self._loss({k: torch.as_tensor(a) for k, a in theta.items()}).numpy()[()]

    def grad(self, theta: Theta) -> Theta:
        leaves = {k: torch.tensor(a, requires_grad=True) for k, a in theta.items()}
        self._loss(leaves).backward()
        return {k: leaf.grad.numpy() for k, leaf in leaves.items()}


def _mlp(p: dict[str, Tensor], X: Tensor, act: Activation) -> Tensor:
    layers = len(p) // 2
    for k in range(1, layers):
        X = act(X @ p[f"W{k}"] + p[f"b{k}"], k - 1)
    return X @ p[f"W{layers}"] + p[f"b{layers}"]


def _conv(p: dict[str, Tensor], X: Tensor, act: Activation) -> Tensor:
    for k in (1, 2):
        X = functions.max_pool2d(
            act(functions.conv2d(X, p[f"W{k}"], p[f"b{k}"], padding=1), k - 1), 2
        )
    return X.flatten(1) @ p["W3"] + p["b3"]


HEADS = 4


def _transformer(p: dict[str, Tensor], tokens: Tensor, act: Activation) -> Tensor:
    x = p["embedding"][tokens] + p["position"]
    batch, length, width = x.shape
    h = functions.layer_norm(x, (width,), p["g1"], p["s1"])
    q, k, v = (
        part.reshape(batch, length, HEADS, -1).transpose(1, 2)
        for part in (h @ p["Wqkv"] + p["bqkv"]).chunk(3, -1)
    )
    scores = q @ k.transpose(-1, -2) / (width / HEADS) ** 0.5
    masked = scores + torch.full((length, length), -1e4, dtype=x.dtype).triu(1)
    mixed = (masked.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, width)
    x = x + mixed @ p["Wo"] + p["bo"]
    h = functions.layer_norm(x, (width,), p["g2"], p["s2"])
    x = x + act(h @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"]
    return functions.layer_norm(x, (width,), p["g3"], p["s3"]) @ p["Wout"]


def _lstm(p: dict[str, Tensor], X: Tensor, act: Activation) -> Tensor:
    hidden = p["Wout"].shape[0]
    h = c = X.new_zeros(X.shape[0], hidden)
    for x in X.unbind(1):
        i, f, g, o = (x @ p["Wx"] + h @ p["Wh"] + p["b"]).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * act(c)
    return h @ p["Wout"] + p["bout"]


def _dense(rng: np.random.Generator, n: int, m: int) -> Any:
    return rng.normal(size=(n, m)) / np.sqrt(n)


def mlp(rng: np.random.Generator, kind: str, sizes: tuple[int, ...]) -> Net:
    theta: Theta = {}
    for k, (n, m) in enumerate(pairwise(sizes), 1):
        theta[f"W{k}"] = np.sqrt(2) * _dense(rng, n, m)
        theta[f"b{k}"] = 0.01 * rng.normal(size=m)
    X, y = rng.normal(size=(BATCH, sizes[0])), rng.integers(0, sizes[-1], BATCH)
    return Net(theta, _mlp, X, y, kind, len(sizes) - 2)


def conv(rng: np.random.Generator, width: int = 16, batch: int = 64) -> Net:
    theta = {
        "W1": rng.normal(size=(width, 3, 3, 3)) * np.sqrt(2 / 27),
        "b1": 0.01 * rng.normal(size=width),
        "W2": rng.normal(size=(2 * width, width, 3, 3)) * np.sqrt(2 / (9 * width)),
        "b2": 0.01 * rng.normal(size=2 * width),
        "W3": _dense(rng, 2 * width * 9, CLASSES),
        "b3": 0.01 * rng.normal(size=CLASSES),
    }
    X, y = rng.normal(size=(batch, 3, 12, 12)), rng.integers(0, CLASSES, batch)
    return Net(theta, _conv, X, y, "relu", 2)


def transformer(rng: np.random.Generator, width: int = 32, words: int = 48) -> Net:
    length, batch = 16, 16
    theta: Theta = {
        "embedding": rng.normal(size=(words, width)),
        "position": 0.1 * rng.normal(size=(length, width)),
        "Wqkv": _dense(rng, width, 3 * width),
        "bqkv": 0.02 * rng.normal(size=3 * width),
        "Wo": _dense(rng, width, width),
        "bo": 0.02 * rng.normal(size=width),
        "W1": _dense(rng, width, 4 * width),
        "b1": 0.02 * rng.normal(size=4 * width),
        "W2": _dense(rng, 4 * width, width),
        "b2": 0.02 * rng.normal(size=width),
        "Wout": _dense(rng, width, words),
    }
    for k in (1, 2, 3):
        theta[f"g{k}"] = 1 + 0.05 * rng.normal(size=width)
        theta[f"s{k}"] = 0.05 * rng.normal(size=width)
    tokens = rng.integers(0, words - 4, (batch, length + 1))  # some words do not occur
    return Net(theta, _transformer, tokens[:, :-1], tokens[:, 1:].reshape(-1), "gelu", 1)


def lstm(rng: np.random.Generator, hidden: int = 48, batch: int = 64) -> Net:
    inputs, length = 16, 10
    theta = {
        "Wx": _dense(rng, inputs, 4 * hidden),
        "Wh": _dense(rng, hidden, 4 * hidden),
        "b": 0.1 * rng.normal(size=4 * hidden),
        "Wout": _dense(rng, hidden, CLASSES),
        "bout": 0.1 * rng.normal(size=CLASSES),
    }
    X = rng.normal(size=(batch, length, inputs))
    return Net(theta, _lstm, X, rng.integers(0, CLASSES, batch), "tanh", 1)


SMALL = (64, 64, 64, CLASSES)
FAMILIES: dict[str, Callable[[np.random.Generator], Net]] = {
    "ReLU": lambda rng: mlp(rng, "relu", SMALL),
    "GELU": lambda rng: mlp(rng, "gelu", SMALL),
    "convolutions": conv,
    "transformer": transformer,
    "LSTM": lstm,
}
"""Of about 1e4 parameters each."""
LARGE: dict[str, Callable[[np.random.Generator], Net]] = {
    "ReLU, 1e6": lambda rng: mlp(rng, "relu", (256, 768, 1024, CLASSES)),
    "GELU, 1e6": lambda rng: mlp(rng, "gelu", (256, 768, 1024, CLASSES)),
    "transformer, 1e5": lambda rng: transformer(rng, 96, 256),
    "convolutions, 1e5": lambda rng: conv(rng, 64, 32),
    "LSTM, 1e5": lambda rng: lstm(rng, 144),
}


def net(family: str, seed: int, dtype: str = "float32") -> Net:
    """A net of a family: theta of float64 where it computes in that, else of float32."""
    made = (FAMILIES | LARGE)[family](np.random.default_rng([seed, 12]))
    own = np.float64 if dtype == "float64" else np.float32
    return replace(made, theta={k: a.astype(own) for k, a in made.theta.items()}, dtype=dtype)


def first_refuted(report: GradientCheck) -> int:
    """After how many evaluations a remark says that something was refuted; all if none does."""
    said = [r.split()[1] for r in report.remarks if r.startswith("After ")]
    return min(map(int, said), default=report.evaluations)


def screens(
    family: str, dtype: str, fault: str | None, seeds: range
) -> Iterator[tuple[Theta, Theta, GradientCheck]]:
    """The right gradient, the one that is screened, and what is said of it, seed by seed."""
    for seed in seeds:
        problem = net(family, seed, dtype)
        right, rng = problem.grad(problem.theta), np.random.default_rng(seed)
        gradient = right if fault is None else FAULTS[fault](problem, right, rng)
        yield right, gradient, screened(problem, gradient, seed)


def count(
    family: str, dtype: str, fault: str | None, seeds: range
) -> tuple[Counter[str], list[int]]:
    """Verdicts of screens, and evaluations: until something was refuted, if anything was."""
    reports = [report for _, _, report in screens(family, dtype, fault, seeds)]
    verdicts = Counter(report.verdict for report in reports)
    return verdicts, [r.evaluations if fault is None else first_refuted(r) for r in reports]


def main(arguments: list[str]) -> None:
    """``python -m bench.noise float32 right 0:10 [FAMILY...]``, or the name of a fault, or all."""
    dtype, fault, between, *families = arguments
    seeds = range(*map(int, between.split(":")))
    faults = {"right": [None], "all": [*FAULTS]}.get(fault, [fault])
    for family in families or FAMILIES:
        for name in faults:
            verdicts, made = count(family, dtype, name, seeds)
            evaluations = f"{np.median(made):.0f} evaluations, at most {max(made)}"
            print(
                f"{dtype} | {family} | {name or 'right'} | {dict(verdicts)} | {evaluations}",
                flush=True,
            )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])
