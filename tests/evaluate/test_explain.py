"""What a person is told whose loss numba does not compile."""

import functools
import importlib.util
import itertools

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.errors import LossCompilationError
from fastgrad.evaluate.explain import REASON_LINES

LOSSES = {
    "a function numba does not have": """
def loss(x):
    y = x * 2.0
    return np.nanquantile_of_everything(y)  # here
""",
    "a name that is not defined": """
def loss(x):
    total = 0.0
    return total + undefined_thing  # here
""",
    "types that do not go together": """
def loss(x):
    name = "abc"
    y = x * 2.0
    return (y + name).sum()  # here
""",
    "a plain helper": """
def helper(x):
    return x

def loss(x):
    y = x + 1.0
    return helper(y).sum()  # here
""",
    "a wrong call": """
def loss(x):
    y = x + 1.0

    return np.linalg.norm(y, "fro", 3, 4)  # here
""",
    "an index of a string": """
def loss(x):
    return x["W"].sum()  # here
""",
    "an error in an njit function it calls": """
from numba import njit

@njit
def inner(x):
    return x["W"]

@njit
def loss(x):
    y = x + 1.0
    return inner(y)  # here
""",
    "syntax numba does not have": """
def loss(x):
    y = x + 1.0
    import os  # here
    return y.sum()
""",
    "a Python object": """
class Model:
    w = 1.0

model = Model()

def loss(x):
    y = 2.0 * x
    return (y * model.w).sum()  # here
""",
}

count = itertools.count()


def loss_in_a_file(text, folder):
    path = folder / f"losses_{next(count)}.py"
    path.write_text("import numpy as np\n" + text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    line = 1 + path.read_text().split("# here")[0].count("\n")
    return module.loss, path, line


@pytest.mark.parametrize("kind", LOSSES)
def test_the_users_line_and_numbas_reason(kind, tmp_path):
    loss, path, line = loss_in_a_file(LOSSES[kind], tmp_path)
    with pytest.raises(LossCompilationError) as info:
        fg.grad(loss, backend="compiled")(np.ones(3))
    message = str(info.value)
    assert f"the loss loss ({path}, line {line})" in message
    assert 'backend="python"' in message
    reason = message.split("numba's reason:\n")[1].splitlines()[:-1]
    assert 1 <= len(reason) <= REASON_LINES
    assert all(text.strip() for text in reason)
    assert "\x1b" not in message
    assert info.value.__suppress_context__
    assert info.value.__context__ is not None


def test_the_line_is_found_from_another_folder(tmp_path, monkeypatch):
    """numba writes paths relative to the working folder."""
    loss, _, line = loss_in_a_file(LOSSES["types that do not go together"], tmp_path)
    for folder in (tmp_path, tmp_path.parent):
        monkeypatch.chdir(folder)
        with pytest.raises(LossCompilationError, match=f"line {line}"):
            fg.grad(loss, backend="compiled")(np.ones(3))


def test_helpers_that_are_not_compiled_are_what_the_advice_is_about(tmp_path):
    loss, _, _ = loss_in_a_file(LOSSES["a plain helper"], tmp_path)
    with pytest.raises(LossCompilationError, match="Decorate the functions it calls with @numba"):
        fg.grad(loss, backend="compiled")(np.ones(3))


class Model:
    def loss(self, x):
        return (x * x).sum()

    def __call__(self, x):
        return (x * x).sum()


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (Model().loss, "bound method"),
        (Model(), "an object of type Model"),
        (functools.partial(Model.loss, None), "functools.partial"),
        (Model, "an object of type type"),
    ],
)
def test_callables_that_are_no_functions(loss, words):
    with pytest.raises(LossCompilationError, match=f'{words}.*backend="python"'):
        fg.grad(loss, backend="compiled")(np.ones(3))
    if loss is not Model:
        np.testing.assert_allclose(fg.grad(loss, backend="python")(np.ones(3)), 2, rtol=1e-9)


def test_numpys_and_pythons_own_functions_are_losses_too():
    import math

    assert fg.grad(np.sin)(1.0) == pytest.approx(math.cos(1), rel=1e-9)
    assert fg.grad(math.sin)(1.0) == pytest.approx(math.cos(1), rel=1e-9)
    assert fg.grad(np.hypot, argnum=1)(3.0, 4.0) == pytest.approx(0.8, rel=1e-9)


def test_jit_switched_off(monkeypatch):
    import numba

    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    with pytest.raises(LossCompilationError, match="NUMBA_DISABLE_JIT=1"):
        fg.grad(lambda x: x**2, backend="compiled")(1.0)


def test_warnings_as_errors_stay_warnings():
    """As pytest users have them: numba's word on a slow product is theirs to hear, not ours."""
    from numba import njit
    from numba.core.errors import NumbaPerformanceWarning

    @njit
    def loss(x, A):
        return (A[:, ::2] @ x).sum()

    with pytest.raises(NumbaPerformanceWarning):
        fg.grad(loss)(np.ones(2), np.ones((3, 4)))
