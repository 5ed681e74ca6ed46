"""Recipes for other people's gradients, five lines each: scikit-learn, statsmodels, boosting, SciPy."""

import numpy as np
import pytest

import fastgrad as fg

RNG = np.random.default_rng(0)
X, W = RNG.standard_normal((60, 4)), RNG.standard_normal(4)
Y = (X @ W + RNG.standard_normal(60) > 0).astype(float)
INSTALL = "pip install -e '.[test,test-extras]'"


def test_scikit_learn_linear_loss():
    pytest.importorskip("sklearn", reason=f"needs scikit-learn: {INSTALL}")
    from sklearn._loss import HalfBinomialLoss
    from sklearn.linear_model._linear_loss import LinearModelLoss

    model = LinearModelLoss(HalfBinomialLoss(), fit_intercept=True)
    coef = np.append(W, 0.3)

    def loss(coef, X, y):
        return model.loss(coef, X, y, l2_reg_strength=0.1)

    def grad(coef, X, y):
        return model.gradient(coef, X, y, l2_reg_strength=0.1)

    assert fg.check_grad(loss, grad, coef, X, Y, backend="python").verdict == "agrees"
    report = fg.check_grad(loss, lambda *given: 2 * grad(*given), coef, X, Y, backend="python")
    assert report.diagnoses[0].constants == {"factor": 2.0}


def test_scikit_learn_mlp():
    pytest.importorskip("sklearn", reason=f"needs scikit-learn: {INSTALL}")
    from sklearn.neural_network import MLPClassifier

    net = MLPClassifier((5,), activation="tanh", solver="lbfgs", max_iter=1, random_state=0)
    with pytest.warns(Warning, match="onverge"):
        net.fit(X, Y)
    net._random_state = np.random.RandomState(0)
    start = net._init_coef and np.concatenate(
        [part.ravel() for part in (*net.coefs_, *net.intercepts_)]
    )
    y = net._validate_input(X, Y, incremental=False, reset=False)[1]
    sizes = [X.shape[1], 5, 1]
    activations = [X, *(np.empty((len(X), n)) for n in sizes[1:])]
    deltas = [np.empty_like(a) for a in activations[1:]]
    coefs = [np.empty_like(c) for c in net.coefs_]
    intercepts = [np.empty_like(c) for c in net.intercepts_]

    def both(theta):
        net._unpack(theta)
        return net._backprop(X, y, None, activations, deltas, coefs, intercepts)

    def grad(theta):
        parts = both(theta)[1:]
        return np.concatenate([part.ravel() for group in parts for part in group])

    report = fg.check_grad(lambda theta: float(both(theta)[0]), grad, start, backend="python")
    assert report.verdict == "agrees", report


def test_statsmodels_score():
    sm = pytest.importorskip("statsmodels.api", reason=f"needs statsmodels: {INSTALL}")
    model = sm.Logit(Y, X)
    assert fg.check_grad(model.loglike, model.score, W, backend="python").verdict == "agrees"


def logistic(margin, y):
    return np.logaddexp(0, margin) - y * margin


def objective(margin, y):
    """What xgboost and lightgbm take: the gradient and the diagonal of the Hessian, a row each."""
    p = 1 / (1 + np.exp(-margin))
    return p - y, p * (1 - p)


class CheckedObjective:
    """An objective that is checked where boosting stands, at every round."""

    def __init__(self, factor):
        self.factor, self.reports = factor, []

    def both(self, margin, y):
        slopes, curvatures = objective(margin, y)
        return slopes, self.factor * curvatures

    def __call__(self, margin, data):
        y = data.get_label().astype(float)
        at = margin.astype(float), y
        report = fg.check_grad(lambda m, y: logistic(m, y).sum(), self.both, *at, backend="python")
        self.reports.append(report)
        return self.both(*at)

    def require_found(self):
        assert len(self.reports) == 3
        for report in self.reports:
            wrong = [block.name for block in report.blocks if block.verdict == "disagrees"]
            assert len(wrong) == (self.factor != 1)
            assert self.factor == 1 or report.diagnoses[0].constants == {"factor": 2.0}
            assert bool(report) == (self.factor == 1)


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_an_objective_of_xgboost(factor):
    xgboost = pytest.importorskip("xgboost", reason=f"needs xgboost: {INSTALL}")
    checked = CheckedObjective(factor)
    xgboost.train({"base_score": 0.0, "nthread": 1}, xgboost.DMatrix(X, Y), 3, obj=checked)
    checked.require_found()


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_an_objective_of_lightgbm(factor):
    lightgbm = pytest.importorskip("lightgbm", reason=f"needs lightgbm: {INSTALL}")
    checked = CheckedObjective(factor)
    given = {"objective": lambda *asked: checked(*asked), "verbose": -1, "num_threads": 1}
    lightgbm.train(given, lightgbm.Dataset(X, Y), 3)
    checked.require_found()


def test_a_callback_of_scipy():
    from scipy.optimize import minimize, rosen, rosen_der

    monitor = fg.Monitor(rosen, rosen_der, every=5, on_alarm="raise")
    steps = iter(range(10**6))
    minimize(rosen, np.full(6, 1.3), jac=rosen_der, callback=lambda x: monitor(next(steps), x))
    assert len(monitor.records) > 2
    wrong = fg.Monitor(rosen, lambda x: -rosen_der(x), every=5, on_alarm="record")
    assert wrong(0, np.full(6, 1.3)).alarm.kind == "gross"
