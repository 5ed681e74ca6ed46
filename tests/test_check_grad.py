"""check_grad and its report, as a user meets them."""

import copy
import json
import pickle
import re

import numpy as np
import pytest
from numba import njit

import fastgrad as fg
from fastgrad import models
from fastgrad.errors import GradientMismatch, StructureMismatchError


@njit
def cubes(x):
    return (x * x * x).sum()


@njit
def ridge(p, X, y):
    r = X @ p.w + p.b - y
    return 0.5 * (r * r).mean() + 0.05 * (p.w * p.w).sum()


def ridge_grad(p, X, y):
    r = (X @ p["w"] + p["b"] - y) / y.size
    return {"w": X.T @ r + 0.1 * p["w"], "b": r.sum()}


def forgets_the_penalty(p, X, y):
    g = ridge_grad(p, X, y)
    return {**g, "w": g["w"] - 0.1 * p["w"]}


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    theta = {"w": rng.normal(size=5), "b": 0.3}
    return theta, rng.normal(size=(20, 5)), rng.normal(size=20)


def test_a_right_gradient(problem):
    report = fg.check_grad(ridge, ridge_grad, *problem)
    assert report
    assert report.verdict == "agrees"
    assert report.strategy == "sweep"
    assert [b.name for b in report.blocks] == ["w", "b"]
    assert [b.checked for b in report.blocks] == [5, 1]
    assert report.relative_error < 1e-8
    assert report.counts == {"agrees": 6}
    assert len(report.entries) == 6
    report.raise_if_wrong()


def test_a_forgotten_term_is_found_in_its_block(problem):
    report = fg.check_grad(ridge, forgets_the_penalty, *problem)
    assert not report
    assert [b.verdict for b in report.blocks] == ["disagrees", "agrees"]
    worst = report.entries[0]
    assert worst.verdict == "disagrees"
    assert worst.block == "w"
    assert worst.name == f"w[{worst.index[0]}]"
    theta = problem[0]
    for entry in report.entries:
        expected = -0.1 * theta["w"][entry.index]
        assert entry.analytic - entry.numeric == pytest.approx(expected, abs=entry.error_bar)
    assert report.blocks[0].max_error == pytest.approx(0.1 * np.abs(theta["w"]).max(), rel=1e-6)


def test_repr_is_one_line_and_names_the_worst_entry(problem):
    report = fg.check_grad(ridge, forgets_the_penalty, *problem)
    assert "\n" not in repr(report)
    assert len(repr(report)) <= 200
    assert report.entries[0].name in repr(report)
    assert "disagrees" in repr(report)


def test_str_begins_with_the_verdict_and_holds_what_a_person_needs(problem):
    text = str(fg.check_grad(ridge, forgets_the_penalty, *problem))
    assert text.startswith("The gradient is wrong:")
    for words in ("relative error", "detection limit", "error bar", "step", "Next:", "evaluations"):
        assert words in text
    right = str(fg.check_grad(ridge, ridge_grad, *problem))
    assert right.startswith("The gradient is right: all 6 entries")
    assert "could not be seen" in right


def test_raise_if_wrong_raises_the_whole_report(problem):
    report = fg.check_grad(ridge, forgets_the_penalty, *problem)
    with pytest.raises(GradientMismatch) as caught:
        report.raise_if_wrong()
    assert isinstance(caught.value, AssertionError)
    assert str(caught.value) == str(report)


def test_constants_are_left_out_and_said_so(problem):
    report = fg.check_grad(ridge, forgets_the_penalty, *problem, trainable="b")
    assert report
    assert (report.checked, report.size) == (1, 6)
    assert report.blocks[0].checked == 0
    assert "held constant" in str(report)


def test_json_round_trip_and_schema(problem):
    report = fg.check_grad(ridge, forgets_the_penalty, *problem)
    got = json.loads(report.to_json())
    assert got["schema"] == "fastgrad/gradient-check/1"
    assert got["verdict"] == "disagrees"
    assert got["entries"][0]["name"] == report.entries[0].name
    assert got["entries"][0]["numeric"] == report.entries[0].numeric
    fields = {f.name for f in report.__dataclass_fields__.values() if f.name[0] != "_"}
    assert fields - {"ran"} == set(got) - {"schema"}  # where it ran may differ from run to run


def test_json_of_infinite_numbers_is_valid():
    report = fg.check_grad(cubes, np.array([np.nan, 12.0]), np.array([1.0, 2.0]))
    got = json.loads(report.to_json(), parse_constant=pytest.fail)
    assert got["entries"][0]["analytic"] is None


def test_a_report_can_be_pickled_and_copied_without_its_loss(problem):
    report = fg.check_grad(ridge, forgets_the_penalty, *problem)
    for again in (pickle.loads(pickle.dumps(report)), copy.copy(report)):
        assert str(again) == str(report)
    with pytest.raises(ValueError, match="again"):
        pickle.loads(pickle.dumps(report)).convergence()


def test_the_same_seed_gives_the_same_report(problem):
    def plain(report):
        return re.sub(r'"seconds": [^,]*', "", report.to_json())

    first = fg.check_grad(ridge, forgets_the_penalty, *problem, seed=3)
    second = fg.check_grad(ridge, forgets_the_penalty, *problem, seed=3)
    assert plain(first) == plain(second)


