"""The README's examples run, in order, as they stand."""

import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from fastgrad.cli import app

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
ALL_BLOCKS = re.findall(r"(?:<!-- needs: (\w+) -->\n)?```python\n(.*?)```", README, flags=re.DOTALL)
BLOCKS = [block for needed, block in ALL_BLOCKS if not needed]
MOST_LINES = 250


def test_every_example_runs_after_those_before_it(capsys):
    assert len(BLOCKS) >= 5
    scope: dict[str, object] = {}
    for block in BLOCKS:
        exec(compile(block, "README.md", "exec"), scope)
    assert "The gradient is wrong" in capsys.readouterr().out


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_examples_are_short(block):
    assert sum(bool(line.strip()) for line in block.splitlines()) <= 14


def test_the_readme_is_short():
    assert len(README.splitlines()) < MOST_LINES


def test_the_first_example_is_a_target_of_the_command(tmp_path, monkeypatch):
    (tmp_path / "model.py").write_text(
        "".join(BLOCKS[:2]) + "\nproblem = (loss, gradient, theta, X, Y)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "model", None)  # and what is imported is forgotten again
    del sys.modules["model"]
    got = CliRunner().invoke(app, ["check", "model.py:problem", "--backend", "python"])
    assert got.exit_code == 1, got.output
    assert "the L2 term (lambda = 0.1) is missing" in got.stdout


def test_what_the_readme_shows_is_there():
    folder = Path(__file__).parent.parent
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (folder / target).is_file(), target
