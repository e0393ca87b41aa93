"""Finds the files of a project that people write by hand, without its dependencies and what tools leave behind. Pure.

Links to folders are not followed: what they lead to is in the project under its own name, or somebody else's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from fnmatch import fnmatchcase
from posixpath import basename

from podcov.errors import UsageError
from podcov.generate import project
from podcov.generate.project import Project

DEPTH = 8
MOST_FILES = 5_000
MOST_BYTES = 256 * 1024
_NOT_SEARCHED = ("node_modules", "venv", "env", "vendor", "site-packages", "__pycache__", "testdata", "podcov")
_SEARCHED_THOUGH_HIDDEN = (".github", ".circleci")


def walk(files: Project, folder: str = ".", *, depth: int = DEPTH, most: int = MOST_FILES) -> Iterator[str]:
    """The paths of the files in `folder` and below, nearest first; at most `depth` folders down, at most `most` files."""
    folders = deque([(project.join(folder), depth)])
    left = most
    while folders and left:
        current, deeper = folders.popleft()
        for name in files.names(current):
            if not name.endswith("/"):
                yield project.join(current, name)
                left -= 1
                if not left:
                    return
            elif deeper and _is_searched(name.rstrip("/")):
                folders.append((project.join(current, name.rstrip("/")), deeper - 1))


def text(files: Project, path: str) -> str | None:
    """A small file's text, every character as it stands; None for one that is large, missing, unreadable, or no UTF-8."""
    try:
        content = files.read(path)
    except UsageError:
        return None
    if content is None or len(content) > MOST_BYTES:
        return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def is_named(path: str, patterns: tuple[str, ...]) -> bool:
    """Whether the last part of a path fits one of the patterns: `Dockerfile*`, `*.py`."""
    return any(fnmatchcase(basename(path), pattern) for pattern in patterns)


def _is_searched(name: str) -> bool:
    return name in _SEARCHED_THOUGH_HIDDEN or not (name.startswith(".") or name in _NOT_SEARCHED)
