"""`podcov collect` dumps, pulls and reports, for who runs the tests in another way."""

from __future__ import annotations

from pathlib import Path

import click

from podcov.commands import options


@click.command(short_help="Dump, pull and report.")
@options.which_run
@options.verdict
@options.cluster
@options.common
def collect(
    run_id: str,
    allow_partial: bool,
    files: bool,
    context: str,
    namespace: str,
    config: Path,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Dump, pull and report: what ran since the run's mark, and what start-up ran."""
    from podcov.commands import steps

    return steps.collect(
        config,
        run_id,
        context,
        namespace,
        allow_partial=allow_partial,
        files=files,
        as_json=as_json,
        quiet=quiet,
        verbose=verbose,
    )
