"""A million parameters, three bugs, a hundred or two evaluations."""

from collections.abc import Callable

from fastgrad.checking import check_grad
from fastgrad.commands.demos.digits_net import L2, with_three_bugs
from fastgrad.models import digits, two_layer

FEW_DIGITS = 50
TEACHES = (
    "Random directions find what is wrong at any size: the cost grows with the bugs, not with the "
    "parameters, and the report says what it may have missed."
)


def run(say: Callable[[str], object]) -> None:
    """Screen a net of a million parameters with three bugs planted."""
    X, y = (part[:FEW_DIGITS] for part in digits())
    params = two_layer.init(64, 13_333, 10)
    n = sum(block.size for block in params)
    say(f"A net of {n:,} parameters on {FEW_DIGITS} digits, with three bugs planted:\n")
    report = check_grad(
        two_layer.loss, with_three_bugs, params, X, y, L2, strategy="screen", budget=None
    )
    say(str(report))
    say(f"{report.evaluations:,} evaluations, where a sweep takes {2 * n:,}.")
