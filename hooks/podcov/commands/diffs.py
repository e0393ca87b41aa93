"""What would change in files, as the unified diff that `git apply` takes; in colour on a terminal."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from podcov.generate.api import Change

_COLOURS = (("+++", None), ("---", None), ("@@", "cyan"), ("+", "green"), ("-", "red"))
_NO_NEWLINE = "\\ No newline at end of file\n"


@dataclass(frozen=True, slots=True)
class Edit:
    """A file before and after; None where it is not there."""

    path: str
    before: bytes | None
    after: bytes | None


def show(edits: Iterable[Edit], *, err: bool = False) -> None:
    """Print the edits that change something."""
    for edit in edits:
        for line in lines(edit):
            click.echo(click.style(line, fg=_colour(line)), nl=False, err=err)


def warn_of_hand_edits(changes: Iterable[Change]) -> None:
    """Of a dry run: what the real one would refuse, and change nothing."""
    for change in changes:
        if change.by_hand:
            click.echo(f"refused without --force: {change.path}: {change.reason}", err=True)


def lines(edit: Edit) -> Iterator[str]:
    """The lines of one edit, each with its newline; none where nothing changes."""
    if edit.before == edit.after:
        return
    old, new = (_lines(content) for content in (edit.before, edit.after))
    names = (
        f"a/{edit.path}" if edit.before is not None else "/dev/null",
        f"b/{edit.path}" if edit.after is not None else "/dev/null",
    )
    if old is None or new is None:
        yield f"Binary files {names[0]} and {names[1]} differ\n"
        return
    for line in difflib.unified_diff(old, new, *names):
        yield line if line.endswith("\n") else f"{line}\n{_NO_NEWLINE}"


def _lines(content: bytes | None) -> list[str] | None:
    """None where it is no text."""
    try:
        return re.findall(r"[^\n]*\n|[^\n]+", (content or b"").decode())
    except UnicodeDecodeError:
        return None


def _colour(line: str) -> str | None:
    return next((colour for start, colour in _COLOURS if line.startswith(start)), None)
