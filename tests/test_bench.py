"""The report generator, the quick mode's table, and `fastgrad bench`."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from fastgrad.commands import bench as benching
from fastgrad.commands import targets
from fastgrad.problems import problem_of

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _bench_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


def results() -> dict:
    """What pytest-benchmark would write of two rows."""
    ours = {
        "table": "gradient",
        "problem": "toy",
        "tool": "fastgrad",
        "share": 1.0,
        "inner": 10,
        "n": 100,
        "threads": 2,
        "error": 1e-10,
        "beside": 1e-6,
        "first_call": 0.5,
    }
    rival = {
        **{"table": "gradient", "problem": "toy", "tool": "scipy 3-point", "share": 0.5},
        **{"inner": 1, "error": 2e-10, "first_call": 0.1},
    }
    machine = {
        "cpu": {"brand_raw": "a CPU", "count": 2},
        "versions": {"numpy": "2.0", "torch": None},
        "threads": 2,
        "load": 0.25,
        "system": "Linux",
        "python_version": "3.11",
        "machine": "x86_64",
    }
    structured = {
        **{"table": "structured", "what": "a net", "n": 100, "threads": 1, "inner": 1},
        **{"rival": "2 n C", "times": 200, "beside": 1e-6, "target": "100 times faster"},
        **{"error": 1e-12, "plain_error": 1e-10},
    }
    checked = {
        **{"table": "structured", "what": "every entry", "n": 1_000_000, "threads": 2},
        **{"evaluations": 2_000_044, "verdict": "agrees", "target": "3 min"},
    }
    benchmarks = [
        {"extra_info": ours, "stats": {"median": 2e-3}},
        {"extra_info": rival, "stats": {"median": 1e-3}},
        {"extra_info": structured, "stats": {"median": 2e-6}},
        {"extra_info": {**structured, "rival": "backprop", "times": 1}, "stats": {"median": 3e-6}},
        {"extra_info": checked, "stats": {"median": 25.0}},
    ]
    return {"datetime": "2030-01-02T03:04", "machine_info": machine, "benchmarks": benchmarks}


def written(tmp_path: Path, readme: str) -> tuple[int, str]:
    from bench import report

    (tmp_path / "results.json").write_text(json.dumps(results()))
    (tmp_path / "README.md").write_text(readme)
    arguments = [str(tmp_path / "results.json"), "--readme", str(tmp_path / "README.md")]
    return report.main(arguments), (tmp_path / "README.md").read_text()


def test_tables_replace_what_is_between_markers_and_nothing_else(tmp_path, capsys):
    readme = "before\n<!-- bench:gradient -->\nold\n<!-- /bench:gradient -->\nafter \\1 old\n"
    _, got = written(tmp_path, readme)
    assert got.startswith("before\n<!-- bench:gradient -->\n| problem |")
    assert got.endswith(" ours.\n<!-- /bench:gradient -->\nafter \\1 old\n")
    # 0.2 ms, the limit 2 n C / threads is 0.1 ms; the rival takes 2 ms for the whole
    row = "| toy | 200 µs | 1e-10 | 1 µs | 2.00 | 500 ms | 10 (scipy 3-point) |"
    assert row in got
    assert written(tmp_path, got)[1] == got


def test_a_table_may_stand_in_several_files_and_another_in_one(tmp_path):
    from bench import report

    pair = "<!-- bench:{0} -->\n<!-- /bench:{0} -->\n"
    texts = [pair.format("gradient"), pair.format("machine") + pair.format("gradient")]
    made = {"gradient": "| a |", "machine": "a CPU"}
    got, amiss = report.replaced(texts, made)
    assert [text.count("| a |") for text in got] == [1, 1]
    assert got[1].count("a CPU") == 1
    assert not any("machine" in message or "gradient" in message for message in amiss)


def test_every_table_has_its_place():
    from bench import report

    texts = [readme.read_text("utf-8") for readme in report.READMES]
    got, amiss = report.replaced(texts, dict.fromkeys(report.TABLES, "| fresh |"))
    assert amiss == []
    assert "| fresh |" in got[1]


def test_a_structured_loss_is_shown_beside_what_it_is_compared_with(tmp_path, capsys):
    _, got = written(tmp_path, "<!-- bench:structured -->\n<!-- /bench:structured -->\n")
    for expected in (
        "| a net | 100 | 1 |  | 2 µs | 2 n C: 200 µs | 100 times faster | 100 times faster "
        "| 1e-12 | 1e-10 |",
        "| a net | 100 | 1 |  | 3 µs | backprop: 1 µs | 3 times as long | 100 times faster "
        "| 1e-12 | 1e-10 |",
        "| every entry | 1,000,000 | 2 | 2,000,044 | 25 s |  |  | 3 min | agrees |  |",
    ):
        assert expected in got


def test_machine_versions_and_date_are_told(tmp_path):
    _, got = written(tmp_path, "<!-- bench:machine -->\n<!-- /bench:machine -->\n")
    for expected in ("2030-01-02", "a CPU", "2 threads", "numpy 2.0", "Not installed: torch"):
        assert expected in got


def test_missing_and_unknown_markers_are_told(tmp_path, capsys):
    status, got = written(tmp_path, "text\n<!-- bench:speed -->\n<!-- bench:busy -->\n")
    told = capsys.readouterr().err
    assert status == 1
    assert got == "text\n<!-- bench:speed -->\n<!-- bench:busy -->\n"
    assert "no whole pair of <!-- bench:gradient -->" in told
    assert "no whole pair of <!-- bench:busy -->" in told
    assert "bench:speed is no table" in told


def test_rows_without_results_keep_the_old_table(tmp_path, capsys):
    readme = "<!-- bench:accuracy -->\nold\n<!-- /bench:accuracy -->\n"
    assert written(tmp_path, readme)[1] == readme
    assert "accuracy: the results have no rows for it" in capsys.readouterr().err


def test_every_problem_is_reached_by_the_quick_mode():
    """But for the longest of each family, whose smaller ones are."""
    from bench.problems import PROBLEMS

    families = {problem.name.split(" n =")[0] for problem in PROBLEMS}
    assert {problem.name.split(" n =")[0] for problem in PROBLEMS if problem.quick} == families


def test_exact_gradients_of_the_problems_are_exact():
    from bench.problems import PROBLEMS, largest_error
    from bench.rivals import textbook_loop

    for problem in PROBLEMS:
        if problem.theta.size > 1000:
            continue
        got = textbook_loop(lambda x, p=problem: p.model(np, x, *p.args), problem.theta)
        assert largest_error(got, problem.exact) < 1e-5, problem.name


def test_exact_gradients_of_the_functions_are_exact():
    from bench.functions import FUNCTIONS, GROUPS
    from bench.rivals import textbook_loop

    assert len(FUNCTIONS) >= 30
    assert {function.group for function in FUNCTIONS} == set(GROUPS)
    for function in FUNCTIONS:
        exact = function.gradient(function.x)
        assert exact.shape == function.x.shape
        if function.group == "smooth":
            got = textbook_loop(function.loss, function.x)
            np.testing.assert_allclose(got, exact, rtol=1e-6, atol=1e-6, err_msg=function.name)


def test_faults_are_faults_and_correct_gradients_correct():
    from bench.checked import FAULTS, correct
    from bench.rivals import textbook_loop

    for problem in correct(range(1)):
        g = problem.gradient(problem.theta, *problem.args)
        for name, plant in FAULTS.items():
            assert np.abs(plant(problem, g) - g).max() > 0, name
        if problem.kind == "smooth":
            got = textbook_loop(lambda x, p=problem: p.model(np, x, *p.args), problem.theta)
            np.testing.assert_allclose(got, g, rtol=1e-5, atol=1e-8)


PROBLEM = """
import numpy as np

