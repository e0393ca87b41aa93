"""What the functions of a Go source call, and with what: for questions such as which signal reaches `signal.Notify`. Pure.

No parser, as in `go_source`: names, brackets and statements are enough to tell a call from its arguments. What has a type that
only a compiler would know, such as the receiver of a method, is known by its name alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

from podcov.formats.go_source import Token, closing, functions, tokens_of

Expression = tuple[str, ...]
"""its words and signs, in their order"""
_NAME: Final = re.compile(rb"[^\W\d][\w\x80-\xff]*|[\x80-\xff][\w\x80-\xff]*")
_NO_CALLS: Final = frozenset(
    b"func if for switch select return go defer case range import var const type struct interface".split()
)
"""words that may stand in front of a bracket"""
_BEFORE_NAMES: Final = ("var", "const", "if", "for", "switch")
_VERSION: Final = re.compile(r"v\d+")


class Call(NamedTuple):
    """`name` has the words that dots join: `("signal", "Notify")`; `tokens[bracket]` opens its arguments."""

    name: tuple[str, ...]
    tokens: Sequence[Token]
    bracket: int

    @property
    def arguments(self) -> tuple[Expression, ...]:
        """Told when asked for: calls may stand in each other's arguments, as deep as somebody generates them."""
        return tuple(_split(self.tokens[self.bracket + 1 : closing(self.tokens, self.bracket)]))


class Value(NamedTuple):
    """What a variable or a constant is set to: by the `=` of this index among `tokens`, `position` among those it sets."""

    tokens: Sequence[Token]
    at: int
    position: int

    @property
    def words(self) -> Expression:
        """Told when asked for, as with calls; empty where the value is one of several that a function returns."""
        values = _split(_statement_behind(self.tokens, self.at))
        return values[self.position] if self.position < len(values) else ()


@dataclass(frozen=True, slots=True)
class Body:
    """What stands in a function, function literals in it included; or in a file outside of all functions.

    `values` are what its variables and constants are set to, each in the order of the text.
    """

    name: str = ""
    parameters: tuple[str, ...] = ()
    variadic: bool = False
    """whether the last parameter takes all arguments that are left"""
    calls: tuple[Call, ...] = ()
    values: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GoFile:
    """`imports` maps what the file calls a package to its import path."""

    package: str
    imports: Mapping[str, str]
    functions: tuple[Body, ...]
    outside: Body


def read(source: bytes) -> GoFile:
    """Reads a file. What does not compile gives no error, only less."""
    tokens = list(tokens_of(source))
    found = list(functions(tokens))
    apart = [(0, -1), *((f.start, f.end) for f in found), (len(tokens), 0)]
    outside = [token for (_, end), (start, _) in pairwise(apart) for token in tokens[end + 1 : start]]
    return GoFile(
        package=next((two.text.decode("utf-8", "replace") for one, two in pairwise(tokens) if one.text == b"package"), ""),
        imports=dict(_imports(outside)),
        functions=tuple(
            _body(tokens[f.body + 1 : f.end], f.name, *_parameters(tokens[f.start : f.body + 1], f.name)) for f in found
        ),
        outside=_body(outside),
    )


def imports(source: bytes) -> Mapping[str, str]:
    """As `GoFile.imports`; only the beginning of the file is looked at, for all imports stand there."""
    head: list[Token] = []
    depth = 0
    for token in tokens_of(source):
        if token.first and not depth and token.text not in (b"package", b"import"):
            break
        depth += (token.kind == "open") - (token.kind == "close")
        head.append(token)
    return dict(_imports(head))


def _body(tokens: Sequence[Token], name: str = "", parameters: tuple[str, ...] = (), variadic: bool = False) -> Body:
    values: dict[str, list[Value]] = {}
    for variable, value in _assignments(tokens):
        values.setdefault(variable, []).append(value)
    return Body(name, parameters, variadic, tuple(_calls(tokens)), {name: tuple(found) for name, found in values.items()})


