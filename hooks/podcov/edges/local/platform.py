"""The platform `local`: the services as processes of this machine, with the same wrapper, courier and ledger as in a cluster.

Each replica is what a pod is elsewhere: a data folder of its own, a courier, a start id. Services listen on free ports.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

from podcov import languages
from podcov.config import Config, LocalService, Service
from podcov.edges.local import build, ports
from podcov.edges.local import process as local_process
from podcov.edges.local.balancer import balance
from podcov.edges.local.go import GoRuntime
from podcov.edges.local.ports import Ports
from podcov.edges.local.process import ServiceProcess
from podcov.edges.local.python import PythonRuntime
from podcov.edges.local.runtime import Place, Prepared, Runtime
from podcov.errors import UsageError
from podcov.languages.couriers import Words
from podcov.model import Mode
from podcov.platform import ContainerStart, CourierAddress, CourierAnswer, CourierUnreachable, PlatformEvent

START_ID = "1"
"""No service is started twice in a run, and each run has data folders of its own: the same on every machine."""
READY_SECONDS = 60.0
UNPACK_SECONDS = 60.0
CALLS_AT_ONCE = 8
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5
"""seconds between two looks whether a service is up"""
_ANSWER_SECONDS = 5.0
_SERVER_ERROR = 500

_RUNTIMES: Mapping[str, Runtime] = {"python": PythonRuntime(), "go": GoRuntime()}


@dataclass
class _Replica:
    """One start of one service."""

    service: Service
    local: LocalService
    address: CourierAddress
    data: Path
    log: Path
    own_ports: Mapping[str, int]
    prepared: Prepared = field(default_factory=lambda: Prepared((), {}))
    process: ServiceProcess | None = None

    @property
    def env(self) -> dict[str, str]:
        """What the service and its courier are told."""
        return {"PODCOV_DATA": str(self.data), "PODCOV_CONTAINER": self.service.name, "PODCOV_START": START_ID}


class LocalPlatform:
    """Builds and runs the services of a configuration from entering to leaving; fulfils `podcov.platform.Platform`.

    `root` is the folder of podcov.yaml; `folder` is made, and keeps the services' logs and recorded data; `note` is told what is
    being built. Entering raises UsageError where a service cannot be built or started, or is not up within `ready_seconds`;
    leaving ends every process that was started.
    """

    name = "local"

    def __init__(
        self,
        config: Config,
        *,
        root: Path,
        folder: Path,
        ready_seconds: float = READY_SECONDS,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._config = config
        self._root = root
        self._folder = folder.absolute()
        self._ready_seconds = ready_seconds
        self._note = note
        self._replicas: list[_Replica] = []
        self._ports = Ports({}, {}, {})
        self._calls = asyncio.Semaphore(CALLS_AT_ONCE)
        self._watchers: list[asyncio.Queue[PlatformEvent | None]] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        ports.pick(self._config)  # raises before anything is built; a port that is free now may not stay so
        await self._build()
        self._ports = ports.pick(self._config)
        self._replicas = [
            self._replica(service, number)
            for service in self._config.services
            for number in range(service.local.replicas if service.local else 0)
        ]
        async with AsyncExitStack() as stack:
            await asyncio.gather(*(self._prepare(replica) for replica in self._replicas))
            for port, replicas in self._ports.balanced().items():
                await stack.enter_async_context(balance(port, replicas))
            stack.push_async_callback(self._stop, followers := [])
            for replica in self._replicas:
                replica.process = await self._start(replica)
                followers.append(asyncio.create_task(self._follow(replica, replica.process)))
            await _all(*(self._until_ready(replica) for replica in self._replicas))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def addresses(self) -> Sequence[CourierAddress]:
        """Also of services that have ended: their data are still here."""
        return [replica.address for replica in self._replicas]

    async def call(
        self, address: CourierAddress, arguments: Sequence[str], stdin: bytes = b"", *, seconds: float = 60
    ) -> CourierAnswer:
        """Waiting for its turn does not count as `seconds`."""
        replica = next(r for r in self._replicas if r.address == address)
        async with self._calls:
            framed = b"%d\n%b" % (len(stdin), stdin) if stdin else b""
            return await self._run(replica, replica.prepared.courier, arguments, framed, seconds)

    async def watch(self) -> AsyncIterator[PlatformEvent]:
        """Services that end. They are not started again."""
        queue: asyncio.Queue[PlatformEvent | None] = asyncio.Queue()
        self._watchers.append(queue)
        try:
            while event := await queue.get():
                yield event
        finally:
            self._watchers.remove(queue)

    async def starts(self) -> Sequence[ContainerStart]:
        return [
            ContainerStart(
                address=replica.address,
                service=replica.service.name,
                container=replica.service.name,
                container_id=START_ID,
                restart=0,
                started=replica.process.started,
                finished=replica.process.finished,
                ended=replica.process.ended,
            )
            for replica in self._replicas
            if replica.process
        ]

    def ending_to_hand_over(self, addresses: Sequence[CourierAddress]) -> Sequence[CourierAddress]:  # noqa: ARG002
        """None: local services record."""
        return ()

    def stopping(self, addresses: Sequence[CourierAddress]) -> AbstractAsyncContextManager[Sequence[str]]:  # noqa: ARG002
        return contextlib.nullcontext(())

    def forwards(self) -> AbstractAsyncContextManager[Mapping[str, str]]:
        """Nothing has to be forwarded: the services listen on this machine."""
        return contextlib.nullcontext(self._ports.environment(self._config.port_forwards))

    # Starting

    def _replica(self, service: Service, number: int) -> _Replica:
        name = f"{service.name}-{number + 1}" if number else service.name
        if number and any(other.name == name for other in self._config.services):
            raise UsageError(
                f"services.{service.name}.local.replicas: replica {number + 1} would be called {name}, as another service is",
                hint=f"call one of the services {service.name} and {name} something else",
            )
        data = self._folder / name
        return _Replica(
            service=service,
            local=self._ports.fill_in(service, number),
            address=CourierAddress(
                service=service.name,
                namespace="",
                pod=name,
                pod_uid=name,
                container=service.name,
                sidecar=False,
                containers=(service.name,),
            ),
            data=data,
            log=log_file(self._folder, name),
            own_ports=self._ports.replicas[service.name, number],
        )

    async def _build(self) -> None:
        """Each build once, one after another: builds keep all processors busy by themselves."""
        done: set[tuple[tuple[str, ...], str, str]] = set()
        for service in self._config.services:
            local = service.local
            if local and local.build and (key := (local.build, local.directory, service.language)) not in done:
                done.add(key)
                await self._build_one(service, local)

    async def _build_one(self, service: Service, local: LocalService) -> None:
        self._note(f"building {service.name}: {' '.join(local.build)}")
        directory = self._existing_directory(service, local)
        try:
            env = await asyncio.to_thread(_runtime(service).build_environment, directory, _own_environment(local))
        except UsageError as error:
            raise UsageError(
                f"service {service.name} cannot be built: {error.message}",
                hint=f"{error.hint} Or leave the service out: podcov run --without {service.name}".lstrip(),
            ) from error
        await build.build(service.name, local.build, directory, env, self._folder / f"{service.name}.build.log")

    async def _prepare(self, replica: _Replica) -> None:
        replica.data.mkdir(parents=True, exist_ok=True)
        place = Place(
            service=replica.service,
            local=replica.local,
            directory=self._directory(replica.local),
            env=_own_environment(replica.local),
            data=replica.data,
            mode=self._mode(replica.service),
        )
        replica.prepared = await _runtime(replica.service).prepare(
            place, lambda words, command: self._run(replica, words, [command], b"", UNPACK_SECONDS)
        )

    async def _start(self, replica: _Replica) -> ServiceProcess:
        directory = self._existing_directory(replica.service, replica.local)
        env = {**_own_environment(replica.local), **replica.env, **replica.prepared.env}
        return await local_process.start(replica.service.name, replica.local.command, directory, env, replica.log)

    def _existing_directory(self, service: Service, local: LocalService) -> Path:
        directory = self._directory(local)
        if not directory.is_dir():
            raise UsageError(
                f"service {service.name} cannot be started: there is no folder {directory}",
                hint=f"services.{service.name}.local.directory is relative to podcov.yaml",
            )
        return directory

    def _directory(self, local: LocalService) -> Path:
        return (self._root / local.directory).absolute()

    def _mode(self, service: Service) -> Mode:
        return service.mode or self._config.mode

    async def _until_ready(self, replica: _Replica) -> None:
        """Until `ready` answers; without one, until its ports take connections."""
        assert replica.process
        name = replica.service.name
        pause, end = _FIRST_PAUSE, time.monotonic() + self._ready_seconds
        while not await _is_up(replica):
            if replica.process.finished is not None and not replica.local.ready:
                return  # a job: it has done its work, and its data are here
            if replica.process.finished is not None:
                raise UsageError(
                    f"service {name} ended ({replica.process.ended}) before it was up; it printed:\n{replica.process.log_tail()}",
                    hint=f"services.{name}.local.command is: {' '.join(replica.local.command)}",
                )
            if time.monotonic() > end:
                raise UsageError(
                    f"service {name} was not up within {self._ready_seconds:g} s: {replica.local.ready or 'its port'} does not "
                    f"answer; it printed:\n{replica.process.log_tail()}",
                    hint=f"does services.{name}.local.command listen on the port that it is given by {{port:...}}?",
                )
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    # While they run

    async def _follow(self, replica: _Replica, process: ServiceProcess) -> None:
        await process.wait()
        for watcher in self._watchers:
            watcher.put_nowait(PlatformEvent("ended", replica.address))

    async def _run(
        self, replica: _Replica, words: Words, arguments: Sequence[str], stdin: bytes, seconds: float
    ) -> CourierAnswer:
        """One command of the courier that `words` call."""
        process = await asyncio.create_subprocess_exec(
            *(*words, *arguments),
            env={"PATH": os.environ.get("PATH", os.defpath), **replica.env},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            stdout, stderr = await asyncio.wait_for(process.communicate(stdin), seconds)
        except TimeoutError:
            raise CourierUnreachable(replica.address, f"the courier's {arguments[0]} took more than {seconds:g} s") from None
        finally:
            if process.returncode is None:
                process.kill()
            code = await process.wait()
        if code < 0:
            raise CourierUnreachable(replica.address, f"the courier was ended by signal {-code}")
        return CourierAnswer(code, stdout, stderr.decode(errors="replace"))

    # Stopping

    async def _stop(self, followers: Sequence[asyncio.Task[None]]) -> None:
        await local_process.stop([replica.process for replica in self._replicas if replica.process])
        await asyncio.gather(*followers)
        for watcher in self._watchers:
            watcher.put_nowait(None)


def log_file(folder: Path, pod: str) -> Path:
    """What a replica prints; `folder` is the platform's, `pod` that of its address."""
    return folder / f"{pod}.log"


