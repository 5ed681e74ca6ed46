"""x . y of 200 float32 numbers: no step is right for it, said a table of thirteen."""

import numpy as np

SOURCE = "PaddlePaddle/Paddle#4283, 2017-09-21"
REASON = "float32"

f4 = np.float32
rng = np.random.default_rng(2)
y = rng.uniform(size=200).astype(f4)
theta = rng.uniform(size=200).astype(f4)


def loss(x):
    return float(np.dot(x.astype(f4), y))


def right(x):
    return y
