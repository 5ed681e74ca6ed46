"""The notebook beside this file runs from top to bottom, and its outputs are HTML that stands alone."""

from pathlib import Path

import pytest

from tests.extras.test_html import Page, require_alone

NOTEBOOK = Path(__file__).with_name("check_a_gradient.ipynb")
SECONDS = 300
"""For a cell, on a machine that does other work too."""


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_notebook_runs_and_shows_reports(tmp_path):
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "commit it without outputs"
    NotebookClient(
        notebook, timeout=SECONDS, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    shown = [
        output["data"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "data" in output
    ]
    pages = [Page(data["text/html"]) for data in shown if "text/html" in data]
    for page in pages:
        require_alone(page)
    report, table, estimate = (page.words for page in pages)
    assert "The gradient is wrong: 8 of 9 entries disagree" in report
    assert "missing-l2" in report
    assert "slope 2" in table
    assert "The gradient of 9 parameters" in estimate
    assert any("image/png" in data for data in shown)
    assert shown[0]["text/plain"].startswith("GradientCheck(disagrees: ")
