""" "Is this not missing a minus sign?" was asked of (m - x) / sd^2, a normal log density's slope."""

import numpy as np

SOURCE = "beast-dev/beast-mcmc#1064, 2019-07-10"
REASON = "a convention misread"

M, SD = 0.7, 1.3
theta = np.array([-1.0, 0.2, 2.5])


def loss(x):
    return float((-((x - M) ** 2) / (2 * SD**2) - np.log(SD)).sum())


def right(x):
    return (M - x) / SD**2
