"""What a profile says of the kind of a loss, in words: kinks, jumps, few digits."""

from collections.abc import Iterator

import numpy as np

from fastgrad.differences.profile_rulings import Judgment, Ruling

COARSE = 16.0
"""A grain of so many units in the last place of the loss is worth a word."""


def words_of(judgment: Judgment, grain: float, value: float) -> Iterator[str]:
    """What kind of loss it is whose slope depends on the step."""
    is_flat = judgment.ruling is Ruling.RIGHT and judgment.slope == 0.0
    if judgment.other is None and (is_flat or judgment.ruling is Ruling.WRONG):
        return
    if judgment.sides is not None:
        low, high = judgment.sides
        yield f"a kink: subgradients from {low:.6g} to {high:.6g}"
        return
    if judgment.other is not None:
        slope, step = judgment.other
        yield (
            f"the slope depends on the step: {judgment.slope:.6g} at {judgment.step:.1g}, "
            f"{slope:.6g} at {step:.1g}"
        )
    jump = judgment.jump
    if jump is not None and jump.size:
        yield f"the loss jumps by {jump.size:.1g} at {jump.at:.1g}: computed to a tolerance?"
    elif judgment.other is not None:
        yield "kinks lie within the steps that its precision needs"
    if grain > COARSE * np.spacing(abs(value)):
        yield f"the loss is given to {grain:.1g}"
    elif judgment.slope == 0.0 and np.isinf(judgment.resolved):
        yield "the loss is the same at every step"
