"""`fastgrad check`: targets, exit codes, what is printed, and the settings of pyproject.toml."""

import json
import re
import subprocess
import sys

import pytest

import fastgrad
from tests.losses import run_python


@pytest.mark.parametrize(
    ("targets", "code"),
    [
        (["model.py:problem"], 0),
        (["model:problem"], 0),
        (["model.py:made_fields"], 0),
        (["model.py:fields"], 0),
        (["model.py:report"], 0),
        (["model.py:forgotten"], 1),
        (["model.py:made"], 1),
        (["model.py:unsure"], 3),
        (["model.py:absent"], 2),
        (["model.py:problem", "model.py:unsure"], 3),
        (["model.py:unsure", "model.py:forgotten"], 1),
        (["model.py:absent", "model.py:forgotten", "model.py:problem"], 2),
    ],
    ids=str,
)
def test_exit_codes(check, targets, code):
    got = check(*targets, "--output-format", "concise")
    assert got.exit_code == code, got.output
    assert len(got.stdout.splitlines()) == sum("absent" not in target for target in targets)


@pytest.mark.parametrize(
    ("target", "option", "code"),
    [
        ("unsure", "--allow-inconclusive", 0),
        ("forgotten", "--allow-inconclusive", 1),
        ("forgotten", "--exit-zero", 0),
        ("absent", "--exit-zero", 2),
    ],
)
def test_what_is_forgiven(check, target, option, code):
    assert check(f"model.py:{target}", option).exit_code == code


def test_stdout_has_the_report_alone(check):
    got = check("model.py:made", "--max-entries", "2", "--backend", "compiled")
    assert got.stdout.startswith("The gradient is wrong: 3 of 4 entries disagree")
    assert "missing" in got.stdout
    assert "and 1 more in .entries" in got.stdout
    assert got.stderr == "what the user prints\n"


def test_quiet_says_nothing(check):
    got = check("model.py:forgotten", "-q")
    assert (got.exit_code, got.stdout, got.stderr) == (1, "", "")


def test_a_file_that_defines_loss_grad_and_theta_is_a_target(check, folder):
    text = "import numpy as np\ntheta = np.ones(3)\n"
    text += "def loss(x):\n    return (x**2).sum()\ndef grad(x):\n    return {} * x\n"
    (folder / "whole_right.py").write_text(text.format(2))
    (folder / "whole_wrong.py").write_text(text.format(3))
    assert check("whole_right.py").exit_code == 0
    got = check("whole_wrong.py", "--output-format", "github")
    assert got.exit_code == 1
    assert "whole_wrong.py" in got.stdout


def test_what_is_typed_replaces_the_targets_own_option(check):
    assert check("model.py:fields").exit_code == 0
    assert check("model.py:fields", "--trainable", "w").exit_code == 1


def test_options_reach_check_grad(check):
    words = "--strategy sweep --budget none --rtol 1e-3 --seed 7 --points 2 --backend python"
    got = check("model.py:problem", *words.split(), "--output-format", "json")
    report = json.loads(got.stdout)["results"][0]["report"]
    expected = {"strategy": "sweep", "rtol": 1e-3, "seed": 7}
    assert {name: report[name] for name in expected} == expected
    assert len(report["points"]) == 2


def test_json_holds_every_target(check, folder):
    got = check("model.py:forgotten", "model.py:absent", "--json", "all.json", "-o", "out.txt")
    made = json.loads((folder / "all.json").read_text())
    assert made["schema"] == "fastgrad/check/1"
    assert [result["exit_code"] for result in made["results"]] == [1, 2]
    assert made["results"][0]["report"]["verdict"] == "disagrees"
    assert "has no 'absent'" in made["results"][1]["error"]
    assert got.stdout == ""
    assert (folder / "out.txt").read_text().startswith("model.py:forgotten\n\nThe gradient")


def test_an_annotation_marks_the_line_of_the_gradient(check):
    got = check("model.py:problem", "model.py:forgotten", "--output-format", "github")
    said, wrong, mark = got.stdout.splitlines()
    assert said.startswith("model.py:problem: The gradient is right")
    assert wrong.startswith("model.py:forgotten: The gradient is wrong")
    assert mark.startswith("::error file=model.py,line=17,title=fastgrad%3A model.py%3Aforgotten::")
    assert "%0Aw: the analytic gradient is the numerical one minus 0.1 * w" in mark


def test_an_annotation_says_what_could_not_be_run(check):
    got = check("model.py:absent", "--output-format", "github")
    assert got.stdout.startswith("::error title=fastgrad%3A model.py%3Aabsent::model.py has no")


SETTINGS = '[tool.fastgrad]\ntargets = ["model.py:forgotten"]\n'


