"""Examples in the docstrings of what needs a framework: they are collected only where it is there."""

import doctest
import importlib

import pytest

MODULES = {
    "torch": ("fastgrad.torch.checking", "fastgrad.torch.monitor"),
    "jax": ("fastgrad.jax.checking",),
}


@pytest.mark.parametrize("framework", MODULES)
def test_examples(framework):
    pytest.importorskip(
        framework, reason=f"needs {framework}: pip install -e '.[test,{framework}]'"
    )
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    for name in MODULES[framework]:
        failed, tried = doctest.testmod(importlib.import_module(name), optionflags=flags)
        assert tried > 1, name
        assert failed == 0, name
