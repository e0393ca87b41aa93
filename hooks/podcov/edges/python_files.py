"""The Python files of the project on this machine, and what they hold."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Final

from podcov.raw import digest_of

_SUFFIXES: Final = (".py", ".pyw")
_NO_SOURCE: Final = frozenset({"__pycache__", "node_modules", "site-packages", "dist-packages"})
_LARGEST_SCRIPT: Final = 1_000_000


class PythonFiles:
    """The files below a folder, read once.

    Left out are hidden folders, virtual environments, installed packages, and what setuptools copies into `build`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """Path relative to the root, with `/` -> `sha256:<hex>`. Files that cannot be read are not there."""
        found = {}
        for path in _python_files(self.root):
            try:
                content = path.read_bytes()
            except OSError:
                continue
            found[path.relative_to(self.root).as_posix()] = digest_of(content)
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


def _python_files(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if _holds_source(here, name))
        for name in sorted(files):
            path = here / name
            if name.endswith(_SUFFIXES) or _is_script(path):
                yield path


def _holds_source(parent: Path, name: str) -> bool:
    if name.startswith(".") or name in _NO_SOURCE or (parent / name / "pyvenv.cfg").exists():
        return False
    return not (parent.name == "build" and name.startswith(("lib", "bdist.", "scripts-")))


def _is_script(path: Path) -> bool:
    """A file without a suffix whose first line names Python."""
    if path.suffix or not path.is_file() or path.stat().st_size > _LARGEST_SCRIPT:
        return False
    try:
        with path.open("rb") as file:
            return file.read(2) == b"#!" and b"python" in file.readline()
    except OSError:
        return False
