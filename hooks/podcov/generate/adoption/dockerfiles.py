"""Dockerfiles, edited in place: where each instruction stands, and what is left of it without a coverage tool. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from posixpath import basename

from podcov.generate.adoption import words
from podcov.generate.adoption.words import Unwrap
from podcov.generate.adoption.workspace import Cut, whole_lines

_HEREDOC = re.compile(r"<<-?\s*['\"]?([A-Za-z_]\w*)['\"]?")
_WORD = re.compile(r'(?:"(?:\\.|[^"\\])*"|\'[^\']*\'|\\[^\n]|[^\s"\'\\])+')
_PIP = re.compile(r"(?:\S*python[\d.]*\s+-m\s+|(?:\S*/)?uv\s+)?pip[\d.]*\s+install\b(?P<rest>.*)", re.DOTALL)
_PIP_WITH_VALUE = (
    "-i",
    "--index-url",
    "--extra-index-url",
    "--trusted-host",
    "-c",
    "--constraint",
    "-f",
    "--find-links",
    "--python",
)
_PIP_FILES = ("-r", "--requirement", "-e", "--editable", "-t", "--target", "--prefix")
_SETS_UP = re.compile(r"set -\w+|\w+=(?:\$\(.*\)|\S*)")
"""a command that means nothing by itself"""
_COVERAGE = re.compile(r"coverage(?:\[\w+\])?(?:[=<>~!].*)?")


@dataclass(frozen=True, slots=True)
class Instruction:
    """The characters `start` to `end` of a Dockerfile, with its last newline; what follows the word is from `body` on."""

    word: str
    start: int
    body: int
    end: int
    heredoc: bool = False

    def text(self, dockerfile: str) -> str:
        return dockerfile[self.body : self.end]


def instructions(text: str) -> Iterator[Instruction]:
    """Every instruction, its continued lines and here-documents with it."""
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    at = n = 0
    while n < len(lines):
        start, first = at, n
        if not lines[n].strip() or lines[n].lstrip().startswith("#"):
            at, n = at + len(lines[n]), n + 1
            continue
        while n + 1 < len(lines) and (lines[n].rstrip().endswith("\\") or (n > first and lines[n].lstrip().startswith("#"))):
            at, n = at + len(lines[n]), n + 1
        at, n = at + len(lines[n]), n + 1
        ends = _HEREDOC.findall("".join(lines[first:n]))
        for mark in ends:
            while n < len(lines) and lines[n - 1].strip() != mark:
                at, n = at + len(lines[n]), n + 1
        word = lines[first].split(maxsplit=1)[0]
        body = start + lines[first].index(word) + len(word)
        yield Instruction(word.upper(), start, body, at, bool(ends))


def commands(text: str, unwrap: Unwrap, what: str) -> Iterator[Cut]:
    """What starts the container, in the exec form, without what `unwrap` finds."""
    listed = [(step, words.json_tokens(text, step.body, step.end)) for step in _steps(text, "CMD", "ENTRYPOINT")]
    arguments = [token.word for step, tokens in listed if step.word == "CMD" for token in tokens]
    for step, tokens in listed:
        part = unwrap([token.word for token in tokens], arguments if step.word == "ENTRYPOINT" else [])
        if part:
            yield words.edit(text, tokens, part, what)


def shells(text: str, inner: Callable[[int, int], Iterator[Cut]]) -> Iterator[Cut]:
    """What starts the container, as a text for a shell: `inner` is asked for its cuts between two offsets."""
    for step in _steps(text, "CMD", "ENTRYPOINT"):
        tokens = words.json_tokens(text, step.body, step.end)
        for token in tokens:
            if " " in token.word:
                yield from inner(token.start, token.end)
        if not tokens:
            yield from inner(step.body, step.end)


def started(text: str) -> str:
    """What starts the container, in whatever stage and form, as it is written."""
    return "\n".join(step.text(text) for step in _steps(text, "CMD", "ENTRYPOINT"))


def environment(text: str, names: tuple[str, ...]) -> Iterator[Cut]:
    """ENV and ARG without variables of those names."""
    for step in _steps(text, "ENV", "ARG"):
        found = list(_WORD.finditer(text, step.body, step.end))
        old_form = bool(found) and "=" not in found[0].group() and step.word == "ENV"
        for n, match in enumerate(found[:1] if old_form else found):
            name = match.group().partition("=")[0]
            if name in names:
                alone = old_form or len(found) == 1
                yield _word_cut(text, step, [m.span() for m in found], n, f"{step.word} {name} is not needed", alone=alone)


def exposed(text: str, port: str) -> Iterator[Cut]:
    """EXPOSE without a port."""
    yield from _listed(text, ("EXPOSE",), lambda word: word.partition("/")[0] == port, f"port {port} is not served")


def volumes(text: str, folder: str) -> Iterator[Cut]:
    """VOLUME without a folder, where it is written without brackets."""
    yield from _listed(text, ("VOLUME",), lambda word: word.rstrip("/") == folder, f"nothing is written to {folder}")


def copies(text: str, names: tuple[str, ...]) -> Iterator[Cut]:
    """COPY and ADD without files of those names."""
    for step in _steps(text, "COPY", "ADD"):
        found = [m for m in _WORD.finditer(text, step.body, step.end) if not m.group().startswith("--")]
        sources = found[:-1]
        for n, match in enumerate(sources):
            name = basename(match.group())
            if name in names:
                spans = [m.span() for m in found]
                yield _word_cut(text, step, spans, n, f"{name} is not needed in the image", alone=len(sources) == 1)


def runs(text: str, is_ours: Callable[[str], str]) -> Iterator[Cut]:
    """RUN without those of its commands, joined by `&&`, that `is_ours` gives a reason for."""
    for step in _steps(text, "RUN"):
        if step.heredoc or step.text(text).lstrip().startswith("["):
            continue
        parts = _parts(text, step)
        plain = [_plain(text[start:end]) for start, end in parts]
        reasons = [is_ours(command) for command in plain]
        alone = all(reason or _SETS_UP.fullmatch(command) for reason, command in zip(reasons, plain, strict=True))
        for n, reason in enumerate(reasons):
            if reason and alone:
                yield whole_lines(text, step.start, step.end, reason)
            elif reason and n:
                yield Cut(parts[n - 1][1], parts[n][1], reason)
            elif reason:
                yield Cut(parts[0][0], parts[1][0], reason)


def pip_coverage(text: str) -> Iterator[Cut]:
    """`pip install` without coverage, where other packages are named beside it; alone it is one of `runs`."""
    for step in _steps(text, "RUN"):
        for start, end in [] if step.heredoc else _parts(text, step):
            found = _PIP.search(text, start, end)
            packages = list(_WORD.finditer(text, found.start("rest"), end)) if found else []
            ours = [n for n, m in enumerate(packages) if _COVERAGE.fullmatch(m.group().strip("\"'"))]
            if ours and not installs_only_coverage(_plain(text[start:end])):
                yield _beside([m.span() for m in packages], ours[0], "coverage is not needed in the image")


def installs_only_coverage(command: str) -> bool:
    """Whether a shell command installs the package coverage and nothing else."""
    found = _PIP.fullmatch(command)
    rest = found["rest"].split() if found else []
    values = {n + 1 for n, word in enumerate(rest) if word in _PIP_WITH_VALUE}
    packages = [
        word.strip("\"'") for n, word in enumerate(rest) if n not in values and (not word.startswith("-") or word in _PIP_FILES)
    ]
    return bool(packages) and all(_COVERAGE.fullmatch(package) for package in packages)


def runs_tests(text: str) -> bool:
    """Whether what the last stage starts is a suite of tests, not a service."""
    last = max((step.start for step in _steps(text, "FROM")), default=0)
    started = (step.text(text) for step in _steps(text, "CMD", "ENTRYPOINT") if step.start > last)
    return bool(words.TESTS.search("".join(started)))


def is_python(text: str) -> bool:
    """Whether some stage is built on an official Python image, which has `python`."""
    return bool(re.search(r"(?im)^\s*(?:FROM|ARG)\b.*(?<![\w-])python:", text))


def _steps(text: str, *wanted: str) -> Iterator[Instruction]:
    return (step for step in instructions(text) if step.word in wanted)


def _listed(text: str, wanted: tuple[str, ...], is_ours: Callable[[str], bool], what: str) -> Iterator[Cut]:
    for step in _steps(text, *wanted):
        found = [m.span() for m in _WORD.finditer(text, step.body, step.end)]
        for n, (start, end) in enumerate(found):
            if is_ours(text[start:end]):
                yield _word_cut(text, step, found, n, what, alone=len(found) == 1)


def _word_cut(text: str, step: Instruction, spans: list[tuple[int, int]], n: int, what: str, *, alone: bool) -> Cut:
    """Cuts the nth word of an instruction with the space around it; all of the instruction where it is `alone`."""
    if alone:
        return whole_lines(text, step.start, step.end, what)
    return _beside(spans, n, what)


def _beside(spans: list[tuple[int, int]], n: int, what: str) -> Cut:
    """Cuts the nth of several words, with the space up to the next."""
    if n + 1 < len(spans):
        return Cut(spans[n][0], spans[n + 1][0], what)
    return Cut(spans[n - 1][1], spans[n][1], what)


def _parts(text: str, step: Instruction) -> list[tuple[int, int]]:
    """Where the commands of a RUN stand, without the space and the continued lines around them."""
    found, start = [], step.body
    for end in [*(m.start() for m in re.finditer("&&", text[: step.end]) if m.start() >= step.body), step.end]:
        begin = re.compile(r"(?:\s|\\\r?\n|--\w+=\S+)*").match(text, start, end)
        first = begin.end() if begin else start
        last = first + len(re.sub(r"(?:\s|\\\r?\n)+\Z", "", text[first:end]))
        found.append((first, last))
        start = end + 2
    return found


def _plain(command: str) -> str:
    return re.sub(r"\s*\\\r?\n\s*", " ", command).strip()
