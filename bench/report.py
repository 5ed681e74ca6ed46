"""``python -m bench.report``: run the benchmarks and put their tables into the README.

    python -m bench.report                  run all, then rewrite README.md
    python -m bench.report results.json     from a run of before
    python -m bench.report --print          to the screen instead

A table goes between ``<!-- bench:NAME -->`` and ``<!-- /bench:NAME -->``; the rest stays.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.tables import TABLES, tables

HERE = Path(__file__).parent
RESULTS = HERE.parent / ".benchmarks" / "report.json"
ORDER = ("gradient", "structured", "first_use", "scale", "accuracy", "checking")
"""What starts threads of its own comes last, in one process with the rest."""


def run(results: Path) -> None:
    """Run everything under pytest-benchmark; a row that fails its own check stops the report."""
    results.parent.mkdir(exist_ok=True)
    files = [str(HERE / f"test_{name}.py") for name in ORDER]
    options = ["-q", "--benchmark-enable", "--benchmark-quiet", f"--benchmark-json={results}"]
    subprocess.run([sys.executable, "-m", "pytest", *options, *files], cwd=HERE.parent, check=True)


def replaced(text: str, made: dict[str, str]) -> tuple[str, list[str]]:
    """The text with its tables replaced, and what is amiss with its markers."""
    amiss = []
    for name in TABLES:
        between = re.compile(rf"(<!-- bench:{name} -->\n).*?(<!-- /bench:{name} -->)", re.DOTALL)
        if len(between.findall(text)) != 1:
            amiss.append(f"no one pair of <!-- bench:{name} --> and <!-- /bench:{name} -->")
        elif name not in made:
            amiss.append(f"{name}: the results have no rows for it; the old table stays")
        else:
            text = between.sub(lambda m, t=made[name]: f"{m[1]}{t}\n{m[2]}", text)
    for name in dict.fromkeys(re.findall(r"<!-- bench:([\w-]+) -->", text)):
        if name not in TABLES:
            amiss.append(f"bench:{name} is no table; there are {', '.join(TABLES)}")
    return text, amiss


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("results", nargs="?", type=Path, help="JSON of an earlier run")
    parser.add_argument("--readme", type=Path, default=HERE.parent / "README.md")
    parser.add_argument("--print", action="store_true", help="print the tables, change no file")
    options = parser.parse_args(arguments)
    if options.results is None:
        run(RESULTS)
    results: dict[str, Any] = json.loads((options.results or RESULTS).read_text("utf-8"))
    made = dict(tables(results))
    if options.print:
        for name, table in made.items():
            print(f"{name}\n\n{table}\n")
        return 0
    text, amiss = replaced(options.readme.read_text("utf-8"), made)
    options.readme.write_text(text, "utf-8")
    for message in amiss:
        print(f"{options.readme.name}: {message}", file=sys.stderr)
    return 1 if amiss else 0


if __name__ == "__main__":
    sys.exit(main())
