"""Patterns and colourings against their definitions."""

import numpy as np
import pytest
from numba import njit
from scipy import sparse

import fastgrad as fg
from fastgrad.evaluate.backends import evaluator
from fastgrad.evaluate.protocol import Inputs
from fastgrad.parameters.layout import flatten
from fastgrad.structured import Separable
from fastgrad.structured.sparsity import Pattern, detect
from tests.structured.nets import chain_pattern, chain_terms, edge_terms, random_graph


def random_pattern(seed, terms=40, n=25, density=0.08):
    rng = np.random.default_rng(seed)
    return rng.random((terms, n)) < density


@pytest.mark.parametrize("seed", range(5))
def test_entries_of_a_colour_share_no_term(seed):
    dense = random_pattern(seed)
    colours = Pattern(sparse.csr_array(dense)).colours
    for colour in np.unique(colours):
        assert dense[:, colours == colour].sum(axis=1).max() <= 1


@pytest.mark.parametrize("seed", range(5))
def test_a_pattern_is_detected(seed):
    expected = random_pattern(seed)
    weights = np.random.default_rng(seed).normal(size=expected.shape) * expected

    def terms(x):
        return np.tanh(weights @ x)

    got = detect(terms, np.random.default_rng(1).normal(size=25))
    np.testing.assert_array_equal(got.matrix.toarray() != 0, expected)


@njit
def flat_at_zero(x):
    return x[1:] * x[:-1]


def test_products_with_zeros_are_detected():
    got = detect(flat_at_zero, np.zeros(9))
    np.testing.assert_array_equal(got.matrix.toarray(), chain_pattern(9).toarray())


def test_a_chain_takes_few_evaluations():
    calls = 0

    def terms(x):
        nonlocal calls
        calls += 1
        return chain_terms(x)

    n = 5000
    got = detect(terms, np.ones(n))
    assert calls < 15 * np.log2(n)
    assert (got.matrix != chain_pattern(n)).nnz == 0


def test_a_chain_is_differentiated_by_six_evaluations_whatever_its_length():
    n = 20_000
    x = np.random.default_rng(0).normal(size=n)
    structured = Separable(chain_terms, chain_pattern(n))
    layout, flat = flatten(x)
    run = evaluator(structured, Inputs(layout, flat))
    run.coordinates(np.arange(n), np.full((n, 2), 2.0**-17) * [1, -1])
    assert run.evaluations <= 6


def test_another_graph_among_the_arguments_is_another_pattern():
    x, edges, weights = random_graph(0)
    gradient = fg.grad(Separable(edge_terms, "detect"))
    for graph in (edges, random_graph(1)[1]):
        plain = fg.grad(Separable(edge_terms, "detect"), structure=False)(x, graph, weights)
        np.testing.assert_allclose(gradient(x, graph, weights), plain, atol=1e-8)
