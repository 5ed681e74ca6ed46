"""Table 5: evaluations, seconds and memory of a screen, up to ten million parameters; its own cost."""

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
import json, sys, time, tracemalloc
import numba, numpy as np
import fastgrad as fg

n, threads, wrong, rounds = map(int, sys.argv[1:])
numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))

@numba.njit
def loss(x):  # in parts: a sum from left to right is noisier, and errors of 1% drown at 1e7
    total = 0.0
    for start in range(0, x.size, 1024):
        part = 0.0
        for i in range(start, min(start + 1024, x.size)):
            part += x[i] * x[i] / (1.0 + x[i] * x[i])
        total += part
    return total / x.size

x = np.random.default_rng(0).normal(size=n)
g = 2 * x / (1 + x**2) ** 2 / n
if wrong:
    g[n // 3] += np.sqrt(np.mean(g**2))
small = x[:1000].copy()
fg.check_grad(loss, 2 * small / (1 + small**2) ** 2 / 1000, small, strategy="screen", budget=None)

def check():
    return fg.check_grad(loss, g, x, strategy="screen", budget=None)

times = []
for _ in range(rounds):
    began = time.perf_counter()
    report = check()
    times.append(time.perf_counter() - began)
tracemalloc.start()
check()
memory = tracemalloc.get_traced_memory()[1]
found = [entry.index[0] for entry in report.entries if entry.verdict == "disagrees"]
answer = dict(seconds=float(np.median(times)), evaluations=report.evaluations, found=found)
print(json.dumps({**answer, "verdict": report.verdict, "memory": memory}))
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
    answers: list[str] = []

    def run():
        answers.append(answer_of(script, n, threads, wrong, rounds))

    benchmark.pedantic(run, rounds=1)
    answer = json.loads(answers[-1])
    benchmark.extra_info.update(
        table="scale", n=n, threads=threads, wrong=bool(wrong), rounds=rounds, **answer
    )
    assert answer["verdict"] == ("disagrees" if wrong else "agrees")
    assert answer["found"] == ([n // 3] if wrong else [])


MANY, FEW = 3_000_000, 3_000
WARM = 8
"""Checks before the first that counts: by then NumPy's part is compiled, where it is in no cache."""
BESIDE = """
import json, sys, time
import numba, numpy as np
import fastgrad as fg

n, threads, rounds, warm = map(int, sys.argv[1:])
numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))

@numba.njit
def loss(x):
    total = 0.0
    for start in range(0, x.size, 1024):
        part = 0.0
        for i in range(start, min(start + 1024, x.size)):
            part += np.exp(-1.5 * x[i] * x[i]) + np.exp(-0.5 * x[i] * x[i])
        total += part
    return total / x.size

x = np.random.default_rng(0).normal(size=n)
g = -x * (3.0 * np.exp(-1.5 * x * x) + np.exp(-0.5 * x * x)) / n

def check():
    return fg.check_grad(loss, g, x, strategy="screen", budget=None)

def timed(call):
    wall, own = time.perf_counter(), time.process_time()
    result = call()
    return time.perf_counter() - wall, time.process_time() - own, result

first = timed(check)[0]
for _ in range(warm):
    check()
each, seconds, own = [], [], []
for _ in range(rounds):
    each += [timed(lambda: loss(x))[1] for _ in range(3)]
    wall, processor, report = timed(check)
    seconds.append(wall)
    own.append(processor)
answer = dict(first=first, each=float(np.median(each)), seconds=float(np.median(seconds)))
answer |= dict(processor=float(np.median(own)), evaluations=report.evaluations)
print(json.dumps({**answer, "verdict": report.verdict}))
"""


@pytest.mark.parametrize("threads", THREADS)
def test_beside_evaluations(threads: int, benchmark, tmp_path, quick):
    """What a screen of a right gradient takes beside its evaluations, measured in turns with them."""
    script = tmp_path / "beside.py"
    script.write_text(BESIDE)
    n, rounds, warm = (FEW, 1, 0) if quick else (MANY, ROUNDS, WARM)
    answers: list[str] = []

    def run():
        answers.append(answer_of(script, n, threads, rounds, warm))

    benchmark.pedantic(run, rounds=1)
    answer = json.loads(answers[-1])
    benchmark.extra_info.update(table="scale cost", n=n, threads=threads, **answer)
    assert answer["verdict"] == "agrees"


def answer_of(script: Path, *arguments: int) -> str:
    """What a script prints in a process of its own."""
    paths = [str(Path(fastgrad.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, str(script), *map(str, arguments)]
    return subprocess.check_output(command, env=environment, text=True)
