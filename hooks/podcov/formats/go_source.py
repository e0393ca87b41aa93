"""Finds the functions that a Go source declares, as `go tool cover -func` lists them, without a Go toolchain. Pure.

No parser: a list of tokens, Go's rule for where a line ends a statement, and brackets. That is enough, because `func` begins a
declaration only where it is the first word of a statement outside all brackets.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(
    rb"""
      (?P<space> [ \t\r]+ | //[^\n]* )
    | (?P<newline> \n )
    | (?P<comment> /\*.*?\*/ )
    | (?P<operand> ` [^`]* ` | " (?: \\. | [^"\\\n] )* " | ' (?: \\. | [^'\\\n] )* ' | [\w\x80-\xff]+ )
    | (?P<open> [(\[{] )
    | (?P<close> [)\]}] )
    | (?P<step> \+\+ | -- )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_WORDS_THAT_GO_ON: Final = frozenset(
    b"case chan const default defer else for func go goto if import interface map package range select".split()
    + b"struct switch type var".split()
)
"""Keywords after which a line end ends no statement; only break, continue, fallthrough and return do."""


class Declaration(NamedTuple):
    """A function or method with a body: lines and columns from 1, columns in bytes, the end exclusive."""

    name: str
    start: tuple[int, int]
    body: tuple[int, int]
    """the brace that opens its body"""
    end: tuple[int, int]


class Token(NamedTuple):
    """A word, a bracket, or a sign. `at` is its place in bytes; `first` whether it begins a statement."""

    text: bytes
    at: int
    kind: str
    first: bool


class Function(NamedTuple):
    """Where a function with a body stands among tokens: `func`, the brace that opens its body, and the one that closes it."""

    name: str
    start: int
    body: int
    end: int


def declarations(source: bytes) -> tuple[Declaration, ...]:
    """The functions and methods of a file, in its order. What does not compile gives no error, only fewer functions."""
    tokens = list(tokens_of(source))
    line_starts = [0, *(match.end() for match in re.finditer(rb"\n", source))]

    def position(token: int, behind: int = 0) -> tuple[int, int]:
        offset = tokens[token].at + behind
        line = bisect_right(line_starts, offset)
        return (line, offset - line_starts[line - 1] + 1)

    return tuple(Declaration(f.name, position(f.start), position(f.body), position(f.end, 1)) for f in functions(tokens))


def functions(tokens: Sequence[Token]) -> Iterator[Function]:
    """The functions and methods that a file's tokens declare, in their order."""
    index = depth = 0
    while index < len(tokens):
        token = tokens[index]
        if token.text == b"func" and token.first and not depth:
            name, body = _function(tokens, index)
            end = len(tokens) if body is None else closing(tokens, body)
            if body is not None and end < len(tokens):
                yield Function(name, index, body, end)
                index = end + 1
                continue
        depth += (token.kind == "open") - (token.kind == "close")
        index += 1


def tokens_of(source: bytes) -> Iterator[Token]:
    """Without spaces and comments; a comment over several lines ends a statement as a line end does."""
    first, may_end = True, False
    for match in _TOKEN.finditer(source):
        kind, text = str(match.lastgroup), match[0]
        if kind == "newline" or (kind == "comment" and b"\n" in text):
            first, may_end = first or may_end, False
        elif kind not in ("space", "comment"):
            yield Token(text, match.start(), kind, first)
            first = text == b";"
            may_end = kind in ("close", "step") or (kind == "operand" and text not in _WORDS_THAT_GO_ON)


def _function(tokens: Sequence[Token], index: int) -> tuple[str, int | None]:
    """The name of the function that `func` at `index` declares, and the index of the brace of its body, None without one."""
    index += 1
    if tokens[index : index + 1] and tokens[index].text == b"(":
        index = closing(tokens, index) + 1
    name = tokens[index].text.decode("utf-8", "replace") if index < len(tokens) else ""
    for before, token in pairwise(_outside_brackets(tokens, index)):
        if tokens[token].first:
            return name, None
        if tokens[token].text == b"{" and tokens[before].text not in (b"struct", b"interface"):
            return name, token
    return name, None


def _outside_brackets(tokens: Sequence[Token], index: int) -> Iterator[int]:
    """Indexes of tokens from `index` on; of what stands in brackets only the opening one."""
    while index < len(tokens):
        yield index
        index = closing(tokens, index) + 1 if tokens[index].kind == "open" else index + 1


def closing(tokens: Sequence[Token], index: int) -> int:
    """The index of the bracket that closes the one at `index`; behind the last token if none does."""
    depth = 0
    for at in range(index, len(tokens)):
        depth += (tokens[at].kind == "open") - (tokens[at].kind == "close")
        if not depth:
            return at
    return len(tokens)
