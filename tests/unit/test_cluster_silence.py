"""A pod that is said to be created, and may run: what its node says of it, and what follows where nobody says anything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import api_servers
import pytest
from podcov.config import Config, Service
from podcov.edges.cluster import platform as cluster
from podcov.edges.cluster.platform import ClusterPlatform
from podcov.platform import DELETED, UNTOLD, ContainerStart, CourierUnreachable

DATA = {"name": "podcov-data", "mountPath": "/podcov/data"}
POD = {
    "metadata": {"namespace": "shop", "name": "web-1", "uid": "uid-1", "resourceVersion": "7", "labels": {"app": "web"}},
    "spec": {"nodeName": "node-1", "containers": [{"name": "app", "volumeMounts": [DATA]}]},
    "status": {
        "phase": "Pending",
        "containerStatuses": [{"name": "app", "restartCount": 0, "state": {"waiting": {"reason": "ContainerCreating"}}}],
    },
}
PODS = {"kind": "PodList", "items": [POD], "metadata": {"resourceVersion": "7"}}
WATCHING = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"


def answer(status: str, kind: str, body: str) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return (head + body).encode()


NO_TRACE = {
    "phase": "Failed",
    "containerStatuses": [
        {"name": "app", "restartCount": 0, "state": {"terminated": {"reason": "ContainerStatusUnknown", "exitCode": 137}}}
    ],
}
"""what a kubelet says in the end of a pod of which nothing had begun"""
NOT_RUNNING = answer("500 Internal Server Error", "text/plain; charset=utf-8", 'container not found ("app")')
NOT_REACHED = answer(
    "500 Internal Server Error",
    "application/json",
    json.dumps({"kind": "Status", "code": 500, "message": "error dialing backend: dial tcp 10.0.0.1:10250: no route to host"}),
)
NO_GATEWAY = answer("504 Gateway Timeout", "text/html", "<html>504 Gateway Time-out</html>")
NOTHING = b""


class Server:
    port = 0
    has_pod = True

    def __init__(self) -> None:
        self.listed_without = asyncio.Event()

    def found(self, *, one: bool) -> Mapping[str, Any]:
        if one:
            return POD
        if not self.has_pod:
            self.listed_without.set()
        return PODS if self.has_pod else {**PODS, "items": []}


@asynccontextmanager
async def api_server(to_exec: bytes = NOTHING, last: Mapping[str, Any] | None = None) -> AsyncIterator[Server]:
    """Has one pod; answers an exec in it with these bytes, and where there are none, not at all.

    `last` is what a watch says of the pod in the end, when the second list is there that does not have it.
    """
    server = Server()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).splitlines()[0].lower()
        if b"watch=true" in asked:
            writer.write(WATCHING)
            if last:
                await server.listed_without.wait()
                writer.write(json.dumps({"type": "DELETED", "object": last}).encode() + b"\n")
            await reader.read()
        elif b"/exec" in asked:
            writer.write(to_exec)
            await (writer.drain() if to_exec else reader.read())
        else:
            writer.write(answer("200 OK", "application/json", json.dumps(server.found(one=b"/pods/web-1" in asked))))
            await writer.drain()

    async with api_servers.listening(serve) as server.port:
        yield server


@pytest.fixture
def connected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Server], ClusterPlatform]:
    """The platform of that server's cluster."""

    def platform(server: Server) -> ClusterPlatform:
        monkeypatch.setenv("KUBECONFIG", str(api_servers.kubeconfig(tmp_path, f"http://127.0.0.1:{server.port}")))
        return ClusterPlatform(Config((Service("web", selector="app=web", container="app"),)))

    return platform


def known(starts: Sequence[ContainerStart]) -> list[tuple[bool, str]]:
    return [(start.awaited, start.ended) for start in starts]


@pytest.mark.parametrize(
    ("to_exec", "expected"),
    [
        pytest.param(NOT_RUNNING, (True, "ContainerCreating"), id="its node says that it does not run"),
        pytest.param(NOT_REACHED, (False, UNTOLD), id="the server does not reach its node"),
        pytest.param(NO_GATEWAY, (False, UNTOLD), id="nor does what is before the server"),
        pytest.param(NOTHING, (False, UNTOLD), id="nobody answers"),
    ],
)
def test_it_has_not_begun_only_where_its_node_answers(
    to_exec: bytes, expected: tuple[bool, str], connected: Callable[[Server], ClusterPlatform]
) -> None:
    """A node may have been cut off just after it was told to begin the pod, which runs, and serves."""

    async def conduct() -> None:
        async with api_server(to_exec) as server, connected(server) as platform:
            assert known(await platform.starts()) == [(True, "ContainerCreating")]
            [address] = await platform.addresses()
            with pytest.raises(CourierUnreachable):
                await platform.call(address, ("pull",), seconds=5 if to_exec else 0.5)
            assert known(await platform.starts()) == [expected]

    asyncio.run(asyncio.wait_for(conduct(), 60))


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        pytest.param({**POD, "status": NO_TRACE}, (True, "ContainerCreating"), id="its node has told its end"),
        pytest.param(POD, (False, DELETED), id="it was deleted by force"),
        pytest.param(None, (False, DELETED), id="nobody tells"),
    ],
)
def test_what_it_was_last_is_waited_for_where_a_list_does_not_have_it_any_more(
    last: Mapping[str, Any] | None,
    expected: tuple[bool, str],
    connected: Callable[[Server], ClusterPlatform],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Lists may be ahead of the watch."""
    monkeypatch.setattr(cluster, "LAST_STATE_SECONDS", 10.0 if last else 0.2)

    async def conduct() -> None:
        async with api_server(last=last) as server, connected(server) as platform:
            server.has_pod = False
            assert known(await platform.starts()) == [expected]

    asyncio.run(asyncio.wait_for(conduct(), 60))
