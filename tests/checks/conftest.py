"""What tests of checks share."""

import time

import pytest

from fastgrad.checks import budget as budgets


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still; ``clock.passes(seconds)`` moves it."""

    class Clock:
        now = 0.0

        def passes(self, seconds):
            self.now += seconds

    made = Clock()
    monkeypatch.setattr(time, "perf_counter", lambda: made.now)
    monkeypatch.setattr(budgets, "at_work", lambda: None)  # of the other clock
    return made
