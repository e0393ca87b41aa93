"""The steps alone, for who runs the tests in another way: `mark`, then the tests, then `collect` (which is `dump` and `pull`)."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import click

from podcov import pipeline
from podcov.collecting import Collected, Collector
from podcov.commands.progress import ConsoleProgress
from podcov.commands.remote import interpreters
from podcov.commands.reporting import Result, examine, show
from podcov.commands.session import Project, Where, load, need_cluster
from podcov.edges.store import RunFolder
from podcov.errors import Exit, NoDataError, UsageError
from podcov.formats.run_json import RunRecord


def mark(config: Path, context: str, namespace: str, *, as_json: bool, quiet: bool, verbose: bool) -> None:
    """Begins a run and prints its id."""
    project = Project.open(config)
    need_cluster(project.config, "mark")
    where = Where(None, context, (namespace,) if namespace else ())
    folder, record = project.new_run((), context)

    async def work() -> RunRecord:
        async with project.platform(where, folder) as platform:
            return await pipeline.mark(record, platform, folder, progress, time.time)

    with ConsoleProgress(quiet=quiet, verbose=verbose) as progress:
        marked = asyncio.run(work())
    project.keep(folder, marked)
    unmarked = {target: reasons for target, reasons in marked.unmarked.items() if reasons}
    told = {"run": folder.id, "unmarked": unmarked, "unreached": marked.unreached}
    click.echo(json.dumps(told) if as_json else folder.id)


def dump(config: Path, context: str, namespace: str, *, as_json: bool, quiet: bool, verbose: bool) -> int:
    """Has processes save what they recorded, and prints those that did not; returns the exit code."""
    project = Project.open(config)
    need_cluster(project.config, "dump")
    where = Where(None, context, (namespace,) if namespace else ())

    async def work() -> Collected:
        async with project.platform(where, _scratch(project)) as platform:
            collector = Collector(platform, _scratch(project), "", "", progress)
            await collector.dump()
            return collector.collected

    with ConsoleProgress(quiet=quiet, verbose=verbose) as progress:
        collected = asyncio.run(work())
    undumped = {target: reasons for target, reasons in collected.undumped.items() if reasons}
    unreached = list(collected.lost.values())
    if as_json:
        click.echo(json.dumps({"undumped": undumped, "unreached": unreached}))
    else:
        for target, reasons in undumped.items():
            for process, reason in reasons.items():
                click.echo(f"not complete: {target}/{process}: {reason}")
        for line in unreached:
            click.echo(f"not reached: {line}")
    return Exit.INCOMPLETE if undumped or unreached else Exit.OK


def pull(config: Path, run_id: str, context: str, namespace: str, *, as_json: bool, quiet: bool, verbose: bool) -> None:
    """Brings the records into the run's folder, and prints that."""
    project = Project.open(config)
    need_cluster(project.config, "pull")
    where = Where(None, context, (namespace,) if namespace else ())
    folder, record = _begun(project, run_id, context)

    async def work() -> RunRecord:
        async with project.platform(where, folder) as platform:
            return await pipeline.collect(record, platform, folder, progress, time.time)

    with ConsoleProgress(quiet=quiet, verbose=verbose) as progress:
        project.keep(folder, asyncio.run(work()))
    click.echo(json.dumps({"run": folder.id, "path": str(folder.path)}) if as_json else str(folder.path))


def collect(
    config: Path,
    run_id: str,
    context: str,
    namespace: str,
    *,
    allow_partial: bool,
    files: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Brings the records and prints the report; returns the exit code."""
    project = Project.open(config)
    need_cluster(project.config, "collect")
    where = Where(None, context, (namespace,) if namespace else ())
    folder, record = _begun(project, run_id, context)

    async def work() -> Result:
        async with project.platform(where, folder) as platform:
            collected = await pipeline.collect(record, platform, folder, progress, time.time)
            project.keep(folder, collected)
            remote = await interpreters(platform, folder)
            return await examine(project, folder, collected, progress, allow_partial=allow_partial, remote=remote)

    with ConsoleProgress(quiet=quiet, verbose=verbose) as progress:
        result = asyncio.run(work())
    show(result, as_json=as_json, files=files)
    return result.exit_code


def _begun(project: Project, run_id: str, context: str) -> tuple[RunFolder, RunRecord]:
    """The run that is to be collected: the one named, the latest, or a new one that counts from the services' start."""
    try:
        folder = project.store.run(run_id)
    except NoDataError:
        return project.new_run((), context)
    record = load(folder)
    if not record.tests.command and record.platform == project.config.platform:
        return folder, record
    if run_id == "latest":
        return project.new_run((), context)
    raise UsageError(
        f"{run_id} was made by `podcov run`, and is finished", hint="leave --run out, or name one that `podcov mark` began"
    )


def _scratch(project: Project) -> RunFolder:
    """A run folder for commands that keep nothing; it is never made."""
    return RunFolder(project.store.root / "runs" / "none")
