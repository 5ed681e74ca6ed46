"""The block to start with: the failing one nearest the output."""

import re
from collections.abc import Sequence

from fastgrad.checks.diagnose.evidence import Evidence


def depths(evidence: Sequence[Evidence]) -> list[tuple[int, ...]] | None:
    """Depth of every block: the numbers in its name if all names have them, else its position.

    Positions count only where what is wrong and what is right supports them: blocks that fail up to
    one, and right ones after it.

    ``weights.0, weights.1, biases.0, biases.1`` are two layers, though they lie in another order.
    """
    numbers = [tuple(map(int, re.findall(r"\d+", block.name))) for block in evidence]
    if all(numbers) and len({len(found) for found in numbers}) == 1:
        return numbers
    agree = [block.agrees for block in evidence]
    if not any(agree) or agree != sorted(agree):
        return None
    return [(position,) for position in range(len(evidence))]


def start_here(evidence: Sequence[Evidence]) -> tuple[str, str] | None:
    """Name of the failing block nearest the output, and why to start there.

    An error in the backward pass of a layer spoils that layer and every earlier one, and none that
    comes later: so what fails last, in the order in which the layers are applied, was spoilt first.
    """
    depth = depths(evidence)
    if depth is None:
        return None
    failing = [k for k, block in enumerate(evidence) if not block.agrees]
    if len(failing) < 2:
        return None
    deepest = max(depth[k] for k in failing)
    layer = [k for k in failing if depth[k] == deepest]
    chosen = layer[0]
    later = [b.name for b, d in zip(evidence, depth, strict=True) if b.agrees and d > deepest]
    partners = [b.name for b, d in zip(evidence, depth, strict=True) if b.agrees and d == deepest]
    also = [evidence[k].name for k in layer[1:]]
    text = f"Start here: of the blocks that fail, {evidence[chosen].name}"
    text += f" (with {_names(also)})" if also else ""
    text += (
        " is nearest the output, and an error in the backward pass of a layer spoils all layers "
        "before it, none after it."
    )
    if partners:
        text += (
            f" {_names(partners)}, of the same layer, is right, so the error signal arrives intact:"
            f" look at how the gradient of {evidence[chosen].name} is formed from it."
        )
    elif later:
        text += (
            f" {_names(later)} {'is' if len(later) == 1 else 'are'} right, so look at the step of "
            "the backward pass from there to here."
        )
    return evidence[chosen].name, text


def _names(names: list[str]) -> str:
    if len(names) > 3:
        return f"{', '.join(names[:2])} and {len(names) - 2} more"
    return " and ".join(names)
