"""Screens of rough losses: float32, bfloat16, kinks, solvers' noise.

There no single entry is seen, and random directions see little; directions matched to what is claimed
see a hundred times more. Every line brings its own error, measured without the claim.
"""

from fastgrad.checks.budget import Budget
from fastgrad.checks.claim import Claim
from fastgrad.checks.outcome import Outcome
from fastgrad.checks.rules import Rule
from fastgrad.checks.screen.noisy.lines import NoisyLines
from fastgrad.checks.screen.noisy.screen import NoisySearch
from fastgrad.checks.screen.noisy.summary import Summary
from fastgrad.differences.directions import Directions
from fastgrad.differences.loss import Loss


def screen_rough(
    loss: Loss,
    claim: Claim,
    rule: Rule,
    budget: Budget,
    asked: tuple[Directions, tuple[str, ...], str],
    of: str = "",
) -> Outcome:
    """The outcome of a screen of a rough loss.

    Parameters
    ----------
    asked : (Directions, tuple of str, str)
        The directions, what was seen before, and what a sweep would cost.
    of : str
        Of what the limits are said to be, if not of the whole gradient.
    """
    directions, remarks, cost = asked
    began = loss.run.evaluations
    lines = NoisyLines(loss, claim.finite(), rule, directions)
    found = NoisySearch(lines, budget.allows).run()
    return Summary(found, lines, budget, began).outcome(remarks, cost, of)
