"""Norms of any size and number of entries, beside sums in long doubles."""

import numpy as np
import pytest

from fastgrad.numerics.norms import FEW_ENTRIES, norm


@pytest.mark.parametrize("count", [1, FEW_ENTRIES, FEW_ENTRIES + 1, 3 * FEW_ENTRIES + 7])
@pytest.mark.parametrize("size", [1e-200, 1e-3, 1.0, 1e200])
def test_norms_of_any_size(count, size):
    x = np.random.default_rng(count).normal(size=count)
    exact = float(np.sqrt(np.sum(np.square(x, dtype=np.longdouble))))
    assert norm(size * x) == pytest.approx(size * exact, rel=1e-14)
    assert norm(np.repeat(size * x, 2)[::2]) == pytest.approx(size * exact, rel=1e-14)


def test_the_norm_of_a_large_vector_is_the_same_at_every_call():
    """BLAS adds in any order where it starts threads."""
    x = np.random.default_rng(0).normal(size=200_000)
    assert len({norm(x) for _ in range(20)}) == 1


@pytest.mark.parametrize("count", [3, 10_000])
@pytest.mark.parametrize("odd", [np.inf, np.nan])
def test_what_is_not_finite_has_no_finite_norm_and_no_warning(count, odd):
    x = np.full(count, 1e200)
    x[1] = odd
    assert not np.isfinite(norm(x))
    assert norm(np.zeros(count)) == 0.0
