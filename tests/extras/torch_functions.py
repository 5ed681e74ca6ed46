"""Functions with backward passes written by hand, each with planted bugs as edits of its source."""

import torch
from torch.autograd import Function


class Swish(Function):
    @staticmethod
    def forward(ctx, x, w):
        z = x @ w
        s = torch.sigmoid(z)
        ctx.save_for_backward(x, w, z, s)
        return z * s

    @staticmethod
    def backward(ctx, dout):
        x, w, z, s = ctx.saved_tensors
        dz = dout * (s + z * s * (1 - s))
        return dz @ w.T, x.T @ dz


class LayerNorm(Function):
    @staticmethod
    def forward(ctx, x, gain):
        mean = x.mean(axis=1, keepdims=True)
        sd = torch.sqrt(((x - mean) ** 2).mean(axis=1, keepdims=True) + 1e-3)
        n = (x - mean) / sd
        ctx.save_for_backward(n, sd, gain)
        return gain * n

    @staticmethod
    def backward(ctx, dout):
        n, sd, gain = ctx.saved_tensors
        dn = dout * gain
        centred = dn - dn.mean(axis=1, keepdims=True)
        dx = (centred - n * (dn * n).mean(axis=1, keepdims=True)) / sd
        return dx, (dout * n).sum(axis=0)


PLANTED = {
    "Swish": [
        ("z * s * (1 - s)", "z * s"),
        ("x.T @ dz", "x.T @ dout"),
        ("dz @ w.T", "-dz @ w.T"),
    ],
    "LayerNorm": [
        (" / sd\n        return dx", "\n        return dx"),
        ("(dout * n).sum(axis=0)", "(dout * n).mean(axis=0)"),
        ("dn = dout * gain", "dn = dout"),
    ],
}
