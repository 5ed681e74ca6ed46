"""Executors in this process, which answer in any order, lose jobs, break and die as real ones do."""

import pickle
import threading
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool

import numpy as np

from fastgrad.cluster import worker
from fastgrad.cluster.engines import Engine


class Shuffled:
    """One thread that takes whatever waits in a random order; all that passes is pickled.

    Parameters
    ----------
    seed : int
    breaks_after : int, optional
        After so many answers it is a broken pool.
    forgets : bool
        Whether every part comes to a worker that has no job yet.
    """

    def __init__(self, seed=0, breaks_after=None, forgets=False, workers=2):
        self._max_workers = workers
        self.rng = np.random.default_rng(seed)
        self.breaks_after, self.forgets = breaks_after, forgets
        self.answers = self.bytes = self.cancelled = 0
        self._waiting = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with self._changed:
            self._waiting = None
            self._changed.notify()
        self._thread.join()

    def submit(self, function, *args):
        future, call = Future(), pickle.dumps((function, args))
        self.bytes += len(call)
        with self._changed:
            self._waiting.append((future, call))
            self._changed.notify()
        return future

    def _run(self):
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting is None or self._waiting)
                if self._waiting is None:
                    return
                future, call = self._waiting.pop(self.rng.integers(len(self._waiting)))
            if not future.set_running_or_notify_cancel():
                self.cancelled += 1
                continue
            if self.breaks_after is not None and self.answers >= self.breaks_after:
                future.set_exception(BrokenProcessPool("a worker died"))
                continue
            if self.forgets and self.rng.random() < 0.7:
                worker._ready.clear()
            try:
                function, args = pickle.loads(call)
                future.set_result(pickle.loads(pickle.dumps(function(*args))))
            except Exception as error:
                future.set_exception(error)
            self.answers += 1


class KilledWorker(Exception):  # noqa: N818 - as the scheduler calls it
    """What a scheduler says of a task that killed every worker that took it."""


def died(error):
    return isinstance(error, KilledWorker)


class Mortal(Engine):
    """An engine that replaces its workers, and says which error means that they died."""

    replaces_workers = True

    def killed(self, error):
        return died(error)
