"""Mistakes of the shell: exit 2, and one sentence that says what to do."""

import pytest

# name: (arguments, words that the sentence must have)
TARGETS = {
    "no colon": ("model", "is no target: expected module:name or file.py:name"),
    "a file of several": ("empty.py", "does not define loss, grad and theta: expected these, or"),
    "a misspelt file": ("modle.py", "modle.py: did you mean model.py?"),
    "no name": ("model.py:", "is no target: expected module:name or file.py:name"),
    "no such file": ("modle.py:problem", "modle.py: did you mean model.py?"),
    "another folder": ("src/model.py:problem", "is the path relative to this folder?"),
    "no such module": ("no_such_module:problem", "there is no module 'no_such_module' here"),
    "a file without its ending": ("sub.model:problem", "A file is named with its ending"),
    "a misspelt name": ("model.py:problme", "model.py has no 'problme': did you mean problem?"),
    "no such name": ("model.py:zzz", "define zzz = (loss, grad, theta)"),
    "raises on import": ("divides.py:problem", "raised ZeroDivisionError: division by zero"),
    "where it raised": ("divides.py:problem", "(divides.py, line 1)"),
    "no Python": ("unfinished.py:problem", "unfinished.py is not Python"),
    "imports what is missing": ("needy.py:problem", "imports no_such_package_anywhere, which is"),
    "exits on import": ("leaves.py:problem", 'put what it runs under if __name__ == "__main__":'),
    "a number": ("mistakes.py:number", "it is int: expected a tuple (loss, grad, theta, *args)"),
    "a short tuple": ("mistakes.py:short", "it is a tuple of 2: expected (loss, grad, theta"),
    "a swapped tuple": ("mistakes.py:swapped", "its loss is ndarray: expected a function of theta"),
    "no gradient": ("mistakes.py:no_grad", "it has a loss and a theta, but no grad"),
    "args is a number": ("mistakes.py:bad_args", "its args are float: expected a tuple"),
    "a misspelt option": ("mistakes.py:bad_option", "no option 'rtoll': did you mean 'rtol'?"),
    "options as a list": ("mistakes.py:list_options", "its options are list: expected a dict"),
    "needs arguments": ("mistakes.py:needs", "needs is a function of seed: expected one without"),
    "makes nothing": ("mistakes.py:nothing", "nothing() returned None: is a return statement"),
    "raises when called": (
        "mistakes.py:broken",
        "ZeroDivisionError: division by zero (mistakes.py",
    ),
    "a gradient that raises": ("mistakes.py:raising", "KeyError: 'key' (mistakes.py, line 16)"),
    "a gradient of another shape": ("mistakes.py:wrong_shape", "expected shape (3,)"),
    "a random loss": ("mistakes.py:random", "different values at the same parameters"),
    "theta is NaN": ("mistakes.py:not_finite", "expected finite"),
    "theta is text": ("mistakes.py:words", "theta is str: expected"),
    "an argument is missing": ("mistakes.py:missing_argument", "cannot be called with 1"),
    "the loss is an array": ("mistakes.py:an_array", "reduce it to a number"),
    "a loss that raises": ("mistakes.py:raising_loss", "KeyError"),
    "numba does not compile it": (
        "mistakes.py:raising_loss --backend compiled",
        'or: backend="python" runs any callable',
    ),
    "no such strategy": ("model.py:problem --strategy sweeep", "expected one of 'auto'"),
    "no such backend": ("model.py:problem --backend cuda", "backend"),
    "no such block": ("model.py:problem --trainable W", "theta has no block 'W'"),
    "rtol below zero": ("model.py:problem --rtol -1", "expected a number from 0 up"),
    "no such folder": ("model.py:problem -o out/report.txt", "there is no folder out"),
}


@pytest.mark.parametrize(("arguments", "words"), TARGETS.values(), ids=TARGETS)
def test_one_sentence_says_what_to_do(check, arguments, words):
    got = check(*arguments.split())
    assert got.exit_code == 2, got.output
    assert words in got.stderr
    assert len(got.stderr.splitlines()) == 1
    assert got.stderr.startswith("fastgrad: ")
    assert got.stdout == ""


USAGE = {
    "no target": ("", "", "name one (fastgrad check model.py:problem), or list them"),
    "an unknown option": ("--rtoll 3", "", "No such option"),
    "a budget in words": ("model.py:problem --budget long", "", "expected seconds, or none"),
    "a format that is none": ("model.py:problem --output-format xml", "", "'xml' is not one of"),
    "an unknown key": (
        "",
        "[tool.fastgrad]\ntarget = []",
        "knows no 'target' (did you mean 'targets'",
    ),
    "a key like none": ("", "[tool.fastgrad]\nqqq = 1", "knows no 'qqq': expected"),
    "targets as a string": (
        "",
        '[tool.fastgrad]\ntargets = "a.py:b"',
        "expected a list of strings",
    ),
    "no table": ("", "[tool]\nfastgrad = 3", "expected a table [tool.fastgrad]"),
    "no TOML": ("", "[tool.fastgrad", "is not TOML"),
    "a key of the wrong kind": ("a.py:b", "[tool.fastgrad]\nrtol = 'small'", "not a valid float"),
}


@pytest.mark.parametrize(("arguments", "settings", "words"), USAGE.values(), ids=USAGE)
def test_usage_errors(check, folder, arguments, settings, words):
    if settings:
        (folder / "pyproject.toml").write_text(settings)
    got = check(*arguments.split())
    assert got.exit_code == 2, got.output
    assert words in " ".join(got.stderr.split())


def test_a_traceback_is_shown_where_it_is_asked_for(check):
    got = check("mistakes.py:raising", "--traceback")
    assert got.exit_code == 2
    assert 'return {}["key"]' in got.stderr


def test_a_page_needs_an_extra(check, monkeypatch):
    monkeypatch.setattr("fastgrad.commands.check.find_spec", lambda name: None)
    got = check("model.py:problem", "--html", "out.html")
    assert got.exit_code == 2
    expected = "--html needs jinja2 and matplotlib: pip install 'fastgrad[report]'"
    assert got.stderr == f"fastgrad: {expected}\n"


def test_bench_makes_the_same_mistakes(folder):
    from click.testing import CliRunner

    from fastgrad.cli import app

    got = CliRunner().invoke(app, ["bench", "model.py:problme"])
    assert (got.exit_code, got.stdout) == (2, "")
    assert "did you mean problem?" in got.stderr
