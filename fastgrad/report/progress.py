"""A bar with an ETA for long runs."""

from collections.abc import Iterator
from contextlib import contextmanager

from fastgrad.evaluate.protocol import Evaluator


def say_plan(plan: str) -> None:
    """Say on stderr what is about to be done."""
    from rich.console import Console

    Console(stderr=True).print(plan, highlight=False)


@contextmanager
def progress_bar(run: Evaluator, label: str, evaluations: int) -> Iterator[None]:
    """Show on stderr how many of the expected evaluations ``run`` has made, and the time left."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("evaluations, ETA"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=evaluations)
        run.advance = lambda count: bar.advance(task, count)
        try:
            yield
        finally:
            run.advance = None
