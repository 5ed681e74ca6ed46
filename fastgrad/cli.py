"""The command line: ``fastgrad check``, ``explain``, ``bench``, ``demo``.

Exit codes: 0 agrees, 1 disagrees, 2 could not be run, 3 inconclusive.
"""

import sys
from typing import Any

import click

from fastgrad.version import __version__

COULD_NOT_RUN = 2
INTERRUPTED = 130
"""What a shell reports of a command that Ctrl-C ended."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="fastgrad %(version)s")
def app() -> None:
    """A gradient checker: is a gradient right, where is it wrong, how sure is the answer?"""


def _budget(_: click.Context, __: click.Parameter, value: Any) -> Any:
    """Seconds, or "none"."""
    if value is None:
        return None
    try:
        return "none" if str(value).lower() == "none" else float(value)
    except ValueError:
        raise click.BadParameter(f"{value!r}: expected seconds, or none for no limit") from None


def _settings(context: click.Context, _: click.Parameter, __: Any) -> None:
    """Defaults from ``[tool.fastgrad]``, before any other option is read."""
    from fastgrad.commands.settings import SettingsError, settings

    try:
        context.default_map = settings([p.name or "" for p in context.command.params])
    except SettingsError as error:
        raise click.UsageError(str(error)) from error


@app.command()
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@click.option("--strategy", metavar="auto|sweep|screen", help="How to look.")
@click.option("--budget", callback=_budget, metavar="SECONDS", help="Seconds to spend, or none.")
@click.option("--rtol", type=float, help="Relative errors below it do not matter.")
@click.option("--seed", type=int, help="Of all random choices.")
@click.option("--points", type=int, help="Check at this many points around theta.")
@click.option("--trainable", multiple=True, metavar="NAME", help="Blocks to check; repeatable.")
@click.option("--backend", metavar="auto|compiled|python", help="What runs the loss.")
@click.option(
    "--output-format",
    type=click.Choice(["text", "concise", "json", "github"]),
    default="text",
    show_default=True,
    help="What stands on stdout.",
)
@click.option("-o", "--output", type=click.Path(), help="Write that to a file instead.")
@click.option("--html", type=click.Path(), help="Write one page (needs fastgrad[report]).")
@click.option("--junitxml", type=click.Path(), help="Write JUnit XML, a test case a block.")
@click.option("--json", "json_file", type=click.Path(), help="Write everything as JSON.")
@click.option("--max-entries", type=click.IntRange(0), help="Entries listed in each report.")
@click.option("--suggest", is_flag=True, help="Look for the edit that mends what is wrong.")
@click.option("--write", is_flag=True, help="The same, and make that edit in a clean file.")
@click.option("--exit-zero", is_flag=True, help="Exit 0 whatever the verdicts.")
@click.option("--allow-inconclusive", is_flag=True, help="Exit 0 where nothing is shown wrong.")
@click.option("--progress/--no-progress", default=None, help="A bar on stderr; on in a terminal.")
@click.option("-j", "--jobs", type=click.IntRange(1), default=1, help="Check so many at a time.")
@click.option("--dry-run", is_flag=True, help="Say what it would cost, and check nothing.")
@click.option("--traceback", is_flag=True, help="Show where an error came from.")
@click.option("-q", "--quiet", is_flag=True, help="No report on stdout.")
@click.option("--config", is_eager=True, expose_value=False, hidden=True, callback=_settings)
@click.pass_context
def check(context: click.Context, targets: tuple[str, ...], **given: Any) -> None:
    """Check gradients. TARGET is module:name or file.py:name.

    It names a tuple (loss, grad, theta, *args); or something with fields loss, grad, theta, and
    perhaps args and options; or a function without arguments that makes either, or a report. A file
    alone is such a thing if it defines loss, grad and theta.

    Targets and options may stand in [tool.fastgrad] of pyproject.toml: targets = ["model.py:problem"].

    Exit codes: 0 agrees, 1 disagrees, 2 could not be run, 3 inconclusive.
    """
    from fastgrad.commands.check import Asked, run_check

    if not targets:
        raise click.UsageError(
            "no target: name one (fastgrad check model.py:problem), or list them under "
            "[tool.fastgrad] in pyproject.toml: targets = [...]"
        )
    words = "strategy", "budget", "rtol", "seed", "points", "trainable", "backend"
    options = {name: given.pop(name) for name in words}
    typed = click.core.ParameterSource.COMMANDLINE
    options = {name: value for name, value in options.items() if value not in (None, ())}
    chosen = {n for n in options if context.get_parameter_source(n) is typed}
    asked = Asked(
        {name: value for name, value in options.items() if name not in chosen},
        {name: options[name] for name in chosen},
        **given,
    )
    context.exit(run_check(targets, asked, click.echo))


@app.command()
@click.argument("word", nargs=-1)
@click.pass_context
def explain(context: click.Context, word: tuple[str, ...]) -> None:
    """Say what a WORD of a report means: verdict, law, remark or error. Without one, list them."""
    from fastgrad.commands.explain import explained, listed

    try:
        click.echo(explained(" ".join(word)) if word else listed())
    except KeyError as error:
        click.echo(f"fastgrad: {error.args[0]}", err=True)
        context.exit(COULD_NOT_RUN)


@app.command()
@click.argument("name", required=False)
@click.pass_context
def demo(context: click.Context, name: str | None) -> None:
    """Tell a story of gradient checking. Without a NAME, list all and tell the first."""
    from fastgrad.commands.demo import STORIES, listed, run_demo

    if name is None:
        click.echo(listed())
    try:
        run_demo(name or next(iter(STORIES)), click.echo)
    except KeyError as error:
        click.echo(f"fastgrad: {error.args[0]}", err=True)
        context.exit(COULD_NOT_RUN)


@app.command()
@click.argument("target")
@click.option("--traceback", is_flag=True, help="Show where an error came from.")
@click.pass_context
def bench(context: click.Context, target: str, traceback: bool) -> None:
    """Measure our methods on your own loss: time, evaluations, error, and which one to take.

    TARGET is as for check; a tuple (loss, theta, *args) will do.
    """
    from fastgrad.commands.bench import run_bench
    from fastgrad.commands.targets import told

    try:
        run_bench(target, click.echo)
    except Exception as error:
        click.echo(f"fastgrad: {target}: {told(error, traceback)}", err=True)
        context.exit(COULD_NOT_RUN)


def main() -> None:
    """Run the command line; whatever goes amiss in it is not exit 1, which means "disagrees"."""
    try:
        code = app.main(prog_name="fastgrad", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = COULD_NOT_RUN
    except (click.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except Exception as error:
        sys.excepthook(type(error), error, error.__traceback__)
        code = COULD_NOT_RUN
    sys.exit(code)
