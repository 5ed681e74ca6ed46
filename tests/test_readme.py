"""The README's examples run, in order, as they stand."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_every_example_runs_after_those_before_it(capsys):
    assert len(BLOCKS) >= 5
    scope: dict[str, object] = {}
    for block in BLOCKS:
        exec(compile(block, "README.md", "exec"), scope)
    assert "The gradient is wrong" in capsys.readouterr().out


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_examples_are_short(block):
    assert sum(bool(line.strip()) for line in block.splitlines()) <= 14