def test_the_backends_agree(problem):
    def python_ridge(p, X, y):
        r = X @ p["w"] + p["b"] - y
        return float(0.5 * (r * r).mean() + 0.05 * (p["w"] ** 2).sum())

    compiled = fg.check_grad(ridge, forgets_the_penalty, *problem)
    python = fg.check_grad(python_ridge, forgets_the_penalty, *problem, backend="python")
    assert python.verdict == compiled.verdict
    assert [b.verdict for b in python.blocks] == [b.verdict for b in compiled.blocks]
    assert fg.check_grad(python_ridge, ridge_grad, *problem, backend="python")


def test_many_wrong_entries_are_cut_at_a_thousand():
    x = np.random.default_rng(0).uniform(1.0, 2.0, 3000)
    report = fg.check_grad(cubes, 3.1 * x * x, x)
    assert len(report.entries) == 1000
    assert report.counts == {"disagrees": 3000}
    assert report.entries[0].name == f"theta[{x.argmax()}]"


# points


def wrong_when_negative(x):
    return np.where(x < 0, -3.0, 3.0) * x * x


def test_the_closest_entries_are_listed_where_all_agree():
    """The ten nearest to their bars, the first of equal ones first: beside a sort of all."""
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(size=40), 3)
    report = fg.check_grad(lambda x: (x**3).sum(), 3 * x**2, x, strategy="sweep", backend="python")
    found = report.arrays("theta")
    part = np.abs(found.numeric - found.analytic) / found.allowance
    nearest = np.argsort(-part, kind="stable")[:10]
    assert [e.name for e in report.entries] == [f"theta[{k}]" for k in nearest]


def test_points_find_what_theta_hides():
    x = np.array([0.1, 0.2])
    assert fg.check_grad(cubes, wrong_when_negative, x)
    report = fg.check_grad(cubes, wrong_when_negative, x, points=[np.array([-0.5, 0.2])])
    assert [p.verdict for p in report.points] == ["agrees", "disagrees"]
    assert report.verdict == "disagrees"
    assert "points[0]" in str(report)
    assert report.evaluations == sum(p.evaluations for p in report.points)


def test_random_points_are_theta_and_perturbations():
    x = np.random.default_rng(0).normal(size=20)
    report = fg.check_grad(cubes, lambda x: 3 * x * x, x, points=3)
    assert len(report.points) == 3
    assert len({p.label for p in report.points}) == 3
    assert report


def test_constants_stay_where_they_are_at_every_point(problem):
    seen = []

    def gradient(p, X, y):
        seen.append(p["b"])
        return ridge_grad(p, X, y)

    assert fg.check_grad(ridge, gradient, *problem, points=4, trainable="w")
    assert seen == [0.3] * 12  # before any loss, after one a unit away, and at the end


# what a newcomer gets wrong


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"strategy": "scan"}, ValueError, "strategy='scan': expected"),
        ({"rtol": -1.0}, ValueError, "rtol"),
        ({"rtol": np.nan}, ValueError, "rtol"),
        ({"step": 0.0}, ValueError, "positive"),
        ({"step": np.nan}, ValueError, "positive"),
        ({"step": "tiny"}, ValueError, "adaptive"),
        ({"points": 0}, ValueError, "at least 1"),
        ({"points": "all"}, TypeError, "points is str"),
        ({"trainable": "W"}, ValueError, "no block 'W'"),
        ({"trainable": {"w": True}}, StructureMismatchError, "missing 'b'"),
        ({"backend": "gpu"}, ValueError, "backend='gpu'"),
    ],
)
def test_options_that_do_not_exist(problem, options, kind, words):
    with pytest.raises(kind, match=re.escape(words)):
        fg.check_grad(ridge, ridge_grad, *problem, **options)


def test_points_need_a_gradient_that_can_be_called():
    x = np.ones(2)
    with pytest.raises(ValueError, match="called at each"):
        fg.check_grad(cubes, 3 * x, x, points=2)


# convergence


def test_convergence_of_a_right_gradient_falls_by_100(problem):
    x = np.random.default_rng(1).normal(size=30)
    table = fg.check_grad(cubes, lambda x: 3 * x * x, x).convergence()
    assert len(table) == 9
    assert [row.step for row in table] == [10.0**-k for k in range(1, 10)]
    assert any(80 < row.ratio < 120 for row in table)
    assert "is right" in table.summary
    assert "1e-09" in str(table)


def test_convergence_of_a_wrong_gradient_stays():
    x = np.random.default_rng(1).normal(size=30)
    wrong = 3 * x * x
    wrong[3] += 0.01
    table = fg.check_grad(cubes, wrong, x).convergence()
    assert "is wrong" in table.summary
    assert sum(0.9 < row.ratio < 1.1 for row in table) >= 3
    assert table[4].error == pytest.approx(0.01, rel=1e-3)


def test_convergence_of_a_kink_is_irregular():
    @njit
    def bent(x):
        return np.maximum(x - 3e-4, 0.0).sum()

    table = fg.check_grad(bent, np.zeros(1), np.zeros(1)).convergence()
    assert "kinks" in table.summary


def test_real_digits_every_entry_and_a_planted_bug():
    X, y = models.digits()
    args = (X[:200], y[:200], 0.01)
    params = models.two_layer.init(64, 16, 10)
    assert fg.check_grad(models.two_layer.loss, models.two_layer.grad, params, *args)

    def forgot(params, X, y, l2):
        gradient = models.two_layer.grad(params, X, y, l2)
        return gradient._replace(W2=gradient.W2 - l2 * params.W2)

    report = fg.check_grad(models.two_layer.loss, forgot, params, *args)
    assert [b.name for b in report.blocks if b.verdict == "disagrees"] == ["W2"]
    assert all(b.verdict == "agrees" for b in report.blocks if b.name != "W2")
