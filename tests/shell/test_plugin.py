"""The pytest plugin, in runs of pytest of its own."""

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

FILE = """
import numpy as np
import fastgrad as fg


def loss(x):
    return float((x**2).sum())


def check(factor):
    x = np.arange(1.0, 5.0)
    return fg.check_grad(loss, lambda x: factor * x, x, backend="python")


def test_right():
    assert check(2)


def test_wrong():
    assert check(6)


def test_wrong_by_name():
    report = check(6)
    assert report, "the gradient of the loss"


def test_raises():
    check(6).raise_if_wrong()


def test_other():
    report = check(2)
    assert 1 == 2
"""


def run(folder, text, *options):
    (folder / "test_it.py").write_text(text)
    installed = "fastgrad" in {entry.name for entry in entry_points(group="pytest11")}
    plugin = () if installed else ("-p", "fastgrad.pytest_plugin")
    command = [sys.executable, "-m", "pytest", "-q", *plugin, *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout


def test_a_failure_shows_the_whole_report(tmp_path):
    text = run(tmp_path, FILE)
    assert "4 failed, 1 passed" in text
    assert text.count("- fastgrad report -") == 2
    assert text.count("x: the analytic gradient is 3 times") + text.count("[scale]") >= 3
    assert "What was not looked at:" in text


def test_a_run_without_fastgrad_imports_none_of_it(tmp_path):
    text = run(
        tmp_path,
        "import sys\n\ndef test_it():\n"
        "    assert not {'numba', 'scipy', 'numpy', 'fastgrad.results'} & set(sys.modules)\n",
    )
    assert "1 passed" in text, text


@pytest.mark.parametrize("nodeid", ["tests/a.py::test[x-/y]", "a.py::test_\u202e"])
def test_pages_have_file_names(nodeid):
    from fastgrad.pytest_plugin import _file_name

    name = _file_name(nodeid, 0)
    assert name.endswith(".html")
    assert not set(name) & set("/\\:[]\u202e")
