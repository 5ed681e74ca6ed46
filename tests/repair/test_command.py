"""``fastgrad check --suggest`` and ``--write``: what is shown, and when alone a file changes."""

import json
import subprocess

import pytest

from tests.shell.conftest import check, folder  # noqa: F401

WRONG = '    return {"w": X.T @ r, "b": r.sum()}\n'


@pytest.fixture
def model(folder):  # noqa: F811
    """The user's file, committed."""
    for command in (["init", "-q"], ["add", "model.py"], ["commit", "-qm", "start"]):
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.com"]
        subprocess.run(["git", *identity, *command], cwd=folder, check=True)
    return folder / "model.py"


def test_the_best_edit_is_in_every_format_and_nothing_is_written(check, model):  # noqa: F811
    before = model.read_text()
    got = check("model.py:forgotten", "--suggest", "--json", "out.json")
    assert got.exit_code == 1
    assert "What to change:" in got.stdout
    (first, *_) = json.loads((model.parent / "out.json").read_text())["results"][0]["report"][
        "suggestions"
    ]
    line = before.splitlines().index(WRONG.rstrip("\n")) + 1
    assert (first["file"], first["line"]) == ("model.py", line)
    got = check("model.py:forgotten", "--suggest", "--output-format", "github")
    assert f"::error file=model.py,line={line}," in got.stdout
    assert "What to change:" in got.stdout
    assert model.read_text() == before


def test_write_applies_the_edit_to_a_clean_file_and_says_so(check, model):  # noqa: F811
    got = check("model.py:forgotten", "--write")
    assert f"fastgrad: wrote {model}" in got.stderr
    assert WRONG not in model.read_text()
    assert check("model.py:forgotten").exit_code == 1  # what was imported is what it was


def test_write_leaves_a_file_alone_that_has_changes(check, model):  # noqa: F811
    changed = model.read_text() + "# mine\n"
    model.write_text(changed)
    got = check("model.py:forgotten", "--write")
    assert "nothing is written" in got.stderr
    assert "not committed" in got.stderr
    assert model.read_text() == changed