def _own_environment(local: LocalService) -> dict[str, str]:
    """What a service would have without podcov."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PODCOV_")} | dict(local.env)


def _runtime(service: Service) -> Runtime:
    """Raises UsageError for a language that cannot be run here, or that podcov does not know."""
    language = languages.of(service.language).name
    if language not in _RUNTIMES:
        raise UsageError(
            f"service {service.name} is written in {language}, which the local platform cannot run",
            hint=f"leave it out: podcov run --without {service.name}; or run on the platform `kubernetes`",
        )
    return _RUNTIMES[language]


async def _all(*waits: Coroutine[Any, Any, None]) -> None:
    """Waits for all; the first that fails ends the others."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _is_up(replica: _Replica) -> bool:
    """`ready` answers; without one, the replica's ports take connections."""
    try:
        if replica.local.ready:
            return await asyncio.wait_for(_status(replica.local.ready), _ANSWER_SECONDS) < _SERVER_ERROR
        for port in replica.own_ports.values():
            _, writer = await asyncio.open_connection(ports.HOST, port)
            writer.close()
    except (OSError, TimeoutError, ValueError, IndexError):
        return False
    return True


async def _status(url: str) -> int:
    """The status that a URL answers with. Raises OSError, ValueError or IndexError where it does not."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    with contextlib.closing(writer):
        path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        status = await reader.readline()
    return int(status.split()[1])
