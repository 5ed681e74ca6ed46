"""Tests that need an extra are skipped where it is not installed, with a word of what to install."""

import importlib.util

import pytest

NEEDED = {
    "test_html.py": ("report", ("jinja2", "matplotlib")),
    "test_plots.py": ("report", ("jinja2", "matplotlib")),
    "test_plugin_pages.py": ("report", ("jinja2", "matplotlib")),
    "test_notebook.py": ("report,notebook", ("jinja2", "matplotlib", "nbclient", "ipykernel")),
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
