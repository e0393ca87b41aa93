"""`podcov init`: from the project's manifests to coverage, wired into Skaffold and Tilt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from podcov.commands import options

if TYPE_CHECKING:
    from podcov.config import Way


@click.command(short_help="Set a project up, or bring it up to date.")
@click.argument("paths", nargs=-1)
@click.option("--by", type=click.Choice(["overlay", "inject"]), help="The way in; default: an overlay where that is possible.")
@click.option("--replicas", type=click.IntRange(1), help="Pods of each measured workload; default: leave that alone.")
@click.option(
    "--adopt", is_flag=True, help="Replace another way of measuring coverage that is found; shown as a diff without it."
)
@click.option("--dry-run", is_flag=True, help="Write nothing; print what would change as a diff.")
@click.option("--check", is_flag=True, help="Write nothing; fail where a generated file is not up to date.")
@click.option("--force", is_flag=True, help="Overwrite generated files that were edited by hand, too.")
@options.common
def init(
    paths: tuple[str, ...],
    by: Way | None,
    replicas: int | None,
    adopt: bool,
    dry_run: bool,
    check: bool,
    force: bool,
    config: Path,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Add coverage to a project: podcov.yaml, files of podcov's own, marked blocks in skaffold.yaml, Tiltfile and Makefile.

    PATHS name the manifests (Kustomize base, folder, chart), skaffold.yaml and Tiltfile where they are not where one would look.
    """
    from podcov.commands import initialising
    from podcov.generate.api import Asked

    asked = Asked(paths, by, replicas)
    initialising.init(
        config, asked, adopt=adopt, dry_run=dry_run, check=check, force=force, as_json=as_json, quiet=quiet, verbose=verbose
    )
