"""`podcov attach`: coverage for workloads that run already, without deploying them anew."""

from __future__ import annotations

from pathlib import Path

import click

from podcov.commands import options


@click.command(short_help="Add coverage to workloads that already run.")
@options.workloads
@click.option("--replicas", type=click.IntRange(min=1), help="How many pods each has meanwhile; default: as many as now.")
@click.option("--force", is_flag=True, help="Patch even what an operator would change back: once you have paused that.")
@options.cluster
@options.common
def attach(
    targets: tuple[str, ...],
    selector: str,
    release: str,
    replicas: int | None,
    force: bool,
    dry_run: bool,
    timeout: float,
    context: str,
    namespace: str,
    config: Path,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Add coverage to workloads that already run, and wait until their pods have it.

    TARGETS are workloads as kubectl names them: deployment/orders, sts/db, cronjob/report. Without any, all those of the
    services in podcov.yaml. `podcov detach` takes it off again. Where there is no podcov.yaml, a first one is written.
    """
    from podcov.commands import attaching, attachments
    from podcov.edges.cluster.targets import Selection

    done = attaching.attach(
        config,
        Selection(targets, selector, release),
        context=context,
        namespace=namespace,
        replicas=replicas,
        force=force,
        dry_run=dry_run,
        seconds=timeout,
        quiet=quiet,
        verbose=verbose,
    )
    attachments.show(done, verb="attached", dry_run=dry_run, as_json=as_json)
    if not (quiet or as_json or dry_run):
        click.echo("podcov: next: `podcov run -- COMMAND` runs the tests, `podcov detach` takes this back", err=True)
