import numpy as np

from fastgrad.models import digits, logistic, softmax


def test_shapes_and_range():
    X, y = digits()
    assert X.shape == (1797, 64)
    assert X.dtype == np.float64
    assert X.flags.c_contiguous
    assert (X.min(), X.max()) == (0.0, 1.0)
    np.testing.assert_array_equal(X * 16, np.round(X * 16))
    assert y.shape == (1797,)
    assert y.dtype == np.int64


def test_class_counts():
    _, y = digits()
    expected = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(y).tolist() == expected


def test_the_first_sample_is_a_zero():
    X, y = digits()
    assert y[0] == 0
    expected = [
        [0, 0, 5, 13, 9, 1, 0, 0],
        [0, 0, 13, 15, 10, 15, 5, 0],
        [0, 3, 15, 2, 0, 11, 8, 0],
        [0, 4, 12, 0, 0, 8, 8, 0],
        [0, 5, 8, 0, 0, 9, 8, 0],
        [0, 4, 11, 0, 1, 12, 7, 0],
        [0, 2, 14, 5, 10, 12, 0, 0],
        [0, 0, 6, 13, 10, 0, 0, 0],
    ]
    np.testing.assert_array_equal(16 * X[0].reshape(8, 8), expected)


def test_arrays_are_fresh():
    X, y = digits()
    X[:], y[:] = -1.0, -1
    X, y = digits()
    assert X.min() == 0.0
    assert y.min() == 0


def descended(model, params, X, y, rate, steps):
    for _ in range(steps):
        gradient = model.grad(params, X, y, 1e-4, 0.0)
        params = type(params)(*(p - rate * g for p, g in zip(params, gradient, strict=True)))
    return params


def test_softmax_regression_learns_the_digits():
    X, y = digits()
    start = softmax.init(64, 10)
    params = descended(softmax, start, X, y, rate=0.5, steps=60)

    def accuracy(params):
        return np.mean(np.argmax(X @ params.W + params.b, axis=1) == y)

    assert accuracy(start) < 0.3
    assert accuracy(params) > 0.85


def test_logistic_regression_learns_to_tell_odd_from_even():
    X, digit = digits()
    y = digit % 2
    start = logistic.init(64)
    params = descended(logistic, start, X, y, rate=0.5, steps=100)

    def accuracy(params):
        return np.mean((X @ params.w + params.b > 0) == (y == 1))

    assert accuracy(start) < 0.7
    assert accuracy(params) > 0.8
