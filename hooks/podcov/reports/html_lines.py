"""A source file line by line, as the HTML page shows it. Pure."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, Literal, NamedTuple

from markupsafe import escape
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.lexers.special import TextLexer
from pygments.util import ClassNotFound

from podcov.model import Arc, Epoch, FileCoverage, Region
from podcov.reports import go_colours, python_colours
from podcov.reports.colours import Odd
from podcov.reports.lines import is_by_statement, missed_branches

LineState = Literal["ran", "startup", "missing", "partial", "excluded", "none"]

SYMBOLS: Mapping[LineState, str] = {"ran": "✓", "startup": "○", "missing": "✗", "partial": "◐", "excluded": "–", "none": ""}

_HIGHLIGHTERS: Final[Mapping[str, Callable[[str], str]]] = {
    "go": go_colours.highlighted,
    "python": python_colours.highlighted,
}
"""Those that are many times as fast as Pygments, which does all others."""


@dataclass(frozen=True, slots=True)
class Note:
    """A branch that was not taken. `target` is the line to go to, 0 where it leaves the function."""

    text: str
    target: int


class LineView(NamedTuple):
    """One line. `title` says in words what its colour and symbol say; `first`: the first line of a stretch to jump to.

    `title` and `code` are HTML: whatever stood in them is escaped.
    """

    number: int
    state: LineState
    symbol: str
    title: str
    code: str
    notes: tuple[Note, ...] = ()
    first: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch of the overview beside the text; percent of the file's height."""

    line: int
    state: LineState
    top: float
    height: float


@dataclass(slots=True)
class _Seen:
    """What the regions on a line did."""

    ran: bool = False
    missed: bool = False
    hits: int = 0
    epochs: set[int] = field(default_factory=set)


def line_views(f: FileCoverage, source: str | None, epochs: Iterable[Epoch]) -> list[LineView]:
    """Every line of the file; empty ones up to the last that is known where the source is not."""
    names = {e.number: str(escape(_epoch_name(e))) for e in epochs}
    seen = _seen(f)
    notes = _notes(f)
    texts = _highlighted(source, f.language) if source is not None else [""] * max((*seen, *f.excluded), default=0)
    views: list[LineView] = []
    for number, code in enumerate(texts, 1):
        state = _state(seen.get(number), bool(notes.get(number)), number in f.excluded)
        title = _title(number, state, seen.get(number), names)
        first = state in ("missing", "partial") and (not views or views[-1].state != state)
        views.append(LineView(number, state, SYMBOLS[state], title, code, tuple(notes.get(number, ())), first))
    return views


def marks(views: list[LineView]) -> list[Mark]:
    """Where in the file lines are missing or partial."""
    found: list[Mark] = []
    for state, group in groupby(views, key=lambda v: v.state):
        lines = list(group)
        if state in ("missing", "partial"):
            found.append(
                Mark(lines[0].number, state, *(round(100 * n / len(views), 3) for n in (lines[0].number - 1, len(lines))))
            )
    return found


def _seen(f: FileCoverage) -> dict[int, _Seen]:
    """By line. A statement's further lines are as its first, unless another statement begins there; blocks may share a line."""
    starts = {r.start[0] for r in f.regions} if is_by_statement(f) else set()
    seen: dict[int, _Seen] = {}
    for region in f.regions:
        for line in range(region.start[0], region.end[0] + 1):
            if line == region.start[0] or line not in starts:
                if line not in seen:
                    seen[line] = _Seen()
                _add(seen[line], region)
    return seen


def _add(seen: _Seen, region: Region) -> None:
    seen.ran |= region.covered
    seen.missed |= not region.covered
    seen.hits = max(seen.hits, region.hits)
    seen.epochs.update(region.epochs)


def _notes(f: FileCoverage) -> dict[int, list[Note]]:
    notes: dict[int, list[Note]] = {}
    for arc in missed_branches(f):
        notes.setdefault(arc.from_line, []).append(Note(_arc_text(f, arc), max(arc.to, 0)))
    return notes


def _arc_text(f: FileCoverage, arc: Arc) -> str:
    if arc.to > 0:
        return f"line {arc.from_line} never jumped to line {arc.to}"
    left = next((x.name for x in f.functions if x.kind == "function" and x.start == -arc.to), None)
    return f"line {arc.from_line} never left {left}()" if left else f"line {arc.from_line} never jumped to the exit"


def _state(seen: _Seen | None, has_notes: bool, excluded: bool) -> LineState:
    if excluded:
        return "excluded"
    if seen is None:
        return "none"
    if not seen.ran:
        return "missing"
    if has_notes or seen.missed:
        return "partial"
    return "startup" if seen.epochs == {0} else "ran"


def _title(number: int, state: LineState, seen: _Seen | None, names: Mapping[int, str]) -> str:
    if state == "excluded":
        return f"line {number} is left out by the coverage configuration"
    if seen is None:
        return ""
    if not seen.ran:
        return f"line {number} never ran"
    times = f", {seen.hits} times" if seen.hits > 1 else ""
    when = ", ".join(dict.fromkeys(names.get(epoch, f"in epoch {epoch}") for epoch in sorted(seen.epochs)))
    only = "only " if state == "startup" else ""
    some = "part of " if seen.missed else ""
    return f"{some}line {number} ran{f' {only}{when}' if when else ''}{times}"


def _epoch_name(epoch: Epoch) -> str:
    if epoch.number == 0:
        return "at start-up"
    return f"in {epoch.label}" if epoch.label else "in the tests"


def _highlighted(source: str, language: str) -> list[str]:
    """Lines of HTML; what the source holds is escaped."""
    lines = _html(source, language).split("\n")
    if lines and not lines[-1]:
        lines.pop()
    return lines


def _html(source: str, language: str) -> str:
    if language in _HIGHLIGHTERS:
        with contextlib.suppress(Odd):
            return _HIGHLIGHTERS[language](source)
    html: str = highlight(source, _lexer(language), HtmlFormatter(nowrap=True))
    return html


def _lexer(language: str) -> Lexer:
    options = {"stripnl": False, "ensurenl": False}
    try:
        return get_lexer_by_name(language, **options)
    except ClassNotFound:
        return TextLexer(**options)


def legend() -> Iterator[tuple[LineState, str, str]]:
    """State, symbol and meaning of each, for the page's key."""
    meanings: dict[LineState, str] = {
        "ran": "ran in the tests",
        "startup": "ran only at start-up",
        "partial": "ran in part",
        "missing": "never ran",
        "excluded": "left out",
    }
    for state, meaning in meanings.items():
        yield state, SYMBOLS[state], meaning
