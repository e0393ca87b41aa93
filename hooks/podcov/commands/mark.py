"""`podcov mark`: see `podcov.commands.steps`."""

from __future__ import annotations

from pathlib import Path

import click

from podcov.commands import options


@click.command(short_help="Begin a run; prints its id.")
@options.cluster
@options.common
def mark(context: str, namespace: str, config: Path, as_json: bool, quiet: bool, verbose: bool) -> None:
    """Begin a run: what services do from now on is its own. Prints the run's id."""
    from podcov.commands import steps

    steps.mark(config, context, namespace, as_json=as_json, quiet=quiet, verbose=verbose)
