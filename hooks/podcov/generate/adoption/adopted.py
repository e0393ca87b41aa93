"""A project as it will be once replacements are written, before any is. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from podcov.generate import project
from podcov.generate.project import Project


class AdoptedProject:
    """`files` with `replaced` in place of what they hold; None for a file that goes. No file is new by this."""

    def __init__(self, files: Project, replaced: Mapping[str, bytes | None]) -> None:
        self._files = files
        self._replaced = {project.join(path): content for path, content in replaced.items()}

    def read(self, path: str) -> bytes | None:
        joined = project.join(path)
        return self._replaced[joined] if joined in self._replaced else self._files.read(path)

    def names(self, folder: str) -> Sequence[str]:
        gone = {path for path, content in self._replaced.items() if content is None}
        return [name for name in self._files.names(folder) if project.join(folder, name) not in gone]
