"""Finds and reads `podcov.yaml`."""

from __future__ import annotations

import os
from pathlib import Path

from podcov.config import Config, parse
from podcov.errors import UsageError


def read(path: Path) -> Config:
    """The configuration. Raises UsageError where there is no such file, ConfigError where it cannot be understood."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file", hint=_where_else(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}", hint="podcov.yaml is a text file in UTF-8") from None
    return parse(text, name=str(path))


def above(path: Path) -> Path | None:
    """The nearest file of that name in a folder above: whoever stands in a folder of a project meant that."""
    return next((file for folder in path.absolute().parent.parents if (file := folder / path.name).is_file()), None)


def go_to(found: Path) -> str:
    """What to do to have that file used."""
    return f"go to {found.parent}, or name it with -c {os.path.relpath(found)}"


def _where_else(path: Path) -> str:
    if found := above(path):
        return f"there is one above: {go_to(found)}"
    return "write one with `podcov init`, go to the project's folder, or name it with -c"
