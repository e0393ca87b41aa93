"""`podcov init`: from the project's manifests to an overlay, a Skaffold profile and a Tiltfile."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from podcov.commands import options
from podcov.edges import project
from podcov.edges.project import Initialised
from podcov.errors import UsageError
from podcov.generate import entering

_UNBOUNDED = 10_000
"""columns where the output is no terminal: nothing is wrapped"""


@click.command(short_help="Set a project up, or bring it up to date.")
@click.argument("paths", nargs=-1)
@click.option("--check", is_flag=True, help="Write nothing; fail where a generated file is not up to date.")
@click.option("--force", is_flag=True, help="Overwrite generated files that were edited by hand, too.")
@options.common
def init(
    paths: tuple[str, ...],
    check: bool,
    force: bool,
    config: Path,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Add coverage to a project: podcov.yaml, the overlay, one marked block in skaffold.yaml or Tiltfile.

    PATHS name the Kustomize base, skaffold.yaml and Tiltfile where they are not where one would look for them.
    """
    if config.name != entering.CONFIG:
        raise UsageError(f"{config}: `podcov init` writes {entering.CONFIG}, under that name", hint="name that, or leave -c out")
    done = project.init(config.resolve().parent, paths, check=check, force=force)
    if as_json:
        click.echo(json.dumps(_document(done)))
        return
    if not quiet:
        _print_findings(done)
    for line in _written(done) if not verbose else [_line(c.path, c.content is None) for c in done.changes]:
        click.echo(line)
    if not done.changes:
        click.echo("everything is up to date")


def _written(done: Initialised) -> list[str]:
    """A line a file; those of podcov's own folders, which nobody edits, as one line a folder."""
    lines: dict[str, int] = {}
    for change in done.changes:
        folder, _, name = change.path.rpartition("/")
        own = "/" in folder and change.content is not None and not name.endswith("Tiltfile")
        line = _line(f"{folder}/", False) if own else _line(change.path, change.content is None)
        lines[line] = lines.get(line, 0) + 1
    return [f"{line} ({count} files)" if line.endswith("/") and count > 1 else line for line, count in lines.items()]


def _line(path: str, removed: bool) -> str:
    return f"{'removed' if removed else 'wrote'} {path}"


def _document(done: Initialised) -> dict[str, object]:
    return {
        "changes": [change.path for change in done.changes],
        "findings": [asdict(finding) for finding in done.findings],
    }


def _print_findings(done: Initialised) -> None:
    if not done.findings:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("what", "found", "decided", "why"):
        table.add_column(title, overflow="fold")
    for f in done.findings:
        table.add_row(f.subject, f.found, f.decided, f.why, style="yellow" if f.level == "warning" else "")
    console = Console(stderr=True, highlight=False, emoji=False, markup=False)
    if not console.is_terminal:
        console.width = _UNBOUNDED
    console.print(table)
