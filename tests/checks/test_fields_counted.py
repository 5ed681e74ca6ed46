"""Errors of statistics, finance, chemistry and boosters, counted: found, named, none misnamed."""

from typing import NamedTuple

import numpy as np
import pytest

import fastgrad as fg
from tests.checks.fields import ENGINES, ERRORS, LAWLESS

NOISE = 1e-6
NAMED_AT_LEAST = 0.85
"""Of all errors, those without any law included, with every wrong block named."""
PRIOR = ("hierarchy", "mu: prior forgotten")
HIDDEN = {
    "noise of 1e-6": (PRIOR, ("normal", "without the normaliser")),
    "float32": (PRIOR,),
}
"""Errors so small beside the gradient, or so large beside what is right, that their constant is lost in
the noise of the gradient: they are found all the same."""


class Tally(NamedTuple):
    """What was missed, which right blocks were blamed, which errors were misnamed, or not named."""

    missed: list[str]
    blamed_too_many: list[str]
    misnamed: list[str]
    unnamed: list[str]


def mapped(gradient, change):
    """A gradient of arrays or of named blocks, each changed."""
    if isinstance(gradient, dict):
        return {name: change(np.asarray(block)) for name, block in gradient.items()}
    return change(np.asarray(gradient))


def with_noise(seed):
    rng = np.random.default_rng(seed)
    return lambda block: block * (1 + NOISE * rng.standard_normal(block.shape))


def in_float32(seed):
    return lambda block: block.astype(np.float32)


def exactly(seed):
    return lambda block: block


VARIANTS = {"exact": exactly, "noise of 1e-6": with_noise, "float32": in_float32}


def is_named(law: str) -> bool:
    return not law.startswith((LAWLESS, "wrong-"))


def told(variant):
    """The errors that can be told in a variant: all but those that its noise hides."""
    return {where: laws for where, laws in ERRORS.items() if where not in HIDDEN.get(variant, ())}


def tally(variant) -> Tally:
    found = Tally([], [], [], [])
    for seed, ((name, error), expected) in enumerate(told(variant).items()):
        loss, gradient, theta = ENGINES[name]
        claim = mapped(gradient(theta, error), VARIANTS[variant](seed))
        report = fg.check_grad(loss, claim, theta, backend="python", strategy="sweep")
        laws = {d.block: d.law for d in report.diagnoses}
        label = f"{name}: {error}"
        if report.verdict != "disagrees" or not set(expected) <= set(laws):
            found.missed.append(label)
        if set(laws) - set(expected):
            found.blamed_too_many.append(label)
        named = True
        for block, law in laws.items():
            one_of = expected.get(block, LAWLESS).split("|")
            right = law in one_of or law.removesuffix("+wrong-range") in one_of
            if is_named(law) and not right:
                found.misnamed.append(f"{label} [{block}]: {law}")
            named &= is_named(law) and right
        if not named:
            found.unnamed.append(label)
    return found


def test_the_gradients_of_all_engines_are_right():
    for name, engine in ENGINES.items():
        right = engine.gradient(engine.theta, "")
        report = fg.check_grad(engine.loss, right, engine.theta, backend="python")
        assert report.verdict == "agrees", name


def test_there_are_eighty_errors_and_each_changes_the_gradient_where_it_says():
    assert len(ERRORS) >= 80
    assert {name for name, _ in ERRORS} == set(ENGINES)
    for (name, error), expected in ERRORS.items():
        _, gradient, theta = ENGINES[name]
        right, wrong = gradient(theta, ""), gradient(theta, error)
        if not isinstance(theta, dict):
            right, wrong = {"theta": right}, {"theta": wrong}
        changed = {block for block in right if not np.array_equal(right[block], wrong[block])}
        assert changed == set(expected), (name, error)


@pytest.mark.parametrize("variant", VARIANTS)
def test_all_are_found_most_are_named_and_none_is_misnamed(variant):
    found = tally(variant)
    assert found.missed == []
    assert found.blamed_too_many == []
    assert found.misnamed == []
    assert len(found.unnamed) <= (1 - NAMED_AT_LEAST) * len(told(variant)), found.unnamed


def sentence(name, error, block="theta"):
    loss, gradient, theta = ENGINES[name]
    report = fg.check_grad(loss, lambda p: gradient(p, error), theta, backend="python")
    return next(d.sentence for d in report.diagnoses if d.block == block)


