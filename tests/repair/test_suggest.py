"""report.suggest: what is mended, that it is proved, what is shown, and what is refused."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.parameters.layout import flatten
from fastgrad.repair.proof import Proof
from fastgrad.repair.suggest import _either
from tests.checks import bugs
from tests.checks.bugs import BUGS
from tests.repair.mending import (
    changed_lines,
    gradient_of,
    module,
    patched,
    places_of,
    report_of,
    same_at_further_points,
    source_of,
)

SECONDS = 60.0
"""Of a search in a test: far more than it takes, for machines that are busy."""
WORLDS = bugs.worlds()
QUICK = {
    "softmax: no L2 in W2",
    "relu: no L1 in W1",
    "tanh: different bugs in different blocks",
    "deep: dw1 transposed",
}
"""One of a kind; all of them are counted in test_collections.py."""


def label(bug):
    return f"{bug.world}: {bug.name}"


@pytest.mark.parametrize("bug", [b for b in BUGS if label(b) in QUICK], ids=label)
def test_a_planted_bug_is_mended_and_the_diff_applies(bug, tmp_path):
    world = WORLDS[bug.world]
    text = source_of(bug, world)
    with module(tmp_path / "net.py", text) as made:
        suggestions = report_of(bug, world, made).suggest(SECONDS)
    assert suggestions
    best = suggestions[0]
    assert best.blocks == tuple(
        block.name for block in flatten(world.theta)[0].blocks if block.name in bug.blamed
    )
    assert best.verified[:2] == ("at theta", "at 2 random points")
    assert (tmp_path / "net.py").read_text() == text
    with (
        module(tmp_path / "mended.py", patched(text, best.diff, tmp_path)) as mended,
        module(tmp_path / "right.py", source_of(bug, world, planted=False)) as right,
    ):
        gradients = (gradient_of(m, world) for m in (mended, right))
        assert same_at_further_points(*gradients, places_of(world))


HALF = """
def gradient(p, X, y):  # of the mean square
    # half of it
    residual = X @ p["w"] - y   # what is left
    return {"w": X.T @ residual / len(y)}
"""


def square_loss(p, X, y):
    return ((X @ p["w"] - y) ** 2).mean()


@pytest.fixture
def halved(tmp_path):
    rng = np.random.default_rng(0)
    theta, X, y = {"w": rng.normal(size=3)}, rng.normal(size=(12, 3)), rng.normal(size=12)
    with module(tmp_path / "halved.py", HALF) as made:
        yield fg.check_grad(square_loss, made.gradient, theta, X, y)


def test_the_users_formatting_is_kept_and_the_report_ends_with_the_diff(halved):
    assert "suggestions" not in halved.to_dict()
    (best, *_) = halved.suggest(SECONDS)
    removed, added = changed_lines(best.diff)
    assert "2" in added
    assert added.partition("#")[2] == removed.partition("#")[2]
    assert (best.line, best.before) == (HALF.splitlines().index(removed[1:]) + 1, removed[1:])
    assert best.after == added[1:]
    assert "What to change" in str(halved)
    assert "differ by a factor, and either may be meant" in str(halved)
    assert added in str(halved)
    (first, *_) = json.loads(halved.to_json())["suggestions"]
    assert first["diff"] == best.diff


def test_a_right_gradient_and_values_are_refused_in_one_sentence():
    theta = np.array([1.0, 2.0])
    right = fg.check_grad(lambda x: (x**3).sum(), lambda x: 3 * x**2, theta)
    assert right.suggest() == []
    assert "nothing to mend" in str(right)
    values = fg.check_grad(lambda x: (x**3).sum(), 3 * theta, theta)
    assert values.suggest() == []
    assert "given as values" in str(values)


def test_what_has_no_source_is_refused_in_one_sentence():
    names = {}
    exec("def gradient(x):\n    return 3 * x", names)
    report = fg.check_grad(lambda x: (x**3).sum(), names["gradient"], np.array([1.0, 2.0]))
    assert report.suggest() == []
    assert "no source" in str(report)


def test_the_edit_in_the_readme_is_what_is_suggested_for_its_first_gradient(tmp_path):
    readme = (Path(fg.__file__).parents[1] / "README.md").read_text()
    (shown,) = re.findall(r"```diff\n(.*?)```", readme, flags=re.DOTALL)
    first = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)[0]
    with module(tmp_path / "model.py", first.replace("print(report)", "")) as made:
        (best, *_) = made.report.suggest(SECONDS)
    assert changed_lines(f"\n\n{shown}") == changed_lines(best.diff)


@pytest.mark.parametrize(
    ("laws", "everywhere", "said"),
    [
        ({"extra-l2"}, False, "add it to the loss"),
        ({"missing-l2", "missing-l1"}, False, "take it out of the loss"),
        ({"scale"}, True, "change the loss"),
        ({"scale"}, False, ""),
        ({"scale", "missing-l2"}, True, ""),
        (set(), True, ""),
    ],
)
def test_where_the_loss_may_be_what_is_wrong_it_is_said(laws, everywhere, said):
    got = _either(frozenset(laws), everywhere)
    assert said in got
    assert bool(said) == bool(got)


PENALISED = """def loss(w, X, y):
    return 0.5 * ((X @ w - y) ** 2).mean()


