"""A suggestion applied to its files: on request alone, and only where nothing of the user's is lost."""

import subprocess
import tokenize
from pathlib import Path

from fastgrad.report.suggestion import Suggestion


class NotWrittenError(Exception):
    """A file that is not written to; the message says why, and what to do."""


def write(suggestion: Suggestion) -> tuple[str, ...]:
    """Change the files of a suggestion, and say which.

    Raises
    ------
    NotWrittenError
        A file is not what the suggestion was made for, or has changes that are not committed.
        Nothing is written then.
    """
    for path, before, _ in suggestion._texts:
        _require_clean(Path(path), before)
    for path, _, after in suggestion._texts:
        with tokenize.open(path) as file:
            file.read()
            encoding, newline = file.encoding, file.newlines
        ending = newline if isinstance(newline, str) else "\n"
        with open(path, "w", encoding=encoding, newline=ending) as file:
            file.write(after)
    return tuple(path for path, *_ in suggestion._texts)


def _require_clean(path: Path, before: str) -> None:
    if not path.is_file():
        raise NotWrittenError(f"{path} is no file: apply the diff by hand")
    with tokenize.open(path) as file:
        if file.read().rstrip("\n") != before.rstrip("\n"):
            raise NotWrittenError(f"{path} has changed since it was checked: check again")
    try:
        status = subprocess.run(
            ["git", "-C", str(path.parent), "status", "--porcelain", "--", path.name],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:  # no git, so nothing that is not committed
        return
    if status.returncode == 0 and status.stdout.strip():
        raise NotWrittenError(
            f"{path} has changes that are not committed: commit or stash them first, so that the "
            "edit can be told from them"
        )
