"""The page: whole, alone, the same every time, legible without seeing it; names are data."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from click.testing import CliRunner

import fastgrad as fg
from fastgrad.cli import app
from tests.extras import problems
from tests.shell.problems import FILE

VOID = {"meta", "br", "link", "img", "input", "hr"}
ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "p", "span", "ul",
    "li", "section", "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "figure",
    "figcaption", "b", "nav", "ol", "a", "details", "summary", "dl", "dt", "dd", "pre",
    "svg", "g", "defs", "path", "use", "clippath", "rect", "text", "image", "tspan",
}  # fmt: skip
"""Elements of a page: none of them runs, or loads anything."""
OWN = re.compile(r"(http://www\.w3\.org/(2000/svg|1999/xlink)|#|data:image/png;base64,)")
"""Where attributes may point: at namespaces, into the page, at data inside it."""


class Page(HTMLParser):
    """Elements in order, checked to be closed, and the text between them."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.text = [], [], []
        self.feed(text)
        self.close()
        assert self.open == [], "unclosed elements"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def require_alone(page):
    """Nothing runs, nothing is loaded."""
    for tag, attrs in page.elements:
        assert tag in ALLOWED, tag
        for name, value in attrs.items():
            assert not name.startswith("on"), name
            if name in ("href", "src", "xlink:href", "xmlns", "xmlns:xlink", "action"):
                assert OWN.match(value), (name, value)
    text = page.words
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)


@pytest.mark.parametrize(
    "report",
    [
        problems.check(),
        problems.check(problems.right),
        problems.check(strategy="screen"),
        problems.check(strategy="screen", gradient=problems.right),
        problems.check(points=2),
        problems.check(trainable="b"),
        problems.check(budget=1e-9),
    ],
    ids=["wrong", "right", "screen", "screen, right", "points", "trainable", "no budget"],
)
def test_the_page_is_whole_and_alone(report):
    page = Page(report.to_html())
    require_alone(page)
    document = report.document()
    assert document.headline in page.words
    for section in document.sections:
        for sentence in getattr(section, "sentences", ()):
            assert " ".join(sentence.split()) in page.words
        for row in getattr(section, "rows", ()):
            assert all(cell in page.words for cell in row)
    assert '"schema": "fastgrad/gradient-check/1"' in page.words


def test_the_page_has_the_edit_that_was_asked_for():
    report = fg.check_grad(lambda x: (x**3).sum(), square, np.array([1.0, 2.0]), backend="python")
    (best, *_) = report.suggest(60)
    words = Page(report.to_html()).words
    assert "What to change" in words
    assert best.after.strip() in words


def square(x):
    return 2 * x**2


def test_one_report_makes_the_same_bytes():
    report = problems.check()
    assert report.to_html() == report.to_html()


def test_figures_are_told_in_words():
    page = Page(problems.check().to_html())
    drawn = [attrs for tag, attrs in page.elements if attrs.get("role") == "img"]
    assert len(drawn) == len([tag for tag, _ in page.elements if tag == "svg"]) == 6
    labels = " ".join(attrs["aria-label"] for attrs in drawn)
    for expected in (
        "2 disagrees, 1 agrees",
        "W: 4 of 24 entries checked disagree, in 1 of 6 rows and 4 of 4 columns",
        "b: 4 of 4 entries checked disagree",
        "The line is the law found: scale",
        "is wrong along this direction",
    ):
        assert expected in labels
    assert all(attrs.get("scope") for tag, attrs in page.elements if tag == "th")


def test_a_screen_shows_its_directions():
    page = Page(problems.check(strategy="screen").to_html())
    labels = " ".join(attrs.get("aria-label", "") for _, attrs in page.elements)
    assert "random directions v: the error v . (a - g)" in labels


def test_text_in_figures_is_text():
    text = problems.check().to_html()
    assert re.search(r"<text[^>]*>numeric</text>", text)
    assert re.search(r"<text[^>]*>slope 2</text>", text)


