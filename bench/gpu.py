"""Checks of torch modules on the device at hand, beside bare forward passes: python -m bench.gpu."""

import time

import numpy as np
import torch
from torch import nn

import fastgrad as fg
from fastgrad.evaluate.protocol import Inputs
from fastgrad.parameters.layout import flatten
from fastgrad.torch.evaluator import TorchLoss
from fastgrad.torch.program import Program
from fastgrad.torch.subject import Subject

ROUNDS, FORWARDS = 5, 40


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def model(width: int, where: torch.device) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    parts = (
        nn.Linear(64, width),
        nn.SiLU(),
        nn.Linear(width, width),
        nn.SiLU(),
        nn.Linear(width, 10),
    )
    return nn.Sequential(*parts).to(where), torch.randn(128, 64, device=where)


def wait(where: torch.device) -> float:
    if where.type == "cuda":
        torch.cuda.synchronize()
    return time.process_time() if where.type == "cpu" else time.perf_counter()


def overhead(width: int, where: torch.device) -> dict[str, float]:
    """An evaluation of an entry and of a direction, in bare forward passes in float64."""
    module, x = model(width, where)
    program = Program(Subject.of(module, (x,), None, None, 1), torch.float64, 0)
    layout, flat = flatten(program.values())
    run = TorchLoss(program).evaluator_at(Inputs(layout, flat))
    bare, own = module.double(), x.double()
    v, steps = np.random.default_rng(0).standard_normal(flat.size), np.full(FORWARDS, 1e-6)
    entries = np.arange(FORWARDS)
    seconds: dict[str, list[float]] = {"bare": [], "entries": [], "direction": []}
    for _ in range(ROUNDS):
        began = wait(where)
        with torch.no_grad():
            for _ in range(FORWARDS):
                bare(own).sum()
        seconds["bare"].append(wait(where) - began)
        began = wait(where)
        run.coordinates(entries, steps[:, None])
        seconds["entries"].append(wait(where) - began)
        began = wait(where)
        run.along(v, steps)
        seconds["direction"].append(wait(where) - began)
    least = {what: min(times) for what, times in seconds.items()}
    return {
        "parameters": flat.size,
        "forward ms": 1e3 * least["bare"] / FORWARDS,
        "entry / forward": least["entries"] / least["bare"],
        "direction / forward": least["direction"] / least["bare"],
    }


def main() -> None:
    where = device()
    print(f"torch {torch.__version__} on {where}")
    for width in (256, 900):
        print(", ".join(f"{what} {value:.3g}" for what, value in overhead(width, where).items()))
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        module, x = model(64, where)
        began = time.perf_counter()
        report = fg.torch.check(module.to(dtype), x.to(dtype))
        seconds = time.perf_counter() - began
        print(f"{dtype}: {report.verdict}, {report.evaluations} evaluations, {seconds:.2g} s")


if __name__ == "__main__":
    main()
