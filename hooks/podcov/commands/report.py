"""`podcov report`: the reports of a run, made again from disk."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from podcov.commands import options


@click.command(short_help="Report on a run again, from disk.")
@options.which_run
@options.verdict
@click.option("-m", "--show-missing", is_flag=True, help="The same, with the lines that did not run.")
@options.common
def report(
    run_id: str, allow_partial: bool, files: bool, show_missing: bool, config: Path, as_json: bool, quiet: bool, verbose: bool
) -> int:
    """Report on a run again, from what was pulled. Needs no cluster."""
    from podcov.commands.progress import ConsoleProgress
    from podcov.commands.reporting import examine, show
    from podcov.commands.session import Project, load

    project = Project.open(config)
    folder = project.store.run(run_id)
    record = load(folder)
    with ConsoleProgress(quiet=quiet, verbose=verbose) as progress:
        result = asyncio.run(examine(project, folder, record, progress, allow_partial=allow_partial, again=True))
    show(result, as_json=as_json, files=files, show_missing=show_missing)
    return result.exit_code
