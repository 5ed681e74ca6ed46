"""Numba losses of all forms: right numbers on any number of threads, and every planted error found."""

import threading

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.parameters.layout import flatten
from tests.evaluate.zoo import KINDS, ZOO, P, gradient
from tests.losses import evaluator_of, steps_of

QUICK_FORMS = {"list_of_rows", "of_a_callback", "by_generator", "with_options"}


def cases():
    seen = set()
    for form, kind in ZOO:
        name = form.__name__
        quick = name in QUICK_FORMS and name not in seen
        seen.add(name)
        yield pytest.param(form, kind, id=f"{name}-{kind}", marks=() if quick else pytest.mark.slow)


def structured(like, flat):
    return flatten(like)[0].rebuild(flat)


def flat(values):
    return flatten(values)[1]


@pytest.mark.filterwarnings("ignore::numba.NumbaPerformanceWarning")
@pytest.mark.parametrize(("form", "kind"), list(cases()))
def test_right_on_any_number_of_threads_and_every_planted_error_found(form, kind):
    animal = form(KINDS[kind][0])
    theta, arguments = animal.theta(P.copy()), animal.arguments()
    order = flat(animal.theta(np.arange(P.size) * 1.0)).astype(int)
    expected = gradient(kind, P)[order]

    g = fg.grad(animal.loss)
    first = flat(g(theta, *arguments))
    np.testing.assert_allclose(first, expected, rtol=1e-6, atol=1e-6)
    for _ in range(50):
        np.testing.assert_array_equal(flat(g(theta, *arguments)), first)

    runs = [evaluator_of(animal.loss, theta, *arguments, threads=t) for t in (1, 2, 4)]
    values = [run.coordinates(*steps_of(run)) for run in runs]
    np.testing.assert_array_equal(values[0], values[1])
    np.testing.assert_array_equal(values[0], values[2])

    together = []
    workers = [
        threading.Thread(target=lambda: together.extend(g(theta, *arguments) for _ in range(5)))
        for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(together) == 20
    for got in together:
        np.testing.assert_array_equal(flat(got), first)

    claimed = structured(theta, expected)
    assert fg.check_grad(animal.loss, claimed, theta, *arguments).verdict == "agrees"
    largest = int(np.argmax(np.abs(expected)))
    for wrong in (lambda a: -a, lambda a: 1.01 * a, lambda a: 0.0 * a):
        planted = expected.copy()
        planted[largest] = wrong(planted[largest])
        report = fg.check_grad(animal.loss, structured(theta, planted), theta, *arguments)
        assert report.verdict == "disagrees"
        assert report.entries[0].name == flatten(theta)[0].name(largest)


def test_there_are_a_hundred_and_twenty():
    assert len(ZOO) >= 120
