"""The last line of a report: where the loss ran, on how many threads, and how long compiling took."""

import numpy as np
import pytest
from numba import njit

import fastgrad as fg
from fastgrad.evaluate import adapters
from tests.losses import evaluator_of, rosenbrock, rosenbrock_grad, steps_of

X = np.linspace(0.5, 1.5, 6)


@pytest.mark.parametrize("wrong", [1.0, 1.01])
@pytest.mark.parametrize(
    ("options", "start"),
    [
        ({}, "- Ran compiled, on "),
        ({"strategy": "screen"}, "- Ran compiled, on "),
        ({"backend": "python"}, "- Ran in Python, on one thread"),
    ],
)
def test_every_report_ends_with_it(options, start, wrong):
    report = fg.check_grad(rosenbrock, lambda x: wrong * rosenbrock_grad(x), X, **options)
    last = str(report).rstrip().splitlines()[-1]
    assert report.ran in str(report)
    assert "compiled in" in report.ran
    assert last.startswith(start)


A = np.array([[2.0, 1.0, 0.0], [0.5, 3.0, 1.0]])


def test_so_do_those_of_layers_jacobians_and_hessians():
    def fun(x):
        return A @ x

    def half(x):
        return 0.5 * (x * x).sum()

    x = np.ones(3)
    reports = {
        "vjp": fg.check_vjp(fun, lambda c, x: A.T @ c, x),
        "jvp": fg.check_jvp(fun, lambda v, x: A @ v, x),
        "Jacobian": fg.check_jacobian(fun, lambda x: A, x),
        "Hessian": fg.check_hessian(half, lambda x: np.eye(3), x),
        "Hessian by its gradient": fg.check_hessian(half, lambda x: np.eye(3), x, grad=np.copy),
        "hvp": fg.check_hvp(half, lambda x, v: v, x),
    }
    for name, report in reports.items():
        assert report.verdict == "agrees", name
        last = str(report).rstrip().splitlines()[-1]
        assert last.startswith(("- Ran compiled, on ", "- Ran in Python, on one thread")), name
        assert "compiled in" in report.ran
    assert reports["Jacobian"].ran.startswith("Ran compiled")


def test_and_those_of_losses_with_structure():
    params = fg.models.two_layer.init(3, 4, 2)
    X, y = np.random.default_rng(0).normal(size=(8, 3)), np.arange(8) % 2
    model = fg.models.two_layer
    report = fg.check_grad(model.loss, model.grad, params, X, y)
    assert report.ran.startswith("Ran compiled, by its structure")


def test_threads_and_why_not_more():
    run = evaluator_of(rosenbrock, np.ones(50), threads=2)
    run.coordinates(*steps_of(run))
    assert run.ran == "Ran compiled, on 2 threads"
    run = evaluator_of(rosenbrock, np.ones(5), threads=1)
    run.coordinates(*steps_of(run))
    assert run.ran.startswith("Ran compiled, on one thread, ")


def test_reports_are_equal_wherever_they_ran():
    first, second = (fg.check_grad(rosenbrock, rosenbrock_grad, X) for _ in range(2))
    assert first.ran != ""
    assert first.remarks == second.remarks


def test_long_compilations_are_spoken_of(monkeypatch, capsys):
    monkeypatch.setattr(adapters, "PATIENCE_SECONDS", 0.0)

    @njit
    def slowly_compiled(x):
        return np.linalg.norm(np.sort(x)) + np.median(x)

    fg.grad(slowly_compiled)(X)
    assert "numba is still compiling slowly_compiled" in capsys.readouterr().err
    monkeypatch.setattr(adapters, "PATIENCE_SECONDS", 100.0)
    fg.grad(slowly_compiled)(X.astype(np.float32))
    assert capsys.readouterr().err == ""
