"""Compiled code where numba takes the loss, else Python, and saying so."""

import functools
import warnings

import numpy as np
import pytest
from numba import njit

import fastgrad as fg
from fastgrad.errors import LossCompilationError, PythonBackendWarning


def helper(x):
    return (x * x).sum()


class Model:
    def loss(self, x):
        return helper(x)


def refused():
    """A loss that numba cannot compile, made afresh: warnings come once a loss."""
    return lambda x: helper(x)


LOSSES = {
    "a plain helper": (refused(), "Cannot determine Numba type of <class 'function'>"),
    "an njit loss": (njit(refused()), "Cannot determine Numba type of <class 'function'>"),
    "a bound method": (Model().loss, "a bound method"),
    "a partial": (functools.partial(Model.loss, None), "a functools.partial"),
    "fixed signatures": (njit("f4(f4[::1])")(lambda x: x.sum()), "fixed signatures"),
}


@pytest.mark.parametrize("name", LOSSES)
def test_what_numba_cannot_compile_runs_in_python_and_the_report_says_why(name):
    loss, reason = LOSSES[name]
    gradient = np.ones_like if name == "fixed signatures" else (lambda x: 2 * x)
    report = fg.check_grad(loss, gradient, np.ones(3))
    assert report
    said = [remark for remark in report.remarks if "called from Python" in remark]
    (remark,) = said
    assert reason in remark
    assert "\n" not in remark
    with pytest.raises(LossCompilationError, match=r'backend="python"|leave the signature out'):
        fg.grad(loss, backend="compiled")(np.ones(3))


def test_grad_says_it_once_a_loss():
    loss = refused()
    for options in ({}, {"order": 4}):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            np.testing.assert_allclose(fg.grad(loss, **options)(np.ones(3)), 2, rtol=1e-9)
        assert [w.category for w in said] == ([] if options else [PythonBackendWarning])
        assert all(w.filename == __file__ for w in said)


def test_a_bound_method_is_one_loss_however_often_it_is_asked_for():
    model = Model()
    with pytest.warns(PythonBackendWarning, match="a bound method"):
        fg.grad(model.loss)(np.ones(2))
    fg.grad(model.loss)(np.ones(2))


def test_python_that_was_asked_for_is_no_remark():
    report = fg.check_grad(refused(), lambda x: 2 * x, np.ones(3), backend="python")
    assert not any("Python" in remark for remark in report.remarks)
