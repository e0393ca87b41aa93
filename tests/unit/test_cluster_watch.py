"""An API server that lists pods, and how it may fail to watch them: podcov says so, and never waits for ever."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import api_servers
import pytest
from podcov.config import Config, Service
from podcov.edges.cluster import platform as cluster
from podcov.edges.cluster.platform import ClusterPlatform
from podcov.errors import ClusterError

PODS = json.dumps({"kind": "PodList", "items": [], "metadata": {"resourceVersion": "7"}}).encode()
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 15\r\nConnection: close\r\n\r\nno watches here"
ACCEPTED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"


@asynccontextmanager
async def api_server(watching: bytes) -> AsyncIterator[int]:
    """Lists no pods; answers a watch with these bytes, and then holds the connection open. Yields its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if b"watch=true" in request.splitlines()[0].lower():
            writer.write(watching)
            await reader.read()
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(PODS), PODS))
            await writer.drain()

    async with api_servers.listening(answer) as port:
        yield port


@pytest.fixture
def enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Enters, and leaves, a platform whose API server answers watches with these bytes."""

    def run(watching: bytes) -> None:
        asyncio.run(asyncio.wait_for(conduct(watching), 60))

    async def conduct(watching: bytes) -> None:
        async with api_server(watching) as port:
            kubeconfig = api_servers.kubeconfig(tmp_path, f"http://127.0.0.1:{port}", context="half")
            monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
            async with ClusterPlatform(Config((Service("orders", workload="deployment/orders"),))):
                pass

    return run


@pytest.mark.parametrize(("watching", "said"), [(b"", "it does not answer"), (UNAVAILABLE, "503 no watches here")])
def test_a_server_that_lists_and_never_begins_to_watch_is_named_within_a_bound(
    watching: bytes, said: str, enter: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "ACCEPT_SECONDS", 0.5)
    with pytest.raises(ClusterError) as caught:
        enter(watching)
    assert caught.value.message.startswith("context 'half' lists the pods of namespace 'shop', and does not begin to watch them")
    assert said in caught.value.message
    assert "kubectl get pods --watch --namespace shop" in caught.value.hint


def test_a_server_that_begins_to_watch_and_has_nothing_to_say_is_enough(enter: Callable[[bytes], None]) -> None:
    enter(ACCEPTED)