def test_the_index_of_many_has_failures_first_and_leads_to_each(tmp_path):
    right = problems.loss, problems.right, problems.THETA
    wrong = problems.loss, problems.wrong, problems.THETA
    hostile = '"><script>alert(1)</script>'
    given = {"right": right, hostile: wrong, "broken": (absent, *right[1:]), "right too": right}
    found = fg.check_many(given, backend="python")
    text = found.to_html(tmp_path / "night.html")
    assert (tmp_path / "night.html").read_text(encoding="utf-8") == text
    page = Page(text)
    require_alone(page)
    assert found.document().headline in page.words
    assert (
        found.document().headline == "Of 4 gradients 1 could not be run, 1 is wrong, 2 are right."
    )
    ordered = ["broken", hostile, "right", "right too"]
    links = [attrs["href"] for tag, attrs in page.elements if tag == "a"]
    places = [
        attrs["id"] for tag, attrs in page.elements if attrs.get("id", "").startswith("check-")
    ]
    assert links == [f"#{place}" for place in places] == [f"#check-{k}" for k in range(1, 5)]
    for name, place in zip(
        ordered, places, strict=True
    ):  # the section that a name leads to is its own
        section = text[text.index(f'<div id="{place}">') :].partition('<div id="check-')[2]
        words = Page(f'<div id="check-{section.partition("</main>")[0]}').words
        own = "Could not be run: LossError" if name == "broken" else found[list(given).index(name)]
        assert f"{name} " in words[: len(name) + 40]
        assert (own if isinstance(own, str) else own.document().headline) in words
    rows = [words for words in page.text if words in ordered]
    assert rows[:4] == ordered  # of the table


def absent(*_):
    raise FileNotFoundError("the data of last night")


NAMES = (
    "<script>alert(1)</script>", '"><img src=x onerror=1>', "$x$ {{ 7*7 }} a&amp;b", "\x1b[2J\u202e",
    "重み", "_private", "[/]", "x" * 300,
)  # fmt: skip


def test_names_are_data():
    from fastgrad.report.escape import visible

    report = problems.named(*NAMES)
    for text in (report.to_html(title=NAMES[0]), report._repr_html_()):
        page = Page(text)
        require_alone(page)
        for name in NAMES:
            assert visible(name) in page.words


def test_a_million_entries_make_less_than_a_megabyte():
    report = problems.large()
    text = report.to_html()
    assert len(text.encode()) < 1_000_000
    require_alone(Page(text))


def test_a_report_without_its_loss_has_no_error_against_the_step():
    import pickle

    report = pickle.loads(pickle.dumps(problems.check()))
    page = Page(report.to_html())
    assert "Error against step" not in page.words
    assert "W: analytic against numeric" in page.words


def test_a_loss_that_raises_a_step_away_has_a_page():
    def near_its_edge(x):
        if (x <= 0).any():
            raise ValueError("outside")
        return float(np.log(x).sum())

    x = np.array([0.05, 0.07])
    report = fg.check_grad(near_its_edge, lambda x: 2 / x, x, backend="python")
    assert report.verdict == "disagrees"
    require_alone(Page(report.to_html()))


def test_estimates_and_convergence_have_fragments():
    estimate = fg.grad(problems.loss, backend="python").estimate(problems.THETA)
    page = Page(estimate._repr_html_())
    require_alone(page)
    assert "The gradient of 29 parameters" in page.words
    page = Page(problems.check().convergence()._repr_html_())
    require_alone(page)
    assert "slope -1" in page.words


def test_the_command_writes_one_page_of_all_targets(tmp_path, monkeypatch):
    (tmp_path / "shown.py").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    targets = [f"shown.py:{name}" for name in ("forgotten", "problem", "absent")]
    got = CliRunner().invoke(
        app, ["check", *targets, "--backend", "python", "--html", "out.html", "-q"]
    )
    assert got.exit_code == 2, got.output
    page = Page((tmp_path / "out.html").read_text())
    require_alone(page)
    for expected in (
        *targets, "3 gradient checks", "missing-l2", "all 4 entries checked agree",
        "Could not be run: shown.py has no 'absent'",
    ):  # fmt: skip
        assert expected in page.words


def test_arrays_are_what_the_report_was_judged_by():
    report = problems.check()
    W = report.arrays("W")
    np.testing.assert_array_equal(W.analytic, problems.wrong(problems.THETA)["W"])
    np.testing.assert_allclose(W.numeric, problems.THETA["W"], atol=1e-8)
    np.testing.assert_array_equal(W.verdict == "disagrees", np.arange(6)[:, None] == [2] * 4)
    assert (np.abs(W.excess[2]) > 1).all()


def test_lines_of_code_stay_lines():
    from fastgrad.report.document import Document, Sentences
    from fastgrad.report.html import fragment

    section = Sentences(("This edit mends w:",), "What to change:", verbatim="-a < b\n+a > b")
    text = fragment(Document("Wrong.", (section,)))
    require_alone(Page(text))
    assert "<pre>-a &lt; b\n+a &gt; b</pre>" in text
