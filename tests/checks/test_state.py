"""The state of the gradient, and losses whose repeats differ: what is named, and what passes."""

from functools import lru_cache

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.errors import NondeterministicLossError

THETA = np.random.default_rng(0).normal(size=6)


def value(x):
    return float(np.sin(x).sum() + (x**2).sum())


def slope(x):
    return np.cos(x) + 2 * x


class Engine:
    """An engine with positions, which a loss sets and forces are read of."""

    def __init__(self, start=None):
        self.x = start

    def energy(self, x):
        self.x = x.copy()
        return value(x)

    def forces(self, x):
        return slope(self.x)


def attribute():
    engine = Engine()
    return engine.energy, engine.forces


def attribute_with_a_start():
    engine = Engine(np.zeros(6))
    return engine.energy, engine.forces


def attribute_that_starts_at_theta():
    engine = Engine(THETA.copy())
    return engine.energy, engine.forces


def half_of_it_from_state():
    engine = Engine(np.zeros(6))
    return engine.energy, lambda x: np.cos(engine.x) + 2 * x


def one_entry_from_state():
    engine = Engine(np.zeros(6))

    def gradient(x):
        g = slope(x)
        g[3] = slope(engine.x)[3]
        return g

    return engine.energy, gradient


LAST = {}


def module_dict():
    LAST.clear()

    def loss(x):
        LAST["x"] = x.copy()
        return value(x)

    return loss, lambda x: slope(LAST["x"])


def closure_cell():
    last = None

    def loss(x):
        nonlocal last
        last = x.copy()
        return value(x)

    return loss, lambda x: slope(x if last is None else last)


def list_of_layers():
    cache = []

    def loss(x):
        cache.append(np.sin(x))
        return value(x)

    return loss, lambda x: np.sqrt(1 - cache[-1] ** 2) * np.sign(np.cos(x)) + 2 * x


def activations_of_a_net():
    W = np.random.default_rng(1).normal(size=(6, 4))
    last = {}

    def loss(x):
        last["z"] = np.tanh(x @ W)
        return float((last["z"] ** 2).sum())

    return loss, lambda x: W @ (2 * last["z"] * (1 - last["z"] ** 2))


def norm_kept_by_the_loss():
    last = {"n": 1.0}

    def loss(x):
        last["n"] = np.sqrt((x**2).sum())
        return float(last["n"])

    return loss, lambda x: x / last["n"]


def lru_cache_on_the_shape():
    points = {}

    @lru_cache(maxsize=1)
    def forward(shape, version):
        return np.cos(points[shape])

    def loss(x):
        points[x.shape] = x.copy()
        forward.cache_clear()
        return value(x)

    def gradient(x):
        points.setdefault(x.shape, x.copy())
        return forward(x.shape, 0) + 2 * x

    return loss, gradient


def keyed_on(key):
    def problem():
        cache = {}

        def loss(x):
            cache[key(x)] = np.cos(x)
            return value(x)

        def gradient(x):
            if key(x) not in cache:
                cache[key(x)] = np.cos(x)
            return cache[key(x)] + 2 * x

        return loss, gradient

    return problem


def work_array():
    work = np.zeros(6)

    def loss(x):
        np.cos(x, out=work)
        return value(x)

    return loss, lambda x: work + 2 * x


def weights_of_a_sampler():
    last = {"w": np.full(6, 1 / 6)}

    def loss(x):
        e = np.exp(x - x.max())
        last["w"] = e / e.sum()
        return float(np.log(np.exp(x).sum()))

    return loss, lambda x: last["w"].copy()


def neighbour_list():
    pairs = {"near": None}

    def loss(x):
        d = x[:, None] - x[None, :]
        pairs["near"] = d.copy()
        return float((d**2).sum() + (x**4).sum())

    return loss, lambda x: 4 * pairs["near"].sum(axis=1) + 4 * x**3


def generator_of_the_loss():
    last = iter(())

    def loss(x):
        nonlocal last
        last = x.copy()
        return value(x)

    return loss, lambda x: np.cos(np.asarray(last, float)) + 2 * np.asarray(last, float)


def previous_point():
    seen = [np.zeros(6), np.zeros(6)]

    def loss(x):
        seen.append(x.copy())
        return value(x)

    return loss, lambda x: slope(seen[-2])


def scale_set_by_the_loss():
    last = {"scale": 1.0}

    def loss(x):
        last["scale"] = np.abs(x).max()
        return value(x)

    return loss, lambda x: slope(x) * last["scale"] / np.abs(x).max()


