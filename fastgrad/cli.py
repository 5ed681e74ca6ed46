"""The command line: ``fastgrad demo``, ``fastgrad bench``."""

from typing import Annotated

import typer

app = typer.Typer(
    help="A gradient checker: is a gradient right, where is it wrong, how sure is the answer?",
    no_args_is_help=True,
    add_completion=False,
)


@app.command()
def demo() -> None:
    """Check the backprop gradient of a net on real digits, then the same with a bug planted."""
    from fastgrad.commands.demo import run_demo

    run_demo(typer.echo)


@app.command()
def bench(
    problem: Annotated[
        str,
        typer.Argument(help="module:problem or file.py:problem: a tuple (loss, theta, *args)."),
    ],
) -> None:
    """Measure our methods on your own loss: time, evaluations, error, and which one to take."""
    from fastgrad.commands.bench import run_bench

    run_bench(problem, typer.echo)
