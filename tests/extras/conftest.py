"""Tests that need an extra are skipped where it is not installed, with a word of what to install."""

import importlib.util
import os

import pytest

REQUIRED = os.environ.get("FASTGRAD_EXTRAS") == "required"
"""Whether a test that is skipped here fails the run, as in `.ci/run`, which installs everything."""

NEEDED = {
    "test_all_checks.py": ("distributed", ("cloudpickle",)),
    "test_html.py": ("report", ("jinja2", "matplotlib")),
    "test_plots.py": ("report", ("jinja2", "matplotlib")),
    "test_plugin_pages.py": ("report", ("jinja2", "matplotlib")),
    "test_labels.py": ("test-extras", ("pandas", "xarray")),
    "test_spaces.py": (
        "test-extras",
        ("autograd", "gtsam", "jax", "pinocchio", "pylops", "pymanopt", "torch"),
    ),
    "test_readme.py": ("test-extras", ("torch",)),
    "test_notebook.py": ("report,test-extras", ("jinja2", "matplotlib", "nbclient", "ipykernel")),
}
"""By file: extras, and the modules that tell whether they are there."""


def pytest_collection_modifyitems(items):
    for item in items:
        extra, modules = NEEDED.get(item.path.name, ("", ()))
        if item.path.parent.name == "extras":
            missing = [name for name in modules if importlib.util.find_spec(name) is None]
            if missing:
                reason = f"needs {', '.join(missing)}: pip install -e '.[test,{extra}]'"
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_sessionfinish(session):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if REQUIRED and reporter is not None and reporter.stats.get("skipped"):
        reporter.write_line("a test was skipped where none may be (FASTGRAD_EXTRAS=required)")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
