"""s (1 - s) of a variable called x, which has been through the sigmoid before."""

import numpy as np

SOURCE = "PacktPublishing/Neural-Network-Projects-with-Python#4, 2020-02-16"
REASON = "a convention misread"

X = np.array([[0.0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
y = np.array([[0.0], [1], [1], [0]])
rng = np.random.default_rng(22)
theta = {"W1": rng.uniform(size=(3, 4)), "W2": rng.uniform(size=(4, 1))}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def loss(p):
    return float(((y - sigmoid(sigmoid(X @ p["W1"]) @ p["W2"])) ** 2).sum())


def right(p):
    layer = sigmoid(X @ p["W1"])
    out = sigmoid(layer @ p["W2"])
    delta = -2 * (y - out) * out * (1 - out)
    return {"W1": X.T @ (delta @ p["W2"].T * layer * (1 - layer)), "W2": layer.T @ delta}
