"""Whether a Go source can be the text that blocks were made from. Pure.

Binaries do not hold their sources, and their meta-data no digest of them: there is only the geometry of the blocks. `go tool
cover` begins and ends blocks at braces, colons and statements, and gives every function with a body one that begins at its
brace. A text that was changed has these elsewhere, unless the change leaves every brace and statement in its place; then the
blocks are right for it, too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from podcov.formats.go_meta import GoFunction
from podcov.formats.go_profile import Block
from podcov.formats.go_source import declarations

_LINE_COMMENT: Final = re.compile(rb"^[ \t]*//line |/\*line ", re.MULTILINE)
_WORD: Final = re.compile(rb"\w", re.ASCII)
_BLANK: Final = b" \t\r\n"


def misfit(source: bytes, functions: Iterable[GoFunction]) -> str:
    """What of the functions of a file cannot be of this text, as a sentence without a subject; empty where everything can.

    Functions without a name, such as those of a text profile, are looked at block by block only. Nothing can be said of a text
    with `//line` comments, for its blocks are where these say.
    """
    if _LINE_COMMENT.search(source):
        return ""
    known = tuple(functions)
    lines = source.split(b"\n")
    for function in known:
        for block in function.blocks:
            if wrong := _misplaced(lines, block):
                return wrong
    named = [function for function in known if function.name and not function.literal]
    return _other_functions(source, named) if named else ""


def _misplaced(lines: Sequence[bytes], block: Block) -> str:
    for position, may_be in ((block.start, _may_begin), (block.end, _may_end)):
        line, column = position
        if not 1 <= line <= len(lines):
            return f"has {len(lines)} lines, and a block at line {line}"
        if not 1 <= column <= len(lines[line - 1]) + 1:
            return f"has {len(lines[line - 1])} bytes in line {line}, and a block at byte {column}"
        if not may_be(lines[line - 1], column - 1):
            return f"has a block at {line}.{column}, where no statement begins or ends"
    return ""


def _may_begin(line: bytes, at: int) -> bool:
    """At or behind a brace, behind the colon of a clause or an `else`, else with a statement."""
    before, here = line[:at], line[at : at + 1]
    if here in _BLANK:  # also the end of the line
        return before.endswith((b"{", b":", b"else"))
    return not _inside_word(before, here)


def _may_end(line: bytes, at: int) -> bool:
    """Behind a brace or a statement, in front of a brace or a label."""
    before, here = line[:at], line[at : at + 1]
    if not before or before[-1:] in _BLANK:
        return here not in _BLANK
    return not _inside_word(before, here)


def _inside_word(before: bytes, here: bytes) -> bool:
    return bool(_WORD.fullmatch(before[-1:]) and _WORD.fullmatch(here))


def _other_functions(source: bytes, functions: Sequence[GoFunction]) -> str:
    """Every function that the text declares has a block at its body, and every function of the blocks is declared."""
    declared = Counter((found.name, found.body) for found in declarations(source) if found.name != "_")
    for function in functions:
        name = function.name.rpartition(".")[2]
        start = min((block.start for block in function.blocks), default=None)
        if start is None:
            continue
        place = next((p for p in (start, (start[0], start[1] - 1)) if declared[name, p]), None)
        if place is None:
            return f"does not declare {name} with a body at {start[0]}.{start[1]}"
        declared[name, place] -= 1
    left = sorted((place, name) for (name, place), count in declared.items() if count > 0)
    if left:
        place, name = left[0]
        return f"declares {name} with a body at {place[0]}.{place[1]}, which was not built"
    return ""
