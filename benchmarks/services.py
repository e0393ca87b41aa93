"""The shop's services as processes of this machine: started under a peer, loaded over loopback, and ended whole."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from interpreters import SHOP
from peers import Peer

HOST = "127.0.0.1"
CONNECTIONS = 4
"""one more than orders has workers and catalog together, so that nobody waits for the client"""
READY_SECONDS = 120.0
STOP_SECONDS = 20.0
_POLL_SECONDS = 0.05
_FIRST_ERROR = 400


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is loaded: requests to `loaded`, which may need `behind`."""

    name: str
    loaded: str
    requests: tuple[bytes, ...]
    behind: str | None = None


@dataclass(slots=True)
class Service:
    """One running service, which leads a session of its own."""

    name: str
    port: int
    log: Path
    process: subprocess.Popen[bytes]


@dataclass(slots=True)
class Deployment:
    """A scenario's services under one peer."""

    scenario: Scenario
    services: list[Service] = field(default_factory=list)

    @property
    def port(self) -> int:
        """Where the load goes."""
        return self.services[-1].port

    def processes(self) -> list[Path]:
        """The folders in /proc of all of their processes, forked ones included."""
        sessions = {service.process.pid for service in self.services}
        return [folder for folder in Path("/proc").iterdir() if folder.name.isdigit() and _session(int(folder.name)) in sessions]

    def cpu_seconds(self) -> float:
        """What all of their threads have used so far."""
        return sum(
            int((thread / "schedstat").read_text().split()[0]) / 1e9
            for process in self.processes()
            for thread in (process / "task").iterdir()
        )

    def peak_memory(self) -> int:
        """In KiB, of all processes together; pages that forked workers share count for each."""
        return sum(_peak_memory(process) for process in self.processes())


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n".encode()


def _post(path: str, body: str) -> bytes:
    headers = f"Host: shop\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"POST {path} HTTP/1.1\r\n{headers}\r\n\r\n{body}".encode()


SCENARIOS = (
    Scenario("catalog", "catalog", (_get("/products"), _get("/products?q=p&dearest=1000"), _get("/products/pot"))),
    Scenario("orders", "orders", (_post("/orders", '{"items": {}}'), _post("/orders", '{"items": {}, "express": true}'))),
    Scenario(
        "shop",
        "orders",
        (_post("/orders", '{"items": {"cup": 2, "pot": 1}}'), _post("/orders", '{"items": {"plate": 1}}')),
        "catalog",
    ),
)


@contextlib.contextmanager
def deployed(scenario: Scenario, peer: Peer, scratch: Path) -> Iterator[Deployment]:
    """The scenario's services under a peer, up and answering. Ends the program where one does not come up."""
    deployment = Deployment(scenario)
    try:
        behind = None
        for name in filter(None, (scenario.behind, scenario.loaded)):
            deployment.services.append(_start(name, peer, scratch / f"{scenario.name}-{name}-{peer.name}.log", behind))
            behind = deployment.services[-1]
        for service in deployment.services:
            _wait_until_ready(service, peer)
        yield deployment
    finally:
        _stop(deployment)


def load(deployment: Deployment, count: int) -> float:
    """Send so many requests from this process over a few connections; returns the seconds until the last answer."""
    return asyncio.run(_load(deployment, count))


# Starting and stopping


def _start(name: str, peer: Peer, log: Path, behind: Service | None) -> Service:
    port = _free_port()
    commands: Mapping[str, list[str]] = {
        "catalog": peer.module("uvicorn", "catalog.app:app", "--port", str(port)),
        "orders": peer.module("gunicorn", "--bind", f"{HOST}:{port}", "--workers", "2", "orders.app:app"),
    }
    environment = {**peer.environment, "CATALOG_URL": f"http://{HOST}:{behind.port}"} if behind else peer.environment
    with log.open("wb") as output:
        process = subprocess.Popen(
            commands[name],
            cwd=SHOP / name,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    return Service(name, port, log, process)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


def _wait_until_ready(service: Service, peer: Peer) -> None:
    end = time.monotonic() + READY_SECONDS
    while not _answers(service):
        if service.process.poll() is not None or time.monotonic() > end:
            sys.exit(f"{service.name} did not come up under {peer.name}; it printed:\n{service.log.read_text(errors='replace')}")
        time.sleep(_POLL_SECONDS)


def _answers(service: Service) -> bool:
    connection = HTTPConnection(HOST, service.port, timeout=READY_SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status < _FIRST_ERROR
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _stop(deployment: Deployment) -> None:
    """SIGTERM, a bounded wait, SIGKILL."""
    for service in deployment.services:
        service.process.terminate()
    for service in deployment.services:
        try:
            service.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(service.process.pid, signal.SIGKILL)
            service.process.wait()


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0  # it ended while we looked, so it is none of ours


def _peak_memory(process: Path) -> int:
    status = (process / "status").read_text().splitlines()
    return int(next(line.split()[1] for line in status if line.startswith("VmHWM:")))


# The client


async def _load(deployment: Deployment, count: int) -> float:
    requests = deployment.scenario.requests
    work = iter([requests[number % len(requests)] for number in range(count)])
    began = time.perf_counter()
    await asyncio.gather(*(_client(deployment.port, work) for _ in range(CONNECTIONS)))
    return time.perf_counter() - began


async def _client(port: int, work: Iterator[bytes]) -> None:
    """Takes requests from the common work, over a connection that it keeps where the service does."""
    async with contextlib.AsyncExitStack() as closing:
        connection = None
        for request in work:
            connection = connection or await _connection(port, closing)
            reader, writer = connection
            writer.write(request)
            if not await _read_answer(reader):
                await closing.aclose()
                connection = None


async def _connection(port: int, closing: contextlib.AsyncExitStack) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    connection = await asyncio.open_connection(HOST, port)
    closing.callback(connection[1].close)
    return connection


async def _read_answer(reader: asyncio.StreamReader) -> bool:
    """Whether the service keeps the connection. Ends the program where the answer is an error: its speed would say nothing."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status_line, *lines = head.rstrip().split("\r\n")
    if int(status_line.split()[1]) >= _FIRST_ERROR:
        sys.exit(f"a service answered {status_line}")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    await reader.readexactly(int(headers["content-length"]))
    return headers.get("connection", "").lower() != "close"
