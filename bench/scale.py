"""A sweep of 1e7 entries of a 1 s loss on 1 to 10,000 workers, simulated: ``python -m bench.scale``.

The simulation has the package's own rules (parts, how many wait at a worker, what one costs the client),
workers of unlike speed, stragglers, and workers that die. It writes ``bench/scale.md``.
"""

import heapq
import pickle
from pathlib import Path

import numpy as np
from numba import njit

from bench.tables import markdown
from fastgrad.cluster.dispatch import AHEAD
from fastgrad.cluster.pace import CLIENT_SECONDS, PART_SECONDS
from fastgrad.cluster.question import Question, Span
from fastgrad.cluster.store import BODY, FRAME, Answer
from fastgrad.planning import ANSWER_ARRAYS, SWEEP_ARRAYS

ENTRIES = 10**7
SECONDS = 1.0
WORKERS = (1, 10, 100, 1000, 10_000)
SPEEDS = 0.1
"""sd of the logarithm of a worker's speed."""
STRAGGLERS, STRAGGLES = 0.01, 3.0
"""The share of parts that take so many times as long."""
FAILURES_AN_HOUR = 0.01
RESTART_SECONDS = 30.0
FRAMES = 2000
"""Bytes that dask adds to a part on its way out and back, about: a task's key, function and states."""
SEED = 0
PAGE = Path(__file__).with_name("scale.md")


