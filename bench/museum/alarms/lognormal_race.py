"""A race with lognormal drift: the code has minus signs where the paper has plus, and is right."""

import numpy as np
from scipy.stats import norm

SOURCE = "rtdists/rtdists#8, 2017-11-17"
REASON = "a convention misread"


B, A, MEAN, SD = 2.0, 0.8, 0.4, 0.6
theta = np.array([0.7, 1.1, 1.9])


def loss(t):
    high, low = (np.log(B / t) - MEAN) / SD, (np.log((B - A) / t) - MEAN) / SD
    shifted = norm.cdf(high - SD) - norm.cdf(low - SD)
    return float((shifted / (norm.cdf(high) - norm.cdf(low))).sum())


def right(t):
    high, low = (np.log(B / t) - MEAN) / SD, (np.log((B - A) / t) - MEAN) / SD
    u, v = norm.cdf(high - SD) - norm.cdf(low - SD), norm.cdf(high) - norm.cdf(low)
    du = -(norm.pdf(high - SD) - norm.pdf(low - SD)) / (SD * t)
    dv = -(norm.pdf(high) - norm.pdf(low)) / (SD * t)
    return (du * v - dv * u) / v**2
