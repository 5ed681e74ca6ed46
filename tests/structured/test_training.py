"""Training by numerical gradients alone reaches what backprop reaches."""

import pytest

import fastgrad as fg
from fastgrad.commands.demos import descent, optimisers, training
from fastgrad.models import two_layer

EPOCHS = 12


@pytest.mark.parametrize("name", optimisers.OPTIMISERS)
def test_it_reaches_the_accuracy_of_backprop(name):
    optimiser = optimisers.OPTIMISERS[name]
    got = descent.train(fg.grad(two_layer.loss), optimiser, epochs=EPOCHS)
    expected = descent.train(two_layer.grad, optimiser, epochs=EPOCHS)
    assert descent.accuracy(expected) > 0.8
    assert abs(descent.accuracy(got) - descent.accuracy(expected)) <= 0.02


@pytest.mark.slow
def test_the_demo_tells_the_accuracy_and_the_time(monkeypatch):
    monkeypatch.setattr(training, "EPOCHS", 1)
    said = []
    training.run(said.append)
    text = "\n".join(said)
    assert all(name in text for name in optimisers.OPTIMISERS)
    assert text.count("% in ") == 12
