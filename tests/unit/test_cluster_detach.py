"""`podcov detach` and `clean` of workloads that go meanwhile: their coverage goes with them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import api_servers
import pytest
from podcov.edges.cluster import attach as cluster_attach
from podcov.edges.cluster.attach import Done
from podcov.edges.cluster.owners import WORKLOADS
from podcov.edges.cluster.targets import Target
from podcov.generate.coverage import instrument

EMPTY = {"items": [], "metadata": {"resourceVersion": "7"}}
ATTACHED = {
    "metadata": {
        "name": "orders",
        "namespace": "shop",
        "generation": 2,
        "resourceVersion": "7",
        "annotations": {instrument.ORIGINAL: '{"containers": {}}'},
    },
    "spec": {
        "selector": {"matchLabels": {"app": "orders"}},
        "template": {"metadata": {}, "spec": {"containers": [{"name": "app", "image": "app"}]}},
    },
    "status": {"observedGeneration": 1},
}
"""a Deployment that has coverage, and whose change has not been seen yet"""


def without_workloads_after(answers: int) -> api_servers.Serve:
    """Lists are empty, and a workload that is asked for, or patched, is there so many times."""
    left = iter(range(answers))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        status, document = b"200 OK", EMPTY
        if b"/deployments/orders" in request.split()[1]:
            status, document = (b"404 Not Found", {"message": "not found"}) if next(left, None) is None else (status, ATTACHED)
        body = json.dumps(document).encode()
        writer.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (status, len(body), body))
        await writer.drain()

    return serve


@pytest.mark.parametrize(
    ("answers", "dry_run", "detached"),
    [
        pytest.param(0, True, False, id="dry run"),
        pytest.param(1, True, False, id="dry run, before the patch"),
        pytest.param(0, False, False, id="before it is looked at"),
        pytest.param(1, False, False, id="before the patch"),
        pytest.param(4, False, True, id="while it is waited for"),
    ],
)
def test_a_workload_that_goes_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: int, dry_run: bool, detached: bool
) -> None:
    said: list[str] = []

    async def detach() -> Done:
        async with api_servers.listening(without_workloads_after(answers)) as port:
            monkeypatch.setenv("KUBECONFIG", str(api_servers.kubeconfig(tmp_path, f"http://127.0.0.1:{port}")))
            async with cluster_attach.connect("", said.append) as attachments:
                return await attachments.detach([target], dry_run=dry_run, seconds=20, min_age=0)

    target = Target(WORKLOADS["Deployment"], "shop", "orders", WORKLOADS["Deployment"], "orders")
    assert [changed.target for changed in asyncio.run(detach()).workloads] == [target] * detached
    assert said == ["deployment/orders in namespace shop is gone, and its coverage with it"]
