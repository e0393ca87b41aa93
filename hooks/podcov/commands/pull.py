"""`podcov pull` brings what they saved here, for who runs the tests in another way."""

from __future__ import annotations

from pathlib import Path

import click

from podcov.commands import options


@click.command(short_help="Bring the pods' records here.")
@options.which_run
@options.cluster
@options.common
def pull(run_id: str, context: str, namespace: str, config: Path, as_json: bool, quiet: bool, verbose: bool) -> None:
    """Bring the pods' records here, into the run's folder. Prints that folder."""
    from podcov.commands import steps

    steps.pull(config, run_id, context, namespace, as_json=as_json, quiet=quiet, verbose=verbose)
