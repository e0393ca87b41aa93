"""The source files of the project on this machine, and what they hold."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Final

from podcov.languages import Language
from podcov.raw import digest_of

_NO_SOURCE: Final = frozenset({"__pycache__", "node_modules", "site-packages", "dist-packages"})
_LARGEST_SCRIPT: Final = 1_000_000


class SourceFiles:
    """The files below a folder that are sources in one of the languages, read once.

    Left out are hidden folders, virtual environments, installed packages, and what setuptools copies into `build`; and vendored
    modules for languages whose programs are not built from them.
    """

    def __init__(self, root: Path, languages: Iterable[Language]) -> None:
        self.root = root
        self._languages = tuple(languages)

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """Path relative to the root, with `/` -> `sha256:<hex>`. Files that cannot be read are not there."""
        found = {}
        for path in self._sources():
            try:
                content = (self.root / path).read_bytes()
            except OSError:
                continue
            found[path] = digest_of(content)
        return found

    @cached_property
    def _paths(self) -> Mapping[str, str]:
        return {digest: path for path, digest in self.digests.items()}

    def content(self, digest: str) -> bytes | None:
        """The text of that digest; None where no file has it (any more)."""
        path = self._paths.get(digest)
        if path is None:
            return None
        try:
            content = (self.root / path).read_bytes()
        except OSError:
            return None
        return content if digest_of(content) == digest else None

    def _sources(self) -> Iterator[str]:
        vendoring = [language for language in self._languages if language.builds_vendored]
        vendored: set[Path] = set()
        for folder, folders, files in os.walk(self.root):
            here = Path(folder)
            folders[:] = sorted(name for name in folders if _holds_source(here, name))
            vendored |= {here / name for name in folders if here in vendored or _is_vendored(here / name)}
            languages = vendoring if here in vendored else self._languages
            for name in sorted(files) if languages else ():
                path = here / name
                relative = path.relative_to(self.root).as_posix()
                first_line = _FirstLine(path)
                if any(language.is_source(relative, first_line) for language in languages):
                    yield relative


def _holds_source(parent: Path, name: str) -> bool:
    if name.startswith(".") or name in _NO_SOURCE or (parent / name / "pyvenv.cfg").exists():
        return False
    return not (parent.name == "build" and name.startswith(("lib", "bdist.", "scripts-")))


def _is_vendored(folder: Path) -> bool:
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