def _imports(tokens: Sequence[Token]) -> Iterator[tuple[str, str]]:
    for index, token in enumerate(tokens):
        if token.text == b"import" and token.first:
            block = index + 1 < len(tokens) and tokens[index + 1].text == b"("
            end = closing(tokens, index + 1) if block else index + 3
            for before, word in pairwise(tokens[index:end]):
                if word.text[:1] in (b'"', b"`"):
                    path = word.text[1:-1].decode("utf-8", "replace")
                    named = before.kind == "operand" and before is not token and before.text[:1] not in (b'"', b"`")
                    yield before.text.decode("utf-8", "replace") if named else _usual_name(path), path


def _usual_name(path: str) -> str:
    """What a package is called as a rule: as the last part of its path that is no version."""
    parts = [part for part in path.split("/") if not _VERSION.fullmatch(part)]
    return (parts or [path])[-1]


def _parameters(tokens: Sequence[Token], name: str) -> tuple[tuple[str, ...], bool]:
    """The names of a function's parameters, without the receiver; and whether the last is variadic."""
    at = next(
        (n for n, token in enumerate(tokens) if n and token.text == name.encode() and tokens[n - 1].text in (b"func", b")")), 0
    )
    at += 1
    if at < len(tokens) and tokens[at].text == b"[":
        at = closing(tokens, at) + 1
    if at >= len(tokens) or tokens[at].text != b"(":
        return (), False
    parts = _split(tokens[at + 1 : closing(tokens, at)])
    return tuple(part[0] for part in parts), bool(parts) and parts[-1][1:4] == (".", ".", ".")


def _calls(tokens: Sequence[Token]) -> Iterator[Call]:
    for at, (name, bracket) in enumerate(pairwise(tokens)):
        if bracket.text == b"(" and not bracket.first and _NAME.fullmatch(name.text) and name.text not in _NO_CALLS:
            yield Call(_qualified(tokens, at), tokens, at + 1)


def _qualified(tokens: Sequence[Token], at: int) -> tuple[str, ...]:
    """A name with those that stand before it and its dots."""
    words = [tokens[at].text]
    while at > 1 and tokens[at - 1].text == b"." and tokens[at - 2].kind in ("operand", "close"):
        at -= 2
        words.insert(0, tokens[at].text)
    return tuple(word.decode("utf-8", "replace") for word in words)


def _split(tokens: Sequence[Token]) -> list[Expression]:
    """At the commas that stand in no bracket."""
    parts: list[list[str]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token.kind == "open") - (token.kind == "close")
        if token.text == b"," and not depth:
            parts.append([])
        else:
            parts[-1].append(token.text.decode("utf-8", "replace"))
    return [tuple(part) for part in parts if part]


def _assignments(tokens: Sequence[Token]) -> Iterator[tuple[str, Value]]:
    """Each `name = value`, `name := value`, `var name type = value`; of several at once, each with its own."""
    for at, token in enumerate(tokens):
        if token.text == b"=" and at and _is_assignment(tokens, at):
            for position, name in enumerate(_split(_statement_before(tokens, at))):
                words = [word for word in name if word not in _BEFORE_NAMES]
                if words and words[1:2] != ["."]:
                    yield words[0], Value(tokens, at, position)


def _is_assignment(tokens: Sequence[Token], at: int) -> bool:
    """Whether a sign is `=` or the end of `:=`; not a part of `==`, `<=` or `+=`."""
    behind = tokens[at + 1].text if at + 1 < len(tokens) else b""
    return behind != b"=" and tokens[at - 1].text not in (b"=", b"!", b"<", b">", b"+", b"-", b"*", b"/", b"%", b"&", b"|", b"^")


def _statement_before(tokens: Sequence[Token], at: int) -> Sequence[Token]:
    """From the beginning of the statement, or of the block or the case that it is the first of; without the colon of `:=`."""
    end = at - 1 if tokens[at - 1].text == b":" else at
    start = end
    while start and not (start < end and tokens[start].first) and tokens[start - 1].text not in (b"{", b"(", b":", b";"):
        start -= 1
    return tokens[start:end]


def _statement_behind(tokens: Sequence[Token], at: int) -> Sequence[Token]:
    depth = 0
    for end in range(at + 1, len(tokens)):
        token = tokens[end]
        if not depth and (token.first or token.kind == "close" or token.text == b";"):
            return tokens[at + 1 : end]
        depth += (token.kind == "open") - (token.kind == "close")
    return tokens[at + 1 :]