def gradient(w, X, y, l2=0.3):
    return X.T @ (X @ w - y) / len(y) + l2 * w
"""


def test_a_penalty_that_the_loss_lacks_is_left_out_and_may_be_meant(tmp_path):
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(20, 4)), rng.normal(size=20)
    with module(tmp_path / "penalised.py", PENALISED) as made:
        report = fg.check_grad(made.loss, made.gradient, rng.normal(size=4), X, y)
        (best, *_) = report.suggest(SECONDS)
    assert best.after == "    return X.T @ (X @ w - y) / len(y)"
    assert "differ by a penalty, and either may be meant" in str(report)
    assert "add it to the loss instead" in str(report)


COMPILED = """import numpy as np
from numba import njit


@njit
def loss(x, a):
    return (a * np.sin(x) ** 2).sum()


@njit
def slope(x):
    return 2 * np.sin(x) * np.sin(x)


@njit
def gradient(x, a):
    return a * slope(x)
"""


def test_compiled_functions_are_edited_and_the_edit_is_proved_compiled(tmp_path, monkeypatch):
    asked = []
    whole = Proof._asked

    def noted(self, states, spots, compiled):
        found = whole(self, states, spots, compiled)
        asked.append((compiled, all(values is not None for _, values in found)))
        return found

    monkeypatch.setattr(Proof, "_asked", noted)
    a = np.array([0.7, -1.3, 2.0])
    with module(tmp_path / "compiled.py", COMPILED) as made:
        report = fg.check_grad(made.loss, made.gradient, np.array([0.4, 1.1, -0.8]), a)
        (best, *_) = report.suggest(SECONDS)
        assert made.slope(np.ones(1)) == pytest.approx(2 * np.sin(1.0) ** 2)  # as it was
    assert best.after in (
        "    return 2 * np.sin(x) * np.cos(x)",
        "    return 2 * np.cos(x) * np.sin(x)",
    )
    assert (True, True) in asked


STATEFUL = """import numpy as np

kept = {}
total = np.zeros(3)
rng = np.random.default_rng(0)


def loss(x):
    kept["cubes"] = x**3
    return kept["cubes"].sum()


def stale(x):
    return 3 * kept.get("cubes", x**3) / x


def accumulates(x):
    global total
    total = total + 3 * x**2
    return total


def noisy(x):
    return 3 * x**2 + 0.1 * rng.normal(size=3)
