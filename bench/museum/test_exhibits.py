"""The museum as a suite: ``pytest bench/museum --checker module:function`` (fastgrad without it)."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from bench.museum import exhibits, loaded, vector
from bench.museum.checkers import fastgrad_says, judged

LONGEST = 40
"""Lines of a module."""
MOST_OF_ONE_PROJECT = 5


@pytest.fixture(scope="module")
def checker(request):
    name = request.config.getoption("--checker")
    if name is None:
        return fastgrad_says
    module, function = name.split(":")
    return getattr(importlib.import_module(module), function)


@pytest.mark.parametrize("exhibit", exhibits(), ids=lambda e: e.name)
def test_what_is_said(exhibit, checker):
    """A bug is called wrong; a right gradient is not."""
    visit = judged(exhibit, checker)
    if exhibit.is_bug:
        assert visit.passes is False, f"{exhibit.module.__doc__} {exhibit.module.SAYS}"
    else:
        assert visit.passes is not False, exhibit.module.__doc__


@pytest.mark.parametrize("exhibit", exhibits(), ids=lambda e: e.name)
def test_exhibits_are_of_one_form(exhibit):
    module = loaded(exhibit)
    assert exhibit.project
    assert exhibit.kind
    assert len(Path(module.__file__).read_text().splitlines()) <= LONGEST
    assert np.isfinite(module.loss(module.theta))
    x = vector(module.theta)
    assert np.array_equal(vector(exhibit.shaped(x)), x)
    assert vector(module.right(module.theta)).shape == x.shape
    if exhibit.is_bug:
        assert isinstance(module.LAWS, tuple)
        assert module.SAYS


def test_no_project_has_more_than_its_part():
    projects = [e.project for e in exhibits()]
    assert max(map(projects.count, projects)) <= MOST_OF_ONE_PROJECT
