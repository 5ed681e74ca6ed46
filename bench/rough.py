"""``python -m bench.rough``: verdicts on losses whose slope depends on the step, and digits in SI units.

Writes bench/rough.md. Each kind of `tests.rough` has its right gradient and one whose entry of largest
effect is 30% too large. Rivals give differences and no verdict; they are held to the tolerances of
torch's gradcheck (atol 1e-5, rtol 1e-3), and jacobi to three of its own error bars beside them.
"""

import argparse
import datetime
import platform
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import fastgrad as fg
from bench.rivals import version
from tests.rough import KINDS, Rough, fixed_point_loose, printed_coarsely, rough
from tests.units import accuracy

HERE = Path(__file__).parent
ATOL, RTOL = 1e-5, 1e-3
GRADCHECK_STEP = 1e-6
JACOBI_BARS = 3.0
TOO_LARGE = 1.3

Accepts = Callable[[Rough, np.ndarray], str]
"""Of a problem and a gradient: "agrees", "disagrees" or "inconclusive"."""


def by_fastgrad(strategy: str) -> Accepts:
    def accepts(problem: Rough, a: np.ndarray) -> str:
        options = {"strategy": strategy, "backend": "python", "budget": None}
        return fg.check_grad(problem.loss, a, problem.theta, **options).verdict

    return accepts


def within(D: np.ndarray, a: np.ndarray, more: np.ndarray | float = 0.0) -> str:
    return "agrees" if np.all(np.abs(a - D) <= ATOL + RTOL * np.abs(D) + more) else "disagrees"


def by_scipy(problem: Rough, a: np.ndarray) -> str:
    from scipy.optimize import check_grad

    error = check_grad(problem.loss, lambda x: a, problem.theta)
    return "agrees" if error <= ATOL + RTOL * np.linalg.norm(a) else "disagrees"


def by_gradcheck(problem: Rough, a: np.ndarray) -> str:
    D = np.empty(a.size)
    for i in range(a.size):
        step = np.zeros(a.size)
        step[i] = GRADCHECK_STEP
        up, down = problem.loss(problem.theta + step), problem.loss(problem.theta - step)
        D[i] = (up - down) / (2 * GRADCHECK_STEP)
    return within(D, a)


def by_statsmodels(problem: Rough, a: np.ndarray) -> str:
    from statsmodels.tools.numdiff import approx_fprime

    return within(approx_fprime(problem.theta, problem.loss, centered=True), a)


def by_jacobi(problem: Rough, a: np.ndarray) -> str:
    from jacobi import jacobi

    D, error = jacobi(problem.loss, problem.theta)
    return within(D, a, JACOBI_BARS * error)


CHECKERS: dict[str, tuple[str, Accepts]] = {
    "fastgrad": ("fastgrad", by_fastgrad("sweep")),
    "fastgrad, screen": ("fastgrad", by_fastgrad("screen")),
    "scipy check_grad": ("scipy", by_scipy),
    "gradcheck's rule": ("numpy", by_gradcheck),
    "statsmodels": ("statsmodels", by_statsmodels),
    "jacobi": ("jacobi", by_jacobi),
}


def counted(accepts: Accepts, problems: list[Rough]) -> tuple[Counter[str], Counter[str]]:
    """Verdicts of right gradients, and of those with an error."""
    right, wrong = Counter[str](), Counter[str]()
    for problem in problems:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            right[accepts(problem, problem.gradient)] += 1
            a = problem.gradient.copy()
            a[int(np.abs(a).argmax())] *= TOO_LARGE
            wrong[accepts(problem, a)] += 1
    return right, wrong


def cell(right: Counter[str], wrong: Counter[str]) -> str:
    """Right ones refused, errors passed; in brackets what was left open."""
    parts = []
    for counts, bad in ((right, "disagrees"), (wrong, "agrees")):
        open_ = f" ({counts['inconclusive']})" if counts["inconclusive"] else ""
        parts.append(f"{counts[bad]}{open_}")
    return " / ".join(parts)


