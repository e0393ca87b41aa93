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


@click.command()
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
    verbose: bool,  # noqa: ARG001  (all commands take it)
) -> None:
    """Add coverage to a project: podcov.yaml, the overlay, one marked block in skaffold.yaml or Tiltfile.

    PATHS name the Kustomize base, skaffold.yaml and Tiltfile where they are not where one would look for them.
    """
    done = project.init(config.resolve().parent, paths, check=check, force=force)
    if as_json:
        click.echo(json.dumps(_document(done)))
        return
    if not quiet:
        _print_findings(done)
    for change in done.changes:
        click.echo(f"{'removed' if change.content is None else 'wrote'} {change.path}")
    if not done.changes:
        click.echo("everything is up to date")


def _document(done: Initialised) -> dict[str, object]:
    return {
        "changes": [change.path for change in done.changes],
        "findings": [asdict(finding) for finding in done.findings],
    }


def _print_findings(done: Initialised) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("what", "found", "decided", "why"):
        table.add_column(title, overflow="fold")
    for f in done.findings:
        table.add_row(f.subject, f.found, f.decided, f.why, style="yellow" if f.level == "warning" else "")
    Console(stderr=True, highlight=False, emoji=False, markup=False).print(table)
