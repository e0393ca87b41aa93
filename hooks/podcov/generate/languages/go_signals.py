"""Which signal has a Go program write its counters, told from its source: also where it is handed on as an argument. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from posixpath import dirname

from podcov.formats import go_calls
from podcov.formats.go_calls import Body, Call, Expression, GoFile
from podcov.generate import project

_COVERAGE = "runtime/coverage"
_WRITES = ("WriteCountersDir", "WriteCounters")
_NOTIFY = "os/signal"
_NOTIFIES = ("Notify", "NotifyContext")
_NAMES_SIGNALS = ("syscall", "golang.org/x/sys/unix")
_NOT_THE_END = ("USR1", "USR2", "HUP", "WINCH", "CONT", "IO", "PROF")
_NAME = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, slots=True)
class Handler:
    """Who writes the counters when a signal comes: the file, and the signal without SIG."""

    path: str
    signal: str


@dataclass(frozen=True)
class Program:
    """The files that a program may be built of, without those of tests.

    `texts` are by path. `packages` maps import paths to folders, for those of the project. `mains` are the folders of the
    program's own package; empty where nobody names them, and then all files may belong to it.
    """

    texts: Mapping[str, str]
    packages: Mapping[str, str]
    mains: frozenset[str]

    def handler(self) -> Handler | None:
        """Who writes the counters when a signal comes that does not mean the end; None where nobody does.

        That is a function that writes them and has itself notified of the signal; else two in one file.
        """
        for path, text in self.texts.items():
            if any(name in text for name in _WRITES) and self._has(path):
                file = self._file(path)
                writers = [body for body in file.functions if any(_is_of(call, file, _COVERAGE, _WRITES) for call in body.calls)]
                for body in (*writers, *(file.functions if writers else ())):
                    if signal := next(self._caught_by(path, body), ""):
                        return Handler(path, signal)
        return None

    def _caught_by(self, path: str, body: Body) -> Iterator[str]:
        file = self._file(path)
        for call in body.calls:
            if _is_of(call, file, _NOTIFY, _NOTIFIES):
                said = (signal for words in call.arguments[1:] for signal in self._signals(words, path, body, set()))
                yield from (signal for signal in said if signal in _NOT_THE_END)

    def _signals(self, words: Expression, path: str, body: Body, asked: set[tuple[int, str]]) -> Iterator[str]:
        """The signals that an expression in a function may be."""
        imports = self._file(path).imports
        for at, word in enumerate(words):
            if words[at - 1 : at] != (".",):
                yield from self._of_name(word, path, body, asked) if _NAME.fullmatch(word) else ()
                continue
            package = imports.get(words[at - 2], "") if at > 1 else ""
            if package in _NAMES_SIGNALS and word.startswith("SIG"):
                yield word.removeprefix("SIG")
            elif package in self.packages:
                yield from self._of_package(word, self.packages[package], asked)

    def _of_name(self, name: str, path: str, body: Body, asked: set[tuple[int, str]]) -> Iterator[str]:
        """What a variable, a parameter or a constant may be; each is `asked` for once."""
        if (id(body), name) in asked:
            return
        asked.add((id(body), name))
        for value in body.values.get(name, ()):
            yield from self._signals(value.words, path, body, asked)
        if name in body.parameters:
            for caller_path, caller, given in self._given(path, body, body.parameters.index(name)):
                yield from self._signals(given, caller_path, caller, asked)
        elif name not in body.values:
            yield from self._of_package(name, dirname(path), asked)

    def _of_package(self, name: str, folder: str, asked: set[tuple[int, str]]) -> Iterator[str]:
        for path in self._files_of(folder):
            outside = self._file(path).outside
            if name in self.texts[path] and (id(outside), name) not in asked:
                asked.add((id(outside), name))
                for value in outside.values.get(name, ()):
                    yield from self._signals(value.words, path, outside, asked)

    def _given(self, path: str, body: Body, position: int) -> Iterator[tuple[str, Body, Expression]]:
        """What the program's calls of a function give for a parameter, and where they stand."""
        last = position == len(body.parameters) - 1
        end = None if body.variadic and last else position + 1
        for other, text in self.texts.items():
            if body.name in text and self._has(other):
                file = self._file(other)
                for caller in (*file.functions, file.outside):
                    for call in caller.calls:
                        if call.name[-1] == body.name and self._means(call, other, dirname(path)):
                            yield from ((other, caller, value) for value in call.arguments[position:end])

    def _means(self, call: Call, path: str, folder: str) -> bool:
        """Whether a call is of something in a package; of a method only its name is known."""
        imports = self._file(path).imports
        if len(call.name) == 2 and call.name[0] in imports:
            return self.packages.get(imports[call.name[0]]) == folder
        imported = len(call.name) > 1 and folder in (self.packages.get(package) for package in imports.values())
        return dirname(path) == folder or imported

    def _has(self, path: str) -> bool:
        """Whether a file is in a package of this program."""
        return dirname(path) in self._folders

    def _files_of(self, folder: str) -> Sequence[str]:
        return self._by_folder.get(folder, ())

    def _file(self, path: str) -> GoFile:
        if path not in self._read:
            self._read[path] = go_calls.read(self.texts[path].encode())
        return self._read[path]

    @cached_property
    def _read(self) -> dict[str, GoFile]:
        return {}

    @cached_property
    def _by_folder(self) -> Mapping[str, Sequence[str]]:
        found: dict[str, list[str]] = {}
        for path in self.texts:
            found.setdefault(dirname(path), []).append(path)
        return found

    @cached_property
    def _folders(self) -> frozenset[str]:
        """Of its packages: what its own imports, and what these import; all but other programs where nobody names its own."""
        mains = [dirname(project.join(folder, "x")) for folder in self.mains]
        left = [folder for folder in mains if self._files_of(folder)]
        if not left:
            return frozenset(folder for folder, paths in self._by_folder.items() if not self.mains or not self._is_program(paths))
        found = set(left)
        while left:
            for path in self._files_of(left.pop()):
                imported = go_calls.imports(self.texts[path].encode()).values()
                new = {self.packages[package] for package in imported if package in self.packages} - found
                found |= new
                left += new
        return frozenset(found)

    def _is_program(self, paths: Sequence[str]) -> bool:
        return any(re.search(r"^package\s+main\b", self.texts[path], re.MULTILINE) for path in paths)


def _is_of(call: Call, file: GoFile, package: str, names: Sequence[str]) -> bool:
    return len(call.name) == 2 and call.name[1] in names and file.imports.get(call.name[0]) == package
