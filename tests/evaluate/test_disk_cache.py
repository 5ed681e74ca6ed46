"""Files of numba's cache that were cut off: compiled afresh, with one warning, and whole after that."""

import importlib.util
import warnings

import numpy as np
import pytest

import fastgrad as fg

SOURCE = """
from numba import njit

@njit(cache=True)
def cubes(x):
    return (x * x * x).sum()
"""


def loss_from(path):
    """The function of a file, as a process that has just begun finds it."""
    spec = importlib.util.spec_from_file_location("of_a_user", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.cubes


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
@pytest.mark.parametrize("left", [0, 40])
def test_a_file_that_was_cut_off_is_compiled_afresh_and_named(tmp_path, monkeypatch, kind, left):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    path = tmp_path / "of_a_user.py"
    path.write_text(SOURCE)
    x = np.array([1.0, 2.0])
    np.testing.assert_allclose(fg.grad(loss_from(path))(x), 3 * x**2, rtol=1e-8)
    files = sorted(tmp_path.rglob(f"*.{kind}"))
    assert files
    for file in files:
        file.write_bytes(file.read_bytes()[:left])
    with pytest.warns(
        RuntimeWarning, match=r"cubes cannot be read .*of_a_user.*nbi is written anew"
    ):
        got = fg.grad(loss_from(path))(x)
    np.testing.assert_allclose(got, 3 * x**2, rtol=1e-8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(fg.grad(loss_from(path))(x), 3 * x**2, rtol=1e-8)
