"""Table 5: evaluations, seconds and memory of a screen, up to ten million parameters."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastgrad
from bench.checkers import has_screen

SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
THREADS = (1, 2)
ROUNDS, ROUNDS_AT_MOST = 7, 10_000_000
"""So many rounds below that size; three from there up."""
SCRIPT = """
import json, resource, sys, time
import numba, numpy as np
import fastgrad as fg

n, threads, wrong, rounds = map(int, sys.argv[1:])
numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))

@numba.njit
def loss(x):
    total = 0.0
    for i in range(x.size):
        total += x[i] * x[i] / (1.0 + x[i] * x[i])
    return total / x.size

x = np.random.default_rng(0).normal(size=n)
g = 2 * x / (1 + x**2) ** 2 / n
if wrong:
    g[n // 3] += np.sqrt(np.mean(g**2))
small = x[:1000].copy()
fg.check_grad(loss, 2 * small / (1 + small**2) ** 2 / 1000, small, strategy="screen", budget=None)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
times = []
for _ in range(rounds):
    began = time.perf_counter()
    report = fg.check_grad(loss, g, x, strategy="screen", budget=None)
    times.append(time.perf_counter() - began)
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
found = [entry.index[0] for entry in report.entries if entry.verdict == "disagrees"]
answer = dict(seconds=float(np.median(times)), evaluations=report.evaluations, found=found)
print(json.dumps({**answer, "verdict": report.verdict, "vectors": 1024 * memory / (8 * n)}))
"""


@pytest.mark.parametrize("wrong", [0, 1], ids=["screen", "locate one entry"])
@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("n", SIZES)
def test_screen(n: int, threads: int, wrong: int, benchmark, tmp_path, quick):
    if not has_screen():
        pytest.skip('check_grad has no strategy="screen" yet')
    if quick and n > 10_000:
        pytest.skip("too long for the quick mode")
    script = tmp_path / "screen.py"
    script.write_text(SCRIPT)
    rounds = 1 if quick else ROUNDS if n < ROUNDS_AT_MOST else 3
    command = [sys.executable, str(script), *map(str, (n, threads, wrong, rounds))]
    paths = [str(Path(fastgrad.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    answers: list[str] = []

    def run():
        answers.append(subprocess.check_output(command, env=environment, text=True))

    benchmark.pedantic(run, rounds=1)
    answer = json.loads(answers[-1])
    benchmark.extra_info.update(
        table="scale", n=n, threads=threads, wrong=bool(wrong), rounds=rounds, **answer
    )
    assert answer["verdict"] == ("disagrees" if wrong else "agrees")
    assert answer["found"] == ([n // 3] if wrong else [])
