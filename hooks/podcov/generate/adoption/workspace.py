"""The project while set-ups are looked for in it: texts that can be edited, each line with the number that it had. Pure."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate, takewhile
from posixpath import basename, splitext

from podcov.generate import blocks, seal, walk
from podcov.generate.adoption.contract import Evidence, Replacement
from podcov.generate.project import Project

DOCKERFILES = ("Dockerfile", "Dockerfile.*", "Dockerfile-*", "*.Dockerfile", "*.dockerfile", "Containerfile", "Containerfile.*")
YAML = ("*.yaml", "*.yml", "Kustomization")
SHELL = ("*.sh", "*.bash")
MAKEFILES = ("Makefile", "GNUmakefile", "*.mk", "Justfile", "justfile")
PYTHON = ("*.py",)
GO = ("*.go",)
_OTHERS = ("Tiltfile", "*.tilt", "*.pth", "Jenkinsfile", "Procfile", "*.toml", "*.txt")
_SETTINGS = ("pyproject.toml", "setup.cfg", "tox.ini", "*.coveragerc", ".coveragerc")
_CONFIG = "podcov.yaml"
_MOST_CUTS = 500


@dataclass(frozen=True, slots=True)
class Cut:
    """The characters from `start` to `end` of a text become `new`; `what` says why, for people."""

    start: int
    end: int
    what: str
    new: str = ""


Rule = Callable[[str], Iterator[Cut]]
"""What to cut from a text; after the first cut it is asked again, about the text that is left."""


@dataclass(slots=True)
class Draft:
    """A file's text, and for each of its lines the number that it had at first."""

    text: str
    numbers: list[int]

    @classmethod
    def of(cls, text: str) -> Draft:
        return cls(text, list(range(1, text.count("\n") + 2)))

    def number(self, offset: int) -> int:
        """The first number of the line at `offset`."""
        return self.numbers[self.text.count("\n", 0, offset)]

    def apply(self, cut: Cut) -> list[int]:
        """Edit the text. The numbers of the lines that are changed or gone."""
        before = self.text.split("\n")
        self.text = self.text[: cut.start] + cut.new + self.text[cut.end :]
        after = self.text.split("\n")
        same = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False))))
        limit = min(len(before), len(after)) - same
        behind = len(list(takewhile(lambda n: before[-n] == after[-n], range(1, limit + 1))))
        changed = self.numbers[same : len(before) - behind]
        kept = len(after) - behind - same
        self.numbers = self.numbers[:same] + changed[:kept] + self.numbers[len(before) - behind :]
        return changed


