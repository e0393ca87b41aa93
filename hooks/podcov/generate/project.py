"""What generation needs to see of a project. Paths are relative to the folder of `podcov.yaml`, with `/`."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import Protocol


class Project(Protocol):
    """The files of a project; the disk, or a mapping in tests."""

    def read(self, path: str) -> bytes | None:
        """A file's content; None where there is no such file. Raises UsageError for one that this user may not read."""

    def names(self, folder: str) -> Sequence[str]:
        """What lies in a folder, sorted; names of folders end with `/`, those of links to folders do not.

        Empty where there is no such folder, or this user may not look into it.
        """


def text(project: Project, path: str) -> str | None:
    """A file's text; None where there is no such file. Bytes that are no UTF-8 come back by `encoded`."""
    content = project.read(path)
    return None if content is None else content.decode("utf-8", "surrogateescape")


def encoded(text: str) -> bytes:
    """The bytes that `text` was read from, or would be."""
    return text.encode("utf-8", "surrogateescape")


def join(*parts: str) -> str:
    """A normalised path; `.` for the project itself."""
    return posixpath.normpath(posixpath.join(".", *parts))


def relative(path: str, folder: str) -> str:
    """`path` as it is named from `folder`."""
    return posixpath.relpath(posixpath.join("/root", path), posixpath.join("/root", folder))
