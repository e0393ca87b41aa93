"""A container runs, and its program has not begun: what a call of its courier makes of what the cluster answers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import api_servers
import pytest
from aiohttp import web
from podcov.config import Config, Service
from podcov.edges.cluster.api import CHANNELS
from podcov.edges.cluster.exec import STATUS
from podcov.edges.cluster.platform import ClusterPlatform
from podcov.platform import CourierUnreachable

DATA = {"name": "podcov-data", "mountPath": "/podcov/data"}
POD = {
    "metadata": {"namespace": "shop", "name": "web-1", "uid": "uid-1", "resourceVersion": "7", "labels": {"app": "web"}},
    "spec": {"nodeName": "node-1", "containers": [{"name": "app", "volumeMounts": [DATA]}]},
    "status": {
        "phase": "Running",
        "containerStatuses": [
            {
                "name": "app",
                "restartCount": 0,
                "ready": True,
                "containerID": "containerd://a",
                "state": {"running": {"startedAt": "2026-01-02T03:04:05Z"}},
            }
        ],
    },
}
PODS = {"kind": "PodList", "items": [POD], "metadata": {"resourceVersion": "7"}}


def failed(message: str, exit_code: int | None = None) -> bytes:
    causes = [{"reason": "ExitCode", "message": str(exit_code)}] if exit_code else []
    return bytes([STATUS]) + json.dumps({"status": "Failure", "message": message, "details": {"causes": causes}}).encode()


NO_LINK = failed('exec: "/podcov/data/programs/app": stat /podcov/data/programs/app: no such file or directory')
NO_COURIER = failed("command terminated with exit code 2", 2)


@pytest.mark.parametrize(("ended", "unbegun"), [(NO_LINK, True), (NO_COURIER, False)], ids=["no link", "another program"])
def test_a_call_that_finds_no_link_says_that_the_program_may_come_yet(
    ended: bytes, unbegun: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/exec"):
            channels = web.WebSocketResponse(protocols=(CHANNELS,))
            await channels.prepare(request)
            await channels.send_bytes(ended)
            await channels.close()
            return channels
        if "watch" in request.query:
            response = web.StreamResponse()
            await response.prepare(request)
            await asyncio.Event().wait()
        return web.json_response(POD if request.path.endswith("/web-1") else PODS)

    async def conduct() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            name_the_cluster(runner.addresses[0][1])
            service = Service("web", selector="app=web", container="app", language="go", sidecar=False)
            async with ClusterPlatform(Config((service,))) as platform:
                [address] = await platform.addresses()
                with pytest.raises(CourierUnreachable) as caught:
                    await platform.call(address, ("mark", "r", ""))
                assert caught.value.unbegun == unbegun
                assert not caught.value.gone
        finally:
            await runner.cleanup()

    def name_the_cluster(port: int) -> None:
        monkeypatch.setenv("KUBECONFIG", str(api_servers.kubeconfig(tmp_path, f"http://127.0.0.1:{port}")))

    asyncio.run(asyncio.wait_for(conduct(), 60))