@njit
def simulate(evaluations, workers, longest, client_seconds, fails, seed):
    """Makespan, parts, evaluations made again, the share of time the client was busy, and how many
    workers of the average speed these are."""
    np.random.seed(seed)
    speed = np.exp(SPEEDS * np.random.standard_normal(workers))
    waiting = np.zeros((workers, 2 * AHEAD), np.int64)
    queued, doing = np.zeros(workers, np.int64), np.zeros(workers, np.int64)
    down = np.zeros(workers)
    # (when, worker, kind, evaluations); 0: done, 1: died, 2: wants a part, 3: a part arrives
    events = [(0.0, w, 2, 0) for w in range(workers) for _ in range(AHEAD)]
    heapq.heapify(events)
    left, under_way = evaluations, 0
    client, busy, end = 0.0, 0.0, 0.0
    parts, again = 0, 0
    while events:
        now, w, kind, size = heapq.heappop(events)
        if kind == 2:
            if left > 0:
                client = max(client, now) + client_seconds
                busy += client_seconds
                size = int(longest / SECONDS)
                if workers > 1:
                    size = min(size, -(-left // (2 * workers)))
                size = max(1, min(left, size))
                left -= size
                under_way += size
                parts += 1
                heapq.heappush(events, (client, w, 3, size))
            elif under_way > 0:  # another may die, and leave something to do
                heapq.heappush(events, (now + RESTART_SECONDS, w, 2, 0))
            continue
        if kind == 3:
            if now < down[w]:
                left += size
                under_way -= size
                continue
            waiting[w, queued[w]] = size
            queued[w] += 1
        elif kind == 1:
            lost = doing[w] + waiting[w, : queued[w]].sum()
            again += doing[w]
            left += lost
            under_way -= lost
            doing[w], queued[w] = 0, 0
            down[w] = now + RESTART_SECONDS
            for _ in range(AHEAD):
                heapq.heappush(events, (down[w], w, 2, 0))
            continue
        else:
            under_way -= doing[w]
            doing[w] = 0
            end = max(end, now)
            heapq.heappush(events, (now, w, 2, 0))
        if doing[w] == 0 and queued[w] > 0:
            doing[w] = waiting[w, 0]
            for k in range(1, queued[w]):
                waiting[w, k - 1] = waiting[w, k]
            queued[w] -= 1
            takes = doing[w] * SECONDS * speed[w]
            if np.random.random() < STRAGGLERS:
                takes *= STRAGGLES
            dies = np.random.exponential(1.0 / fails)
            if dies < takes:
                heapq.heappush(events, (now + dies, w, 1, 0))
            else:
                heapq.heappush(events, (now + takes, w, 0, 0))
    return end, parts, again, busy / end, np.sum(1.0 / speed)


def bytes_moved(part: int) -> tuple[float, float]:
    """Bytes of a part out and back, and in the checkpoint, by pickling one."""
    question = Question(np.arange(part), np.ones((part, 2)))
    out = len(pickle.dumps(question.part(Span(0, part))))
    back = len(pickle.dumps(Answer(np.ones(part), 1.0, part)))
    return out + back + FRAMES, FRAME.size + BODY.size + 8 * part


def rows() -> list[list[str]]:
    """The table: a line for each number of workers."""
    made = []
    evaluations, fails = 2 * ENTRIES, FAILURES_AN_HOUR / 3600
    for workers in WORKERS:
        longest = max(PART_SECONDS, workers * CLIENT_SECONDS)
        span, parts, again, busy, strength = simulate(
            evaluations, workers, longest, CLIENT_SECONDS, fails, SEED
        )
        short = span, parts, again, busy
        if longest > PART_SECONDS:
            least = max(
                evaluations * SECONDS / workers, evaluations * CLIENT_SECONDS / PART_SECONDS
            )
            short = least, 0, 0, evaluations * CLIENT_SECONDS / PART_SECONDS / least
        moved, kept = bytes_moved(max(1, round(evaluations / parts)))
        ideal = evaluations * SECONDS / strength
        made.append(
            [
                f"{workers:,}",
                hours(span),
                f"{ideal / span:.1%}",
                f"{longest:g} s",
                f"{busy:.1%}",
                f"{again / evaluations:.2%}",
                hours(short[0]),
                f"{short[3]:.0%}",
                f"{parts * moved / 1e9:.2g} GB",
                f"{workers * 8 * ENTRIES / 1e9:,.3g} GB",
                f"{parts * kept / 1e9:.2g} GB",
            ]
        )
    return made


def hours(seconds: float) -> str:
    return f"{seconds / 86400:.3g} days" if seconds > 2 * 86400 else f"{seconds / 3600:.3g} h"


def page() -> str:
    head = ["workers", "makespan", "of ideal", "part", "client busy", "done twice"]
    head += [
        "parts of 1 s take at least",
        "client busy",
        "parts and answers",
        "theta to workers",
        "file",
    ]
    limit = round(PART_SECONDS / CLIENT_SECONDS)
    in_flight = AHEAD * WORKERS[-1] * FRAMES / 1e6
    memory = 8 * ENTRIES * (SWEEP_ARRAYS + ANSWER_ARRAYS) / 1e9
    return f"""# A sweep that one machine cannot make

Written by `python -m bench.scale`, by simulation; no cluster of this size was used.
{ENTRIES:,} entries of a loss that takes {SECONDS:g} s, two evaluations each, on workers whose speeds
differ by {SPEEDS:.0%}; {STRAGGLERS:.0%} of the parts take {STRAGGLES:g} times as long; a worker dies
with a probability of {FAILURES_AN_HOUR:.0%} an hour, and is back after {RESTART_SECONDS:g} s. A part
costs the process that sends it {1e3 * CLIENT_SECONDS:g} ms, and {AHEAD} are in flight for each worker.

{markdown(head, rows())}

- "Of ideal" is beside workers of these speeds that never wait, are never late and never die. At 1%
  an hour deaths cost nothing that shows: a worker loses the part it is at, and {RESTART_SECONDS:g} s.
- The client needs {memory:.1f} GB at its peak beside theta, at any number of workers: a sweep's arrays,
  and all answers. What is in flight is {AHEAD} parts a worker, {in_flight:.0f} MB at {WORKERS[-1]:,}
  workers.
- With parts of {PART_SECONDS:g} s the client is the bottleneck from {limit} workers on: it sends at most
  {1 / CLIENT_SECONDS:g} parts a second. So parts get longer from there, by {1e3 * CLIENT_SECONDS:g} ms a
  worker, and shorter again as the work runs out; when it has, some workers wait for the last of others.
- Theta goes to each worker once, and from worker to worker, not through the client. At 10,000 workers
  it is more than all parts and answers together.
- Beyond that, check parts of theta by calls of their own (`trainable=`, `check_many`), each with its
  client, workers and checkpoint; a screen, of some 70 evaluations at any size, needs no cluster.
"""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))
