"""Ready-made spaces: right gradients agree at every seed, planted errors are found and named."""

import zlib

import numpy as np
import pytest

import fastgrad as fg
from tests.spaces.engines import CASES

SEEDS = 10


def case_of(name, seed):
    return CASES[name](np.random.default_rng([seed, zlib.crc32(name.encode())]))


def check(case, grad, **options):
    return fg.check_grad(case.loss, grad, case.point, space=case.space, backend="python", **options)


@pytest.mark.parametrize("name", CASES)
def test_right_gradients_agree_at_ten_seeds(name):
    for seed in range(SEEDS):
        case = case_of(name, seed)
        report = check(case, case.grad)
        assert report.verdict == "agrees", report


@pytest.mark.parametrize("name", CASES)
def test_planted_errors_are_found_and_named(name):
    case = case_of(name, 0)
    named = 0
    for law, grad in case.wrong.items():
        report = check(case, grad)
        assert report.verdict == "disagrees", law
        named += report.diagnoses[0].law == law.strip()
    assert named == len(case.wrong)
