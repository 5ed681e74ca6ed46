"""Monitor: a gradient checked while training, for the price of a few forward passes every k steps."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fastgrad.errors import GradientAlarm, GradientMismatch
from fastgrad.monitoring.moment import Moment, PlainMoment
from fastgrad.monitoring.records import Alarm, Record, plot, summary
from fastgrad.monitoring.watch import Watch

FULL_CHECK_SECONDS = 5.0
"""What the full check after an alarm may take."""
ON_ALARM = ("warn", "raise", "record")


class Monitor:
    """A gradient checked while training: every so many steps, along one line, on the batch at hand.

    A check costs the gradient and four evaluations of the loss (the first one 18 more, for a step). It
    asks for the gradient itself, leaves theta and all generators as they are, and so changes nothing in
    the run. Gross errors raise an alarm at once, after two more looks; evidence for small ones adds up
    over the checks, block by block. In a run of any length, with a right gradient (to 0.1%) and noise
    that is symmetric, there is an alarm at all with probability at most ``alpha``. An alarm is followed
    by a full check of its block, in ``records[-1].alarm.report``.

    Errors that have no part along the gradient itself are seen on every fourth line, if they are gross.

    Parameters
    ----------
    loss : callable
        ``loss(theta, *args) -> float``, with theta in arrays of NumPy, torch or jax.
    grad : callable
        ``grad(theta, *args)``, shaped like theta.
    every : int
        Steps from check to check; the first is at step 0.
    directions : int
        Lines a check.
    alpha : float
        The probability of a false alarm in the whole run.
    on_alarm : {"warn", "raise", "record"} or callable
        What an alarm does; a function is called with the record.
    seed : int
    space : Space, manifold, or structure of them by block, optional
        Where theta lives, as of `check_grad`. Complex theta needs none.

    Attributes
    ----------
    records : list of Record
        One for each check.

    Raises
    ------
    GradientMismatch
        From a call, if ``on_alarm="raise"``.

    Examples
    --------
    >>> import numpy as np
    >>> def loss(w, X, y):
    ...     return ((X @ w - y) ** 2).mean()
    >>> def grad(w, X, y):
    ...     return 2 * X.T @ (X @ w - y) / len(y)
    >>> rng = np.random.default_rng(0)
    >>> X, y, w = rng.normal(size=(50, 20)), rng.normal(size=50), rng.normal(size=20)
    >>> monitor = Monitor(loss, grad, every=10)
    >>> for step in range(100):
    ...     _ = monitor(step, w, X, y)
    ...     w = w - 0.1 * grad(w, X, y)
    >>> len(monitor.records), any(record.alarm for record in monitor.records)
    (10, False)

    As the callback of an optimiser of SciPy:

    >>> from itertools import count
    >>> from scipy.optimize import minimize, rosen, rosen_der
    >>> steps, monitor = count(), Monitor(rosen, rosen_der, every=5, on_alarm="raise")
    >>> w = minimize(rosen, w[:6], jac=rosen_der, callback=lambda w: monitor(next(steps), w)).x
    >>> len(monitor.records) > 2
    True
    """

    def __init__(
        self,
        loss: Callable[..., Any],
        grad: Callable[..., Any],
        every: int = 500,
        directions: int = 1,
        alpha: float = 1e-3,
        on_alarm: str | Callable[[Record], object] = "warn",
        seed: int = 0,
        space: Any = None,
    ):
        for what, function in (("loss", loss), ("grad", grad)):
            if not callable(function):
                raise TypeError(f"{what} is {type(function).__name__}: expected a function")
        self._loss, self._grad, self._seed, self._space = loss, grad, seed, space
        self._schedule = Schedule(every, directions, alpha, on_alarm, seed)

    @property
    def records(self) -> list[Record]:
        """One for each check."""
        return self._schedule.records

    def __call__(self, step: int, theta: Any, *args: Any) -> Record | None:
        """Check at this step, if one is due; its record, or None."""
        if not self._schedule.is_due(step):
            return None
        moment = PlainMoment(self._loss, self._grad, theta, args, self._seed, self._space)
        return self._schedule.check(step, moment)

    def summary(self) -> str:
        """The run so far in a few sentences."""
        return self._schedule.summary()

    def plot(self, ax: Any = None) -> Any:
        """Evidence over steps, on axes of matplotlib; returns them."""
        return self._schedule.plot(ax)


class Schedule:
    """When a monitor checks, what it saw, and what it does about it.

    Parameters
    ----------
    every, directions, alpha, on_alarm, seed
        As of `Monitor`.
    """

    def __init__(
        self,
        every: int,
        directions: int,
        alpha: float,
        on_alarm: str | Callable[[Record], object],
        seed: int,
    ):
        for what, number in (("every", every), ("directions", directions)):
            if not isinstance(number, int) or number < 1:
                raise ValueError(f"{what}={number!r}: expected a whole number from 1")
        if not 0 < alpha < 1:
            raise ValueError(f"alpha={alpha!r}: expected a probability between 0 and 1")
        if not callable(on_alarm) and on_alarm not in ON_ALARM:
            names = ", ".join(map(repr, ON_ALARM))
            raise ValueError(f"on_alarm={on_alarm!r}: expected {names} or a function of a record")
        self.every, self.alpha, self.on_alarm = every, alpha, on_alarm
        self.records: list[Record] = []
        self._watch = Watch(alpha, directions, seed)

    def is_due(self, step: int) -> bool:
        """Whether there is a check at this step."""
        last = self.records[-1].step if self.records else None
        return step % self.every == 0 and step != last  # a step of several batches is one

    def check(self, step: int, moment: Moment) -> Record:
        """One check, and what follows from it."""
        record = self._watch.look(step, moment)
        if record.alarm is not None:
            record = replace(record, alarm=self._followed(record.alarm, moment))
        self.records.append(record)
        if record.alarm is not None:
            self._watch.forget(record.alarm)
            self._act(record, record.alarm)
        return record

    def _followed(self, alarm: Alarm, moment: Moment) -> Alarm:
        """The alarm with the report of a full check."""
        try:
            report = moment.check(alarm.block, FULL_CHECK_SECONDS)
        except Exception as error:  # the run that is watched goes on
            said = f"{alarm.sentence}. The full check raised {type(error).__name__}: {error}"
            return replace(alarm, sentence=said)
        return replace(alarm, sentence=f"{alarm.sentence}. {report!r}", report=report)

    def _act(self, record: Record, alarm: Alarm) -> None:
        if callable(self.on_alarm):
            self.on_alarm(record)
        elif self.on_alarm == "warn":
            warnings.warn(f"step {record.step}: {alarm.sentence}", GradientAlarm, stacklevel=4)
        elif self.on_alarm == "raise":
            raise GradientMismatch(f"step {record.step}: {alarm.sentence}\n\n{alarm.report}")

    def summary(self) -> str:
        """The run so far in a few sentences."""
        return summary(self.records, self.alpha)

    def plot(self, ax: Any = None) -> Any:
        """Evidence over steps."""
        return plot(self.records, self.alpha, ax)