STALE = [
    attribute,
    attribute_with_a_start,
    attribute_that_starts_at_theta,
    half_of_it_from_state,
    one_entry_from_state,
    module_dict,
    closure_cell,
    list_of_layers,
    activations_of_a_net,
    norm_kept_by_the_loss,
    lru_cache_on_the_shape,
    keyed_on(lambda x: x.shape),
    keyed_on(lambda x: round(float(x[0]), 1) > 1e9),
    keyed_on(lambda x: float(x[0])),
    work_array,
    weights_of_a_sampler,
    neighbour_list,
    generator_of_the_loss,
    previous_point,
    scale_set_by_the_loss,
]


def with_strategies(problems):
    """All of them by sweeps, and every fourth by a screen."""
    return [(p, "sweep") for p in problems] + [(p, "screen") for p in problems[::4]]


@pytest.mark.parametrize(("problem", "strategy"), with_strategies(STALE))
def test_a_gradient_that_reads_what_the_loss_left_is_wrong_and_named(problem, strategy):
    loss, gradient = problem()
    report = fg.check_grad(loss, gradient, THETA, backend="python", strategy=strategy)
    assert report.verdict == "disagrees"
    (why,) = report.diagnoses
    assert why.law == "stale"
    assert str(report).startswith("The gradient is wrong: it depends on where the loss was evaluat")
    assert f"{why.constants['first']:.6g}" in str(report).splitlines()[0]
    assert f"{why.constants['second']:.6g}" in str(report).splitlines()[0]
    assert why.constants["first"] != why.constants["second"]


def plain():
    return value, slope


def by_bytes():
    return keyed_on(lambda x: x.tobytes())()


def by_tuple():
    return keyed_on(lambda x: tuple(x))()


def lru_cache_on_theta():
    @lru_cache(maxsize=4)
    def both(key):
        x = np.array(key)
        return value(x), slope(x)

    return lambda x: both(tuple(x))[0], lambda x: both(tuple(x))[1]


def last_point_compared():
    last = {"x": None}

    def refresh(x):
        if last["x"] is None or not np.array_equal(x, last["x"]):
            last.update(x=x.copy(), f=value(x), g=slope(x))
        return last

    return lambda x: refresh(x)["f"], lambda x: refresh(x)["g"]


def computed_together():
    last = {}

    def loss(x):
        last["g"] = slope(x)
        return value(x)

    def gradient(x):
        loss(x)
        return last["g"]

    return loss, gradient


def engine_that_is_moved():
    engine = Engine()

    def gradient(x):
        engine.energy(x)
        return engine.forces(x)

    return engine.energy, gradient


def buffer_that_is_zeroed():
    out = np.zeros(6)

    def gradient(x):
        out[:] = 0.0
        np.add(out, slope(x), out=out)
        return out

    return value, gradient


def counters():
    calls = {"loss": 0, "gradient": 0}

    def loss(x):
        calls["loss"] += 1
        return value(x)

    def gradient(x):
        calls["gradient"] += 1
        return slope(x)

    return loss, gradient


def set_up_by_the_loss():
    ready = {}

    def loss(x):
        ready["two"] = 2.0
        return value(x)

    return loss, lambda x: np.cos(x) + ready["two"] * x


def set_up_by_the_first_call():
    ready = {}

    def gradient(x):
        if "two" not in ready:
            ready["two"] = 2.0
        return np.cos(x) + ready["two"] * x

    return value, gradient


def warm_start_to_rounding():
    last = {"x": np.zeros(6)}

    def gradient(x):
        for _ in range(60):
            last["x"] = last["x"] / 2 + x / 2
        return np.cos(x) + 2 * last["x"]

    return value, gradient


def scatter_of_rounding():
    rng = np.random.default_rng(3)
    return value, lambda x: slope(x) * (1 + 1e-15 * rng.normal(size=6))


def scatter_of_single_precision():
    rng = np.random.default_rng(3)
    return value, lambda x: (slope(x) * (1 + 1e-7 * rng.normal(size=6))).astype(np.float32)


def seeded_draws():
    def gradient(x):
        rng = np.random.default_rng(5)
        return slope(x) + 0.0 * rng.normal(size=6)

    return value, gradient


def trace_of_points():
    trace = []

    def loss(x):
        trace.append(x)
        return value(x)

    return loss, slope


def cache_that_is_cleared():
    cache = {}

    def loss(x):
        cache.clear()
        return value(x)

    def gradient(x):
        return cache.setdefault(x.tobytes(), slope(x))

    return loss, gradient


def last_argument_kept():
    last = {}

    def loss(x):
        last["x"] = x
        return value(x)

    return loss, lambda x: slope(last.setdefault("unused", x) * 0 + x)


