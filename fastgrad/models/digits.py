"""The handwritten digits that the examples are trained on.

E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits* (1998), UCI Machine Learning
Repository, https://doi.org/10.24432/C50P49, licence CC BY 4.0; ``data/README.md`` says more.
"""

from importlib import resources

import numpy as np
from numpy.typing import NDArray


def digits() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Images of 8 x 8 pixels and the digits they show.

    Returns
    -------
    X : ndarray, shape (1797, 64)
        Grey levels from 0 to 1, in steps of 1/16, row by row of the image.
    y : ndarray of int64, shape (1797,)
        Labels 0 to 9.

    Examples
    --------
    >>> from fastgrad import models
    >>> X, y = models.digits()
    >>> X.shape, y[:10].tolist()
    ((1797, 64), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    bundled = resources.files("fastgrad.models") / "data" / "digits.npz"
    with bundled.open("rb") as file, np.load(file) as data:
        return data["X"] / 16.0, data["y"].astype(np.int64)
