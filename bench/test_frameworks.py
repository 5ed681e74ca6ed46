"""Table 8: checkers of torch and jax on nets with planted faults, in three precisions; their cost."""

import time
import warnings

import numpy as np
import pytest

from bench.frameworks import CHECKERS, FAULTS, PRECISIONS, FrameworkChecker

ROWS = [(checker, net) for checker in CHECKERS for net in checker.nets]
STEPS = 60
"""Steps of training, and checks between them, in turns."""
EVERY = 500


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("checker", "net"), ROWS, ids=lambda x: getattr(x, "name", x))
def test_frameworks(checker: FrameworkChecker, net: str, precision: str, benchmark, quick):
    """Right gradients must pass and wrong ones fail."""
    if not checker.installed:
        pytest.skip(f"{checker.package} is not installed")
    if quick and (net != checker.nets[0] or precision != "float32"):
        pytest.skip("too long for the quick mode")
    seconds: list[float] = []

    def passes(seed: int, fault: str | None) -> bool:
        began = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            passed = checker.passes(net, precision, seed, fault)
        seconds.append(time.process_time() - began)
        return passed

    right: list[bool] = []
    seeds = range(1 if quick else checker.seeds)
    wrong: dict[str, list[bool]] = {fault: [] for fault in (FAULTS[:2] if quick else FAULTS)}

    def run():
        passes(0, None)  # what is loaded and compiled once
        seconds.clear()
        for seed in seeds:
            right.append(passes(seed, None))
        benchmark.extra_info["right_seconds"] = float(np.median(seconds))
        for fault, found in wrong.items():
            found += [not passes(seed, fault) for seed in seeds]

    benchmark.pedantic(run, rounds=1)
    benchmark.extra_info.update(
        table="frameworks",
        tool=checker.name,
        net=net,
        precision=precision,
        right=right,
        wrong=wrong,
    )
    if checker.name.startswith("fastgrad"):
        assert all(right)
        assert all(all(found) for found in wrong.values())


@pytest.mark.parametrize("width", [256, 900, 0])
def test_overhead(width: int, benchmark, quick):
    """An evaluation through `fastgrad.torch` in bare forward passes, measured in turns; 0 is deep."""
    torch = pytest.importorskip("torch")
    from bench.gpu import overhead

    if quick and width > 256:
        pytest.skip("too long for the quick mode")
    found = {}
    benchmark.pedantic(lambda: found.update(overhead(width, torch.device("cpu"))), rounds=1)
    benchmark.extra_info.update(table="overhead", **found)


def test_monitor(benchmark, quick):
    """A check of a monitor beside the steps of training it stands between."""
    torch = pytest.importorskip("torch")
    import fastgrad.torch
    from tests.extras.nets import problem

    module, _ = problem("mlp", torch.float32, 0)
    optimizer = torch.optim.AdamW(module.parameters(), 1e-3)
    monitor = fastgrad.torch.Monitor(lambda m, *batch: m(*batch), every=1, on_alarm="record")
    times: dict[str, list[float]] = {"steps": [], "checks": []}

    def run():
        for step in range(5 if quick else STEPS):
            batch = torch.randn(64, 64), torch.randint(10, (64,))
            began = time.perf_counter()
            monitor(step, module, *batch)
            between = time.perf_counter()
            optimizer.zero_grad()
            module(*batch).backward()
            optimizer.step()
            times["checks"].append(between - began)
            times["steps"].append(time.perf_counter() - between)

    benchmark.pedantic(run, rounds=1)
    evaluations = max(record.evaluations for record in monitor.records[1:])
    facts = {what: float(np.median(seconds)) for what, seconds in times.items()}
    part = facts["checks"] / (EVERY * facts["steps"])
    benchmark.extra_info.update(table="monitor", evaluations=evaluations, part=part, **facts)
    assert evaluations <= 4
    assert not any(record.alarm for record in monitor.records)
