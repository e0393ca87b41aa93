"""`podcov detach`: workloads as they were before `podcov attach`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from podcov.commands import options

if TYPE_CHECKING:
    from podcov.edges.cluster.attach import Done


@click.command(short_help="Take off again what attach added.")
@options.workloads
@options.cluster
@options.common
def detach(
    targets: tuple[str, ...],
    selector: str,
    release: str,
    dry_run: bool,
    timeout: float,
    context: str,
    namespace: str,
    config: Path,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Take coverage off workloads again, wait until their pods are without it, and remove what only it needed.

    TARGETS as for `podcov attach`. Without any, every workload of the namespace that has coverage. What others changed in the
    meantime stays changed. No podcov.yaml is needed: the workloads remember what they were.
    """
    from podcov.commands import attachments
    from podcov.commands.progress import ConsoleProgress
    from podcov.edges.cluster import attach
    from podcov.edges.cluster.targets import Selection

    selection = Selection(targets, selector, release)
    found = attachments.read_config(config)

    async def work() -> Done:
        async with attach.connect(context or (found.context if found else ""), progress.note) as cluster:
            if selection == Selection():
                places = attachments.namespaces(namespace, found, cluster)
                chosen = [target for place in places for target in await cluster.targets.attached(place)]
            else:
                chosen = await attachments.find(cluster, selection, namespace, found, force=True)
            return await cluster.detach(chosen, dry_run=dry_run, seconds=timeout, min_age=options.MIN_AGE)

    with ConsoleProgress(quiet=quiet, verbose=verbose) as progress:
        done = asyncio.run(work())
    attachments.show(done, verb="detached", dry_run=dry_run, as_json=as_json)
    if not (done.workloads or as_json or quiet):
        click.echo("nothing to detach")
