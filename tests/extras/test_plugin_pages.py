"""`--fastgrad-html`: a page for each test that failed, and for no other."""

from tests.shell.test_plugin import FILE, run


def test_a_page_for_each_failing_test_alone(tmp_path):
    text = run(tmp_path, FILE, "--fastgrad-html=pages")
    names = sorted(path.name for path in (tmp_path / "pages").iterdir())
    assert names == [
        f"test_it.py-test_{name}.html" for name in ("raises", "wrong", "wrong_by_name")
    ]
    assert text.count("- fastgrad page -") == 3
    assert "test_it.py::test_wrong" in (tmp_path / "pages" / names[1]).read_text()
