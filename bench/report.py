"""``python -m bench.report``: run the benchmarks and put their tables into the READMEs.

    python -m bench.report                  run all, then rewrite README.md and bench/README.md
    python -m bench.report results.json     from a run of before
    python -m bench.report --print          to the screen instead
    python -m bench.report --only museum    one file of benchmarks, and its tables alone

A table goes between ``<!-- bench:NAME -->`` and ``<!-- /bench:NAME -->``; the rest stays.
"""

import argparse
import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from bench.tables import TABLES, tables

HERE = Path(__file__).parent
READMES = (HERE.parent / "README.md", HERE / "README.md")
RESULTS = HERE.parent / ".benchmarks" / "report.json"
ORDER = (
    "gradient",
    "structured",
    "first_use",
    "small",
    "scale",
    "locate",
    "accuracy",
    "spaces",
    "jacobian",
    "checking",
    "frameworks",
    "noise",
    "museum",
    "repair",
)
"""What starts threads of its own comes last, in one process with the rest."""


def run(results: Path, only: str | None = None) -> None:
    """Run all, or one file, under pytest-benchmark; a row that fails its own check stops the report."""
    results.parent.mkdir(exist_ok=True)
    files = [str(HERE / f"test_{name}.py") for name in ([only] if only else ORDER)]
    options = ["-q", "--benchmark-enable", "--benchmark-quiet", f"--benchmark-json={results}"]
    subprocess.run([sys.executable, "-m", "pytest", *options, *files], cwd=HERE.parent, check=True)


def filled(found: re.Match[str], table: str) -> str:
    return f"{found[1]}{table}\n{found[2]}"


def replaced(texts: list[str], made: dict[str, str]) -> tuple[list[str], list[str]]:
    """The texts with their tables replaced, and what is amiss with their markers."""
    amiss = []
    for name in TABLES:
        pair = re.compile(rf"(<!-- bench:{name} -->\n).*?(<!-- /bench:{name} -->)", re.DOTALL)
        marks = [mark for text in texts for mark in re.findall(rf"<!-- /?bench:{name} -->", text)]
        pairs = sum(len(pair.findall(text)) for text in texts)
        if pairs == 0 or len(marks) != 2 * pairs:
            amiss.append(f"no whole pair of <!-- bench:{name} --> and <!-- /bench:{name} -->")
        elif name not in made:
            amiss.append(f"{name}: the results have no rows for it; the old table stays")
        else:
            between = partial(filled, table=made[name])
            texts = [pair.sub(between, text) for text in texts]
    for name in dict.fromkeys(re.findall(r"<!-- bench:([\w-]+) -->", "".join(texts))):
        if name not in TABLES:
            amiss.append(f"bench:{name} is no table; there are {', '.join(TABLES)}")
    return texts, amiss


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("results", nargs="?", type=Path, help="JSON of an earlier run")
    parser.add_argument("--readme", type=Path, action="append", help="a file with tables")
    parser.add_argument("--print", action="store_true", help="print the tables, change no file")
    parser.add_argument("--only", choices=ORDER, help="one file of benchmarks; all else stays")
    options = parser.parse_args(arguments)
    if options.results is None:
        run(RESULTS, options.only)
    results: dict[str, Any] = json.loads((options.results or RESULTS).read_text("utf-8"))
    made = dict(tables(results))
    if options.only:  # the machine is that of the other tables; a table may say that it has no rows
        made = {name: table for name, table in made.items() if name.startswith(options.only)}
    if options.print:
        for name, table in made.items():
            print(f"{name}\n\n{table}\n")
        return 0
    readmes = options.readme or READMES
    texts, amiss = replaced([readme.read_text("utf-8") for readme in readmes], made)
    for readme, text in zip(readmes, texts, strict=True):
        readme.write_text(text, "utf-8")
    if options.only:
        amiss = [message for message in amiss if "the old table stays" not in message]
    for message in amiss:
        print(message, file=sys.stderr)
    return 1 if amiss else 0


if __name__ == "__main__":
    sys.exit(main())
