"""Planted faults: a structure that is not the loss's own is refused, by name of the entry."""

import numpy as np
import pytest
from numba import njit

import fastgrad as fg
from fastgrad.errors import LossError, MutatedInputError, StructureError
from fastgrad.structured import Incremental, Layered, Separable
from tests.structured import nets
from tests.structured.nets import (
    chain_pattern,
    chain_terms,
    deltas,
    half_square,
    layered_net,
    net_data,
    net_theta,
    prepare_net,
    squared_errors,
    tanh,
    tanh_net,
)


@njit
def wrong_sign(p, state, j, h, work, X, y, l2=0.0):
    return -nets.delta_b(p, state, j, h, work, X, y, l2)


@njit
def without_l2(p, state, index, h, work, X, y, l2=0.0):
    return nets.delta_W(p, state, index, h, work, X, y, 0.0)


@njit
def wrong_at_one_entry(p, state, index, h, work, X, y, l2=0.0):
    value = nets.delta_W(p, state, index, h, work, X, y, l2)
    return 1.001 * value if index == (1, 2) else value


@njit
def transposed(p, state, index, h, work, X, y, l2=0.0):
    i, j = index
    return nets.delta_W(p, state, (j, i), h, work, X, y, l2)


def net_with(**wrong):
    return Incremental(tanh_net, prepare_net, {**deltas(), **wrong}, work=lambda p, X, *_: len(X))


@njit
def tied(p, X, y, l2=0.0):
    """W enters through its layer, and once more."""
    out = np.tanh(X @ p.W + p.b) @ p.v + p.c + p.W[0, 0] * p.W[1, 1]
    return ((out - y) ** 2).mean()


@njit
def batch_normalised(p, X, y, l2=0.0):
    Z = X @ p.W + p.b
    out = np.tanh(Z - Z.sum() / Z.size) @ p.v + p.c
    return ((out - y) ** 2).mean()


@njit
def doubled(p, X, y, l2=0.0):
    return 2 * tanh_net(p, X, y, l2)


def without(pattern, row, column):
    pattern = pattern.tolil()
    pattern[row, column] = 0
    return pattern.tocsc()


X, y = net_data()
THETA = net_theta()
x = np.random.default_rng(1).normal(size=300)

