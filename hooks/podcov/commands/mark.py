"""`podcov mark` begins a run, for who runs the tests in another way."""

from __future__ import annotations

from pathlib import Path

import click

from podcov.commands import options


@click.command(short_help="Begin a run; prints its id.")
@options.cluster
@options.common
def mark(context: str, namespace: str, config: Path, as_json: bool, quiet: bool, verbose: bool) -> None:
    """Begin a run: what services do from now on counts for it. Prints the run's id.

    Then test in whatever way; `podcov collect` ends the run with its report. Nobody watches in between: where pods come and go
    while the tests run, use `podcov run -- COMMAND`.
    """
    from podcov.commands import steps

    steps.mark(config, context, namespace, as_json=as_json, quiet=quiet, verbose=verbose)
