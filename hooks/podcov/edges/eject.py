"""`podcov eject` on disk."""

from __future__ import annotations

from pathlib import Path

from podcov.edges.project import DiskProject
from podcov.generate import eject
from podcov.generate.eject import Ejection


def plan(root: Path, *, keep_config: bool = False, force: bool = False) -> Ejection:
    """What would leave the project in `root` (the folder of `podcov.yaml`) as it was before `init`; nothing is changed.

    A `podcov.yaml` that somebody wrote or edited stays without `force`.
    """
    return eject.plan(DiskProject(root), keep_config=keep_config, force=force)


def carry_out(root: Path, ejection: Ejection, *, force: bool = False) -> None:
    """Remove and change the files, and remove the folders that are empty then.

    Raises DriftError, without `force`, for files that were edited by hand, before anything is changed.
    """
    if not force:
        eject.refuse_hand_edits(ejection.changes)
    for change in ejection.changes:
        path = root / change.path
        if change.content is None:
            path.unlink(missing_ok=True)
            _remove_empty(path.parent, root)
        else:
            path.write_bytes(change.content)


def _remove_empty(folder: Path, root: Path) -> None:
    """The folder and those around it, within the project, as far as nothing is in them."""
    while folder != root and root in folder.parents and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
