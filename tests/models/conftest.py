from pathlib import Path

from fastgrad import models


def forget_stale_compilations() -> None:
    """Delete the models' cached machine code where a source of theirs is newer.

    Numba looks at the file of the cached function alone and not at those it calls into
    (https://github.com/numba/numba/pull/8396): a change in `_terms.py` would go untested.
    """
    folder = Path(models.__file__).parent
    newest = max(source.stat().st_mtime for source in folder.glob("*.py"))
    for index in (folder / "__pycache__").glob("*.nbi"):
        if index.stat().st_mtime < newest:
            index.unlink(missing_ok=True)


forget_stale_compilations()