def generator_of_pieces():
    return value, lambda x: np.fromiter((np.cos(t) + 2 * t for t in x), float)


def nan_free_sentinel():
    last = np.full(6, np.nan)

    def loss(x):
        last[:] = x
        return value(x)

    return loss, lambda x: slope(np.where(np.isnan(last), x, x))


HONEST = [
    plain,
    by_bytes,
    by_tuple,
    lru_cache_on_theta,
    last_point_compared,
    computed_together,
    engine_that_is_moved,
    buffer_that_is_zeroed,
    counters,
    set_up_by_the_loss,
    set_up_by_the_first_call,
    warm_start_to_rounding,
    scatter_of_rounding,
    scatter_of_single_precision,
    seeded_draws,
    trace_of_points,
    cache_that_is_cleared,
    last_argument_kept,
    generator_of_pieces,
    nan_free_sentinel,
]


@pytest.mark.parametrize(("problem", "strategy"), with_strategies(HONEST))
def test_honest_caches_pass(problem, strategy):
    loss, gradient = problem()
    report = fg.check_grad(loss, gradient, THETA, backend="python", strategy=strategy)
    assert report.verdict == "agrees", str(report)


def test_a_gradient_that_accumulates_is_told_to_zero():
    total = np.zeros(6)

    def gradient(x):
        total[:] += slope(x)
        return total

    report = fg.check_grad(value, gradient, THETA, backend="python")
    assert report.diagnoses[0].law == "accumulates"
    assert "Zero" in str(report).splitlines()[0]


def test_a_gradient_that_draws_is_told_to_seed():
    rng = np.random.default_rng(0)
    report = fg.check_grad(value, lambda x: slope(x) + rng.normal(size=6), THETA, backend="python")
    assert report.diagnoses[0].law == "random"
    assert "Seed" in str(report).splitlines()[0]
    assert "differs from call to call, by " in str(report).splitlines()[0]


def test_points_inherit_it():
    loss, gradient = attribute()
    report = fg.check_grad(loss, gradient, THETA, points=3, backend="python")
    assert [point.diagnoses[0].law for point in report.points] == ["stale"] * 3


@pytest.mark.parametrize("size", [1e-11, 1e-9, 1e-7])
def test_scatter_of_the_loss_is_noise_with_a_remark(size):
    rng = np.random.default_rng(0)

    def loss(x):
        return value(x) * (1 + size * rng.normal())

    for a, verdicts in ((slope, ("agrees", "inconclusive")), (lambda x: -slope(x), ("disagrees",))):
        report = fg.check_grad(loss, a, THETA, backend="python", step=1e-2, rtol=1e-2)
        assert report.verdict in verdicts
        assert any("scatter" in remark for remark in report.remarks)


def test_a_warm_start_is_noise_that_approaches_a_limit():
    last = {"root": np.ones(6)}

    def loss(x):
        for _ in range(16):
            last["root"] = 0.3 * last["root"] + 0.7 * x
        return value(last["root"])

    report = fg.check_grad(loss, slope, THETA, backend="python")
    assert report.verdict != "disagrees"
    assert any("approach a limit" in remark for remark in report.remarks)


@pytest.mark.parametrize("call", [100, 700, 819])
@pytest.mark.parametrize("jump", [0.5, 1e-3])
def test_a_loss_that_jumps_for_good_under_way_is_refused(call, jump):
    calls = 0

    def loss(x):
        nonlocal calls
        calls += 1
        return float((x**2).sum() + jump * (calls > call))

    x = np.random.default_rng(0).normal(size=400)
    with pytest.raises(fg.errors.NondeterministicLossError, match="different values"):
        fg.check_grad(loss, lambda x: 2 * x, x, backend="python", strategy="sweep")


def test_a_loss_that_is_random_everywhere_but_at_theta_is_refused():
    """A retraction along tangents that are drawn: at t = 0 they do not matter."""
    rng = np.random.default_rng(0)

    def loss(t):
        return value(THETA + sum(a * rng.normal(size=6) for a in t))

    refused = 0
    for _ in range(20):
        with pytest.raises(NondeterministicLossError):
            fg.check_grad(loss, np.zeros(3), np.zeros(3), backend="python")
        refused += 1
    assert refused == 20


def test_a_loss_that_raises_a_unit_away_is_still_repeated_nearer():
    def loss(x):
        if np.abs(x - THETA).max() > 0.1:
            raise ValueError("too far")
        return value(x)

    assert fg.check_grad(loss, slope, THETA, backend="python").verdict == "agrees"
