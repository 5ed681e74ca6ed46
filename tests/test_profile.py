"""The profile of an entry or a line: rulings, jumps found by halving, and the first look."""

import numpy as np
import pytest

from fastgrad.differences.plain_errors import plainly_off
from fastgrad.differences.profile import Profile, scales


class Counted:
    """f along a line from x, and how often it was asked."""

    def __init__(self, f, x=0.0):
        self.f, self.x, self.evaluations = f, x, 0

    def __call__(self, offsets):
        self.evaluations += offsets.size
        return np.array([self.f(self.x + offset) for offset in offsets])


def judged(f, claim, x=0.0, tolerance=0.0):
    line = Counted(f, x)
    profile = Profile.take(line, 1.0, f(x), x)
    return profile.judge(claim, (max(abs(claim), 1.0), tolerance), line)


def kink(x):
    return 2 * x + 0.5 * max(x - 1e-4, 0.0)


def kink_single(x):
    return float(np.float32(2 * x + 0.5 * max(x - 1e-2, 0.0)))


def jump(x):
    return 2 * x + 1e-3 * (x > 3e-5)


def saw(x):
    return x - 2 * ((x + 5e-5) % 1e-4 - 5e-5)


def wave(x):
    return np.sin(1e3 * x)


def steps(x):
    return round(3 * x, 5)


def clipped_single(x):
    """Still up to 0.05 above x = 0, and at every step below it."""
    return float(np.float32(200 + max(x - 0.05, 0.0)))


def treads(x):
    """Seen from the edge of a tread 2e-6 wide: the next is nearer on one side."""
    return float(np.float32(3 * np.floor((x + 1.9e-6) / 2e-6) * 2e-6))


def treads_that_end(x):
    return treads(max(x, -1e-3))


RULINGS = [
    (np.sin, 1.0, "right"),
    (np.sin, -1.0, "wrong"),
    (np.sin, 1.0 + 1e-9, "wrong"),
    (kink, 2.0, "right"),
    (kink, 2.25, "wrong"),
    (kink_single, 2.0, "right"),
    (kink_single, -2.0, "wrong"),
    (jump, 2.0, "right"),
    (jump, 3.0, "wrong"),
    (saw, 1.0, "right"),
    (saw, 0.5, "wrong"),
    (saw, -1.0, "open"),
    (wave, 1e3, "right"),
    (wave, 0.0, "wrong"),
    (steps, 3.0, "right"),
    (steps, 2.0, "wrong"),
    (abs, 0.3, "kink"),
    (abs, 1.5, "wrong"),
    (clipped_single, 0.0, "right"),
    (clipped_single, 0.1, "wrong"),
    (treads, 0.0, "wrong"),
    (treads_that_end, 0.0, "wrong"),
    (lambda x: 3.0, 0.1, "wrong"),
    (lambda x: float(np.float32(1e6)), 1e-2, "open"),
]


@pytest.mark.parametrize(("f", "claim", "ruling"), RULINGS)
def test_rulings(f, claim, ruling):
    assert judged(f, claim).ruling == ruling


def test_a_jump_is_found_with_its_place_and_size():
    found = judged(saw, 1.0)
    assert found.jump.at == pytest.approx(5e-5, rel=1e-6)
    assert found.jump.size == pytest.approx(2e-4, rel=1e-3)
    slope, step = found.other
    assert slope == pytest.approx(-1.0)
    assert step < 5e-5


def test_steps_that_the_point_cannot_take_are_left_out():
    assert scales(1.0, 1e9).min() >= 4 * np.spacing(1e9)
    assert scales(1.0, 0.0).size == 45


LOOKS = [
    (np.sin, -1.0, True),
    (np.sin, 1.0, False),
    (np.exp, 0.0, True),
    (np.exp, 1.001, True),
    (kink, 2.25, False),
    (saw, 1.0, False),
    (wave, 0.0, False),
    (steps, 0.0, False),
    (jump, 2.0, False),
    (lambda x: 3.0, 0.1, False),
]


@pytest.mark.parametrize(("f", "claim", "expected"), LOOKS)
def test_a_first_look_convicts_only_what_every_scale_refutes(f, claim, expected):
    """In nine evaluations."""
    line, h = Counted(f), 2.0**-17
    slope = (f(h) - f(-h)) / (2 * h)
    bar = 6e-16 * max(abs(f(0.0)), 1.0) / h
    assert plainly_off(line, claim, (h, slope, bar), 1.0) == expected
    assert line.evaluations <= 9
