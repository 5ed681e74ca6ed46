"""Table 4: what a new process pays before its first gradient, interpreter and imports included."""

import os
import shutil
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
    "fastgrad": "import fastgrad",
}


def run(command: list[str], cache: Path) -> None:
    paths = [str(Path(fastgrad.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "NUMBA_CACHE_DIR": str(cache),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
    subprocess.run([sys.executable, *command], env=environment, check=True)


def process_rounds(benchmark, command: list[str], cache: Path, empty: bool, quick: bool) -> None:
    """Time the process, after one that fills the caches; or each with empty ones."""
    if quick:
        return run(command, cache)
    run(command, cache)
    setup = (lambda: shutil.rmtree(cache, ignore_errors=True)) if empty else None
    benchmark.pedantic(run, args=(command, cache), setup=setup, rounds=ROUNDS)
    return None


@pytest.mark.parametrize("module", IMPORTS)
def test_import(module: str, benchmark, tmp_path, quick):
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
