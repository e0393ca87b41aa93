"""A whole run, as `podcov run` and the hooks of Skaffold and Tilt do it."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from podcov import pipeline
from podcov.commands.progress import ConsoleProgress
from podcov.commands.remote import interpreter_of, interpreters
from podcov.commands.reporting import EndingPods, Result, examine, relative, show
from podcov.commands.session import Project, Where, local_folder
from podcov.config import Config, DumpBy
from podcov.edges import suite
from podcov.errors import UsageError
from podcov.platform import ContainerStart

_WHEN: Mapping[DumpBy, str] = {
    "signal": "when it is sent a signal",
    "killswitch": "when its killswitch is asked",
    "exit": "when it ends, for which it is scaled to 0 after the tests",
}
_STOPPING = (signal.SIGINT, signal.SIGTERM)


def conduct(
    config: Path,
    where: Where,
    command: tuple[str, ...] = (),
    *,
    without: tuple[str, ...] = (),
    allow_partial: bool = False,
    files: bool = False,
    as_json: bool = False,
    quiet: bool = False,
    verbose: bool = False,
) -> int:
    """A whole run; returns its exit code. What hooks call, too."""
    project = Project.open(config).for_platform(where.platform).without(without)
    tests = command or project.config.tests.words
    if not tests:
        raise UsageError(
            "there is nothing to run: no test command was given",
            hint="give one after `--`, such as: podcov run -- pytest tests/integration; or set tests.command in podcov.yaml",
        )
    if project.config.platform == "local" and project.config.tests.in_cluster and not command:
        raise UsageError(
            "the tests run inside a cluster, and the services on this machine",
            hint="give a command that runs here after `--`, such as: podcov run --platform local -- pytest tests/integration",
        )
    with ConsoleProgress(quiet=quiet, verbose=verbose) as progress:
        result = asyncio.run(_conduct(project, where, tests, progress, allow_partial=allow_partial, as_json=as_json))
    show(result, as_json=as_json, files=files)
    return result.exit_code


async def _conduct(
    project: Project,
    where: Where,
    tests: tuple[str, ...],
    progress: ConsoleProgress,
    *,
    allow_partial: bool,
    as_json: bool,
) -> Result:
    _obey_sigterm()
    folder, record = project.new_run(tests, where.context)
    async with project.platform(where, folder, progress.step) as platform:
        for line in _measuring_themselves(project.config):
            progress.note(line)
        begun = record
        ending_pods = EndingPods(project, folder, begun)
        record = await pipeline.conduct(
            begun,
            platform,
            folder,
            lambda env: _stoppable(_suite(project, where, folder.id, tests, env, as_json=as_json)),
            progress,
            time.time,
            lambda ending: ending_pods.analyse(ending, interpreter_of(platform, ending)),
        )
        project.keep(folder, record)
        if project.config.platform == "local":
            for line in _died(await platform.starts(), local_folder(folder)):
                progress.note(line)
        return await examine(
            project, folder, record, progress, allow_partial=allow_partial, remote=await interpreters(platform, folder)
        )


def _died(starts: Iterable[ContainerStart], folder: Path) -> Iterator[str]:
    """Services that nobody starts again; what they ran is there, so the ledger has nothing to say."""
    from podcov.edges.local.platform import log_file

    for start in starts:
        if start.ended not in ("", "Completed"):
            printed = relative(log_file(folder, start.address.pod))
            yield f"{start.address.pod} did not outlive the tests ({start.ended}); what it printed: {printed}"


def _measuring_themselves(config: Config) -> Iterator[str]:
    """That their coverage is on, where it is, and what they are to be made to do for it."""
    for service in config.services if config.platform == "kubernetes" else ():
        if service.dump:
            place = f"the nodes' {service.dump.folder}" if service.dump.source == "nodes" else service.dump.folder
            yield f"coverage is on: {service.name} writes into {place} {_WHEN[service.dump.by]}"


def _suite(
    project: Project, where: Where, run_id: str, tests: tuple[str, ...], env: Mapping[str, str], *, as_json: bool
) -> Coroutine[Any, Any, int]:
    """The tests, wherever podcov.yaml has them run."""
    settings = project.config.tests
    if settings.in_cluster and project.config.platform == "kubernetes":
        from podcov.edges.cluster import suite as cluster_suite

        return cluster_suite.run(
            settings,
            settings.command if tests == settings.words else tests,
            settings.env,
            context=where.context or project.config.context,
            namespace=next(iter(where.namespaces), project.config.namespace),
            run_id=run_id,
        )
    return suite.run(
        tests,
        folder=project.root / settings.directory,
        env={**env, **settings.env},
        seconds=settings.timeout,
        output_to_stderr=as_json,
    )


async def _stoppable(tests: Coroutine[Any, Any, int]) -> int:
    """Ctrl-C and SIGTERM end the tests, and what they did until then is collected; once more, and everything ends."""
    running = asyncio.create_task(tests)
    stopped_by: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        stopped_by.append(number)
        running.cancel()

    loop = asyncio.get_running_loop()
    for number in _STOPPING:
        loop.add_signal_handler(number, stop, number)
    try:
        return await running
    except asyncio.CancelledError:
        if not stopped_by:
            raise  # it is us who are cancelled
        return 128 + stopped_by[0]
    finally:
        for number in _STOPPING:
            loop.remove_signal_handler(number)
        _obey_sigterm()


def _obey_sigterm() -> None:
    """Before and after the tests SIGTERM ends the run, and with it the services that it started."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
