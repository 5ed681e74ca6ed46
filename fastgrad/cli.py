"""The command line: ``fastgrad demo``."""

import typer

app = typer.Typer(
    help="A gradient checker: is a gradient right, where is it wrong, how sure is the answer?",
    no_args_is_help=True,
    add_completion=False,
)


@app.callback()
def main() -> None:
    """Keep ``demo`` a command of its own."""


@app.command()
def demo() -> None:
    """Check the backprop gradient of a net on real digits, then the same with a bug planted."""
    from fastgrad.demo import run_demo

    run_demo(typer.echo)
