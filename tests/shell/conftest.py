"""Folders with a user's files in them."""

import sys

import pytest
from click.testing import CliRunner

from fastgrad.cli import app
from tests.shell.problems import FILE, MISTAKES


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder that commands run in, with a model.py and files that cannot be imported."""
    files = {
        "model.py": FILE,
        "mistakes.py": MISTAKES,
        "divides.py": "problem = 1 / 0\n",
        "unfinished.py": "def loss(x:\n    pass\n",
        "needy.py": "import no_such_package_anywhere\n",
        "empty.py": "",
        "leaves.py": "import sys\nsys.exit(0)\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def check(folder):
    """`fastgrad check` with these arguments, in that folder; nothing is compiled unless asked for."""

    def run(*arguments):
        if "--backend" not in arguments:
            arguments = (*arguments, "--backend", "python")
        return CliRunner().invoke(app, ["check", *arguments])

    return run
