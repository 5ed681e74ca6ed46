"""What a report says of the loss."""

from fastgrad.differences.loss import Loss
from fastgrad.numerics.levels import levels_of
from fastgrad.parameters.layout import Layout
from fastgrad.parameters.trees import kept


def about_the_loss(loss: Loss) -> list[str]:
    """What the measurements of the loss found worth saying."""
    constants = _constants(loss.layout)
    remarks = list(loss.run.remarks)
    if constants:
        remarks.append(f"Constants, passed as they are: {', '.join(constants)}.")
    half = loss.measured.half
    if half:
        remarks.append(
            f"Every value of the loss is a {half}: what changes it by less than a unit in its last "
            "place is not seen. Sum it up in float32 at least; the model may stay as it is."
        )
    elif loss.measured.float32:
        remarks.append(
            "Every value of the loss is a float32: it is computed in single precision, and an "
            "accuracy of about 1e-3 is all that its differences can reach. Compute it in float64."
        )
    levels = levels_of([line.values for line in loss.measured.lines])
    if levels and not half:
        remarks.append(
            f"At points close to theta the loss takes one of {levels.count} values, about "
            f"{levels.apart:.2g} apart, now this, now that: a sign or an order is chosen inside (of an "
            "eigenvector, of a sort), and no difference is a slope. Fix it by a rule."
        )
    if loss.measured.silent:
        remarks.append(
            f"The loss is {loss.value:.3g} at every point beside theta: saturated, or it does not use "
            "its argument. Gradients below its rounding over the step cannot be told."
        )
    repeats = loss.measured.repeats
    if repeats.drifts is not None:
        why = (
            "its values approach a limit, as a solver's do that starts from its last answer"
            if repeats.drifts
            else "its values scatter, as sums that threads add in any order"
        )
        remarks.append(
            f"The loss differs between calls at the same parameters by {repeats.spread:.1g} "
            f"({why}): that counts as its noise."
        )
    elif repeats.spread:
        remarks.append("The loss differs between calls by rounding: that counts as its noise.")
    return remarks


def _constants(layout: Layout) -> list[str]:
    """What in theta is no float, and is not perturbed, each with its kind."""
    if layout.plain:
        return []
    odd = [
        f"{path} ({type(node.value).__name__})"
        for path, node in kept(layout.tree, root=layout.root)
    ]
    whole = [layout.blocks[b] for b in layout.constants]
    return odd + [f"{block.name} ({block.dtype})" for block in whole if block.of_integers]
