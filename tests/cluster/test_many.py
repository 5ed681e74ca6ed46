"""Many problems: each as by itself, in any order; a table and an index with failures first."""

import pickle

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.errors import GradientMismatch
from fastgrad.problems import ProblemError
from tests.cluster.executors import Shuffled
from tests.cluster.losses import CALLS, A, X, one_wrong, quartic, quartic_grad, said


def raises(x):
    raise ZeroDivisionError("of its own")


def problems():
    right = quartic, quartic_grad, X, A
    return {
        "right": right,
        "wrong": (quartic, one_wrong(), X, A),
        "raises": (raises, X, X),
        "at another point": {
            "loss": quartic,
            "grad": quartic_grad,
            "theta": X + 1,
            "args": (A,),
            "options": {"seed": 3},
        },
    }


RUN = {"backend": "python", "strategy": "sweep"}


def test_each_is_as_by_itself_in_the_order_of_the_problems():
    found = fg.check_many(problems(), **RUN)
    assert found.names == tuple(problems())
    assert [report.verdict for report in found] == ["agrees", "disagrees", "inconclusive", "agrees"]
    alone = fg.check_grad(quartic, one_wrong(), X, A, **RUN)
    assert said(found[1]) == said(alone)
    assert found[3].seed == 3
    assert not found
    assert list(found.errors) == ["raises"]
    assert found.errors["raises"].startswith("LossError: the loss raised ZeroDivisionError")


def test_workers_take_whole_problems_in_any_order():
    expected = fg.check_many(problems(), **RUN)
    for seed in range(5):
        with Shuffled(seed, workers=3) as pool:
            found = fg.check_many(problems(), executor=pool, **RUN)
        assert pool.answers == 4
        assert [r.verdict for r in found] == [r.verdict for r in expected]
        assert [said(found[k]) for k in (0, 1, 3)] == [said(expected[k]) for k in (0, 1, 3)]
        assert found.errors == expected.errors


def test_few_problems_share_all_workers():
    with Shuffled(workers=8) as pool:
        found = fg.check_many(problems(), executor=pool, **RUN)
        assert "on 8 workers" in found[0].ran or "one thread" in found[0].ran
    assert [r.verdict for r in found] == ["agrees", "disagrees", "inconclusive", "agrees"]


def test_an_executor_that_breaks_leaves_what_was_done():
    with Shuffled(breaks_after=2) as pool:
        found = fg.check_many(problems(), executor=pool, **RUN)
    broken = [error for error in found.errors.values() if "BrokenProcessPool" in error]
    assert len(broken) == 2
    assert len(found) == 4


def test_the_table_has_failures_first():
    found = fg.check_many(problems(), **RUN)
    text = str(found)
    assert text.startswith("Of 4 gradients 1 could not be run, 1 is wrong, 2 are right.")
    places = [text.index(f"\n {name}") for name in ("raises", "wrong", "right", "at another point")]
    assert places == sorted(places)
    assert "theta[17]" in text
    with pytest.raises(GradientMismatch, match="Of 4 gradients"):
        found.raise_if_wrong()
    assert fg.check_many([]).document().headline == "No gradients were checked."


def test_a_folder_of_checkpoints(tmp_path):
    given = {name: problem for name, problem in problems().items() if name != "raises"}
    before = CALLS.made
    first = fg.check_many(given, checkpoint=tmp_path / "night", **RUN)
    calls, before = CALLS.made - before, CALLS.made
    again = fg.check_many(given, checkpoint=tmp_path / "night", **RUN)
    assert (calls > 0, CALLS.made - before) == (True, 0)
    assert [said(r) for r in first] == [said(r) for r in again]
    assert len(list((tmp_path / "night").iterdir())) == 3


def test_mistakes_are_named():
    with pytest.raises(ProblemError, match=r"expected a tuple \(loss, grad, theta, \*args\)"):
        fg.check_many([3])
    with pytest.raises(ProblemError, match="no option 'rtoll': did you mean 'rtol'"):
        fg.check_many([{"loss": raises, "grad": X, "theta": X, "options": {"rtoll": 1}}])
    named = {"loss": quartic, "grad": X, "theta": X, "args": (A,), "name": "twice"}
    with pytest.raises(ValueError, match="two problems are called 'twice'"):
        fg.check_many([named, named])


def test_reports_travel_and_what_cannot_be_sent_is_an_error_of_its_own():
    report = fg.check_grad(quartic, one_wrong(), X, A, **RUN)
    assert said(pickle.loads(pickle.dumps(report))) == said(report)
    given = {"local": (lambda x: float((x**2).sum()), 2 * X, X), "right": problems()["right"]}
    with Shuffled() as pool:
        found = fg.check_many(given, executor=pool, **RUN)
    assert found[1].verdict == "agrees"
    sent = "local" not in found.errors  # with cloudpickle
    assert sent or "cannot be sent to another process" in found.errors["local"]
    np.testing.assert_equal(found[0].verdict, "agrees" if sent else "inconclusive")
