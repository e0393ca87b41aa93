"""The syntax of Dockerfiles: instructions, words, variables, as Docker's builders read them. Pure.

What Docker would refuse is kept as it is written, for whoever builds it is told by Docker.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_DIRECTIVE = re.compile(r"#\s*(?P<name>[A-Za-z][A-Za-z0-9]*)\s*=\s*(?P<value>.+?)\s*")
_FLAG = re.compile(r"""--(?:"[^"]*"|'[^']*'|[^\s"'])*(?:\s+|$)""")
_HEREDOC = re.compile(r"\d*<<(?P<tabs>-?)(?P<name>[^<]+)")
_WITH_HEREDOC = re.compile(r"(?:ONBUILD\s+)?(?:RUN|COPY|ADD)\s+(?!\s*\[)", re.IGNORECASE)
_NAME = re.compile(r"\d+|[@*#?$!-]|\w*")
_BLANKS = re.compile(r"[\t\v\f\r ]+")


@dataclass(frozen=True, slots=True)
class Instruction:
    """`word` is in upper case; `flags` are such as `--from=build`; `heredocs` are the texts that follow it."""

    line: int
    word: str
    rest: str
    flags: tuple[str, ...] = ()
    heredocs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Text:
    instructions: tuple[Instruction, ...]
    escape: str = "\\"
    """the sign that takes the next one's meaning, or continues a line; the directive `escape` may make it a backquote"""


def read(text: str) -> Text:
    """The instructions of a Dockerfile, continued lines joined, comments left out."""
    lines = text.removeprefix("\ufeff").split("\n")
    escape = _escape(lines)
    return Text(tuple(_instructions(lines, escape)), escape)


def instruction(text: str, *, line: int = 0, heredocs: tuple[str, ...] = ()) -> Instruction:
    """One instruction that stands alone, as ONBUILD keeps it."""
    word, _, rest = _BLANKS.sub(" ", text.strip(), count=1).partition(" ")
    flags = []
    while (found := _FLAG.match(rest)) and found[0]:
        rest = rest[found.end() :]
        if found[0].strip() == "--":
            break
        flags.append(found[0].strip())
    return Instruction(line, word.upper(), rest.strip(), tuple(flags), heredocs)


def exec_form(rest: str) -> tuple[str, ...] | None:
    """The words of `["a", "b"]`; None for anything else, which Docker takes as the shell form."""
    try:
        words = json.loads(rest)
    except (ValueError, RecursionError):
        return None
    return tuple(words) if isinstance(words, list) and all(isinstance(word, str) for word in words) else None


def words(rest: str, escape: str = "\\") -> list[str]:
    """Split at blanks outside of quotes; quotes and escapes stay, for `expand` to take off."""
    found: list[str] = []
    word, quote, position = "", "", 0
    while position < len(rest):
        sign = rest[position]
        if sign == escape and quote != "'":
            word += rest[position : position + 2]
            position += 2
            continue
        if sign.isspace() and not quote:
            found += [word] if word else []
            word = ""
        else:
            word += sign
            quote = "" if sign == quote else quote or (sign if sign in "'\"" else "")
        position += 1
    return [*found, word] if word else found


def assignments(rest: str, escape: str = "\\") -> list[tuple[str, str]]:
    """Names and values, neither expanded yet, of `A=1 B="x y"`, and of the older `A x y`."""
    split = words(rest, escape)
    if split and "=" not in split[0]:
        name, _, value = _BLANKS.sub(" ", rest, count=1).partition(" ")
        return [(name, value)]
    pairs = (word.partition("=") for word in split if "=" in word)
    return [(name, value) for name, _, value in pairs]


def expand(word: str, scope: Mapping[str, str], escape: str = "\\") -> str:
    """A word without its quotes and escapes, variables replaced; as it stands where Docker could not read it either."""
    try:
        return _Reader(word, scope, escape).until("")
    except _Unreadable:
        return word


class _Unreadable(Exception):
    """A quote or brace that does not end, or a substitution that Docker does not have."""