def rough_table(seeds: range) -> Iterator[str]:
    installed = {name: by for name, (package, by) in CHECKERS.items() if _is_there(package)}
    yield f"| kind | {' | '.join(installed)} |"
    yield "| --- |" + " ---: |" * len(installed)
    totals = {name: (Counter[str](), Counter[str]()) for name in installed}
    for kind in (*KINDS, printed_coarsely, fixed_point_loose):
        problems = list(rough((kind,), seeds))
        cells = []
        for name, accepts in installed.items():
            counts = counted(accepts, problems)
            for total, one in zip(totals[name], counts, strict=True):
                total.update(one)
            cells.append(cell(*counts))
        row = f"| {kind.__name__.replace('_', ' ')} | {' | '.join(cells)} |"
        print(row, flush=True)
        yield row
    count = sum(totals["fastgrad"][0].values())
    yield f"| all {count} | {' | '.join(cell(*totals[name]) for name in installed)} |"


def _is_there(package: str) -> bool:
    return package == "fastgrad" or version(package) is not None


def digits_table(seeds: int) -> Iterator[str]:
    yield "| | median digits | least of 90% | evaluations an entry | outside their bars |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for name, method in accuracy.methods().items():
        found = accuracy.accuracies(method, seeds=range(seeds))
        digits = np.concatenate([each.digits for each in found])
        evaluations = np.median([each.evaluations for each in found])
        inside = [each.inside for each in found if each.inside is not None]
        outside = (
            "" if not inside else f"{np.count_nonzero(~np.concatenate(inside))} of {digits.size}"
        )
        row = (
            f"| {name} | {np.median(digits):.1f} | {np.quantile(digits, 0.1):.1f} | {evaluations:.1f} "
            f"| {outside} |"
        )
        print(row, flush=True)
        yield row


VERDICTS = """# Rough losses, and SI units

{made}

## Verdicts

Right gradients called wrong / gradients with an error of 30% in their entry of largest effect called
right, of {seeds} losses of each kind of [tests/rough.py](../tests/rough.py); in brackets those left
open. The others give differences and leave the verdict to their user: they are held to the tolerances
of torch's gradcheck, atol 1e-5 and rtol 1e-3, beside which jacobi has three of its own error bars.
"fixed point loose" is the smooth function that a tolerance of 1e-4 leaves: its gradient *is* another
one, and the report says at which rtol the exact one would agree.

{table}

"""

DIGITS = """## Digits

{made}

Of gradients of the {models} models of [tests/units/models.py](../tests/units/models.py), in SI units,
with 2 to 5 parameters in one vector. An estimate takes four evaluations an entry and four beside them,
theta twice and two for a look at a wide step, and below five entries one more for each that is missing:
the noise of the loss is read off its differences.

{table}
"""
BETWEEN = "## Digits\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", choices=("verdicts", "digits"), help="the other part stays")
    asked = parser.parse_args()
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("scipy", "statsmodels", "jacobi", "numdifftools")
    )
    made = (
        f"`python -m bench.rough --seeds {asked.seeds}` made this on {datetime.date.today()} "
        f"({platform.machine()}, Python {platform.python_version()}, {packages})."
    )
    file = HERE / "rough.md"
    verdicts, _, digits = file.read_text("utf-8").partition(BETWEEN)
    digits = BETWEEN + digits
    if asked.only != "digits":
        table = "\n".join(rough_table(range(asked.seeds)))
        verdicts = VERDICTS.format(made=made, seeds=asked.seeds, table=table)
    if asked.only != "verdicts":
        made = made.replace("--seeds", "--only digits --seeds")
        table = "\n".join(digits_table(asked.seeds))
        digits = DIGITS.format(made=made, models=len(accuracy.MODELS), table=table)
    file.write_text(verdicts + digits, "utf-8")


if __name__ == "__main__":
    main()
