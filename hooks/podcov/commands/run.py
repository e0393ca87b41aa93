"""`podcov run`: mark, tests, dump, pull, convert, merge, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from podcov.commands import options

if TYPE_CHECKING:
    from podcov.commands.session import PlatformName


@click.command(short_help="Run the tests, and report what they covered.")
@click.argument("command", nargs=-1)
@click.option("--platform", type=click.Choice(["kubernetes", "local"]), help="Where the services run; default: podcov.yaml's.")
@click.option("-l", "--selector", default="", help="Only pods with these labels.")
@click.option("--tilt", is_flag=True, help="Only pods that Tilt deployed.")
@click.option("--skaffold-run", default="", metavar="ID", help="Only pods of this Skaffold run.")
@click.option("--without", multiple=True, metavar="SERVICE", help="Leave this service out; may be given several times.")
@options.verdict
@options.cluster
@options.common
def run(
    command: tuple[str, ...],
    platform: PlatformName | None,
    selector: str,
    tilt: bool,
    skaffold_run: str,
    without: tuple[str, ...],
    allow_partial: bool,
    files: bool,
    context: str,
    namespace: str,
    config: Path,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Run the tests and report what they covered.

    COMMAND is what runs the tests; put `--` before it. Default: `tests.command` of podcov.yaml. It finds the declared
    port-forwards in its environment, or runs inside the cluster, where podcov.yaml says so. Its failure is the exit code, after
    everything has been collected and reported.
    """
    from podcov.commands.conducting import conduct
    from podcov.commands.session import Where

    where = Where(platform, context, (namespace,) if namespace else (), skaffold_run, tilt, selector)
    return conduct(
        config,
        where,
        command,
        without=without,
        allow_partial=allow_partial,
        files=files,
        as_json=as_json,
        quiet=quiet,
        verbose=verbose,
    )
