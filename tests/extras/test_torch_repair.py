"""report.suggest on backward passes of autograd Functions: mended where they are."""

import inspect
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install -e '.[test,torch]'")

import fastgrad as fg  # noqa: E402
from tests.extras import torch_functions  # noqa: E402
from tests.extras.torch_functions import PLANTED  # noqa: E402
from tests.repair.mending import module, patched, replaced  # noqa: E402

SECONDS = 60.0
CASES = [(name, *edit) for name, edits in PLANTED.items() for edit in edits]
SOURCE = inspect.getsource(torch_functions).partition("PLANTED = ")[0]


def inputs():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    return {
        "Swish": (x, torch.randn(4, 3, generator=generator, dtype=torch.float64)),
        "LayerNorm": (x, torch.rand(4, generator=generator, dtype=torch.float64)),
    }


@pytest.mark.parametrize(("name", "right", "wrong"), CASES)
def test_a_planted_bug_in_a_backward_pass_is_mended(name, right, wrong, tmp_path):
    text = replaced(SOURCE, ((right, wrong),))
    with module(tmp_path / "functions.py", text) as made:
        report = fg.torch.check(getattr(made, name).apply, *inputs()[name])
        assert report.verdict == "disagrees"
        suggestions = report.suggest(SECONDS)
    assert suggestions
    assert {Path(found.file).name for found in suggestions} == {"functions.py"}
    assert (tmp_path / "functions.py").read_text() == text
    with module(tmp_path / "mended.py", patched(text, suggestions[0].diff, tmp_path)) as mended:
        assert fg.torch.check(getattr(mended, name).apply, *inputs()[name])
