"""Table 4: what a new process pays before its first gradient, interpreter and imports included."""

import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import fastgrad

ROUNDS = 7
LOSS = """
import numpy as np
{imports}

{decorator}
def loss(w, X, y):
    z = X @ w
    return np.log1p(np.exp(-y * z)).mean() + 0.01 * (w * w).sum()

rng = np.random.default_rng(0)
X, y, w = rng.normal(size=(100, 50)), rng.choice(np.array([-1.0, 1.0]), 100), rng.normal(size=50)
z = X @ w
exact = 0.02 * w - X.T @ (y / (1 + np.exp(y * z))) / 100
gradient = {gradient}
assert np.abs(gradient - exact).max() < 1e-6
"""
TOOLS = {
    "fastgrad": ("import fastgrad\nfrom numba import njit", "fastgrad.grad(loss)(w, X, y)"),
    "scipy 3-point": (
        "from scipy.optimize._numdiff import approx_derivative\nfrom numba import njit",
        "approx_derivative(loss, w, method='3-point', args=(X, y))",
    ),
}
STAGES = {
    "nothing compiled before": ("@njit", "none"),
    "a new loss": ("@njit", "kept"),
    "second process, loss cached": ("@njit(cache=True)", "kept"),
}
IMPORTS = {
    "numpy": "import numpy",
    "scipy.optimize": "import scipy.optimize",
    "numba": "import numba",
    "statsmodels.tools.numdiff": "import statsmodels.tools.numdiff",
    "numdifftools": "import numdifftools",
    "fastgrad": "import numpy, fastgrad",
    "fastgrad.check_grad": "import numpy, fastgrad; fastgrad.check_grad",
}
CHECK = """
import time
import numpy as np
from numba import njit
from fastgrad import check_grad

@njit
def loss(w, y):
    return np.log1p(np.exp(-y * w)).mean() + {constant} * (w * w).sum()

def gradient(w, y):
    return -y / (1 + np.exp(y * w)) / w.size + 2 * {constant} * w

rng = np.random.default_rng(0)
w, y = rng.normal(size=50), rng.normal(size=50)
loss(w, y)
began = time.perf_counter()
assert check_grad(loss, gradient, w, y)
print(time.perf_counter() - began)
"""
CHECKS = {"nothing compiled before": False, "a new loss in a later process": True}
"""Whether another loss was checked before, in a process that shares the folder of what is compiled."""
PYTHON_CHECK = """
import numpy as np
from fastgrad import check_grad
assert check_grad(lambda w: (w * w).sum(), lambda w: 2 * w, np.ones(50), backend="python")
"""


def run(command: list[str], cache: Path) -> str:
    paths = [str(Path(fastgrad.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "NUMBA_CACHE_DIR": str(cache),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
    command = [sys.executable, *command]
    return subprocess.run(
        command, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def process_rounds(benchmark, command: list[str], cache: Path, empty: bool, quick: bool) -> None:
    """Time the process, after one that fills the caches; or each with empty ones."""
    run(command, cache)
    if quick:
        return
    setup = (lambda: shutil.rmtree(cache, ignore_errors=True)) if empty else None
    benchmark.pedantic(run, args=(command, cache), setup=setup, rounds=ROUNDS)


@pytest.mark.parametrize("module", IMPORTS)
def test_import(module: str, benchmark, tmp_path, quick):
    pytest.importorskip(module.partition(".")[0])
    benchmark.extra_info.update(table="import", tool=module)
    process_rounds(benchmark, ["-c", IMPORTS[module]], tmp_path / "cache", False, quick)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("tool", TOOLS)
def test_first_gradient(tool: str, stage: str, benchmark, tmp_path, quick):
    decorator, cache = STAGES[stage]
    if quick and (tool, stage) != ("fastgrad", "a new loss"):
        pytest.skip("one is enough for the quick mode")
    imports, gradient = TOOLS[tool]
    script = tmp_path / "first.py"
    script.write_text(LOSS.format(imports=imports, decorator=decorator, gradient=gradient))
    benchmark.extra_info.update(table="first use", tool=tool, stage=stage)
    process_rounds(benchmark, [str(script)], tmp_path / "cache", cache == "none", quick)


def test_first_gradient_numpy(benchmark, tmp_path, quick):
    """scipy on the loss in NumPy, which has nothing to compile."""
    imports, gradient = TOOLS["scipy 3-point"]
    script = tmp_path / "first.py"
    imports = imports.split("\n")[0]
    script.write_text(LOSS.format(imports=imports, decorator="", gradient=gradient))
    benchmark.extra_info.update(table="first use", tool="scipy 3-point, NumPy loss", stage="any")
    process_rounds(benchmark, [str(script)], tmp_path / "cache", False, quick)


@pytest.mark.parametrize("stage", CHECKS)
def test_first_check(stage: str, benchmark, tmp_path, quick):
    """Beyond what the loss itself takes to compile, measured within the process."""
    later, seconds = CHECKS[stage], []
    for k in range(1 if quick else ROUNDS):
        cache = tmp_path / f"cache {k}"
        if later:
            run(["-c", CHECK.format(constant=0.01)], cache)
        seconds.append(float(run(["-c", CHECK.format(constant=0.02)], cache)))
    process_rounds(benchmark, ["-c", PYTHON_CHECK], tmp_path / "cache", False, quick)
    benchmark.extra_info.update(
        table="first check", stage=stage, first_check=statistics.median(seconds)
    )


def test_first_check_in_python(benchmark, tmp_path, quick):
    benchmark.extra_info.update(table="first check", stage="in Python")
    process_rounds(benchmark, ["-c", PYTHON_CHECK], tmp_path / "cache", False, quick)
