"""`podcov clean`: what podcov left over, in a cluster and on disk."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from podcov.commands import options
from podcov.errors import UsageError

if TYPE_CHECKING:
    from podcov.edges.cluster.attach import Attachments, Done
    from podcov.edges.cluster.scale import Scaled


@click.command(short_help="Remove what podcov left over.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("-A", "--all-namespaces", is_flag=True, help="Look in every namespace of the cluster.")
@click.option(
    "--min-age",
    type=click.FloatRange(min=0),
    default=options.MIN_AGE,
    show_default=True,
    metavar="S",
    help="Leave ConfigMaps that were deployed less than so many seconds ago: what uses them may be on its way.",
)
@click.option("--results", is_flag=True, help="Remove earlier runs in .podcov, too; the latest stays.")
@options.timeout
@options.cluster
@options.common
def clean(
    dry_run: bool,
    all_namespaces: bool,
    min_age: float,
    results: bool,
    timeout: float,
    context: str,
    namespace: str,
    config: Path,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Remove what podcov left over: coverage of workloads that still have it, and ConfigMaps that nothing uses.

    Workloads that podcov scaled to 0 are scaled back, where it was killed before it did that itself.

    Nothing is touched that does not carry podcov's own annotation, or its label and a name that podcov gives. Projects on the
    local platform have nothing in a cluster: there, --results is all that there is to do.
    """
    from podcov.commands import attachments
    from podcov.commands.progress import ConsoleProgress
    from podcov.edges.cluster import attach
    from podcov.edges.cluster.attach import Done

    if namespace and all_namespaces:
        raise UsageError("--namespace and --all-namespaces contradict each other", hint="leave one of them out")
    found = attachments.read_config(config)

    async def work() -> tuple[Done, list[Scaled]]:
        async with attach.connect(context or (found.context if found else ""), progress.note) as cluster:
            places = attachments.namespaces(namespace, found, cluster)
            everywhere = await cluster.namespaces() if all_namespaces else places
            back = await cluster.restore_replicas(everywhere, dry_run=dry_run)
            return await _clean(cluster, everywhere, timeout, min_age=min_age, dry_run=dry_run), back

    done: Done = Done((), ())
    back: list[Scaled] = []
    if not (found and found.platform == "local"):
        with ConsoleProgress(quiet=quiet, verbose=verbose) as progress:
            done, back = asyncio.run(work())
    runs = _remove_runs(config, dry_run=dry_run) if results else []
    attachments.show(done, verb="detached", dry_run=dry_run, as_json=as_json, runs=runs, scaled_back=back)
    if not (as_json or done.workloads or done.config_maps or done.later or runs or back):
        click.echo("nothing is left over")


async def _clean(cluster: Attachments, namespaces: list[str], seconds: float, *, min_age: float, dry_run: bool) -> Done:
    targets = [target for place in namespaces for target in await cluster.targets.attached(place)]
    done = await cluster.detach(targets, dry_run=dry_run, seconds=seconds, min_age=min_age)
    cleaned = {target.namespace for target in targets}
    left = [place for place in namespaces if place not in cleaned]
    return done.with_swept([await cluster.leftovers.remove(place, min_age=min_age, dry_run=dry_run) for place in left])


def _remove_runs(config: Path, *, dry_run: bool) -> list[str]:
    """The names of the runs."""
    from podcov.edges.store import Store

    store = Store(config.resolve().parent / ".podcov")
    runs = store.earlier_runs()
    for run in runs if not dry_run else ():
        store.remove(run)
    return [run.id for run in runs]