SAID = {
    ("bond", "duration", "theta"): "(= -1/J) times the numerical one (J is the loss: perhaps the "
    "derivative of its logarithm)",
    ("bond", "years of each payment forgotten", "theta"): "over a whole number of its own in 7 of 8 "
    "entries (1/2 in theta[1], 1/3 in theta[2], 1/4 in theta[3], 1/5 in theta[4], ...), the others are",
    ("RMSE", "of the mean square", "theta"): "(= 2 J) times the numerical one (J is the loss: perhaps "
    "the derivative of its square)",
    ("normal", "by the variance", "sigma"): "sigma: the analytic gradient is the derivative by "
    "sigma**2, the loss's is by sigma itself (0.364964 times)",
    ("normal", "without the normaliser", "sigma"): "minus 60 * 1/sigma, the derivative of 60 "
    "log(sigma): perhaps the normaliser of a density",
    ("hierarchy", "mu: prior forgotten", "mu"): "minus 0.04 * mu: the L2 term (lambda = 0.04) is",
    ("Black-Scholes", "gamma for delta", "spot"): "equals the second derivative",
    ("Black-Scholes", "all of a hundred shares", "spot"): "so it is for strike, rate, vol, ...",
    ("multinomial", "one class counted twice", "theta"): "in column 1 the analytic gradient is 2 times "
    "the numerical one minus 0.1 * theta: 2 times the data's part, with the L2 term (lambda = 0.1) as",
    ("multinomial", "classes exchanged", "theta"): "but for its L2 term (lambda = 0.1), which is right, "
    "the analytic gradient, columns 0 and 1 exchanged, is the numerical one",
    ("weighted log loss", "weights of a mean of 1", "theta"): "0.461538 (= 6/13) times",
    ("softmax", "labels from 1", "theta"): "10 entries are too large by 1 and 10 too small by it, the "
    "others are right: perhaps labels, or one-hot rows, that are shifted",
    ("Huber", "squares", "theta"): "stops at 1 in 10 entries where the analytic one goes on",
    ("log loss", "sigmoid differentiated too", "theta"): "the first derivative times the second",
}  # fmt: skip


@pytest.mark.parametrize("where", SAID, ids=": ".join)
def test_sentences(where):
    assert SAID[where] in sentence(*where)


def test_what_has_another_law_is_not_said_to_be_right():
    said = sentence("weighted log loss", "weights by the wrong class")
    assert "1/3 times the numerical one; except 10 of 24 entries are wrong" in said
    assert "the others are right" not in said


@pytest.mark.parametrize("variant", HIDDEN)
def test_what_noise_hides_the_reason_of_is_found_and_not_misnamed(variant):
    for seed, (name, error) in enumerate(HIDDEN[variant]):
        loss, gradient, theta = ENGINES[name]
        claim = mapped(gradient(theta, error), VARIANTS[variant](seed))
        report = fg.check_grad(loss, claim, theta, backend="python", strategy="sweep")
        assert report.verdict == "disagrees"
        assert not any(is_named(d.law) for d in report.diagnoses)


ELSEWHERE: dict[tuple[str, str], str] = {
    ("logistic regression", "labels of -1 and 1"): "linear-term",
    ("Poisson regression", "without exposure"): "another-loss",
    ("Cox", "everybody at risk"): "another-loss",
    ("Cox", "censored as events"): "another-loss",
    ("Weibull", "censoring ignored"): "another-loss",
    ("Gaussian process", "determinant forgotten"): "another-loss",
    ("portfolio", "2 of the risk forgotten"): "another-loss",
    ("Lennard-Jones", "exponent of the attraction lost"): "another-loss",
    ("kinetics", "time forgotten"): "another-loss",
}
"""Errors that obey no law at theta, and one where the gradient can be asked a little away.

Each of these is the gradient of another function: forces of any pair potential are (of an attraction of
a sixth), and a fit whose rows weigh 1/t.
"""


def test_errors_without_a_law_at_theta_are_asked_elsewhere():
    lawless = {where: laws for where, laws in ERRORS.items() if LAWLESS in laws.values()}
    assert set(ELSEWHERE) <= set(lawless)
    for where, expected in lawless.items():
        loss, gradient, theta = ENGINES[where[0]]
        report = fg.check_grad(
            loss, lambda p, e=where[1], g=gradient: g(p, e), theta, backend="python"
        )
        laws = {d.block: d.law for d in report.diagnoses}
        assert set(laws) == set(expected)
        for law in laws.values():
            assert law == ELSEWHERE[where] if where in ELSEWHERE else not is_named(law), where
