"""The stories that ``fastgrad demo`` tells: each is a row here and a module of `demos`."""

from collections.abc import Callable
from importlib import import_module

STORIES = {
    "digits": "the main job: a net on real handwritten digits, right, then with a bug planted",
    "million": "three bugs among a million parameters, found in a hundred or two evaluations",
    "step": "the h/10 test and the V of error against step; forward against central differences",
    "constants": "only what is trained is perturbed; a constant's gradient is not compared",
    "training": "training by numerical gradients alone, beside backprop",
    "initialisation": "zeros, random, He: what a check at the first parameters cannot see",
    "regularisation": "L2 forgotten; L1 at exact zeros, and the zeros it makes",
    "dropout": "refused while it is random, checked with a seed, checked switched off",
    "svm": "the hinge at its kinks; a Gaussian kernel trained in the primal",
    "garch": "volatility: a recursive gradient, standard errors, parameters at bounds",
    "adversarial": "the gradient in the inputs: FGSM and PGD on the digits",
    "td3": "twin critics: what is a kink, what is clipping, what is a bug",
    "closure": "a numerical gradient that ignores its argument; mutate, restore, and the race",
    "pose": "a pose graph whose gradient has one frame confused: found, named, and descended by",
}
"""Names and a line each, in the order of telling; the module is ``commands.demos.NAME``."""


def listed() -> str:
    """All stories, a line each."""
    width = max(map(len, STORIES))
    lines = [f"  {name:<{width}}  {line}" for name, line in STORIES.items()]
    return "\n".join(["fastgrad demo NAME tells one of these; here is the first:\n", *lines, ""])


def run_demo(name: str, say: Callable[[str], object]) -> None:
    """Tell one story, and what it teaches."""
    if name not in STORIES:
        raise KeyError(f"no demo is called {name!r}; there are {', '.join(STORIES)}")
    story = import_module(f"fastgrad.commands.demos.{name}")
    story.run(say)
    say(f"\n{story.TEACHES}")
