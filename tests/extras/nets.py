"""A multilayer perceptron and a small transformer of 1e5 parameters, with common faults planted."""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812


class Faulty(torch.autograd.Function):
    """The identity, with a backward pass that something is done to."""

    @staticmethod
    def forward(ctx, x, change):
        ctx.change = change
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return ctx.change(g), None


class Silu(torch.autograd.Function):
    """x s(x), with a derivative of which the second half may be forgotten: s(x) alone."""

    @staticmethod
    def forward(ctx, x, whole):
        s = torch.sigmoid(x)
        ctx.save_for_backward(x, s)
        ctx.whole = whole
        return x * s

    @staticmethod
    def backward(ctx, g):
        x, s = ctx.saved_tensors
        return g * (s + x * s * (1 - s) if ctx.whole else s), None


def zero_row(g):
    g = g.clone()
    g[2] = 0
    return g


FAULTS = {
    "1% too large": lambda g: 1.01 * g,
    "twice": lambda g: 2 * g,
    "a row zero": zero_row,
}
"""What is done to the gradient of a weight."""
NAMES = (*FAULTS, "bias mean for sum", "wrong activation", "no L2", "detached path")
L2 = 1e-2


def _wide(x):
    return x.to(torch.promote_types(x.dtype, torch.float32))


class Net(nn.Module):
    """What both have in common: one weight, bias, activation and path that may be faulty."""

    weight_name = bias_name = ""
    rows = 1
    """Over how many rows a mean is taken where a sum is meant."""

    def __init__(self, fault):
        super().__init__()
        self.fault = fault

    def weight(self, w):
        return Faulty.apply(w, FAULTS[self.fault]) if self.fault in FAULTS else w

    def bias(self, b):
        wrong = self.fault == "bias mean for sum"
        return Faulty.apply(b, lambda g: g / self.rows) if wrong else b

    def activation(self, x):
        return Silu.apply(x, self.fault != "wrong activation")

    def path(self, x):
        return x.detach() if self.fault == "detached path" else x

    def loss(self, out, y, w):
        """Cross entropy and an L2 term, in float32 at least, as nets of half precision are trained."""
        penalty = L2 * (_wide(w) ** 2).sum()
        return F.cross_entropy(_wide(out), y) + (
            penalty.detach() if self.fault == "no L2" else penalty
        )


class Perceptron(Net):
    """99,530 parameters: 64-256-256-64-10, with a skip from the first hidden layer to the third.

    A small one, 6-10-10-5-3, has 248.
    """

    weight_name, bias_name, rows = "second.weight", "second.bias", 16
    upstream = "first.weight", "first.bias"

    def __init__(self, fault=None, sizes=(64, 256, 256, 64, 10)):
        super().__init__(fault)
        pairs = pairwise(sizes)
        self.first, self.second, self.third, self.last = (nn.Linear(n, m) for n, m in pairs)

    def forward(self, x, y):
        h = self.activation(self.first(x))
        w, b = self.weight(self.second.weight), self.bias(self.second.bias)
        z = torch.tanh(F.linear(h, w, b)) + self.path(h)
        out = self.last(torch.tanh(self.third(z)))
        return self.loss(out, y, self.second.weight)


class Transformer(Net):
    """104,714 parameters: embedding, position, two layers of four heads, a head of ten classes."""

    weight_name, bias_name, rows = "layers.1.first.weight", "layers.1.first.bias", 4 * 12
    upstream = ("embedding",)

    def __init__(self, fault=None):
        super().__init__(fault)
        self.embedding = nn.Embedding(50, 64)
        self.position = nn.Parameter(0.1 * torch.randn(12, 64))
        self.layers = nn.ModuleList([Layer(self, k == 1) for k in range(2)])
        self.norm, self.head = nn.LayerNorm(64), nn.Linear(64, 10)

    def forward(self, tokens, y):
        x = self.embedding(tokens) + self.position
        for layer in self.layers:
            x = layer(x, self if layer.faulty else SOUND)
        out = self.head(self.norm(x).mean(1))
        return self.loss(out, y, self.layers[1].first.weight)


class Layer(nn.Module):
    """Attention and a feedforward net, each after a norm and beside a skip."""

    def __init__(self, net, faulty):
        super().__init__()
        self.faulty = faulty
        self.norms = nn.ModuleList([nn.LayerNorm(64) for _ in range(2)])
        self.qkv, self.out = nn.Linear(64, 192), nn.Linear(64, 64)
        self.first, self.last = nn.Linear(64, 256), nn.Linear(256, 64)

    def forward(self, x, net):
        q, k, v = self.qkv(self.norms[0](x)).unflatten(-1, (3, 4, 16)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = net.path(x) + self.out(attended)
        w, b = net.weight(self.first.weight), net.bias(self.first.bias)
        return x + self.last(net.activation(F.linear(self.norms[1](x), w, b)))


SOUND = Net(None)


def problem(kind, dtype, seed, fault=None):
    """A net and its inputs in a precision."""
    torch.manual_seed(seed)
    if kind == "small mlp":
        net = Perceptron(fault, (6, 10, 10, 5, 3)).to(dtype)
        return net, (torch.randn(16, 6, dtype=dtype), torch.randint(3, (16,)))
    net = {"mlp": Perceptron, "transformer": Transformer}[kind](fault).to(dtype)
    if kind == "mlp":
        return net, (torch.randn(16, 64, dtype=dtype), torch.randint(10, (16,)))
    return net, (torch.randint(50, (4, 12)), torch.randint(10, (4,)))
