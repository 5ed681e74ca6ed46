"""For which outputs is a backward pass wrong? What parts of the cotangent say.

A backward pass is linear in the cotangent. Along one direction v of the inputs, the outputs change by
``d = (fun(x + h v) - fun(x - h v)) / 2h``, two evaluations for all of them; with the cotangent cut
down to a part P of the outputs, ``<vjp(c_P), v>`` must be ``<c_P, d>``.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fastgrad.arrays import Floats, Mask
from fastgrad.checks.given_gradient import flat_gradient
from fastgrad.evaluate.layer import STREAM, Layer
from fastgrad.numerics.bars import ROUNDING, WIDER, noise_bar
from fastgrad.numerics.rounding import rounding_noise
from fastgrad.numerics.stencils import CENTRAL
from fastgrad.numerics.two_steps import truncation
from fastgrad.parameters.blocks import Block
from fastgrad.parameters.layout import Layout
from fastgrad.spaces.placed import placed

MOST_PARTS = 64
"""An axis of more has no names worth reading."""
NAMED = 8
"""Indices named in a sentence."""
SECONDS = 2.0
"""All parts of an axis are looked at if they are expected to take no longer."""
CLEAR = 10.0
"""A part is to blame where it is off by so many bars."""
NOISY = 16.0
"""Noise of an output, in its own roundings: what sums over a batch come to."""
LINEAR = 1e-3
"""Twice the cotangent gives twice the gradients, to this part of them, in any precision."""


@dataclass(frozen=True)
class Part:
    """Some of the outputs: ``index`` along ``axis`` of a block, or all of it (axis -1)."""

    block: Block
    axis: int
    index: int

    def mask(self, size: int) -> Mask:
        """The outputs that are in it, shape (p,)."""
        mask = np.zeros(size, np.bool_)
        inside = mask[self.block.start : self.block.stop].reshape(self.block.shape)
        if self.axis < 0:
            inside[...] = True
        else:
            np.moveaxis(inside, self.axis, 0)[self.index] = True
        return mask


class Partition:
    """A backward pass with a cotangent in parts, along one direction of one block of the inputs.

    Parameters
    ----------
    layer : Layer
    cotangent : ndarray, shape (p,)
    name : str
        The path of the block.
    rtol : float
    """

    def __init__(self, layer: Layer, cotangent: Floats, name: str, rtol: float):
        self.layer, self.c, self.rtol = layer, cotangent, rtol
        layout, flat = placed(layer.operands.theta, layer.operands.space)
        block = next(block for block in layout.blocks if block.name == name)
        part = slice(block.start, block.stop)
        v = np.zeros(flat.size)
        v[part] = np.random.default_rng([block.size, STREAM]).standard_normal(block.size)
        v[part] *= max(1.0, float(np.abs(flat[part]).max()))
        self.part, self.layout, self.v = part, layout, v[part]
        least = np.zeros(1) if layout.finest is None else layout.finest[part]
        h = max(CENTRAL[2].step, float(least.max(initial=0.0)))
        near, wide = (_slopes(layer, layout, flat, v, step) for step in (h, WIDER * h))
        self.t = truncation(near, wide)
        self.d = near - self.t
        sigma = NOISY * rounding_noise(layer.forward(layout.given(flat)))
        self.bar = noise_bar(sigma, h) + np.abs(self.t)

    def is_wrong(self, part: Part) -> bool:
        """Whether the backward pass is wrong for these outputs."""
        mask = part.mask(self.c.size)
        c = np.where(mask, self.c, 0.0)
        gradient = self.layer.backward(self.layer.operands.theta, c)
        products = flat_gradient(gradient, self.layout)[0][self.part] * self.v
        terms = c * self.d
        bar = float(np.sqrt(np.sum((c * self.bar) ** 2)))
        bar += ROUNDING * float(np.abs(products).sum() + np.abs(terms).sum())
        error = abs(float(products.sum()) - float(terms.sum()))
        return bool(error > CLEAR * bar + self.rtol * abs(float(terms.sum())))


def outputs_to_blame(layer: Layer, cotangent: Floats, name: str, rtol: float) -> str:
    """For which outputs alone a block's gradient is wrong, in words; nothing if for all of them."""
    parts = Partition(layer, cotangent, name, rtol)
    blocks = layer.outputs.layout.blocks
    wrong = [block for block in blocks if parts.is_wrong(Part(block, -1, 0))]
    if not wrong:
        return ""
    if len(wrong) == 1:
        inside = _indices(parts, wrong[0])
        if inside:
            return f"Wrong for {inside} alone."
    if len(wrong) < len(blocks):
        return f"Wrong for {' and '.join(block.name for block in wrong)} alone, of the outputs."
    return ""


def is_linear(layer: Layer, cotangent: Floats) -> str:
    """What to say of a backward pass that is not linear in the cotangent; nothing if it is."""
    layout, _ = placed(layer.operands.theta, layer.operands.space)
    once, twice = (
        flat_gradient(layer.backward(layer.operands.theta, c), layout)[0]
        for c in (cotangent, 2 * cotangent)
    )
    size = float(np.abs(once).max(initial=0.0))
    if np.array_equal(once, twice) and size > 0:
        return "The backward pass gives the same for twice the cotangent: it does not use it."
    if not np.all(np.abs(twice - 2 * once) <= LINEAR * size):
        return (
            "The backward pass is not linear in the cotangent: twice the cotangent does not give twice "
            "the gradients. The cotangent multiplies what it returns, and stands in no other place."
        )
    return ""


def _slopes(layer: Layer, layout: Layout, flat: Floats, v: Floats, h: float) -> Floats:
    above, below = (layer.forward(layout.given(flat + t * v)) for t in (h, -h))
    return (above - below) / (2 * h)


def _indices(parts: Partition, block: Block) -> str:
    """The indices along the axis that tells most, in words."""
    found: list[tuple[float, str]] = []
    for axis, length in enumerate(block.shape):
        wrong = _wrong_along(parts, block, axis) if 1 < length <= MOST_PARTS else None
        if wrong and len(wrong) < length:
            found.append((len(wrong) / length, _axis_words(block, axis, wrong)))
    return min(found)[1] if found else ""


def _wrong_along(parts: Partition, block: Block, axis: int) -> list[int] | None:
    began = time.perf_counter()
    wrong = []
    for k in range(block.shape[axis]):
        if parts.is_wrong(Part(block, axis, k)):
            wrong.append(k)
        if (time.perf_counter() - began) / (k + 1) * block.shape[axis] > SECONDS:
            return None
    return wrong


def _axis_words(block: Block, axis: int, wrong: Sequence[int]) -> str:
    kind = {1: ("entry", "entries"), 2: (("row", "rows"), ("column", "columns"))[axis % 2]}.get(
        len(block.shape), ("index", "indices")
    )
    named = ", ".join(map(str, wrong[:NAMED]))
    if len(wrong) > 1 and len(wrong) <= NAMED:
        named = f"{', '.join(map(str, wrong[:-1]))} and {wrong[-1]}"
    elif len(wrong) > NAMED:
        named += f" and {len(wrong) - NAMED} more"
    along = f" along axis {axis}" if len(block.shape) > len(("row", "column")) else ""
    return f"{kind[len(wrong) > 1]} {named}{along} of {block.name}"


def sentences(
    layer: Layer, cotangent: Floats, names: Sequence[str], rtol: float
) -> Iterator[tuple[str, str]]:
    """For each failing block, its name and for which outputs it fails."""
    for name in names:
        said = outputs_to_blame(layer, cotangent, name, rtol)
        if said:
            yield name, said
