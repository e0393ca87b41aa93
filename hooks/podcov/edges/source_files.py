"""The source files of the project on this machine, and what they hold."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Final

from podcov.languages import Language
from podcov.raw import digest_of

_NO_SOURCE: Final = frozenset({"__pycache__", "node_modules", "site-packages", "dist-packages"})
_LARGEST_SCRIPT: Final = 1_000_000


class SourceFiles:
    """The files below a folder that are sources in one of the languages, read once.

    Left out are hidden folders, virtual environments, installed packages, what setuptools copies into `build`, and vendored
    modules: these may be hundreds of megabytes, and only what is asked for (`vendored`) is read.
    """

    def __init__(self, root: Path, languages: Iterable[Language]) -> None:
        self.root = root
        self._languages = tuple(languages)
        self.vendored_digests: dict[str, str] = {}
        """by path: what `vendored` was asked for, and found"""
        self._vendored_paths: dict[str, str] = {}

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """Path relative to the root, with `/` -> `sha256:<hex>`. Files that cannot be read are not there."""
        found = {}
        for path in self._sources():
            if digest := self.digest(path):
                found[path] = digest
        return found

    def digest(self, path: str) -> str | None:
        """Of what lies there now; None where it cannot be read."""
        content = self._read(path)
        return None if content is None else digest_of(content)

    def vendored(self, path: str) -> str | None:
        """The digest of a file that `go mod vendor` put there; None for any other. It is read once."""
        if path in self.vendored_digests:
            return self.vendored_digests[path]
        digest = self.digest(path) if self._is_vendored(PurePosixPath(path)) else None
        if digest is not None:
            self.vendored_digests[path] = digest
            self._vendored_paths[digest] = path
        return digest

    def _is_vendored(self, path: PurePosixPath) -> bool:
        inside = not path.is_absolute() and ".." not in path.parts
        return inside and any(_holds_vendored(self.root / folder) for folder in path.parents)

    def _read(self, path: str) -> bytes | None:
        try:
            return (self.root / path).read_bytes()
        except OSError:
            return None

    @cached_property
    def _paths(self) -> Mapping[str, str]:
        return {digest: path for path, digest in self.digests.items()}

    def content(self, digest: str) -> bytes | None:
        """The text of that digest; None where no file has it (any more)."""
        path = self._vendored_paths.get(digest) or self._paths.get(digest)
        content = None if path is None else self._read(path)
        return content if content is not None and digest_of(content) == digest else None

    def _sources(self) -> Iterator[str]:
        for folder, folders, files in os.walk(self.root):
            here = Path(folder)
            folders[:] = sorted(name for name in folders if _holds_source(here, name))
            for name in sorted(files):
                path = here / name
                relative = path.relative_to(self.root).as_posix()
                first_line = _FirstLine(path)
                if any(language.is_source(relative, first_line) for language in self._languages):
                    yield relative


def _holds_source(parent: Path, name: str) -> bool:
    if name.startswith(".") or name in _NO_SOURCE or (parent / name / "pyvenv.cfg").exists():
        return False
    if _holds_vendored(parent / name):
        return False
    return not (parent.name == "build" and name.startswith(("lib", "bdist.", "scripts-")))


def _holds_vendored(folder: Path) -> bool:
    """Whether `go mod vendor` made it."""
    return folder.name == "vendor" and (folder / "modules.txt").exists()


class _FirstLine:
    """The first line of a file, for those who ask: of files whose names do not tell what they are."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self) -> bytes:
        """Empty where it is no script, or cannot be read."""
        try:
            if not self._path.is_file() or self._path.stat().st_size > _LARGEST_SCRIPT:
                return b""
            with self._path.open("rb") as file:
                return file.readline() if file.read(2) == b"#!" else b""
        except OSError:
            return b""