FAULTS = {
    "the wrong sign": (net_with(b=wrong_sign), THETA, (X, y), "turned round"),
    "a term left out": (net_with(W=without_l2), THETA, (X, y, 0.1), "0.1 times theta"),
    "one wrong entry": (net_with(W=wrong_at_one_entry), THETA, (X, y), r"W\[1, 2\]"),
    "a factor": (Incremental(doubled, prepare_net, deltas(), work=9), THETA, (X, y), "0.5 times"),
    "no penalty": (layered_net(), THETA, (X, y, 0.1), "0.1 times theta"),
    "a sum for a mean": (layered_net(reduction="sum"), THETA, (X, y), "9 times too large"),
    "a layer that is not": (layered_net(tied), THETA, (X, y), r"W also enters elsewhere"),
    "samples that mix": (layered_net(batch_normalised), THETA, (X, y), "W|b"),
    "another activation": (layered_net(activation=nets.relu), THETA, (X, y), "activations"),
    "a missing place": (
        Separable(chain_terms, without(chain_pattern(300), 140, 141)),
        x,
        (),
        r"term 140 does not depend on theta\[141\]",
    ),
    "terms that are not the loss's": (
        Separable(chain_terms, chain_pattern(300), loss=njit(lambda x: chain_terms(x).mean())),
        x,
        (),
        "299 times too large",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_refused(fault):
    structured, theta, args, message = FAULTS[fault]
    with pytest.raises(StructureError, match=message) as raised:
        fg.grad(structured)(theta, *args)
    assert "by structure" in str(raised.value)
    assert "by the plain loss" in str(raised.value)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_check_refuses_it_too(fault):
    structured, theta, args, _ = FAULTS[fault]
    claimed = fg.grad(structured, structure=False)(theta, *args)
    with pytest.raises(StructureError):
        fg.check_grad(structured, claimed, theta, *args, strategy="sweep")


def test_a_fault_that_a_penalty_of_zero_hides_is_found_when_it_is_not():
    structured = layered_net()
    gradient = fg.grad(structured)
    gradient(THETA, X, y, 0.0)
    with pytest.raises(StructureError, match=r"0\.1 times theta"):
        gradient(THETA, X, y, 0.1)


def test_it_is_certified_once_for_types_and_structure(monkeypatch):
    from fastgrad.structured import certificate

    calls = []
    monkeypatch.setattr(certificate, "certify", lambda *given: calls.append(given))
    gradient = fg.grad(layered_net(penalty=half_square))
    for _ in range(3):
        gradient(THETA, X, y, 0.1)
    assert len(calls) == 1
    gradient(THETA, X[:5], y[:5], 0.2)  # another batch, another weight
    assert len(calls) == 1
    gradient(THETA, X.astype(np.float32), y, 0.1)
    assert len(calls) == 2


def test_kinks_within_the_step_are_no_fault():
    rng = np.random.default_rng(0)
    theta = {**THETA, "W": 2.0**-18 * rng.uniform(-1, 1, (5, 4))}

    @njit
    def loss(p, X, y, l2=0.0):
        return tanh_net(p, X, y, 0.0) + 0.1 * np.abs(p.W).sum()

    @njit
    def penalty(w, X, y, l2=0.0):
        return 0.1 * abs(w)

    fg.grad(layered_net(loss, penalty=penalty, penalised=["W"]))(theta, X, y)


def test_large_offsets_of_the_loss_do_not_refuse_a_structure():
    @njit
    def loss(p, X, y, l2=0.0):
        return tanh_net(p, X, y, 0.0) + 1e8

    fg.grad(layered_net(loss))(THETA, X, y)


def writing_prepare(to):
    @njit
    def prepare(p, X, y, l2=0.0):
        if to == "X":
            X[1, 2] += 1.0
        else:
            p.W[1, 2] += 1.0
        return prepare_net(p, X, y, l2)

    return Incremental(tanh_net, prepare, deltas(), work=lambda p, X, *_: len(X))


def writing_delta(to):
    @njit
    def delta(p, state, j, h, work, X, y, l2=0.0):
        if to == "state":
            state.r[0] += h
        else:
            y[0] += h
        return nets.delta_b(p, state, j, h, work, X, y, l2)

    return net_with(b=delta)


def writing_losses(to):
    @njit
    def losses(Z, X, y, l2=0.0):
        if to == "Z":
            Z[0, 0] += 1.0
        else:
            y[0] += 1.0
        return squared_errors(Z, X, y, l2)

    return Layered(tanh_net, [("W", "b"), ("v", "c")], losses, activations=tanh)


@njit
def writing_penalty(w, X, y, l2=0.0):
    X[0, 0] += w
    return half_square(w, X, y, l2)


@njit
def writing_terms(x):
    x[3] += 1.0
    return chain_terms(x)


@njit
def terms_writing_to_weights(x, edges, weights):
    weights[0] += 1.0
    return nets.edge_terms(x, edges, weights)


def net_writer(structured):
    X, y = net_data()
    return structured, net_theta(), (X, y)


WRITERS = {
    "prepare, X": lambda: (*net_writer(writing_prepare("X")), r"prepare \(prepare\) .* argument X"),
    "prepare, theta": lambda: (*net_writer(writing_prepare("p")), r"argument p\.W"),
    "delta, state": lambda: (
        *net_writer(writing_delta("state")),
        r"the delta of b \(delta\) wrote to its argument state\.r",
    ),
    "delta, y": lambda: (
        *net_writer(writing_delta("y")),
        r"the delta of b \(delta\) wrote to its argument y",
    ),
    "losses, Z": lambda: (*net_writer(writing_losses("Z")), r"losses \(losses\) .* argument Z"),
    "losses, y": lambda: (*net_writer(writing_losses("y")), r"losses \(losses\) .* argument y"),
    "penalty, X": lambda: (
        *net_writer(layered_net(penalty=writing_penalty)),
        r"penalty \(writing_penalty\) wrote to its argument X",
    ),
    "terms, theta": lambda: (
        Separable(writing_terms, chain_pattern(30)),
        np.ones(30),
        (),
        r"terms \(writing_terms\) wrote to its argument x",
    ),
    "terms, an argument": lambda: (
        Separable(terms_writing_to_weights, "detect"),
        *(lambda x, *args: (x, args))(*nets.random_graph()),
        r"wrote to its argument weights",
    ),
}


class TestErrors:
    def test_a_delta_that_raises(self):
        @njit
        def raising(p, state, j, h, work, X, y, l2=0.0):
            if j == 2:
                raise ValueError("not here")
            return nets.delta_b(p, state, j, h, work, X, y, l2)

        with pytest.raises(LossError, match=r"delta raised at b\[2\]") as raised:
            fg.grad(net_with(b=raising))(THETA, X, y)
        assert isinstance(raised.value.__cause__, ValueError)

    def test_a_delta_that_writes_to_theta(self):
        @njit
        def writing(p, state, j, h, work, X, y, l2=0.0):
            p.b[j] += abs(h)
            return nets.delta_b(p, state, j, h, work, X, y, l2)

        with pytest.raises(
            MutatedInputError, match=r"the delta of b .* wrote to its argument p\.b"
        ):
            fg.grad(net_with(b=writing))(THETA, X, y)

    @pytest.mark.parametrize("writer", WRITERS)
    def test_a_function_that_writes_to_its_inputs(self, writer):
        structured, theta, args, message = WRITERS[writer]()
        with pytest.raises(MutatedInputError, match=message):
            fg.grad(structured)(theta, *args)

    def test_a_block_without_a_delta(self):
        named = deltas()
        del named["v"]
        with pytest.raises(ValueError, match="no function for the block 'v'"):
            fg.grad(Incremental(tanh_net, prepare_net, named, work=9))(THETA, X, y)

    def test_a_delta_without_a_block(self):
        with pytest.raises(ValueError, match="theta has no block 'w'"):
            fg.grad(net_with(w=wrong_sign))(THETA, X, y)

    def test_a_pattern_of_another_shape(self):
        with pytest.raises(ValueError, match=r"expected a pattern of shape \(299, 300\)"):
            fg.grad(Separable(chain_terms, chain_pattern(200)))(x)

    @pytest.mark.parametrize("sparsity", ["find", np.ones(3)])
    def test_no_pattern(self, sparsity):
        with pytest.raises((ValueError, TypeError), match="sparsity"):
            Separable(chain_terms, sparsity)

    def test_terms_that_are_no_array(self):
        with pytest.raises((TypeError, fg.errors.LossCompilationError), match=r"terms|sum"):
            fg.grad(Separable(njit(lambda x: x[0]), "detect"))(x)

    def test_layers_that_do_not_fit(self):
        net = Layered(tanh_net, [("v", "c"), ("W", "b")], squared_errors, activations=tanh)
        with pytest.raises(ValueError, match="v has 4 rows, but its input has 5 columns"):
            fg.grad(net)(THETA, X, y)
        net = Layered(tanh_net, [("Q", None)], squared_errors)
        with pytest.raises(ValueError, match="theta has no block 'Q'"):
            fg.grad(net)(THETA, X, y)
        net = Layered(tanh_net, [("W", "b"), ("v", "c")], squared_errors)
        with pytest.raises(ValueError, match="one after each of 1 hidden layers; got 0"):
            fg.grad(net)(THETA, X, y)

    def test_losses_that_are_one_number(self):
        net = Layered(
            tanh_net, [("W", "b"), ("v", "c")], njit(lambda Z, X, y: Z.sum()), activations=tanh
        )
        with pytest.raises(TypeError, match=r"expected an array of shape \(m,\)"):
            fg.grad(net)(THETA, X, y)

    def test_an_unknown_reduction(self):
        with pytest.raises(ValueError, match='expected "sum" or "mean"'):
            Separable(chain_terms, "detect", reduction="max")


@njit
def pair_loss(p):
    return 0.5 * ((p.layers[0] ** 2).sum() + (p.layers[1] ** 2).sum())


@njit
def nothing_shared(p):
    return np.zeros(1)


@njit
def delta_of_any(p, state, index, h, work):
    return h * (p.layers[index[0]][index[1]] + 0.5 * h)


@njit
def delta_of_the_first(p, state, j, h, work):
    state[0] += h
    return h * (p.layers[0][j] + 0.5 * h)


def test_a_delta_for_one_block_of_a_list_is_watched_by_its_own_index():
    named = {"layers.0": delta_of_the_first, "layers": delta_of_any}
    structured = Incremental(pair_loss, nothing_shared, named)
    with pytest.raises(MutatedInputError, match=r"the delta of layers\.0 .* argument state"):
        fg.grad(structured)({"layers": [np.ones(3), np.ones(2)]})
