"""A pod that is said to be created, and may run: what its node says of it, and what follows from a node that says nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
import yaml
from podcov.config import Config, Service
from podcov.edges.cluster.platform import ClusterPlatform
from podcov.platform import UNTOLD, ContainerStart, CourierUnreachable

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


NOT_RUNNING = answer("500 Internal Server Error", "text/plain; charset=utf-8", 'container not found ("app")')
NOT_REACHED = answer(
    "500 Internal Server Error",
    "application/json",
    json.dumps({"kind": "Status", "code": 500, "message": "error dialing backend: dial tcp 10.0.0.1:10250: no route to host"}),
)
NO_GATEWAY = answer("504 Gateway Timeout", "text/html", "<html>504 Gateway Time-out</html>")
NOTHING = b""


@asynccontextmanager
async def api_server(to_exec: bytes) -> AsyncIterator[int]:
    """Has one pod; answers an exec in it with these bytes, and where there are none, not at all. Yields its port."""
    held: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            asked = (await reader.readuntil(b"\r\n\r\n")).splitlines()[0].lower()
            if b"watch=true" in asked or (b"/exec" in asked and not to_exec):
                writer.write(WATCHING if b"watch=true" in asked else NOTHING)
                await reader.read()
                return
            found = POD if b"/pods/web-1" in asked else PODS
            writer.write(to_exec if b"/exec" in asked else answer("200 OK", "application/json", json.dumps(found)))
            await writer.drain()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        held.add(task)
        task.add_done_callback(held.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)


@pytest.fixture
def starts_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], Sequence[ContainerStart]]:
    """What is known of the pod's containers once its courier was called, and could not be."""

    async def conduct(to_exec: bytes) -> Sequence[ContainerStart]:
        async with api_server(to_exec) as port:
            document = {
                "current-context": "one",
                "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one", "namespace": "shop"}}],
                "clusters": [{"name": "one", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
                "users": [{"name": "one", "user": {"token": "secret"}}],
            }
            (tmp_path / "kubeconfig").write_text(yaml.safe_dump(document))
            monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
            async with ClusterPlatform(Config((Service("web", selector="app=web", container="app"),))) as platform:
                assert [start.awaited for start in await platform.starts()] == [True]
                [address] = await platform.addresses()
                with pytest.raises(CourierUnreachable):
                    await platform.call(address, ("pull",), seconds=5 if to_exec else 0.5)
                return await platform.starts()

    def run(work: Awaitable[Sequence[ContainerStart]]) -> Sequence[ContainerStart]:
        return asyncio.run(asyncio.wait_for(work, 60))

    return lambda to_exec: run(conduct(to_exec))


def test_it_has_not_begun_where_its_node_says_that_it_does_not_run(
    starts_after: Callable[[bytes], Sequence[ContainerStart]],
) -> None:
    assert [(start.awaited, start.ended) for start in starts_after(NOT_RUNNING)] == [(True, "ContainerCreating")]


@pytest.mark.parametrize(
    "to_exec", [NOT_REACHED, NO_GATEWAY, NOTHING], ids=["the server does not reach it", "nor does what is before it", "no answer"]
)
def test_nobody_can_tell_where_its_node_does_not_answer(
    to_exec: bytes, starts_after: Callable[[bytes], Sequence[ContainerStart]]
) -> None:
    """It was told to begin, and its node has been cut off since: it may run, and serve."""
    assert [(start.awaited, start.ended) for start in starts_after(to_exec)] == [(False, UNTOLD)]
