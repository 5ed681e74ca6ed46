"""Names are data: shown as they are, and what is not seen is shown escaped, in every text."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.report.annotations import command
from fastgrad.report.document import Document, Sentences
from fastgrad.report.escape import visible
from fastgrad.report.text import as_text

NAMES = ("w[bias]", "params[kernel]", "[/]", "[bold red]x", "a|b", "größe", "重み", "<b>&")
HOSTILE = {
    "\x1b[2J": r"\x1b[2J",
    "two\nlines": r"two\nlines",
    "\u202ereversed": r"\u202ereversed",
    "zero\u200bwidth": r"zero\u200bwidth",
    "\x9b31m": r"\x9b31m",
    "\u2028": r"\u2028",
}


def report(names):
    theta = {name: np.array([1.0, -2.0]) for name in names}

    def loss(p):
        return float(sum((block**2).sum() for block in p.values()))

    return fg.check_grad(
        loss, lambda p: {name: 3 * block for name, block in p.items()}, theta, backend="python"
    )


def test_markup_in_names_is_text():
    text = str(report(NAMES))
    for name in NAMES:
        assert any(line.strip().startswith(f"{name} ") for line in text.splitlines())
        assert f"{name}[1]" in text


@pytest.mark.parametrize(("name", "shown"), HOSTILE.items(), ids=ascii)
def test_what_is_not_seen_is_shown_escaped(name, shown):
    assert visible(name) == shown
    made = report([name])
    for text in (str(made), repr(made)):
        assert shown in text
        assert name not in text
    assert len(repr(made).splitlines()) == 1
    assert made.blocks[0].name == name  # data stays as it is


def test_names_are_not_broken():
    name = ".".join(f"transformer.layers.{k}" for k in range(6))
    assert len(name) > 110
    text = str(report([name]))
    assert any(line.strip().startswith(f"{name} ") for line in text.splitlines())
    assert f"{name}[0]" in text


def test_an_annotation_is_one_command():
    got = command("error", "50% of\r\nrows\n::warning::x", "a:b,c", ("w,x.py", 3))
    assert got.count("\n") == 0
    assert got.startswith("::error file=w%2Cx.py,line=3,title=fastgrad%3A a%3Ab%2Cc::50%25 of")
    assert "%0A::warning" in got


def test_lines_of_code_stay_lines():
    section = Sentences(("This edit mends w:", "Proved."), "What to change:", verbatim="-a\x1b\n+b")
    text = as_text(Document("Wrong.", (section,)))
    assert text == "Wrong.\n\nWhat to change:\n- This edit mends w:\n-a\\x1b\n+b\n- Proved.\n"
