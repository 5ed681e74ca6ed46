from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numba import njit

from fastgrad.models import dropout, two_layer

KEEP = 0.6
X = np.random.default_rng(3).normal(size=(12, 5))
Y = np.arange(12) % 3
PARAMS = dropout.init(5, 4, 3)


def test_mask_keeps_the_given_share_of_every_unit():
    m = 20_000
    mask = dropout.mask(m, 4, KEEP, 0)
    assert mask.shape == (m, 4)
    assert mask.dtype == np.bool_
    five_sigma = 5 * np.sqrt(KEEP * (1 - KEEP) / m)
    np.testing.assert_allclose(mask.mean(axis=0), KEEP, atol=five_sigma)


def test_scaling_keeps_the_hidden_layer_right_on_average():
    masks = dropout.mask(20_000, 4, KEEP, 1)
    A1 = 1 / (1 + np.exp(-(X[0] @ PARAMS.W1 + PARAMS.b1)))
    got = np.mean(A1 * masks / KEEP, axis=0)
    np.testing.assert_allclose(got, A1, rtol=5 * np.sqrt((1 - KEEP) / KEEP / 20_000))


def test_mask_depends_on_the_seed_alone():
    first = dropout.mask(12, 4, KEEP, 5)
    dropout.mask(12, 4, KEEP, 6)
    np.testing.assert_array_equal(dropout.mask(12, 4, KEEP, 5), first)
    assert not np.array_equal(dropout.mask(12, 4, KEEP, 6), first)


def test_numpys_own_generator_is_left_alone():
    before = np.random.get_state()[1].copy()
    dropout.mask(12, 4, KEEP, 5)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_keeping_every_unit_is_the_plain_net():
    everything = np.ones((12, 4), dtype=np.bool_)
    expected = pytest.approx(two_layer.loss(PARAMS, X, Y, 0.3, 0.2), rel=1e-14)
    assert dropout.loss(PARAMS, X, Y, everything, 1.0, 0.3, 0.2) == expected
    assert dropout.seeded_loss(PARAMS, X, Y, 9, 1.0, 0.3, 0.2) == expected


def test_a_dropped_unit_has_no_gradient():
    mask = np.ones((12, 4), dtype=np.bool_)
    mask[:, 2] = False
    got = dropout.grad(PARAMS, X, Y, mask, KEEP, 0.0, 0.0)
    assert np.all(got.W1[:, 2] == 0.0)
    assert np.all(got.W2[2] == 0.0)
    assert np.all(got.W1[:, 1] != 0.0)


def test_seeded_form_is_the_form_with_the_mask_of_that_seed():
    mask = dropout.mask(12, 4, KEEP, 11)
    got = dropout.seeded_loss(PARAMS, X, Y, 11, KEEP, 0.3, 0.2)
    assert got == dropout.loss(PARAMS, X, Y, mask, KEEP, 0.3, 0.2)
    got = dropout.seeded_grad(PARAMS, X, Y, 11, KEEP, 0.3, 0.2)
    expected = dropout.grad(PARAMS, X, Y, mask, KEEP, 0.3, 0.2)
    for block, expected_block in zip(got, expected, strict=True):
        np.testing.assert_array_equal(block, expected_block)


@njit(nogil=True)
def losses_of_seeds(params, X, y, seeds, keep):
    losses = np.empty(seeds.size)
    for i in range(seeds.size):
        losses[i] = dropout.seeded_loss(params, X, y, seeds[i], keep, 0.0, 0.0)
    return losses


def test_seeded_form_is_the_same_in_two_threads_at_once():
    seeds = np.arange(2000) % 7
    expected = losses_of_seeds(PARAMS, X, Y, seeds, KEEP)
    assert np.unique(expected).size == 7

    def shifted(first):
        return losses_of_seeds(PARAMS, X, Y, np.roll(seeds, -first), KEEP)

    with ThreadPoolExecutor(2) as threads:
        for first, got in enumerate(threads.map(shifted, range(4))):
            np.testing.assert_array_equal(got, np.roll(expected, -first))
