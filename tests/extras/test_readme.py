"""The README's examples that need a framework run, after those before them."""

import importlib

import pytest

from tests.test_readme import ALL_BLOCKS

FRAMEWORKS = [needed for needed, _ in ALL_BLOCKS if needed]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_example_runs(framework):
    importlib.import_module(framework)
    scope = {}
    for needed, block in ALL_BLOCKS:
        if needed in ("", framework):
            exec(compile(block, "README.md", "exec"), scope)
        if needed == framework:
            return
