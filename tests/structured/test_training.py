"""Training by numerical gradients alone reaches what backprop reaches."""

import pytest

import fastgrad as fg
from fastgrad.commands import demo_training
from fastgrad.models import two_layer

EPOCHS = 12


@pytest.mark.parametrize("name", demo_training.OPTIMISERS)
def test_it_reaches_the_accuracy_of_backprop(name):
    optimiser = demo_training.OPTIMISERS[name]
    got = demo_training.train(fg.grad(two_layer.loss), optimiser, epochs=EPOCHS)
    expected = demo_training.train(two_layer.grad, optimiser, epochs=EPOCHS)
    assert demo_training.accuracy(expected) > 0.8
    assert abs(demo_training.accuracy(got) - demo_training.accuracy(expected)) <= 0.02


def test_the_demo_tells_the_accuracy_and_the_time(monkeypatch):
    monkeypatch.setattr(demo_training, "EPOCHS", 1)
    said = []
    demo_training.run_training(said.append)
    text = "\n".join(said)
    assert all(name in text for name in demo_training.OPTIMISERS)
    assert text.count("% in ") == 6
