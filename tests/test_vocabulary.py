"""Every word that a report may say has a text, and every text a word."""

import ast
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import fastgrad as fg
from fastgrad import errors
from fastgrad.checks.diagnose import laws
from fastgrad.checks.diagnose.finding import Finding
from fastgrad.checks.diagnose.linear import TERMS
from fastgrad.checks.rules import Verdict
from fastgrad.cli import app
from fastgrad.report.vocabulary import vocabulary, word_of

DIAGNOSE = Path(laws.__file__).parent
SCREEN = 24
"""Lines that a text may take."""


def words_in(name):
    """Constant words that are the first argument of a `Finding`, and those of rearrangements."""
    for node in ast.walk(ast.parse((DIAGNOSE / name).read_text())):
        if isinstance(node, ast.Call) and node.args:
            called = ast.unparse(node.func)
            if called == "Finding" and isinstance(node.args[0], ast.Tuple):
                yield from (e.value for e in node.args[0].elts if isinstance(e, ast.Constant))
            elif called == "Rearranged" and isinstance(node.args[0], ast.Constant):
                yield node.args[0].value
            elif called == "_moved":
                yield node.args[1].value


def spoken():
    """Laws that the code names: written out, or made of a term of a linear law or a place."""
    found = {word for file in DIAGNOSE.glob("*.py") for word in words_in(file.name)} - {""}
    for term in TERMS[:2]:
        found |= {term.word, f"missing-{term.word}", f"extra-{term.word}"}
    return found | {"offset", "right-l2", "sign", "scale"}


def known(kind):
    return {word.word for word in vocabulary().values() if word.kind == kind}


def test_every_law_that_the_code_names_has_a_text():
    missing = spoken() - known("law")
    assert not missing, f"write their texts in checks/diagnose/laws.toml: {sorted(missing)}"


def test_a_law_without_a_text_fails_whatever_test_brings_it_about():
    with pytest.raises(AssertionError, match="'no-such-law' has no text"):
        Finding(("scale", "no-such-law"), {}, "")
    assert Finding(("wrong-axis2",), {}, "").law == "wrong-axis2"


def test_verdicts_and_errors_are_complete():
    assert known("verdict") == {verdict.words for verdict in Verdict}
    classes = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert known("error") == classes


def reports():
    """Reports that have most remarks between them."""

    def cubes(x):
        return float((x**3).sum())

    def single(x):
        return np.float32((x**3).sum())

    x = np.linspace(0.5, 2.0, 40)
    right = 3 * x**2
    one_wrong, nan = right.copy(), right.copy()
    one_wrong[7] *= -1
    nan[3] = np.nan
    run = {"backend": "python"}
    for gradient in (
        right,
        one_wrong,
        nan,
        2 * right,
        right.astype(np.float32),
        lambda x: 2 * x**2,
    ):
        for strategy in ("sweep", "screen"):
            yield fg.check_grad(cubes, gradient, x, strategy=strategy, **run)
    yield fg.check_grad(single, right, x, **run)
    yield fg.check_grad(cubes, lambda x: x[::-1] * np.arange(40.0), x, strategy="sweep", **run)
    yield fg.check_grad(cubes, right, x, trainable=np.arange(40) < 20, **run)
    yield fg.check_grad(cubes, right, x, budget=1e-9, **run)
    yield fg.check_grad(lambda x: 3.0, np.zeros(2), np.ones(2), **run)


def test_remarks_have_words():
    for report in reports():
        *_, unseen, others = report.document().sections
        assert unseen.title == "What was not looked at:"
        for remark in (*unseen.sentences, *others.sentences):
            assert remark.startswith("Next: ") or word_of(remark), remark


def test_texts_are_whole_and_fit_on_a_screen():
    for word in vocabulary().values():
        assert all((word.meaning, word.example, word.causes, word.next)), word.word
        assert word.meaning.endswith("."), word.word
        assert bool(word.phrases) == (word.kind == "remark"), word.word
        got = CliRunner().invoke(app, ["explain", word.word])
        assert got.exit_code == 0, got.output
        assert len(got.output.splitlines()) <= SCREEN, word.word
        assert all(len(line) <= 88 for line in got.output.splitlines()), word.word


def test_all_are_listed():
    got = CliRunner().invoke(app, ["explain"]).output
    for word in vocabulary():
        assert f"  {word} " in got


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("kink: outside", "kink: outside (verdict)"),
        ("transposed+missing-l2", "missing-l2 (law)"),
        ("losserror", "LossError (error)"),
        ("wrong-axis3", "wrong-axis (law)"),
    ],
)
def test_words_are_found_as_reports_write_them(words, expected):
    got = CliRunner().invoke(app, ["explain", *words.split()])
    assert expected in got.output


def test_an_unknown_word_gets_the_nearest():
    got = CliRunner().invoke(app, ["explain", "missing-l3"])
    assert got.exit_code == 2
    assert "did you mean missing-l" in got.stderr


def test_reports_name_the_word():
    def loss(x):
        return float((x**2).sum())

    text = str(fg.check_grad(loss, lambda x: 6 * x, np.arange(1.0, 5.0), backend="python"))
    assert "[scale]" in text
    assert "[detection-limit]" in text
    assert "`fastgrad explain WORD`" in text
