"""`podcov eject`: the project as it was before `podcov init`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from podcov.commands import diffs, options
from podcov.commands.diffs import Edit

if TYPE_CHECKING:
    from podcov.generate.eject import Ejection


@click.command(short_help="Take podcov out of a project again.")
@click.option("--dry-run", is_flag=True, help="Change nothing; print what would change as a diff.")
@click.option("--keep-config", is_flag=True, help="Leave podcov.yaml, so that `podcov init` can set everything up again.")
@click.option("--force", is_flag=True, help="Remove generated files and a podcov.yaml that were edited by hand, too.")
@options.common
def eject(
    dry_run: bool,
    keep_config: bool,
    force: bool,
    config: Path,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Take podcov out of a project: its files, its blocks in skaffold.yaml, Tiltfile and Makefile, podcov.yaml.

    All other bytes stay. Files in podcov's folder that podcov did not write stay, too.
    """
    from podcov.edges import eject as edge

    root = config.resolve().parent
    ejection = edge.plan(root, keep_config=keep_config, force=force)
    if not dry_run:
        edge.carry_out(root, ejection, force=force)
    if as_json:
        click.echo(json.dumps(_document(ejection)))
        return
    if dry_run:
        diffs.show(_edits(root, ejection, verbose=verbose))
    for line in _lines(ejection, "would be removed" if dry_run else "removed", verbose=verbose):
        click.echo(line, err=dry_run)
    if dry_run and not force:
        diffs.warn_of_hand_edits(ejection.changes)
    if not quiet:
        for left in ejection.left:
            click.echo(f"left: {left.what}: {left.why}", err=True)


def _lines(ejection: Ejection, verb: str, *, verbose: bool) -> list[str]:
    """A line a file; with `verbose` those that are removed from folders too, else these as one line a folder."""
    lines: dict[str, int] = {}
    for change in ejection.changes:
        folder, _, _ = change.path.rpartition("/")
        removed = change.content is None
        what = f"{folder}/" if removed and folder and not verbose else change.path
        line = f"{verb if removed else verb.replace('removed', 'changed')} {what}"
        lines[line] = lines.get(line, 0) + 1
    said = [f"{line} ({count} files)" if line.endswith("/") and count > 1 else line for line, count in lines.items()]
    return said or ["there is nothing of podcov's here"]


def _edits(root: Path, ejection: Ejection, *, verbose: bool) -> Iterator[Edit]:
    """What would change; the generated files, which nobody wrote, only where the user wants to see them."""
    from podcov.edges.project import DiskProject

    files = DiskProject(root)
    for change in ejection.changes:
        if verbose or change.by_hand or not (change.content is None and "/" in change.path):
            yield Edit(change.path, files.read(change.path), change.content)


def _document(ejection: Ejection) -> dict[str, object]:
    return {
        "changes": [
            {"path": c.path, "action": "remove" if c.content is None else "change", "reason": c.reason} for c in ejection.changes
        ],
        "left": [asdict(left) for left in ejection.left],
    }