def loss(x, a):
    return (a * np.exp(x)).sum()

def steep(x):
    return (x**1.5).sum()

problem = (loss, np.array([0.1, 0.2]), np.array([1.0, 2.0]))

def made():
    return problem

class Other:
    loss = staticmethod(steep)
    theta = np.array([0.0, 1.0])

other = Other()
number = 3
"""


@pytest.fixture
def user_file(tmp_path: Path) -> Path:
    path = tmp_path / "user_problem.py"
    path.write_text(PROBLEM)
    yield path
    sys.modules.pop("user_problem", None)


def test_run_bench_measures_every_method_and_names_one(user_file):
    said: list[str] = []
    benching.run_bench(f"{user_file}:problem", said.append)
    text = "\n".join(said)
    assert "2 parameters" in text
    for name in benching.METHODS:
        assert name in text
    assert "Take fastgrad.grad(loss" in text


def test_run_bench_leaves_out_what_fails_at_the_edge_of_the_domain(user_file):
    said: list[str] = []
    benching.run_bench(f"{user_file}:other", said.append)
    assert "the loss is nan" in said[1]
    assert "Take fastgrad.grad(loss" in said[2]


def test_problem_may_be_made_by_a_function(user_file):
    problem = problem_of(targets.found_at(f"{user_file}:made"), grad_needed=False)
    assert callable(problem.loss)
    assert problem.theta.size == 2
    assert len(problem.args) == 1
