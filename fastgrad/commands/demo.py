"""The stories that ``fastgrad demo`` tells: each is a row here and a module of `demos`."""

from collections.abc import Callable
from importlib import import_module

STORIES = {
    "digits": "the main job: a net on real handwritten digits, right, then with a bug planted",
    "million": "three bugs among a million parameters, found in a hundred or two evaluations",
    "training": "training by numerical gradients alone, beside backprop",
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
