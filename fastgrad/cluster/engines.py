"""What evaluations are sent through: a dask Client, or anything else that has `submit`.

An engine hides how an executor counts its workers, gets a job to them once, and says that one died.
"""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from uuid import uuid4

from fastgrad.cluster.question import Part
from fastgrad.cluster.sending import pickled
from fastgrad.cluster.worker import Job, work

SMALL_JOB = 1 << 16
"""Bytes of a job that travels with every part: asking whether it is there takes longer, and a dask
scheduler would have all parts done where it is, until another worker has nothing to do for long."""


NO_WORKER_SECONDS = 300.0
"""A cluster whose workers all died may need minutes for new ones, if there are to be any."""
COUNT_SECONDS = 2.0
"""Workers come and go: they are counted so often, which asks the scheduler."""


class Sent:
    """A job on its way to the workers of an engine."""

    def __init__(self, job: Job):
        self.job = job
        self.key = uuid4().hex
        self.given = 0
        """How often it was sent along."""
        self._pickled: bytes | None = None
        self.there: Any = None
        """What stands for it on the workers, for an engine that keeps it."""

    def pickled(self) -> bytes:
        """The job as bytes.

        Raises
        ------
        ExecutorError
            Something in it cannot be sent.
        """
        if self._pickled is None:
            self._pickled = pickled(self.job)
        return self._pickled


class Engine:
    """Anything with ``submit(function, *args) -> Future``.

    Parameters
    ----------
    executor : object
    """

    replaces_workers = False
    """Whether a worker that dies is replaced, and what it did done again."""

    def __init__(self, executor: Any):
        self.executor = executor
        self.inside = isinstance(executor, ThreadPoolExecutor)
        """Whether its workers are threads of this process, to which nothing need be sent."""

    @property
    def words(self) -> str:
        """What the executor is called."""
        return type(self.executor).__name__

    @property
    def workers(self) -> int:
        """How many processes work for it; one that does not tell is taken to have one a core."""
        if self.inside:
            return 1
        known = getattr(self.executor, "_max_workers", None)
        known = getattr(self.executor, "num_workers", known)
        return known if isinstance(known, int) and known > 0 else os.cpu_count() or 1

    def submit(self, sent: Sent, part: Part) -> Any:
        """A future of a part of a question."""
        if self.inside:
            return self.executor.submit(work, sent.key, sent.job, part)
        sent.given += 1
        first = sent.given <= self.workers or len(sent.pickled()) <= SMALL_JOB
        return self._submit(sent, sent.pickled() if first else None, part)

    def again(self, sent: Sent, part: Part) -> Any:
        """The same for a worker that does not have the job."""
        return self._submit(sent, sent.pickled(), part)

    def _submit(self, sent: Sent, job: bytes | None, part: Part) -> Any:
        threads = max(1, (os.cpu_count() or 1) // self.workers)
        return self.executor.submit(work, sent.key, job, part, threads)

    def call(self, function: Any, item: Any) -> Any:
        """A future of ``function(item)``."""
        return self.executor.submit(function, item)

    def require_workers(self) -> None:
        """Raise OSError where there will be no answers: no scheduler, or long no worker."""

    def cancel(self, futures: list[Any]) -> None:
        """Take back what no worker has begun."""
        for future in futures:
            future.cancel()

    def killed(self, error: BaseException) -> bool:
        """Whether an error says that every worker that took a part died."""
        return False


class DaskEngine(Engine):
    """A ``dask.distributed.Client``: workers that die are replaced, and their parts done again."""

    replaces_workers = True

    def __init__(self, executor: Any):
        super().__init__(executor)
        self._counted, self._workers = float("-inf"), 1
        self._worked = time.monotonic()

    @property
    def words(self) -> str:
        return "dask Client"

    @property
    def workers(self) -> int:
        if time.monotonic() - self._counted > COUNT_SECONDS:
            self._counted = time.monotonic()
            with suppress(Exception):  # a scheduler that is gone, of which its futures will tell
                found = len(self.executor.scheduler_info(n_workers=-1)["workers"])
                self._workers = max(1, found)
                self._start_what_was_given_up()
                if found:
                    self._worked = time.monotonic()
        return self._workers

    def _start_what_was_given_up(self) -> None:
        """Have a cluster start the workers that it should have and has not.

        distributed closes the process that looks after a worker for good where the worker is not back
        15 s after it died (``distributed.deploy.lost-worker-timeout``), or where it dies again just
        then: a busy machine, or two deaths 15 s apart, would leave a LocalCluster without workers, and
        whoever waits for them waiting.
        """
        cluster = self.executor.cluster
        wanted, there = getattr(cluster, "worker_spec", {}), getattr(cluster, "workers", {})
        if len(there) < len(wanted):
            cluster.scale(len(wanted))

    def require_workers(self) -> None:
        if self.executor.status == "closed":  # its futures stay pending, and tell nobody
            raise ConnectionError("its scheduler is gone")
        if self.workers and time.monotonic() - self._worked > NO_WORKER_SECONDS:
            raise TimeoutError(f"it had no worker for {NO_WORKER_SECONDS:g} s")

    def submit(self, sent: Sent, part: Part) -> Any:
        if len(sent.pickled()) <= SMALL_JOB:
            return self._part(sent, sent.pickled(), part)
        if sent.there is None or sent.there.status in ("cancelled", "lost", "error"):
            import dask

            # A task and no scattered data: the scheduler makes it again on whatever worker lacks it.
            with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
                sent.there = self.executor.submit(bytes, sent.pickled(), key=f"job-{sent.key}")
        return self._part(sent, sent.there, part)

    def _part(self, sent: Sent, job: Any, part: Part) -> Any:
        key = f"part-{uuid4().hex}"
        return self.executor.submit(work, sent.key, job, part, key=key, pure=False)

    def call(self, function: Any, item: Any) -> Any:
        return self.executor.submit(function, item, key=f"task-{uuid4().hex}", pure=False)

    def cancel(self, futures: list[Any]) -> None:
        with suppress(Exception):  # a client that is closed
            self.executor.cancel(futures, force=True)

    def killed(self, error: BaseException) -> bool:
        return type(error).__name__ == "KilledWorker"


def engine_of(executor: Any) -> Engine | None:
    """The engine of what a user passed as ``executor``.

    Raises
    ------
    TypeError
        It has no ``submit``.
    """
    if executor is None:
        return None
    if isinstance(executor, Engine):
        return executor
    client = getattr(sys.modules.get("distributed"), "Client", None)
    if client is not None and isinstance(executor, client):
        if executor.asynchronous:
            raise TypeError("executor: expected a dask Client that is not asynchronous")
        return DaskEngine(executor)
    if not callable(getattr(executor, "submit", None)):
        raise TypeError(
            f"executor is {type(executor).__name__}: expected something with submit(function, *args) "
            "-> Future, as of concurrent.futures, or a dask.distributed.Client"
        )
    return Engine(executor)
