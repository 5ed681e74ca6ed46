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

ROUNDS, FORWARDS = 8, 24
WIDTHS = 256, 900
DEEP = 0
"""The width that stands for sixty narrow layers, of 240 parameters each a few hundred numbers."""


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Deep(nn.Module):
    """Layers beside skips, each after a norm."""

    def __init__(self, layers: int = 60, width: int = 24):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(layers)])
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(layers)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = x + torch.tanh(layer(norm(x)))
        return x


def model(width: int, where: torch.device) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    if width == DEEP:
        return Deep().to(where), torch.randn(64, 24, device=where)
    parts = (
        nn.Linear(64, width),
        nn.SiLU(),
        nn.Linear(width, width),
        nn.SiLU(),
        nn.Linear(width, 10),
    )
    return nn.Sequential(*parts).to(where), torch.randn(56, 64, device=where)


def wait(where: torch.device) -> float:
    if where.type == "cuda":
        torch.cuda.synchronize()
    return time.process_time() if where.type == "cpu" else time.perf_counter()


class Turns:
    """An evaluation of a kind, in turns with bare forward passes in float64.

    Parameters
    ----------
    width : int
    where : torch.device
    """

    def __init__(self, width: int, where: torch.device):
        module, x = model(width, where)
        self.program = Program(Subject.of(module, (x,), None, None, 1), torch.float64, 0)
        layout, self.flat = flatten(self.program.values())
        self.run = TorchLoss(self.program).evaluator_at(Inputs(layout, self.flat))
        self.net, self.x = self.program.subject.call, x.double()
        rng = np.random.default_rng(0)
        self.lines = [rng.standard_normal(self.flat.size) for _ in range(2)]
        leaves = self.program.reals.values()
        self.written = [(leaf, leaf.clone(), torch.randn_like(leaf)) for leaf in leaves]

    def bare(self) -> None:
        for _ in range(FORWARDS):
            self.net(self.x).sum()

    def entries(self) -> None:
        self.run.coordinates(np.arange(FORWARDS), np.full((FORWARDS, 1), 1e-6))

    def direction(self) -> None:
        """Two points along each line, as differences take them."""
        for k in range(FORWARDS // 2):
            self.run.along(self.lines[k % 2], np.array([1e-6, -1e-6]))

    def write(self) -> None:
        """Parameters written anew before every pass, and nothing else: no evaluation does with less."""
        for _ in range(FORWARDS):
            for leaf, base, v in self.written:
                torch.add(base, v, alpha=1e-6, out=leaf)
            self.net(self.x).sum()


def overhead(width: int, where: torch.device) -> dict[str, float]:
    """An evaluation of an entry and of a direction, in bare forward passes in float64."""
    turns = Turns(width, where)
    kinds = turns.bare, turns.entries, turns.direction, turns.write
    seconds: dict[str, list[float]] = {kind.__name__: [] for kind in kinds}
    with turns.program.kept(), torch.no_grad():
        for _ in range(ROUNDS):
            for kind in kinds:
                began = wait(where)
                kind()
                seconds[kind.__name__].append(wait(where) - began)
    typical = {what: float(np.median(times)) for what, times in seconds.items()}
    return {
        "parameters": turns.flat.size,
        "arrays": len(turns.written),
        "forward ms": 1e3 * typical["bare"] / FORWARDS,
        "entry / forward": typical["entries"] / typical["bare"],
        "direction / forward": typical["direction"] / typical["bare"],
        "write / forward": typical["write"] / typical["bare"],
    }


def main() -> None:
    where = device()
    print(f"torch {torch.__version__} on {where}")
    for width in (*WIDTHS, DEEP):
        print(", ".join(f"{what} {value:.3g}" for what, value in overhead(width, where).items()))
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        module, x = model(64, where)
        began = time.perf_counter()
        report = fg.torch.check(module.to(dtype), x.to(dtype))
        seconds = time.perf_counter() - began
        print(f"{dtype}: {report.verdict}, {report.evaluations} evaluations, {seconds:.2g} s")


if __name__ == "__main__":
    main()
