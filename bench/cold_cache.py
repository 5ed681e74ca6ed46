"""Five small right gradients in fresh processes with an empty cache, several at a time.

    python -m bench.cold_cache [RUNS] [AT ONCE]

What every continuous integration does: `assert check_grad(...)` as the first thing a process does, on a
machine that is busy with seven others. Every report must agree, and by the same strategy.

Seen in 100 runs, eight at once, on two cores that were busy with other work besides (a load of 6 to 10):
500 of 500 agree, all by a sweep.
Of the 220 before the wait for a processor was told from work, 16 were screened; of those since, none.
"""

import os
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

PROBLEMS = """
import numpy as np
import fastgrad as fg

rng = np.random.default_rng(0)
X, y = rng.normal(size=(40, 6)), rng.normal(size=40)


def squares(x):
    return (x**2).sum()


def ridge(w, X, y):
    return ((X @ w - y) ** 2).mean() + 0.1 * (w**2).sum()


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def rosenbrock_grad(x):
    g = np.zeros_like(x)
    g[:-1] = -400 * x[:-1] * (x[1:] - x[:-1] ** 2) - 2 * (1 - x[:-1])
    g[1:] += 200 * (x[1:] - x[:-1] ** 2)
    return g


def net(p, X, y):
    return (((np.tanh(X @ p.W) @ p.v) - y) ** 2).mean()


def net_grad(p, X, y):
    A = np.tanh(X @ p["W"])
    r = 2 * (A @ p["v"] - y) / len(y)
    return {"W": X.T @ (r[:, None] * p["v"] * (1 - A**2)), "v": A.T @ r}


def waves(x):
    return np.sin(x).sum()


theta = {"W": 0.5 * rng.normal(size=(6, 5)), "v": rng.normal(size=5)}
checks = [
    (squares, lambda x: 2 * x, np.ones(300)),
    (ridge, lambda w, X, y: 2 * X.T @ (X @ w - y) / len(y) + 0.2 * w, rng.normal(size=6), X, y),
    (rosenbrock, rosenbrock_grad, rng.normal(size=20)),
    (net, net_grad, theta, X, y),
    (waves, np.cos, rng.normal(size=1000)),
]
for number, arguments in enumerate(checks):
    report = fg.check_grad(*arguments)
    which = "" if report.strategy == "sweep" else f" (problem {number})"
    print(report.verdict, report.strategy + which)
"""


def run(_: int) -> list[str]:
    """The verdicts and strategies of one process."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
        done = subprocess.run(
            [sys.executable, "-c", PROBLEMS], env=environment, capture_output=True, text=True
        )
    lines = done.stdout.splitlines()
    return lines + ["no verdict: " + done.stderr.strip()[-200:]] * (5 - len(lines))


def main(runs: int = 100, at_once: int = 8) -> int:
    """Count what they say."""
    with ThreadPoolExecutor(at_once) as pool:
        counts = Counter(line for lines in pool.map(run, range(runs)) for line in lines)
    for said, count in counts.most_common():
        print(f"{count:5d}  {said}")
    return int(set(counts) != {"agrees sweep"})


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
