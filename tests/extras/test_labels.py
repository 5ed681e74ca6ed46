"""Series, tables and arrays with labels as theta: entries are called by them, gradients matched."""

import pytest

import fastgrad as fg

pandas = pytest.importorskip("pandas")
xarray = pytest.importorskip("xarray")


def test_series_and_tables_reach_the_loss_with_their_labels():
    theta = pandas.Series({"age": 1.0, "bmi": 2.0, "sex": 0.5})

    def loss(s):
        return float(s["age"] ** 2 * s["bmi"] + s["sex"])

    def gradient(s):
        return pandas.Series({"sex": 1.0, "bmi": s["age"] ** 2, "age": 2 * s["age"] * s["bmi"]})

    assert fg.check_grad(loss, gradient, theta, backend="python")
    report = fg.check_grad(loss, lambda s: -gradient(s), theta, backend="python")
    assert {entry.name for entry in report.entries} == {
        'theta["age"]', 'theta["bmi"]', 'theta["sex"]',
    }  # fmt: skip
    with pytest.raises(fg.errors.StructureMismatchError, match="'bmi' is in one of the two alone"):
        fg.check_grad(loss, lambda s: gradient(s).drop("bmi"), theta, backend="python")
    table = pandas.DataFrame([[1.0, 2.0], [3.0, 4.0]], index=["a", "b"], columns=["x", "y"])
    report = fg.check_grad(
        lambda t: float((t["x"] ** 2 * t["y"]).sum()),
        lambda t: pandas.DataFrame({"y": t["x"] ** 2, "x": 3 * t["x"] * t["y"]}),
        table,
        backend="python",
    )
    assert {e.name for e in report.entries} == {'theta["a", "x"]', 'theta["b", "x"]'}


def test_arrays_of_xarray_keep_their_dimensions():
    theta = xarray.DataArray([[1.0, 2.0], [3.0, 4.0]], {"site": ["a", "b"]}, ("site", "year"))

    def loss(t):
        return float((t.sel(site="a") ** 2 * t.sel(site="b")).sum())

    def gradient(t):
        a, b = (t.sel(site=name, drop=True) for name in "ab")
        return xarray.concat([a**2, 2 * a * b], "site").assign_coords(site=["b", "a"])

    assert fg.check_grad(loss, gradient, theta, backend="python")
    report = fg.check_grad(loss, lambda t: 2 * gradient(t), theta, backend="python")
    assert report.entries[0].name.startswith('theta["')
