"""`podcov detach` and `clean` of workloads that go meanwhile: their coverage goes with them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import api_servers
import pytest
from podcov.edges.cluster import attach as cluster_attach
from podcov.edges.cluster.attach import Done
from podcov.edges.cluster.owners import WORKLOADS
from podcov.edges.cluster.targets import Target

EMPTY = b'{"items": [], "metadata": {"resourceVersion": "7"}}'


async def without_workloads(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Lists are empty, and a workload that is asked for is not there."""
    request = await reader.readuntil(b"\r\n\r\n")
    found = not request.split()[1].endswith(b"/deployments/orders")
    status, body = (b"200 OK", EMPTY) if found else (b"404 Not Found", b'{"message": "not found"}')
    writer.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (status, len(body), body))
    await writer.drain()


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_workload_that_went_since_it_was_listed_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dry_run: bool
) -> None:
    said: list[str] = []

    async def detach() -> Done:
        async with api_servers.listening(without_workloads) as port:
            monkeypatch.setenv("KUBECONFIG", str(api_servers.kubeconfig(tmp_path, f"http://127.0.0.1:{port}")))
            async with cluster_attach.connect("", said.append) as attachments:
                return await attachments.detach([target], dry_run=dry_run, seconds=20, min_age=0)

    target = Target(WORKLOADS["Deployment"], "shop", "orders", WORKLOADS["Deployment"], "orders")
    assert asyncio.run(detach()).workloads == ()
    assert said == ["deployment/orders in namespace shop is gone, and its coverage with it"]