@pytest.mark.parametrize(
    ("settings", "arguments", "code"),
    [
        ("", [], 1),
        ("", ["model.py:problem"], 0),
        ("exit-zero = true", [], 0),
        ("trainable = ['b']", [], 0),
        ("trainable = ['b']", ["--trainable", "w"], 1),
        ('budget = "none"\nseed = 3', [], 1),
    ],
)
def test_settings_are_defaults(check, folder, settings, arguments, code):
    (folder / "pyproject.toml").write_text(f"{SETTINGS}{settings}\n")
    got = check(*arguments)
    assert got.exit_code == code, got.output


def test_targets_of_settings_are_relative_to_their_file(check, folder, monkeypatch):
    (folder / "pyproject.toml").write_text(SETTINGS)
    (folder / "deep").mkdir()
    monkeypatch.chdir(folder / "deep")
    got = check("--output-format", "github")
    assert got.exit_code == 1, got.output


def test_a_file_may_bear_the_name_of_another_module(check, folder):
    (folder / "json.py").write_text((folder / "model.py").read_text())
    assert check("json.py:problem").exit_code == 0
    assert "fastgrad" not in str(json.__file__)


def test_interruptions_and_crashes_are_not_verdicts(folder):
    code = (
        "import sys, types, fastgrad.cli\n"
        "sys.argv = ['fastgrad', 'check', 'model.py:problem']\n"
        "def fail(*_): raise {}\n"
        "stub = types.SimpleNamespace(Asked=lambda *_, **__: None, run_check=fail)\n"
        "sys.modules['fastgrad.commands.check'] = stub\n"
        "fastgrad.cli.main()\n"
    )
    for error, expected in (("KeyboardInterrupt", 130), ("RuntimeError('ours')", 2)):
        run = subprocess.run([sys.executable, "-c", code.format(error)], capture_output=True)
        assert run.returncode == expected, run.stderr


def test_the_package_and_its_help_load_nothing_large():
    code = """
import sys
from fastgrad.cli import app
try:
    app.main({arguments}, prog_name="fastgrad")
except SystemExit:
    pass
print([m for m in ("numba", "scipy", "numpy", "rich", "matplotlib") if m in sys.modules])
"""
    for arguments in ('["--help"]', '["--version"]', '["check", "--help"]'):
        got = run_python(code.format(arguments=arguments))
        assert got.splitlines()[-1] == "[]", got
    assert run_python("import fastgrad, sys; print('numpy' in sys.modules)").strip() == "False"


def test_public_names_are_found_and_others_are_not():
    for name in fastgrad.__all__:
        assert name in dir(fastgrad)
        assert getattr(fastgrad, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'check_gard'"):
        _ = fastgrad.check_gard


def test_several_targets_end_with_a_table_failures_first(check):
    got = check("model.py:problem", "model.py:absent", "model.py:forgotten", "-j", "1")
    table = got.stdout[got.stdout.index("Of 3 gradients") :]
    assert table.startswith("Of 3 gradients 1 could not be run, 1 is wrong, 1 is right.")
    places = [table.index(f"\n model.py:{name}") for name in ("absent", "forgotten", "problem")]
    assert places == sorted(places)


@pytest.mark.slow
def test_targets_are_checked_at_the_same_time(folder):
    """In processes of their own, with the same reports and exit code."""
    targets = ["model.py:problem", "model.py:forgotten", "model.py:absent"]
    command = [sys.executable, "-m", "fastgrad", "check", *targets, "--output-format", "concise"]
    command += ["--backend", "python"]
    one, two = (
        subprocess.run([*command, "-j", jobs], capture_output=True, text=True, cwd=folder)
        for jobs in "12"
    )
    assert one.returncode == two.returncode == 2
    assert one.stdout == two.stdout
    assert one.stderr == two.stderr


@pytest.mark.parametrize("strategy", ["sweep", "screen"])
def test_a_dry_run_says_what_then_happens(check, folder, strategy):
    larger = "import numpy as np\nx = np.linspace(-1, 1, 60)\nproblem = quartic, 4 * x**3, x\n"
    quartic = "\n\ndef quartic(x):\n    return (x**4).sum()\n\n\n"
    (folder / "larger.py").write_text(larger.replace("\nx =", quartic + "x ="))
    got = check("larger.py:problem", "--dry-run")
    assert got.exit_code == 0, got.output
    planned = int(re.search(rf"a {strategy}, here +([\d,]+)", got.stdout)[1].replace(",", ""))
    written = folder / "report.json"
    assert check("larger.py:problem", "--strategy", strategy, "--json", str(written)).exit_code == 0
    (result,) = json.loads(written.read_text())["results"]
    made = result["report"]["evaluations"]
    assert abs(planned - made) <= 0.3 * made


def test_a_dry_run_plans_and_checks_nothing(check):
    got = check("model.py:forgotten", "model.py:absent", "--dry-run")
    assert got.exit_code == 2
    assert "a sweep takes about" in got.stdout
    assert "disagree" not in got.stdout
    assert "has no 'absent'" in got.stderr