"""


@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("stale", "    return 3 * x**3 / x"),
        ("accumulates", "    total = 3 * x**2"),
        ("noisy", "    return 3 * x**2"),
    ],
)
def test_a_gradient_that_keeps_state_is_mended_by_what_keeps_none(name, after, tmp_path):
    with module(tmp_path / "stateful.py", STATEFUL) as made:
        theta = np.array([1.0, 2.0, -1.5])
        report = fg.check_grad(made.loss, getattr(made, name), theta, backend="python")
        assert report.diagnoses[0].law in ("stale", "accumulates", "random")
        (best, *_) = report.suggest(SECONDS)
    assert best.after == after


LIKELIHOOD = """import numpy as np


def loss(x, mu, sigma):
    return x.size * np.log(sigma) + ((x - mu) ** 2).sum() / (2 * sigma**2)


def gradient(x, mu, sigma):
    r = x - mu
    return -r.sum() / sigma, x.size / sigma - (r**2).sum() / sigma**3
"""


def test_theta_need_not_be_the_first_argument(tmp_path):
    x = np.random.default_rng(0).normal(size=20)
    with module(tmp_path / "likelihood.py", LIKELIHOOD) as made:
        report = fg.check_grad(made.loss, made.gradient, (0.3, 1.2), x, argnum=(1, 2))
        (best, *_) = report.suggest(SECONDS)
    assert best.after.strip().startswith("return -r.sum() / sigma**2, ")
    assert best.verified == ("at theta", "at 2 random points", "with 11 of the 20 rows")


LAYER = """def affine(x, w, b):
    return x @ w + b


def backward(dout, x, w, b):
    return dout @ w.T, x.T @ dout, dout.mean(axis=0)
"""


def test_a_layer_is_mended_and_what_calls_it_is_left_alone(tmp_path):
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(4, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)
    with module(tmp_path / "layer.py", LAYER) as made:
        report = fg.check_vjp(made.affine, made.backward, x, w, b)
        found = report.suggest(SECONDS)
    assert found[0].after == "    return dout @ w.T, x.T @ dout, dout.sum(axis=0)"
    assert {Path(one.file).name for one in found} == {"layer.py"}


ROUNDED = """import numpy as np


def loss(x):
    return np.cos(x).sum()


def gradient(x):
    return np.round(-np.sin(x), 4)
"""


def test_what_differs_by_less_than_can_be_told_is_shown_as_the_simplest(tmp_path):
    with module(tmp_path / "rounded.py", ROUNDED) as made:
        (best,) = fg.check_grad(made.loss, made.gradient, np.arange(1.0, 7.0)).suggest(SECONDS)
    assert best.after == "    return -np.sin(x)"
    assert "other edit" in best.note


SINGLE = """import numpy as np


def loss(p, X, y):
    z = np.maximum(X @ p["W"] + p["b"], 0) @ p["v"]
    return float(np.mean(np.logaddexp(0, z) - y * z))


def gradient(p, X, y):
    a = X @ p["W"] + p["b"]
    z = np.maximum(a, 0) @ p["v"]
    d = (1 / (1 + np.exp(-z)) - y) / len(y)
    dh = np.outer(d, p["v"])
    return {"W": X.T @ (dh * (a > 0)), "b": dh.sum(0), "v": np.maximum(a, 0).T @ d}
"""


def test_a_gradient_in_single_precision_is_proved_with_its_own_rounding(tmp_path):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(40, 5)).astype(np.float32)
    y = (rng.random(40) < 0.5).astype(np.float32)
    theta = {"W": rng.normal(size=(5, 4)), "b": np.zeros(4), "v": rng.normal(size=4)}
    theta = {name: block.astype(np.float32) for name, block in theta.items()}
    with module(tmp_path / "single.py", SINGLE) as made:
        found = fg.check_grad(made.loss, made.gradient, theta, X, y).suggest(SECONDS)
    assert found
    assert "(a > 0)" in found[0].after