class _Reader:
    """Reads one word from its beginning to its end."""

    def __init__(self, word: str, scope: Mapping[str, str], escape: str) -> None:
        self._word, self._scope, self._escape = word, scope, escape
        self._position = 0

    def until(self, stop: str, *, keep_escapes: bool = False) -> str:
        """Up to `stop`, which is read too; empty for the end of the word."""
        read = ""
        while sign := self._next():
            if sign == stop:
                return read
            if sign == "'":
                read += self._single_quoted()
            elif sign == '"':
                read += self._double_quoted()
            elif sign == "$":
                read += self._variable()
            elif sign == self._escape:
                read += (sign if keep_escapes else "") + self._next()
            else:
                read += sign
        if stop:
            raise _Unreadable
        return read

    def _next(self) -> str:
        sign = self._peek()
        self._position += 1
        return sign

    def _peek(self) -> str:
        return self._word[self._position : self._position + 1]

    def _single_quoted(self) -> str:
        end = self._word.find("'", self._position)
        if end < 0:
            raise _Unreadable
        text, self._position = self._word[self._position : end], end + 1
        return text

    def _double_quoted(self) -> str:
        read = ""
        while sign := self._next():
            if sign == '"':
                return read
            if sign == "$":
                read += self._variable()
            elif sign == self._escape:
                read += self._next() if self._peek() in ('"', "$", self._escape) else sign
            else:
                read += sign
        raise _Unreadable

    def _variable(self) -> str:
        if self._peek() != "{":
            name = self._name()
            return self._scope.get(name, "") if name else "$"
        self._next()
        name, operator = self._name(), self._next()
        if not name:
            raise _Unreadable
        value = self._scope.get(name)
        if operator == "}":
            return value or ""
        if operator == "/":
            return self._replaced(value or "")
        if operator in ("#", "%"):
            return _trimmed(value or "", operator, self.until("}", keep_escapes=True))
        if operator == ":":
            operator, value = self._next(), value or None
        return _chosen(operator, value, self.until("}"))

    def _name(self) -> str:
        found = _NAME.match(self._word, self._position)
        self._position += len(found[0]) if found else 0
        return found[0] if found else ""

    def _replaced(self, value: str) -> str:
        every = self._peek() == "/"
        if every:
            self._next()
        pattern = self.until("/", keep_escapes=True)
        replacement = self.until("}", keep_escapes=True)
        return _pattern(pattern).sub(lambda _: replacement, value, count=0 if every else 1)


def _chosen(operator: str, value: str | None, word: str) -> str:
    match operator:
        case "-":
            return word if value is None else value
        case "+":
            return "" if value is None else word
        case "?":
            return value or ""
    raise _Unreadable


def _trimmed(value: str, side: str, word: str) -> str:
    """Without what matches at the beginning (`#`) or the end (`%`): the shortest, or the longest where the sign is doubled."""
    pattern = _pattern(word.removeprefix(side))
    sizes = range(len(value) + 1)
    for size in reversed(sizes) if word.startswith(side) else sizes:
        split = size if side == "#" else len(value) - size
        matched, kept = (value[:split], value[split:]) if side == "#" else (value[split:], value[:split])
        if pattern.fullmatch(matched):
            return kept
    return value


def _pattern(glob: str) -> re.Pattern[str]:
    wild = {"*": ".*", "?": "."}
    parts = re.findall(r"\\.|.", glob, re.DOTALL)
    return re.compile("".join(wild.get(part) or re.escape(part[-1]) for part in parts))


def _escape(lines: list[str]) -> str:
    """As the directives at the very top say; the first line that is none ends them."""
    for line in lines:
        found = _DIRECTIVE.fullmatch(line.strip())
        if not found or found["name"].lower() not in ("syntax", "escape", "check"):
            break
        if found["name"].lower() == "escape":
            return found["value"] if found["value"] in ("\\", "`") else "\\"
    return "\\"


def _instructions(lines: list[str], escape: str) -> Iterator[Instruction]:
    continued = re.compile(rf"(^|[^{re.escape(escape)}]){re.escape(escape)}[ \t]*$")
    rest = iter(enumerate((line.rstrip("\r") for line in lines), 1))
    for number, line in rest:
        if not line.strip() or _is_comment(line):
            continue
        joined, goes_on = continued.subn(r"\1", line.lstrip())
        while goes_on and (following := next(rest, None)):
            if following[1].strip() and not _is_comment(following[1]):
                more, goes_on = continued.subn(r"\1", following[1])
                joined += more
        if joined.strip():
            yield instruction(joined, line=number, heredocs=tuple(_heredocs(joined, rest)))


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _heredocs(joined: str, lines: Iterator[tuple[int, str]]) -> Iterator[str]:
    if not _WITH_HEREDOC.match(joined):
        return
    for word in words(joined):
        found = _HEREDOC.fullmatch(word)
        if found:
            yield _heredoc(lines, expand(found["name"], {}), "\t" if found["tabs"] else "")


def _heredoc(lines: Iterator[tuple[int, str]], end: str, dropped: str) -> str:
    body: list[str] = []
    for _, line in lines:
        if line.lstrip(dropped) == end if dropped else line == end:
            break
        body.append(line)
    return "\n".join(body)
