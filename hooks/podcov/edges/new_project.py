"""The folder of a new service on disk: whole, with coverage in it, or not there at all."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from podcov.edges import project
from podcov.errors import ConfigError, ManifestError, NewError
from podcov.generate.findings import Finding
from podcov.generate.new import File


@dataclass(frozen=True, slots=True)
class Made:
    """The paths of a new project's files, sorted, and what `podcov init` has to say about it."""

    files: tuple[str, ...]
    findings: tuple[Finding, ...]


def refuse_folder(folder: Path) -> None:
    """Raises NewError where there is something already that a new project would overwrite."""
    if folder.is_dir() and any(folder.iterdir()):
        raise NewError(
            f"{folder}: this folder is not empty", hint="take another name, or run it elsewhere: nothing is overwritten."
        )
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise NewError(f"{folder}: is there already, and is no folder", hint="take another name, or run it elsewhere.")


def make(folder: Path, files: Mapping[str, File]) -> Made:
    """Write a project and add what `podcov init` generates.

    Raises NewError for what `podcov init` refuses. It is made beside its place and moved there once it is whole.
    """
    refuse_folder(folder)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.absolute().parent) as scratch:
            draft = Path(scratch, folder.name)
            draft.mkdir()
            for path, file in files.items():
                _write(draft / path, file)
            findings = _add_coverage(draft)
            made = sorted(path.relative_to(draft).as_posix() for path in draft.rglob("*") if path.is_file())
            draft.replace(folder)
    except OSError as error:
        raise NewError(
            f"{folder}: cannot be written: {error.strerror}", hint="run it in a folder that you may write to."
        ) from error
    return Made(tuple(made), findings)


def _write(path: Path, file: File) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file.content)
    if file.executable:
        mode = path.stat().st_mode
        path.chmod(mode | (mode & 0o444) >> 2)


def _add_coverage(draft: Path) -> tuple[Finding, ...]:
    try:
        return project.init(draft).findings
    except (ConfigError, ManifestError) as error:
        said = error.message.replace(f"{draft}/", "").replace(str(draft), ".")
        raise NewError(f"the template makes a project that `podcov init` refuses: {said}", hint=error.hint) from error
