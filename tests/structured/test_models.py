"""The reference models use their structures without being asked."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import models
from fastgrad.parameters.layout import flatten

X, Y = models.digits()
X, Y = X[:40], Y[:40]
CASES = [
    (models.linear, models.linear.init(64), Y.astype(float)),
    (models.logistic, models.logistic.init(64), Y % 2),
    (models.svm, models.svm.init(64), 2 * (Y % 2) - 1),
    (models.softmax, models.softmax.init(64, 10), Y),
    (models.two_layer, models.two_layer.init(64, 8, 10), Y),
    (models.deep, models.deep.init((64, 7, 6, 10)), Y),
    (models.deep, models.deep.init((64, 10)), Y),
]
IDS = [f"{module.__name__.rpartition('.')[2]} {len(theta)}" for module, theta, _ in CASES]


@pytest.mark.slow
@pytest.mark.parametrize("l2", [0.0, 0.01])
@pytest.mark.parametrize(("module", "theta", "y"), CASES, ids=IDS)
def test_the_structure_is_more_accurate_than_the_sweep(module, theta, y, l2):
    expected = flatten(module.grad(theta, X, y, l2))[1]
    plain = flatten(fg.grad(module.loss, structure=False)(theta, X, y, l2))[1]
    error = np.sqrt(np.mean((plain - expected) ** 2))
    structures = [module.loss, module.layered]
    if hasattr(module, "incremental"):
        structures.append(module.incremental)
    for loss in structures:
        got = flatten(fg.grad(loss)(theta, X, y, l2))[1]
        assert np.sqrt(np.mean((got - expected) ** 2)) < 0.2 * error


@pytest.mark.slow
@pytest.mark.parametrize("scale", [255, 1 / 255])
@pytest.mark.parametrize(("module", "theta", "y"), CASES, ids=IDS)
def test_layers_of_unnormalised_inputs_are_as_accurate(module, theta, y, scale):
    expected = flatten(module.grad(theta, scale * X, y))[1]
    plain, got = (
        flatten(fg.grad(module.layered, structure=structure)(theta, scale * X, y))[1]
        for structure in (False, True)
    )
    assert np.linalg.norm(got - expected) < np.linalg.norm(plain - expected)


@pytest.mark.slow
def test_inputs_of_any_size_are_differenced_at_their_own_step():
    theta, y = models.linear.init(64), Y.astype(float)
    for scale in (1e-6, 1.0, 1e4, 1e8):
        expected = flatten(models.linear.grad(theta, scale * X, y))[1]
        got = flatten(fg.grad(models.linear.layered)(theta, scale * X, y))[1]
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-10 * np.abs(expected).max())


@pytest.mark.parametrize(("module", "theta", "y"), CASES, ids=IDS)
def test_the_report_says_so(module, theta, y):
    report = fg.check_grad(module.loss, module.grad, theta, X, y, 0.01, strategy="sweep")
    assert report
    assert any("layered structure" in remark for remark in report.remarks)
    report = fg.check_grad(
        module.loss, module.grad, theta, X, y, 0.01, strategy="sweep", structure=False
    )
    assert report
    assert not any("structure" in remark for remark in report.remarks)


@pytest.mark.slow
@pytest.mark.parametrize("loss", [models.two_layer.incremental, models.two_layer.layered])
def test_a_wrong_entry_is_found(loss):
    _, theta, y = CASES[4]

    def wrong(theta, X, y):
        gradient = models.two_layer.grad(theta, X, y)
        gradient.W1[20, 3] += 1e-8
        return gradient

    report = fg.check_grad(loss, wrong, theta, X, y, rtol=1e-7, strategy="sweep")
    assert report.entries[0].name == "W1[20, 3]"
    assert report.verdict == "disagrees"


def test_a_kink_of_the_hinge_keeps_its_subgradients():
    w = np.zeros(64)
    w[0] = 1.0
    theta = models.svm.Parameters(w=w, b=0.0)
    features = np.zeros((4, 64))
    features[:, 0] = [1.0, -1.0, 0.5, 2.0]  # the first two lie on their margin
    features[:, 5] = [0.3, -0.2, 0.1, 0.4]
    y = np.array([1, -1, 1, 1])
    for structure in (True, False):
        report = fg.check_grad(
            models.svm.loss,
            models.svm.grad,
            theta,
            features,
            y,
            strategy="sweep",
            structure=structure,
        )
        assert report, report
        assert report.counts["kink: valid subgradient"] == 2