@dataclass(slots=True)
class Workspace:
    """`drafts` by path; None for a file that is not needed any more. `journal` is every line that was changed, in order.

    `configured` is whether there is a `podcov.yaml`, or will be one, that says how podcov gets at what is measured, and `edited`
    whether somebody wrote it, or changed what podcov had written.
    """

    drafts: dict[str, Draft | None]
    configured: bool = False
    edited: bool = False
    journal: list[Evidence] = field(default_factory=list)
    reasons: dict[str, list[str]] = field(default_factory=dict)
    _named: dict[tuple[str, ...], list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, files: Project) -> Workspace:
        named = DOCKERFILES + YAML + SHELL + MAKEFILES + PYTHON + GO + _OTHERS + _SETTINGS
        texts = ((path, walk.text(files, path)) for path in walk.walk(files) if walk.is_named(path, named))
        config = files.read(_CONFIG)
        edited = config is not None and not seal.is_as_signed(config)
        return cls({path: Draft.of(text) for path, text in texts if text is not None}, config is not None, edited)

    def texts(self, names: tuple[str, ...]) -> list[tuple[str, str]]:
        """(path, text) of the files whose name fits one of the patterns, as they are now."""
        if names not in self._named:
            self._named[names] = [path for path in self.drafts if walk.is_named(path, names)]
        return [(path, draft.text) for path in self._named[names] if (draft := self.drafts[path])]

    def text(self, path: str) -> str | None:
        """A file's text as it is now; None where there is none."""
        draft = self.drafts.get(path)
        return draft.text if draft else None

    def stands(self, evidence: Evidence) -> bool:
        """Whether a line is still there, though it may have been edited."""
        draft = self.drafts.get(evidence.path)
        return draft is not None and evidence.line in draft.numbers

    def line(self, path: str, offset: int) -> int:
        """The number that the line at `offset` of a file's text had at first."""
        draft = self.drafts[path]
        return draft.number(offset) if draft else 0

    def found(self, path: str, pattern: re.Pattern[str], what: str) -> list[Evidence]:
        """Every line of a file in which `pattern` begins to fit; `what` may have the match's groups: `\\1`."""
        text = self.text(path) or ""
        return [Evidence(path, self.line(path, m.start()), m.expand(what)) for m in pattern.finditer(text)]

    def cut(self, path: str, *rules: Rule) -> bool:
        """Edit a file until none of the rules finds anything more. Whether anything was cut."""
        draft = self.drafts[path]
        for count in range(_MOST_CUTS):
            cut = next((cut for rule in rules for cut in rule(draft.text)), None) if draft else None
            if not draft or not cut:
                return count > 0
            self._note(path, draft.apply(cut), cut.what)
        raise AssertionError(f"{path}: the rules do not come to an end")

    def remove(self, path: str, what: str) -> None:
        """Do without a file."""
        draft = self.drafts[path]
        if draft:
            self.drafts[path] = None
            self._note(path, [1], what)

    def mentions(self, word: str, pattern: str, besides: Iterable[str] = ()) -> list[Evidence]:
        """Who else speaks of `word`, as `pattern` has it: files other than `besides`, comments and coverage settings left out."""
        speaking = [(path, draft) for path, draft in self.drafts.items() if draft and word in draft.text and path not in besides]
        others = [(path, draft) for path, draft in speaking if not walk.is_named(path, _SETTINGS)]
        found = re.compile(pattern)
        return [Evidence(path, draft.number(at), "") for path, draft in others for at in _outside_comments(draft.text, found)]

    def uses(self, path: str, besides: Iterable[str] = ()) -> list[Evidence]:
        """Who else names a file: with its name, or as a module."""
        stem, ending = splitext(basename(path))
        name = re.escape(stem) + (r"\b" if ending == ".py" else re.escape(ending) + r"(?![\w.])")
        return self.mentions(stem, rf"(?<![\w-]){name}", {path, *besides})

    def replacements(self) -> list[Replacement]:
        """What became of every file that was edited, in the order in which they were."""
        return [
            Replacement(path, draft.text.encode(), "; ".join(reasons))
            if (draft := self.drafts[path])
            else Replacement(path, None, reasons[-1])
            for path, reasons in self.reasons.items()
        ]

    def _note(self, path: str, lines: Iterable[int], what: str) -> None:
        self.journal += [Evidence(path, line, what) for line in lines]
        reasons = self.reasons.setdefault(path, [])
        if what not in reasons:
            reasons.append(what)


def whole_lines(text: str, start: int, end: int, what: str) -> Cut:
    """Cuts the lines that `start` to `end` lie on, with the comment that is about them only, and leaves no gap."""
    lines = text.split("\n")
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    first = bisect_right(starts, start) - 1
    last = bisect_right(starts, max(start, end - 1)) - 1
    alone = last + 1 >= len(lines) or not lines[last + 1].strip()
    first = _with_comment(lines, first, alone=alone)
    if first and alone and not lines[first - 1].strip():
        first -= 1
    return Cut(starts[first], min(starts[last + 1], len(text)), what)


def _with_comment(lines: list[str], first: int, *, alone: bool) -> int:
    """The index of the comment right above a line, where it speaks of coverage or would stand `alone`; else the line's own."""
    top = first
    while top and lines[top - 1].lstrip().startswith("#") and not blocks.is_end(lines[top - 1]):
        top -= 1
    alone = alone and (not top or not lines[top - 1].strip())
    return top if alone or "coverage" in "".join(lines[top:first]).lower() else first


def _outside_comments(text: str, pattern: re.Pattern[str]) -> Iterator[int]:
    for found in pattern.finditer(text):
        line = text[text.rfind("\n", 0, found.start()) + 1 : found.start()]
        if not line.lstrip().startswith(("#", "//")):
            yield found.start()
