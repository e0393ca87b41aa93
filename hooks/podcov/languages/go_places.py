"""Where in the project a file lies that Go calls `example.com/shop/cart/cart.go`. Pure.

The name is the import path of the package and the name of the file. `go.mod` files say which folder has which import path, by
their own module and by what they replace; what they vendor lies beside them. What is in none of these (the standard library, the
module cache) has no place in the project.
"""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from podcov.errors import MappingError
from podcov.formats import go_mod
from podcov.formats.go_fit import misfit
from podcov.formats.go_meta import GoFunction
from podcov.languages.contract import DigestAt, Text
from podcov.paths import explicit_place, is_below

_MODULE_FILES: Final = ("go.mod", "go.work")


@dataclass(frozen=True, slots=True)
class Found:
    """A local file for a name of Go's. `misfit` says why it is not the text that ran; empty where it can be."""

    path: str
    digest: str
    misfit: str = ""


class Places:
    """The Go files of the project. `local` maps paths to digests, `vendored` is asked for those that it does not have;
    `explicit` and `sources` are those of the service in podcov.yaml."""

    def __init__(
        self,
        local: Mapping[str, str],
        vendored: DigestAt,
        text: Text,
        *,
        explicit: Mapping[str, str],
        sources: Sequence[str],
        root: str,
        service: str,
    ) -> None:
        self._local = local
        self._vendored = vendored
        self._text = text
        self._explicit = explicit
        self._sources = sources
        self._root = root
        self._service = service

    def find(self, name: str, functions: Sequence[GoFunction]) -> Found | None:
        """The file; of several that it could be, the one that its blocks fit. None where the project has none.

        Raises MappingError where several fit.
        """
        found: list[Found] = []
        for paths in self._candidates(name):
            there = self._preferred(path for path in paths if self._digest(path))
            alike = [self._found(path, digest, functions) for path in there if (digest := self._digest(path))]
            fitting = [one for one in alike if not one.misfit]
            if len(fitting) > 1:
                raise self._ambiguity(name, fitting)
            if fitting:
                return fitting[0]
            found += alike
        return next(iter(found), None)

    def _digest(self, path: str) -> str | None:
        return self._local.get(path) or self._vendored(path)

    def _found(self, path: str, digest: str, functions: Sequence[GoFunction]) -> Found:
        content = self._text(digest)
        return Found(path, digest, "cannot be read any more" if content is None else misfit(content, functions))

    def _preferred(self, paths: Iterable[str]) -> list[str]:
        """Those in the service's own folders, if any is."""
        everything = list(dict.fromkeys(paths))
        return [path for path in everything if any(is_below(path, source) for source in self._sources)] or everything

    def _candidates(self, name: str) -> Iterator[Sequence[str]]:
        """Paths that it may be, those first that count before the others."""
        told = explicit_place(name, self._explicit)
        if told is not None:
            yield [told]
        elif name.startswith("/"):
            yield self._of_a_build_path(name)
        else:
            yield self._of_an_import_path(name)
            yield self._of_vendored_modules(name)

    def _of_an_import_path(self, name: str) -> list[str]:
        """In the module with the longest path that the name begins with and that has such a file."""
        parts = name.split("/")
        for size in range(len(parts) - 1, 0, -1):
            folders = self._folders.get("/".join(parts[:size]), ())
            if paths := [path for folder in folders if self._digest(path := posixpath.join(folder, *parts[size:]))]:
                return paths
        return []

    def _of_vendored_modules(self, name: str) -> list[str]:
        """Beside each go.mod or go.work; of those that are the same text, and nobody can tell apart, the first."""
        paths = self._preferred(path for vendor in self._vendors if self._digest(path := f"{vendor}/{name}"))
        return [*{self._digest(path): path for path in reversed(paths)}.values()]

    def _of_a_build_path(self, name: str) -> list[str]:
        """The file of a package that was built by the names of its files is known by its path in the build: as on this machine,
        or the local one that shares the longest end with it."""
        own = name.removeprefix(f"{self._root}/") if self._root else name
        if self._digest(own):
            return [own]
        parts = name.split("/")
        for begin in range(1, len(parts)):
            end = "/".join(parts[begin:])
            if paths := [path for path in self._go_files.get(parts[-1], ()) if path == end or path.endswith(f"/{end}")]:
                return paths
        return []

    @cached_property
    def _go_files(self) -> Mapping[str, Sequence[str]]:
        """By their last names."""
        files: dict[str, list[str]] = defaultdict(list)
        for path in sorted(self._local):
            if path.endswith(".go") and not any(is_below(path, vendor) for vendor in self._vendors):
                files[posixpath.basename(path)].append(path)
        return files

    @cached_property
    def _vendors(self) -> Sequence[str]:
        """The folders that may hold vendored modules."""
        beside = (posixpath.dirname(path) for path in self._local if posixpath.basename(path) in _MODULE_FILES)
        return sorted({posixpath.join(folder, "vendor") for folder in beside})

    @cached_property
    def _folders(self) -> Mapping[str, Sequence[str]]:
        """Module path -> the folders that it may be, as the project's go.mod and go.work files say."""
        folders: dict[str, dict[str, None]] = defaultdict(dict)
        for module, folder in self._declared_folders():
            folders[module][folder] = None
        return {module: sorted(found) for module, found in folders.items()}

    def _declared_folders(self) -> Iterator[tuple[str, str]]:
        for path, digest in self._local.items():
            if posixpath.basename(path) not in _MODULE_FILES or (content := self._text(digest)) is None:
                continue
            folder = posixpath.dirname(path)
            declared = go_mod.parse(content)
            if declared.module:
                yield declared.module, folder
            for module, target in declared.replaced.items():
                place = posixpath.normpath(posixpath.join(folder, target))
                yield module, "" if place == "." else place

    def _ambiguity(self, name: str, fitting: Sequence[Found]) -> MappingError:
        package = posixpath.dirname(name)
        return MappingError(
            f"{self._service}: {name} ran, and several local files can be it: {', '.join(one.path for one in fitting)}",
            hint=f"name the service's folders as services.{self._service}.source in podcov.yaml, or say it under "
            f"services.{self._service}.paths: {{{package}: {posixpath.dirname(fitting[0].path) or '.'}}}",
        )
