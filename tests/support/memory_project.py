"""A project without a disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from podcov.generate.project import join


class MemoryProject:
    """A project of the given files. Fulfils `podcov.generate.project.Project`."""

    def __init__(self, files: Mapping[str, str | bytes] | None = None) -> None:
        given = files or {}
        self._files = {join(path): text if isinstance(text, bytes) else text.encode() for path, text in given.items()}

    def read(self, path: str) -> bytes | None:
        return self._files.get(join(path))

    def names(self, folder: str) -> Sequence[str]:
        prefix = "" if join(folder) == "." else f"{join(folder)}/"
        below = {path.removeprefix(prefix) for path in self._files if path.startswith(prefix)}
        return sorted({f"{path.partition('/')[0]}/" if "/" in path else path for path in below})
