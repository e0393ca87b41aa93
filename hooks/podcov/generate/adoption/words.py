"""Commands, as lists of words and as text for a shell: what stands in front of the app, and what is left without it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from posixpath import basename

from podcov.generate.adoption.workspace import Cut

_INTERPRETER = re.compile(r"(?:\S*/)?python[\d.]*")
_STARTS = r"(?:python[\d.]*|run)"
_STARTER = re.compile(rf"(?:\S*/)?{_STARTS}")
"""an interpreter, or `uv run`"""
_APP = re.compile(r"-m|--module|\S+\.py")
TESTS = re.compile(r"\b(?:pytest|unittest|tox|nox|behave|nose2?)\b")
"""runners of tests, anywhere in a text"""
_TESTS = re.compile(r"pytest|py\.test|unittest|nose2?|nosetests|behave|tox|nox|trial|\S*test\S*\.py")
_WITH_VALUE = ("--rcfile", "--source", "--include", "--omit", "--context", "--concurrency", "--data-file", "--save-signal")
_GAP = r"(?:[ \t]|\\\r?\n)+"
_VALUED = "|".join(_WITH_VALUE)
_OPTION = rf"(?:(?:{_VALUED}){_GAP}[^\s-]\S*|-(?!m\b|-module\b)-?\w\S*)"
_READS = re.compile(rf"(?m)^(?!\s*#).*?(?<![\w./-])coverage{_GAP}(?:annotate|combine|debug|html|json|lcov|report|xml)\b")
_SHELL_RUN = re.compile(
    rf"(?<![\w./-])(?:(?P<python>(?:[\w./-]*/)?python[\d.]*){_GAP}-m{_GAP}coverage|(?:[\w./-]*/)?coverage){_GAP}run"
    rf"(?P<options>(?:{_GAP}{_OPTION})*){_GAP}(?P<app>(?:-m{_GAP}|--module{_GAP})?[^\s-][^\s\"']*(?:{_GAP}test\b)?)"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a list, and where it stands in a text, quotes included."""

    word: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Slice:
    """The words from `first` to `last` become `new`."""

    first: int
    last: int
    new: tuple[str, ...] = ()


Unwrap = Callable[[Sequence[str], Sequence[str]], Slice | None]
"""What of a command is a coverage tool's; None where nothing is. The second words follow the first, but stand elsewhere."""


def without(*names: str) -> Unwrap:
    """An Unwrap of a script between an interpreter and the app: `python /opt/NAME app.py` becomes `python app.py`."""

    def unwrap(words: Sequence[str], following: Sequence[str]) -> Slice | None:
        found = next((n for n, word in enumerate(words) if basename(word) in names), 0)
        app = (*words[found + 1 :], *following)
        started = any(_STARTER.fullmatch(word) for word in words[:found])
        return Slice(found, found + 1) if started and app and _APP.fullmatch(app[0]) else None

    return unwrap


def without_option(option: str, *names: str) -> Unwrap:
    """An Unwrap of an option and its value: `gunicorn -c NAME app:app` becomes `gunicorn app:app`."""

    def unwrap(words: Sequence[str], _: Sequence[str]) -> Slice | None:
        found = next((n for n, (one, two) in enumerate(pairwise(words)) if one == option and basename(two) in names), None)
        return None if found is None else Slice(found, found + 2)

    return unwrap


def without_coverage_run(interpreter: str) -> Unwrap:
    """An Unwrap of `coverage run`, with `interpreter` where the command names none. Commands that run tests are left alone."""

    def unwrap(words: Sequence[str], following: Sequence[str]) -> Slice | None:
        at = next((n for n, word in enumerate(words[1:], 1) if word == "run" and basename(words[n - 1]) == "coverage"), None)
        if at is None:
            return None
        last = _behind_options(words, at + 1)
        app = [*words[last:], *following]
        if not app or _runs_tests(app):
            return None
        if at > 2 and words[at - 2] == "-m" and _INTERPRETER.fullmatch(words[at - 3]):
            return Slice(at - 2, last)
        return Slice(at - 1, last, (interpreter,))

    return unwrap


def shell_run(text: str, interpreter: str, start: int = 0, end: int | None = None) -> Iterator[tuple[Cut, tuple[str, ...]]]:
    """Every `coverage run` of an app in a text for a shell, and the settings that stood there."""
    for found in _SHELL_RUN.finditer(text, start, len(text) if end is None else end):
        if not _runs_tests(found["app"].replace("\\\n", " ").split()):
            python = found["python"] or interpreter
            what = f"`{python}` starts the app, without `coverage run`"
            yield Cut(found.start(), found.start("app"), what, f"{python} "), _settings(found["options"].split())


def shell_without(text: str, name: str, start: int = 0, end: int | None = None) -> Iterator[Cut]:
    """Every place in a text for a shell where a script of that name stands between an interpreter and the app."""
    starter = rf"(?<![\w./-])(?:[\w./-]*/)?{_STARTS}(?:{_GAP}-\S+)*{_GAP}"
    pattern = re.compile(
        rf"{starter}(?P<script>\"?[\w./-]*(?<![\w-]){re.escape(name)}\"?{_GAP})(?=\"?(?:-m|--module|[^\s\"]+\.py)\b)"
    )
    for found in pattern.finditer(text, start, len(text) if end is None else end):
        yield Cut(*found.span("script"), f"nothing runs {name} any more")


def reads_data(text: str) -> bool:
    """Whether a text for a shell has commands of coverage.py that want the data of one that ran before."""
    return bool(_READS.search(text))


def edit(text: str, tokens: Sequence[Token], part: Slice, what: str) -> Cut:
    """The cut that makes of a list in brackets what `part` says, quoted as its neighbours are."""
    if part.new:
        quoted = text[tokens[part.first].start] in "\"'"
        new = ", ".join(json.dumps(word) if quoted else word for word in part.new)
        return Cut(tokens[part.first].start, tokens[part.last - 1].end, what, new)
    if part.last < len(tokens):
        return Cut(tokens[part.first].start, tokens[part.last].start, what)
    return Cut(tokens[part.first - 1].end, tokens[part.last - 1].end, what)


def json_tokens(text: str, start: int, end: int) -> list[Token]:
    """The texts of a JSON list that stands there, continued lines too; none where it is no such list."""
    try:
        listed = json.loads(re.sub(r"\\\r?\n", "  ", text[start:end]))
    except ValueError:
        return []
    if not isinstance(listed, list) or not all(isinstance(word, str) for word in listed):
        return []
    found = re.finditer(r'"(?:[^"\\\n]|\\.)*"', text[start:end])
    return [Token(json.loads(m.group()), start + m.start(), start + m.end()) for m in found]


def _behind_options(words: Sequence[str], first: int) -> int:
    """The index of `-m` or of the script that `coverage run` runs."""
    at = first
    while at < len(words) and words[at].startswith("-") and words[at] not in ("-m", "--module"):
        at += 2 if words[at] in _WITH_VALUE else 1
    return at


def _runs_tests(app: Sequence[str]) -> bool:
    named = [word for word in app if word not in ("-m", "--module")]
    return bool(named) and (bool(_TESTS.fullmatch(basename(named[0]))) or "test" in named[1:2])


def _settings(options: Sequence[str]) -> tuple[str, ...]:
    """The options that say what is measured, not where the data go."""
    kept = []
    for n, word in enumerate(options):
        name, joined, value = word.partition("=")
        if name in ("--branch", "--source", "--include", "--omit"):
            following = options[n + 1] if name in _WITH_VALUE and not joined and n + 1 < len(options) else value
            kept.append(f"{name}={following}" if following else name)
    return tuple(kept)
