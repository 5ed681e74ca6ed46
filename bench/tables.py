"""Markdown tables from what pytest-benchmark wrote; every figure comes from there."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from bench.checkers import CHECKERS, SCREEN
from bench.museum import tables as museum_tables
from bench.rivals import RIVALS

Row = dict[str, Any]
EQUAL_ACCURACY = 3.0
"""Two errors within this factor are rounding's doing, and count as equal."""


def absent(results: dict[str, Any], package: str) -> str:
    """Why a rival has no figure."""
    installed = results["machine_info"]["versions"].get(package)
    return "not measured" if installed else "not installed"


def rows_of(results: dict[str, Any], table: str) -> list[Row]:
    """What the benchmarks of one table found, with the median of one call in ``seconds``."""
    rows = []
    for benchmark in results["benchmarks"]:
        facts = benchmark["extra_info"]
        if facts.get("table") == table:
            seconds = benchmark["stats"]["median"] / facts.get("inner", 1)
            rows.append({"seconds": seconds, **facts})
    return rows


def markdown(head: list[str], body: list[list[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *body]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def unique(rows: list[Row], key: str) -> list[Any]:
    return list(dict.fromkeys(row[key] for row in rows))


def one(rows: list[Row], **facts: Any) -> Row | None:
    found = [row for row in rows if all(row.get(key) == value for key, value in facts.items())]
    return found[0] if found else None


def duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def machine(results: dict[str, Any]) -> str:
    info = results["machine_info"]
    cpu = info["cpu"]
    versions = ", ".join(f"{p} {v}" for p, v in info["versions"].items() if v is not None)
    absent = [package for package, v in info["versions"].items() if v is None]
    text = (
        f"Measured on {results['datetime'][:10]}: {cpu.get('brand_raw', info['machine'])}, "
        f"{cpu.get('count', '?')} cores, {info['threads']} threads, load {info['load']:.1f} at the "
        f"end; {info['system']}, Python {info['python_version']}, {versions}."
    )
    return text + (f" Not installed: {', '.join(absent)}." if absent else "")


def ratio(rival: Row, ours: Row) -> float:
    """The rival's time over ours for the same entries, measured in turns."""
    if "beside" in rival:
        return float(rival["seconds"] / rival["beside"])
    return float(rival["seconds"] / rival["share"] / ours["seconds"])


def gradient(results: dict[str, Any]) -> str:
    rows = rows_of(results, "gradient")
    body = []
    for ours in (row for row in rows if row["tool"] == "fastgrad"):
        limit = 2 * ours["n"] * ours["beside"] / ours["threads"]
        others = [r for r in rows if r["problem"] == ours["problem"] and r is not ours]
        equal = [r for r in others if r["error"] <= EQUAL_ACCURACY * ours["error"]]
        fastest = min(equal, key=lambda r: ratio(r, ours), default=None)
        body.append(
            [
                ours["problem"],
                duration(ours["seconds"]),
                f"{ours['error']:.0e}",
                duration(ours["beside"]),
                f"{ours['seconds'] / limit:.2f}",
                duration(max(0.0, ours["first_call"] - ours["seconds"])),
                f"{ratio(fastest, ours):.2g} ({fastest['tool']})" if fastest else "none",
            ]
        )
    head = ["problem", "time", "largest error", "one evaluation C", "time / limit", "compile time"]
    note = (
        "\n\nThe limit is 2 n C / threads. Times are medians of at least 7. A rival is as accurate "
        f"if its largest error is at most {EQUAL_ACCURACY:g} times ours."
    )
    return markdown([*head, "fastest rival as accurate, times ours"], body) + note


def rivals(results: dict[str, Any]) -> str:
    rows = rows_of(results, "gradient")
    problems = unique(rows, "problem")
    body = []
    for rival in RIVALS:
        cells = []
        for problem in problems:
            row = one(rows, tool=rival.name, problem=problem)
            ours = one(rows, tool="fastgrad", problem=problem)
            if row is None or ours is None:
                cells.append(absent(results, rival.package))
                continue
            mark = "" if row["share"] == 1.0 else "\\*"
            cells.append(f"{ratio(row, ours):.3g}{mark} ({row['error']:.0e})")
        body.append([rival.name, *cells])
    note = "\n\n\\* Both on the same sample of the entries."
    return markdown(["time over ours (largest error)", *problems], body) + note


def busy(results: dict[str, Any]) -> str:
    rows = rows_of(results, "busy")
    body = []
    for problem in unique(rows, "problem"):
        ours, scipy = (one(rows, problem=problem, tool=t) for t in ("fastgrad", "scipy 3-point"))
        if ours and scipy:
            times = [duration(ours["seconds"]), duration(scipy["seconds"])]
            body.append([problem, *times, f"{scipy['seconds'] / ours['seconds']:.2g}"])
    return markdown(["every core busy", "fastgrad", "scipy 3-point", "ratio"], body)


def accuracy(results: dict[str, Any]) -> str:
    rows = rows_of(results, "accuracy")
    groups = list(rows[0]["results"])
    points = {
        (row["tool"], group): tuple(np.median(row["results"][group], axis=0))
        for row in rows
        for group in groups
    }
    body = []
    for row in rows:
        cells = []
        for group in groups:
            digits, cost = points[row["tool"], group]
            worst = min(d for d, _ in row["results"][group])
            failed = sum(d < 0 for d, _ in row["results"][group])
            better = any(
                d >= digits and c <= cost and (d > digits + 0.05 or c < cost - 0.05)
                for (_, other), (d, c) in points.items()
                if other == group
            )
            text = f"{max(digits, 0):.1f} / {max(worst, 0):.1f} at {cost:.3g}"
            text += f", {failed} failed" if failed else ""
            cells.append(text if better else f"**{text}**")
        body.append([row["tool"], *cells])
    counts = [f"{group} ({len(rows[0]['results'][group])})" for group in groups]
    return markdown(["digits, median / worst, at evaluations a coordinate", *counts], body)


def honesty(results: dict[str, Any]) -> str:
    body = []
    for row in rows_of(results, "honesty"):
        claimed, true = (np.array(row[key], np.float64) for key in ("claimed", "true"))
        counts = (true > 0) & np.isfinite(claimed)
        over = claimed[counts] / true[counts]
        below = np.min(over, initial=1.0)
        body.append(
            [
                row["tool"],
                f"{true.size:,}",
                f"{100 * np.mean(true <= claimed):.1f}%",
                f"{np.median(over):.2g}",
                f"{1 / below:.2g}" if below > 0 else "it claimed 0",
                str(row["refused"]),
            ]
        )
    head = ["reported error", "entries", "true error below it", "times the true error (median)"]
    return markdown([*head, "true error at worst, times it", "functions refused"], body)


def checking(results: dict[str, Any]) -> str:
    rows = rows_of(results, "verdicts")
    kinds, faults = list(rows[0]["right"]), list(rows[0]["wrong"])
    body = []
    for checker in (*CHECKERS, SCREEN):
        row = one(rows, tool=checker.name)
        if row is None:
            why = absent(results, checker.package)
            body.append([checker.name, *[why] * (len(kinds) + len(faults) + 1)])
            continue
        failed = [share([not passed for passed in row["right"][kind]]) for kind in kinds]
        found = [share(row["wrong"][fault]) for fault in faults]
        body.append([checker.name, *failed, *found, duration(row["seconds"])])
    head = [f"false failures: {kind}" for kind in kinds] + [f"found: {fault}" for fault in faults]
    return markdown(["checker", *head, "time of a check"], body)


def share(outcomes: list[bool]) -> str:
    return f"{sum(outcomes)} of {len(outcomes)}"


def check_time(results: dict[str, Any]) -> str:
    rows = rows_of(results, "check time")
    problems = unique(rows, "problem")
    body = []
    for checker in (*CHECKERS, SCREEN):
        cells = []
        for problem in problems:
            row = one(rows, tool=checker.name, problem=problem)
            text = absent(results, checker.package) if row is None else duration(row["seconds"])
            cells.append(text if row is None or row["passed"] else f"{text}, fails it")
        body.append([checker.name, *cells])
    return markdown(["time of a check that should pass", *problems], body)


def first_use(results: dict[str, Any]) -> str:
    body = [
        [f"import {row['tool']}", duration(row["seconds"])] for row in rows_of(results, "import")
    ]
    for row in rows_of(results, "first use"):
        what = "" if row["stage"] == "any" else f": {row['stage']}"
        body.append([f"first gradient, {row['tool']}{what}", duration(row["seconds"])])
    for row in rows_of(results, "first check"):
        if "first_check" in row:
            what = f"within a process, first check beyond its loss's compiling: {row['stage']}"
            body.append([what, duration(row["first_check"])])
        else:
            body.append(["first check, a Python loss", duration(row["seconds"])])
    return markdown(["a whole process", "seconds"], body)


def scale(results: dict[str, Any]) -> str:
    rows = rows_of(results, "scale")
    if not rows:
        return 'Not measured: this version of `check_grad` has no `strategy="screen"`.'
    body = [
        [
            f"{row['n']:,}",
            "locate one wrong entry" if row["wrong"] else "screen",
            str(row["threads"]),
            f"{row['evaluations']:,}",
            duration(row["seconds"]),
            f"{row['memory'] / 2**20:.3g} MiB",
            f"{row['memory'] / (8 * row['n']):.1f}",
            row["verdict"],
            str(row["rounds"]),
        ]
        for row in rows
    ]
    head = ["n", "what", "threads", "evaluations", "time", "memory", "in vectors of n", "verdict"]
    return markdown([*head, "rounds"], body)


def scale_cost(results: dict[str, Any]) -> str:
    """What a screen takes beside its evaluations, by the processor's time and by the clock."""
    body = []
    for row in rows_of(results, "scale cost"):
        evaluations = row["evaluations"] * row["each"]
        body.append(
            [
                f"{row['n']:,}",
                str(row["threads"]),
                duration(row["each"]),
                str(row["evaluations"]),
                f"{row['processor'] / evaluations - 1:.0%}",
                f"{row['seconds'] / (evaluations / row['threads']) - 1:.0%}",
                duration(row["first"]),
                duration(row["seconds"]),
            ]
        )
    head = ["n", "threads", "one evaluation", "evaluations", "beside them, by processor time"]
    return markdown([*head, "by the clock", "first check", "a check"], body)


def locate(results: dict[str, Any]) -> str:
    rows = rows_of(results, "locate")
    body = []
    for row in rows:
        counts = row["evaluations"]
        found = f"{row['found']} of {len(counts)}"
        body.append([row["fault"], f"{np.mean(counts):.0f}", str(max(counts)), found])
    n = rows[0]["n"]
    head = [f"wrong among {n:,} entries", "evaluations, mean", "most", "found, and nothing else"]
    return markdown(head, body) + f"\n\nA sweep takes 2 n = {2 * n:,} evaluations."


def structured(results: dict[str, Any]) -> str:
    body = []
    for row in rows_of(results, "structured"):
        cells = ["", ""]
        if "beside" in row:
            other = row["times"] * row["beside"]
            cells = [f"{row['rival']}: {duration(other)}", faster(row["seconds"], other)]
        plain = row.get("plain_error")
        body.append(
            [
                row["what"],
                f"{row['n']:,}",
                str(row["threads"]),
                f"{row['evaluations']:,}" if "evaluations" in row else "",
                duration(row["seconds"]),
                *cells,
                row["target"],
                f"{row['error']:.0e}" if "error" in row else row["verdict"],
                "" if plain is None else f"{plain:.0e}",
            ]
        )
    head = ["structured loss", "n", "threads", "evaluations", "time", "beside", "ratio", "target"]
    note = (
        "\n\nBeside: measured in turns with it, on one thread; 2 n C is what 2 n plain evaluations "
        "take, C one of them in compiled code. The errors are on the same sample of entries."
    )
    return markdown([*head, "largest error, or verdict", "that of a plain sweep"], body) + note


def faster(seconds: float, other: float) -> str:
    """How two times compare, in words."""
    if seconds > other:
        return f"{seconds / other:.2g} times as long"
    return f"{other / seconds:.3g} times faster"


def small(results: dict[str, Any]) -> str:
    """Calls of a microsecond, and each tool beside a loop by hand that was measured in turns."""
    rows = rows_of(results, "small")
    problems = unique(rows, "problem")
    body = []
    for tool in unique(rows, "tool"):
        cells = []
        for problem in problems:
            row = one(rows, tool=tool, problem=problem)
            if row is None:
                cells.append("-")
                continue
            times = f" ({row['seconds'] / row['beside']:.3g})" if "beside" in row else ""
            cells.append(f"{duration(row['seconds'])}{times}")
        body.append([tool, *cells])
    return markdown(["a call (times a loop by hand)", *problems], body)


def small_costs(results: dict[str, Any]) -> str:
    """First calls, which compile, and calls."""
    body = [
        [row["problem"], duration(row["first_call"]), duration(row["seconds"])]
        for row in rows_of(results, "small costs")
    ]
    return markdown(["a gradient of", "first call", "a call"], body)


def museum(results: dict[str, Any]) -> str:
    return markdown(
        museum_tables.HEAD, museum_tables.by_checker(rows_of(results, "museum"), duration)
    )


def museum_kinds(results: dict[str, Any]) -> str:
    rows, mended = rows_of(results, "museum"), rows_of(results, "museum mended")
    edits = mended[0]["mended"] if mended else {}
    head, body = museum_tables.head_by_kind(rows), museum_tables.by_kind(rows, edits)
    return f"{markdown(head, body)}\n\n{museum_tables.amiss(rows)}"


def spaces(results: dict[str, Any]) -> str:
    body = []
    for row in rows_of(results, "spaces"):
        seconds, cells = row.get("least", row["seconds"]), [row["rival"], ""]
        if "beside" in row:
            ratio = f"{seconds / row['beside']:.2f}"
            cells = [f"{row['rival']}: {duration(row['beside'])}", ratio]
        errors = [f"{row[key]:.0e}" if key in row else "" for key in ("error", "their_error")]
        fixed = row["what"], f"{row['n']:,}", duration(seconds)
        body.append([*fixed, *cells, row["target"], *errors])
    head = [
        "on a space",
        "entries",
        "time",
        "beside",
        "time over that",
        "target",
        "error",
        "theirs",
    ]
    note = (
        "\n\nBeside: the same loss and gradient, measured in turns; times are the least of 25. Errors "
        "are the largest, over the largest entry."
    )
    return markdown(head, body) + note


def frameworks(results: dict[str, Any]) -> str:
    body = []
    for row in rows_of(results, "frameworks"):
        found = [share(row["wrong"][fault]) for fault in row["wrong"]]
        failed = share([not passed for passed in row["right"]])
        where = f"{NETS_TOLD[row['net']]}, {row['precision']}"
        body.append([row["tool"], where, failed, *found, duration(row["right_seconds"])])
    faults = [f"found: {fault}" for fault in rows_of(results, "frameworks")[0]["wrong"]]
    head = ["checker", "net, in", "right ones failed", *faults, "CPU time of a right one"]
    return markdown(head, body)


def noise(results: dict[str, Any]) -> str:
    body = []
    for row in rows_of(results, "noise"):
        limits = [f"{100 * np.median(row[k]):.2g}%" if row[k] else "" for k in ("along", "shape")]
        found, runs = sum(row["found"].values()), row["runs"]
        body.append(
            [
                f"{row['family']}, {row['dtype']}",
                f"{row['parameters']:,}",
                f"{row['agree']} and {row['refuted']} of {runs}",
                f"{row['evaluations']:.0f}",
                *limits,
                f"{found} of {runs * len(row['found'])}",
                f"{row['after']:.0f}",
            ]
        )
    head = ["nets, screened", "parameters", "right ones: agree and refuted", "evaluations"]
    head += ["agrees along the gradient within", "in any direction", "faults found", "after"]
    return markdown(head, body)


def overhead(results: dict[str, Any]) -> str:
    body = [
        [
            f"{row['parameters']:,} in {row['arrays']}",
            f"{row['forward ms']:.2g} ms",
            f"{row['entry / forward']:.3g}",
            f"{row['direction / forward']:.3g}",
            f"{row['write / forward']:.3g}",
        ]
        for row in rows_of(results, "overhead")
    ]
    head = [
        "parameters, in arrays",
        "a bare forward pass",
        "an entry moved, and a pass",
        "a point of a line, and a pass",
        "all parameters written, and a pass",
    ]
    text = markdown([*head[:2], *(f"{words}, over a bare one" for words in head[2:])], body)
    for row in rows_of(results, "monitor"):
        text += (
            f"\n\nA check of `fastgrad.torch.Monitor` takes {row['evaluations']} forward passes and one "
            f"gradient, {row['checks'] / row['steps']:.2g} steps of training of a perceptron of 99,530 "
            f"parameters and a batch of 64: every 500 steps {100 * row['part']:.2g}% of the run."
        )
    return text


def jacobian(results: dict[str, Any]) -> str:
    body = [
        [
            row["method"],
            f"{row['error']:.0e}",
            f"{row['evaluations']:,}" if row["evaluations"] else "none of the function",
            duration(row["seconds"]),
            f"{row['seconds'] / row['beside']:.3g}" if "beside" in row else "1",
        ]
        for row in rows_of(results, "jacobian")
    ]
    head = ["Jacobian of 200 outputs by 100 inputs", "largest error", "evaluations", "time"]
    note = "\n\nTimes over fastgrad's are measured in turns with it. jax differentiates by itself."
    return markdown([*head, "over fastgrad's"], body) + note


def jacobian_sparse(results: dict[str, Any]) -> str:
    body = [
        [
            row["method"],
            f"{row['error']:.0e}" if "error" in row else "agrees",
            duration(row["seconds"]),
            f"{row['seconds'] / row['beside']:.3g}" if "beside" in row else "1",
        ]
        for row in rows_of(results, "jacobian sparse")
    ]
    head = ["tridiagonal Jacobian of 100,000", "largest error", "time", "over fastgrad's"]
    return markdown(head, body)


def jacobian_errors(results: dict[str, Any]) -> str:
    return "\n".join(
        f"Standard errors of a logistic regression of {row['parameters']} parameters on the 6,366 "
        "answers of Fair's survey, from the inverse of a numerical Hessian, beside those of "
        f"statsmodels: equal to {row['error']:.0e} of them by the loss alone (in "
        f"{duration(row['seconds'])}), to "
        f"{row['by_score']:.0e} by differences of the score."
        for row in rows_of(results, "jacobian errors")
    )


def repair(results: dict[str, Any]) -> str:
    """What `report.suggest` mends: by collection, with the edits tried and the time of each bug."""
    body, left = [], []
    for row in rows_of(results, "repair"):
        found = row["mended"]
        right = [bug for bug in found if bug["outcome"] == "right"]
        wrong = [bug for bug in found if bug["outcome"] == "wrong"]
        body.append([row["collection"], f"{len(right)} of {len(found)}", str(len(wrong))])
        for of in (right, [bug for bug in found if bug["outcome"] == "not mended"]):
            for key, told in (
                ("tried", "{:,.0f}".format),
                ("seconds", duration),
                ("cpu", duration),
            ):
                values = [bug[key] for bug in of]
                cell = f"{told(float(np.median(values)))}, {told(max(values))}" if values else "-"
                body[-1].append(cell)
        left.append(f"- {row['collection']}: {_not_mended(found)}.")
    what = ["edits tried", "time", "CPU time"]
    head = ["bugs", "mended", "wrongly", *what, *(f"{words}, not mended" for words in what)]
    return markdown(head, body) + "\n\nMedian, most.\n\n" + "\n".join(left)


def _not_mended(found: list[Row]) -> str:
    names = [bug["name"] for bug in found if bug["outcome"] != "right"]
    return f"not mended {', '.join(names)}" if names else "all mended"


NETS_TOLD = {
    "mlp": "perceptron of 99,530",
    "small mlp": "perceptron of 248",
    "transformer": "transformer of 104,714",
}
"""Nets, by their parameters."""
TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "machine": machine,
    "gradient": gradient,
    "rivals": rivals,
    "busy": busy,
    "structured": structured,
    "accuracy": accuracy,
    "honesty": honesty,
    "checking": checking,
    "check-time": check_time,
    "first-use": first_use,
    "small": small,
    "small-costs": small_costs,
    "scale": scale,
    "scale-cost": scale_cost,
    "locate": locate,
    "spaces": spaces,
    "jacobian": jacobian,
    "jacobian-sparse": jacobian_sparse,
    "jacobian-errors": jacobian_errors,
    "frameworks": frameworks,
    "frameworks-cost": overhead,
    "noise": noise,
    "museum": museum,
    "museum-kinds": museum_kinds,
    "repair": repair,
}
NEEDS = {
    "rivals": "gradient",
    "checking": "verdicts",
    "check-time": "check time",
    "museum-kinds": "museum",
    "frameworks-cost": "overhead",
}
"""The kind of row a table is made of, where it is not of its own name."""


def tables(results: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """``(name, markdown)`` of every table that the results have rows for."""
    for name, table in TABLES.items():
        kind = NEEDS.get(name, name.replace("-", " "))
        if name in ("machine", "scale") or rows_of(results, kind):
            yield name, table(results)
