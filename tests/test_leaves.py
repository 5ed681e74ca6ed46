"""What theta may hold beside the numbers that are perturbed: it is passed as it is, dtype and type."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

import fastgrad as fg

W = np.array([0.5, -1.5, 2.5])


class Named(NamedTuple):
    w: Any
    other: Any


@dataclass
class Record:
    w: Any
    other: Any


def function(x):
    return x


BY_THEMSELVES = [None, "adam", "", b"raw", True, False, np.bool_(True), function, np.sin, dict]
WITH_TRAINABLE = [
    3,
    2.5,
    np.float32(1.5),
    np.int8(3),
    np.array([0, 2, 1]),
    np.array([True, False]),
    np.array([1, 2], np.uint8),
    np.ones(2, np.float32),
    np.array(4),
    [1, 2, 3],
    (1.0, 2.0),
]
CONTAINERS = {
    "a dict": lambda other: {"w": W, "other": other},
    "a NamedTuple": lambda other: Named(W, other),
    "a dataclass": lambda other: Record(W, other),
}


def parts(theta):
    return (theta["w"], theta["other"]) if isinstance(theta, dict) else (theta.w, theta.other)


def same(got, expected):
    if isinstance(expected, dict):
        return got.keys() == expected.keys() and all(same(got[k], expected[k]) for k in expected)
    if isinstance(expected, np.ndarray):
        return got.dtype == expected.dtype and np.array_equal(got, expected)
    return type(got) is type(expected) and bool(np.all(got == expected))


def checked(theta, **options):
    seen = []

    def loss(p):
        w, other = parts(p)
        seen.append((type(p), other))
        return float((w**2).sum())

    def gradient(p):
        return {"w": 2 * parts(p)[0]}

    report = fg.check_grad(loss, gradient, theta, backend="python", **options)
    return report, seen


@pytest.mark.parametrize(
    "other", BY_THEMSELVES, ids=lambda other: getattr(other, "__name__", repr(other))
)
@pytest.mark.parametrize("name", CONTAINERS)
def test_what_is_no_number_is_constant_by_itself(name, other):
    theta = CONTAINERS[name](other)
    report, seen = checked(theta)
    assert report
    assert all(kind is type(theta) and got is other for kind, got in seen)
    assert f"Constants, passed as they are: other ({type(other).__name__})." in str(report)


@pytest.mark.parametrize("other", WITH_TRAINABLE, ids=repr)
def test_what_is_not_trainable_is_passed_as_it_is(other):
    report, seen = checked({"w": W, "other": other}, trainable="w")
    assert report
    assert all(same(got, other) for _, got in seen)


def test_indices_index():
    def loss(p):
        return float((p["table"][p["at"]] ** 2).sum())

    def gradient(p):
        g = np.zeros_like(p["table"])
        np.add.at(g, p["at"], 2 * p["table"][p["at"]])
        return {"table": g}

    theta = {"table": W, "at": np.array([0, 2, 2])}
    assert fg.check_grad(loss, gradient, theta, trainable="table")
    report = fg.check_grad(loss, gradient, theta)
    assert report
    assert "Constants, passed as they are: at (int64)." in str(report)
    report = fg.check_grad(loss, lambda p: {"table": -gradient(p)["table"]}, theta)
    assert {block.name for block in report.blocks if block.verdict == "disagrees"} == {"table"}
    g = fg.grad(loss, trainable="table", backend="python")(theta)
    np.testing.assert_allclose(g["table"], gradient(theta)["table"], rtol=1e-9)


def test_integers_that_the_gradient_has_numbers_for_are_parameters():
    def loss(p):
        return float((p["w"] ** 2).sum() + (p["shift"] ** 3).sum())

    def gradient(p, factor):
        return {"w": 2 * p["w"], "shift": factor * p["shift"] ** 2}

    theta = {"w": W, "shift": np.array([1, 2])}
    assert fg.check_grad(loss, lambda p: gradient(p, 3.0), theta, backend="python")
    report = fg.check_grad(loss, lambda p: gradient(p, 2.0), theta, backend="python")
    wrong = {e.name for e in report.entries if e.verdict == "disagrees"}
    assert wrong == {"shift[0]", "shift[1]"}


def test_constants_in_nested_thetas_may_be_left_out_of_the_gradient():
    theta = {"net": {"w": W, "mask": np.array([1, 0, 1]), "kind": "relu"}, "b": 0.5}

    def loss(p):
        return float((p["net"]["w"][p["net"]["mask"] == 1] ** 2).sum() + p["b"] ** 2)

    def gradient(p):
        net = p["net"]
        return {"net": {"w": 2 * net["w"] * (net["mask"] == 1)}, "b": 2 * p["b"]}

    assert fg.check_grad(loss, gradient, theta)


def test_a_loss_that_writes_to_a_constant_writes_to_its_own_copy():
    at = np.array([0, 1])

    def loss(p):
        p["at"][0] = 1
        return float((p["w"] ** 2).sum())

    fg.check_grad(
        loss, lambda p: {"w": 2 * p["w"]}, {"w": W, "at": at}, trainable="w", backend="python"
    )
    assert at[0] == 0


def test_lists_name_their_parts_and_may_be_named_so():
    theta = [{"w": W, "kind": "relu", "at": np.array([0, 2])}, W]

    def loss(p):
        return float((p[0]["w"][p[0]["at"]] ** 2).sum() + (p[1] ** 2).sum())

    def gradient(p):
        g = np.zeros(3)
        np.add.at(g, p[0]["at"], 2 * p[0]["w"][p[0]["at"]])
        return [{"w": g}, 3 * p[1]]

    report = fg.check_grad(loss, gradient, theta)
    assert {e.name for e in report.entries} == {"theta[1][0]", "theta[1][1]", "theta[1][2]"}
    assert "Constants, passed as they are: theta[0].kind (str), theta[0].at (int64)." in str(report)
    for name in ("0.w", "theta[0].w"):
        assert fg.check_grad(loss, gradient, theta, trainable=name)
    assert not fg.check_grad(loss, gradient, theta, trainable="1")


def test_entries_of_an_array_may_have_names():
    def loss(p):
        return float(p[0] ** 2 + np.sin(p[1]) + p[2] ** 3)

    def gradient(p):
        return np.array([2 * p[0], -np.cos(p[1]), 3 * p[2] ** 2])

    theta, names = np.array([1.0, 2.0, 3.0]), ["mu", "phi", "tau"]
    report = fg.check_grad(loss, gradient, theta, names=names)
    assert [e.name for e in report.entries] == ["phi"]
    assert fg.check_grad(loss, gradient, theta, names=names, trainable=["mu", "tau"], points=2)
    for wrong in (names[:2], "phi", ["a", "a", "b"]):
        with pytest.raises(ValueError, match="names: expected"):
            fg.check_grad(loss, gradient, theta, names=wrong)
    with pytest.raises(ValueError, match="names: expected one name for each entry"):
        fg.check_grad(lambda p: p["a"] ** 2, lambda p: {"a": 2 * p["a"]}, {"a": 1.0}, names=["b"])
    with pytest.raises(ValueError, match="did you mean 'phi'"):
        fg.check_grad(loss, gradient, theta, names=names, trainable="phy")
