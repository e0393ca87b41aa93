"""What `wrapper/python/podcov_analysis.py` is asked and answers: static tables of Python texts.

A table belongs to one text, one minor version of Python and one set of rules. It knows nothing of what ran, so it can be
cached; `podcov.languages.python` turns hits into coverage with it.
"""

from __future__ import annotations

import base64
import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Literal

from podcov.errors import DamagedError
from podcov.model import Function

FORMAT: Final = 1

LineArc = tuple[int, int]
"""(from, to): lines; `to` is negative for leaving the code object that begins at line `-to`."""
CodeKey = tuple[int, str, str]
"""first line, qualified name, crc32 of the bytecode as 8 hex digits"""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a table depends on beside the text: the user's regular expressions, and whether arcs are wanted."""

    exclude: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()
    branch: bool = False

    @property
    def digest(self) -> str:
        """A short name, for caches."""
        return sha256(json.dumps([self.exclude, self.partial, self.branch]).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class SourceText:
    """A text to analyse."""

    digest: str
    content: bytes


@dataclass(frozen=True, slots=True)
class CodeTable:
    """A code object: which line each byte offset belongs to, and which arc each jump is, None where it stays in its line."""

    first_line: int
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    lines: tuple[int, ...]
    branches: Mapping[tuple[int, int], LineArc | None]

    def line_at(self, offset: int) -> int | None:
        index = bisect_right(self.starts, offset) - 1
        return self.lines[index] if index >= 0 and offset < self.ends[index] else None


@dataclass(frozen=True, slots=True)
class FileAnalysis:
    """The table of one text; lines and arcs are first lines of statements, as coverage.py counts them.

    `error` says why there is none: then everything else is empty.
    """

    error: str = ""
    statements: frozenset[int] = frozenset()
    excluded: frozenset[int] = frozenset()
    spans: Mapping[int, int] = field(default_factory=dict)
    """first line -> last line of statements that span lines"""
    functions: tuple[Function, ...] = ()
    arcs: frozenset[LineArc] = frozenset()
    exits: Mapping[int, int] = field(default_factory=dict)
    no_branch: frozenset[int] = frozenset()
    with_jumps: Mapping[LineArc, LineArc | None] = field(default_factory=dict)
    codes: Mapping[CodeKey, CodeTable] = field(default_factory=dict)
    first_lines: Mapping[int, int] = field(default_factory=dict)
    """line -> first line, for every line of `spans`"""

    def first_line(self, line: int) -> int:
        """The first line of the statement that the line belongs to; the sign stays."""
        return -self.first_lines.get(-line, -line) if line < 0 else self.first_lines.get(line, line)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an interpreter answered: its minor version, its coverage.py's, and raw tables by digest (see `read_table`)."""

    python: str
    coverage: str
    tables: Mapping[str, Mapping[str, Any]]


def write_request(texts: Iterable[SourceText], rules: Rules) -> bytes:
    """The standard input of `podcov_analysis`."""
    files = [{"digest": t.digest, "source": base64.b64encode(t.content).decode("ascii")} for t in texts]
    request = json.dumps({"files": files, "exclude": rules.exclude, "partial": rules.partial, "branch": rules.branch}).encode()
    return b"%d\n%b" % (len(request), request)


def read_answer(data: bytes, *, where: str) -> Answer:
    """The standard output of `podcov_analysis`. Raises DamagedError that names `where` it is from."""
    try:
        answer = json.loads(data)
        if answer["format"] != FORMAT:
            raise ValueError(f"format {answer['format']!r}, this podcov reads {FORMAT}")
        return Answer(str(answer["python"]), str(answer["coverage"]), dict(answer["files"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedError(
            f"{where}: the analysis of sources answered something else than expected: {type(error).__name__}: {error}",
            hint=f"it begins with {data[:80]!r}",
        ) from None


def read_table(raw: Mapping[str, Any], *, where: str) -> FileAnalysis:
    """One table out of an answer or a cache. Raises DamagedError that names `where` it is from."""
    try:
        return FileAnalysis(error=str(raw["error"])) if "error" in raw else _read_table(raw)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise DamagedError(
            f"{where}: an analysis that makes no sense: {type(error).__name__}: {error}", hint="delete the cache folder"
        ) from None


def _read_table(raw: Mapping[str, Any]) -> FileAnalysis:
    spans = {int(first): int(last) for first, last in raw["multiline"]}
    return FileAnalysis(
        statements=frozenset(map(int, raw["statements"])),
        excluded=frozenset(map(int, raw["excluded"])),
        spans=spans,
        functions=tuple(sorted(_read_function(*f) for f in raw["functions"])),
        arcs=frozenset((int(a), int(b)) for a, b in raw.get("arcs", ())),
        exits={int(line): int(count) for line, count in raw.get("exits", ())},
        no_branch=frozenset(map(int, raw.get("no_branch", ()))),
        with_jumps={(arc[0], arc[1]): (arc[2], arc[3]) if arc[2:] else None for arc in raw.get("with_jumps", ())},
        codes={(code[0], code[1], code[2]): _read_code(code) for code in raw.get("codes", ())},
        first_lines={line: first for first, last in spans.items() for line in range(first, last + 1)},
    )


def _read_function(kind: Literal["function", "class"], name: str, start: int, end: int) -> Function:
    return Function(name, start, end, kind)


def _read_code(raw: Any) -> CodeTable:
    first_line, _, _, lines, branches = raw
    return CodeTable(
        first_line=int(first_line),
        starts=tuple(start for start, _, _ in lines),
        ends=tuple(end for _, end, _ in lines),
        lines=tuple(line for _, _, line in lines),
        branches={(b[0], b[1]): (b[2], b[3]) if b[2:] else None for b in branches},
    )
