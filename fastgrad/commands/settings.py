"""``[tool.fastgrad]`` of pyproject.toml."""

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class SettingsError(Exception):
    """What stands in pyproject.toml cannot be used; the message says what to write."""


RENAMED = {"json": "json_file"}
"""Options that have another name in Python."""


def settings(known: Sequence[str]) -> dict[str, Any]:
    """The defaults of an option by its Python name, from the nearest file that has a section.

    Targets that are files are relative to the folder of that file.

    Parameters
    ----------
    known : sequence of str
        Python names of what may be set.

    Raises
    ------
    SettingsError
        The file is no TOML, or has a key that is no option.
    """
    for folder in (Path.cwd(), *Path.cwd().parents):
        file = folder / "pyproject.toml"
        if file.is_file() and (section := _section(file)) is not None:
            return _checked(section, known, file)
    return {}


def _section(file: Path) -> Any:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("fastgrad")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not TOML: {error}") from error


def _checked(section: Any, known: Sequence[str], file: Path) -> dict[str, Any]:
    if not isinstance(section, dict):
        raise SettingsError(f"{file}: expected a table [tool.fastgrad]")
    made = {}
    for key, value in section.items():
        name = RENAMED.get(key, key.replace("-", "_"))
        if name not in known or name == "config":
            names = sorted(n.replace("_", "-") for n in known if n not in ("config", "json_file"))
            near = difflib.get_close_matches(key, names, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else f": expected {', '.join(names)}"
            raise SettingsError(f"{file}: [tool.fastgrad] knows no {key!r}{hint}")
        made[name] = value
    if "targets" in made:
        made["targets"] = _targets(made["targets"], file)
    return made


def _targets(targets: Any, file: Path) -> list[str]:
    if not isinstance(targets, list) or not all(isinstance(target, str) for target in targets):
        raise SettingsError(
            f'{file}: targets: expected a list of strings, such as ["model.py:problem"]'
        )
    return [_placed(target, file.parent) for target in targets]


def _placed(target: str, folder: Path) -> str:
    place = target if target.endswith(".py") else target.rpartition(":")[0]
    if not place.endswith(".py") or folder == Path.cwd():
        return target
    return str(folder / target)
