"""Table 13: nets of five families in three precisions: verdicts on right gradients and on faults."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install -e '.[bench]'")

from bench.noise import DTYPES, FAMILIES, LARGE, count, net, screened  # noqa: E402

RUNS, LARGE_RUNS, FOUND = 2, 1, 0.9
"""Of each; counts of hundreds are the slow tests of tests/checks/test_noisy.py and of the extras."""
FAULTS = {"float64": "1% too large", "float32": "1% too large", "bfloat16": "10% too large"}
OTHERS = ("the sign", "no L2", "a mistaken derivative", "a zero row", "a stale minibatch")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_noise(family: str, dtype: str, benchmark, quick):
    """Right gradients are not refuted, and faults are."""
    if quick and (family != "ReLU" or dtype == "bfloat16"):
        pytest.skip("too long for the quick mode")
    measured(benchmark, family, dtype, 1 if quick else RUNS, (FAULTS[dtype], *OTHERS))


@pytest.mark.parametrize("family", LARGE)
def test_noise_of_large_nets(family: str, benchmark, quick):
    """The same of 1e5 to 1e6 parameters, in float32."""
    if quick:
        pytest.skip("too long for the quick mode")
    measured(benchmark, family, "float32", LARGE_RUNS, ("1% too large", "the sign"))


def measured(benchmark, family: str, dtype: str, runs: int, faults: tuple[str, ...]) -> None:
    torch.set_num_threads(1)  # many small products
    reports, found, after = [], {}, []

    def run():
        for seed in range(runs):
            problem = net(family, seed, dtype)
            reports.append(screened(problem, problem.grad(problem.theta), seed))
        for fault in faults:
            verdicts, made = count(family, dtype, fault, range(runs))
            found[fault] = verdicts["disagrees"]
            after.extend(made)

    benchmark.pedantic(run, rounds=1)
    told = [r.in_noise for r in reports if r.in_noise is not None]
    verdicts = [report.verdict for report in reports]
    benchmark.extra_info.update(
        table="noise",
        family=family,
        dtype=dtype,
        parameters=sum(a.size for a in net(family, 0, dtype).theta.values()),
        runs=runs,
        agree=verdicts.count("agrees"),
        refuted=verdicts.count("disagrees"),
        evaluations=float(np.median([report.evaluations for report in reports])),
        along=[float(t["all_along"]) for t in told],
        shape=[float(t["whole_any_shape"]) for t in told],
        found=found,
        after=float(np.median(after)),
    )
    assert "disagrees" not in verdicts
    assert sum(found.values()) >= FOUND * runs * len(faults)
