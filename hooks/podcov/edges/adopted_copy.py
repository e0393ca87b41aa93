"""A copy of a project with some of its files replaced, for the tools that render from the disk while nothing is written yet."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from podcov.generate import walk
from podcov.generate.project import Project

_LARGEST = 16 * 1024 * 1024
"""bytes; what is larger is no manifest, and is linked"""


@dataclass(frozen=True, slots=True)
class _Content:
    """What is copied: the files that are `searched`, the `folders` that they are in, and what some are `replaced` with."""

    searched: frozenset[str]
    folders: frozenset[PurePosixPath]
    replaced: Mapping[str, bytes | None]


@contextmanager
def adopted_copy(root: Path, files: Project, replaced: Mapping[str, bytes | None]) -> Iterator[Path]:
    """The folder that stands for `root`, with `replaced` in place of what is there; None for a file that goes.

    What people write by hand is copied: Kustomize loads no file that is a link to outside its folder. Everything else is linked
    to, and so is what lies around the project, for bases that are outside it.
    """
    searched = frozenset(walk.walk(files))
    folders = frozenset(folder for path in searched for folder in PurePosixPath(path).parents)
    with tempfile.TemporaryDirectory(prefix="podcov-adopt-") as scratch:
        top = Path(scratch).resolve()
        for folder in reversed(root.parents):
            _link_around(folder, top.joinpath(*folder.parts[1:]), root)
        copy = top.joinpath(*root.parts[1:])
        _copy_folder(root, copy, PurePosixPath(), _Content(searched, folders, replaced))
        yield copy


def _link_around(folder: Path, copy: Path, root: Path) -> None:
    """Link to what lies beside the way down to the project."""
    copy.mkdir(exist_ok=True)
    try:
        beside = [path for path in folder.iterdir() if path != root and path not in root.parents]
    except PermissionError:  # who may not look around there names nothing there either
        return
    for path in beside:
        (copy / path.name).symlink_to(path)


def _copy_folder(folder: Path, copy: Path, path: PurePosixPath, content: _Content) -> None:
    copy.mkdir()
    for entry in folder.iterdir():
        below, target = path / entry.name, copy / entry.name
        if str(below) in content.replaced:
            _write(target, content.replaced[str(below)])
        elif entry.is_symlink():
            target.symlink_to(entry.readlink())
        elif below in content.folders:
            _copy_folder(entry, target, below, content)
        elif str(below) not in content.searched or not _copied(entry, target):
            target.symlink_to(entry)


def _write(target: Path, content: bytes | None) -> None:
    if content is not None:
        target.write_bytes(content)


def _copied(file: Path, target: Path) -> bool:
    if not file.is_file() or file.stat().st_size > _LARGEST:
        return False
    try:
        shutil.copyfile(file, target)
    except PermissionError:  # whoever needs it will say so
        return False
    return True
