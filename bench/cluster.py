"""What workers gain, and what they cost: ``python -m bench.cluster`` writes ``bench/cluster.md``.

Losses sleep, so that it is distribution that is measured and not how busy the machine is; with
``--compute`` the compiled one computes instead, which tells something on two idle cores alone.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from distributed import Client, LocalCluster
from numba import njit, types

import fastgrad as fg
from bench.tables import markdown

WORKERS = 2
PAGE = Path(__file__).with_name("cluster.md")
WANTED = {"python": 1.85, "overhead": 1.05, "compiled": 1.8}
"""What was asked for: times one process, over the ideal time, times one thread."""

usleep = types.ExternalFunction("usleep", types.int32(types.uint32))


def sleeping(seconds: float) -> Callable[..., float]:
    """A Python loss that takes so long."""

    def loss(x: Any) -> float:
        time.sleep(seconds)
        return float((x**4).sum())

    return loss


@njit(nogil=True)
def compiled_sleep(x):
    usleep(5000)
    return (x**4).sum()


@njit(nogil=True)
def compiled_work(x):
    total = 0.0
    for _ in range(1_700_000):  # 5 ms, about: each sum waits for the one before
        total = 0.999 * total + 1e-9 * x[0]
    return (x**4).sum() + total


def swept(loss: Any, n: int, backend: str, executor: Any = None) -> tuple[float, int]:
    """Seconds and evaluations of a sweep."""
    x = np.linspace(0.5, 1.5, n)
    began = time.perf_counter()
    report = fg.check_grad(loss, 4 * x**3, x, backend=backend, strategy="sweep", executor=executor)
    assert report, report
    return time.perf_counter() - began, report.evaluations


def on_workers(client: Client, loss: Any, n: int, backend: str) -> tuple[float, int]:
    """The same on workers that know the loss already."""
    swept(loss, 20, backend, client)
    return swept(loss, n, backend, client)


def rows(compute: bool) -> list[list[str]]:
    """The table, measured in one run."""
    made = []
    quiet = {"dashboard_address": ":0", "silence_logs": 50}
    with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, **quiet) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(WORKERS)
        alone, evaluations = swept(sleeping(0.05), 2000, "python")
        shared, _ = on_workers(client, sleeping(0.05), 2000, "python")
        made.append(row("Python, 50 ms, 2,000 entries", evaluations, alone, shared, "python"))
        for n in (60, 1000):
            shared, evaluations = on_workers(client, sleeping(0.1), n, "python")
            ideal = evaluations * 0.1 / WORKERS
            made.append(
                row(f"Python, 0.1 s, {n:,} entries", evaluations, ideal, shared, "overhead")
            )
        loss = compiled_work if compute else compiled_sleep
        import numba

        swept(loss, 20, "compiled")
        numba.set_num_threads(1)
        alone, evaluations = swept(loss, 2000, "compiled")
        shared, _ = on_workers(client, loss, 2000, "compiled")
        made.append(row("compiled, 5 ms, 2,000 entries", evaluations, alone, shared, "compiled"))
    return made


def row(what: str, evaluations: int, alone: float, shared: float, kind: str) -> list[str]:
    ideal = kind == "overhead"
    found = shared / alone if ideal else alone / shared
    said = f"{found - 1:+.1%}" if ideal else f"{found:.2f} times"
    wanted = f"at most {WANTED[kind] - 1:+.0%}" if ideal else f"at least {WANTED[kind]:g} times"
    first = f"{alone:.1f} s, the ideal" if ideal else f"{alone:.1f} s"
    return [what, f"{evaluations:,}", first, f"{shared:.1f} s", said, wanted]


def page(compute: bool) -> str:
    """The page."""
    head = ["loss", "evaluations", "one process or thread", f"{WORKERS} dask workers", "", "wanted"]
    how = "compute" if compute else "sleep"
    return f"""# What workers gain

Written by `python -m bench.cluster`: sweeps of a right gradient through a dask `Client` with {WORKERS}
workers of one thread on one machine, beside one process in the same run. The Python losses sleep, the
compiled one {how}s: it is the cost of distribution that is measured, and so on any machine.

{markdown(head, rows(compute))}

The share of a sweep that is lost is what comes first and last: three or four evaluations are made in
the client's own process, to learn what one costs, while workers wait; at the end one worker waits for
the other, for a tenth of a second at most. A part of a second costs 4 ms.
"""


if __name__ == "__main__":
    text = page("--compute" in sys.argv)
    PAGE.write_text(text, encoding="utf-8")
    print(text)
