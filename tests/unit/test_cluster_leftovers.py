"""What `clean` and `detach` say of ConfigMaps that stay, and of those that would go. The rest is in tests/cluster."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import api_servers
import pytest
from podcov.commands.main import run
from podcov.config import Service
from podcov.edges.cluster import leftovers
from podcov.edges.cluster.owners import CONFIG_MAPS, WORKLOADS
from podcov.generate.coverage import instrument
from podcov.generate.kubernetes import manifests
from podcov.generate.languages.entered import Entered

WRAPPER = "podcov-wrapper-1"
LONG_AGO = "2020-01-01T00:00:00Z"
MOUNTS = {"volumes": [{"name": "podcov-wrapper", "configMap": {"name": WRAPPER}}]}


def controlled(kind: str, name: str) -> dict[str, Any]:
    api_version = WORKLOADS[kind].api_version
    return {"ownerReferences": [{"apiVersion": api_version, "kind": kind, "name": name, "controller": True}]}


def attached(**spec: Any) -> list[dict[str, Any]]:
    """A Deployment with coverage, and what its controller has made of it; `spec` is what else it says."""
    template = {"metadata": {"labels": {"app": "orders"}}, "spec": {"containers": [{"name": "app", "image": "orders:1"}]}}
    before = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "orders"},
        "spec": {"selector": {"matchLabels": {"app": "orders"}}, "template": template, **spec},
    }
    workload = manifests.of_document(before)
    assert workload is not None
    entered = Entered(Service("orders"), workload.containers[0], "line", ("python3", "app.py"), None)
    after = instrument.instrument(before, [entered], {"python": (WRAPPER,)})
    assert leftovers.mounted(after) == {WRAPPER}
    made = {"replicas": 1, "template": after["spec"]["template"]}
    of_it = controlled("Deployment", "orders")
    return [
        after,
        {"kind": "ReplicaSet", "metadata": {"name": "orders-1", **of_it}, "spec": made},
        pod(**controlled("ReplicaSet", "orders-1")),
    ]


def config_map(created: str = LONG_AGO) -> dict[str, Any]:
    return {"kind": "ConfigMap", "metadata": {"name": WRAPPER, "creationTimestamp": created}}


def pod(**metadata: Any) -> dict[str, Any]:
    return {"kind": "Pod", "metadata": {"name": "orders-1-x", **metadata}, "spec": MOUNTS}


class Objects:
    """What the API server has, of the namespace `shop`."""

    def __init__(self, *documents: Mapping[str, Any]) -> None:
        self._by_path: dict[str, dict[str, Any]] = {}
        for document in documents:
            metadata = {"namespace": "shop", "resourceVersion": "7", **document["metadata"]}
            resource = {**WORKLOADS, CONFIG_MAPS.kind: CONFIG_MAPS}[document["kind"]]
            path = f"{resource.path('shop')}/{metadata['name']}"
            self._by_path[path] = {**document, "metadata": metadata, "apiVersion": resource.api_version}

    def get(self, path: str) -> Mapping[str, Any] | None:
        if path == "/apis":
            return {"groups": []}
        if path in self._by_path:
            return self._by_path[path]
        items = [document for key, document in self._by_path.items() if key.startswith(f"{path}/")]
        return {"items": items, "metadata": {"resourceVersion": "7"}}

    def delete(self, path: str) -> None:
        del self._by_path[path]

    @property
    def config_maps(self) -> list[str]:
        return [d["metadata"]["name"] for d in self._by_path.values() if d["kind"] == "ConfigMap"]


@pytest.fixture
def podcov(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    """Runs podcov in a cluster with these objects; there a patch is but tried."""
    servers: list[ThreadingHTTPServer] = []

    def conduct(objects: Objects, *arguments: str) -> int:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(objects.get(self._path))

            def do_PATCH(self) -> None:
                assert "dryRun=All" in self.path
                self.rfile.read(int(self.headers["Content-Length"]))
                self._answer(objects.get(self._path))

            def do_DELETE(self) -> None:
                objects.delete(self._path)
                self._answer({"kind": "Status", "status": "Success"})

            @property
            def _path(self) -> str:
                return self.path.partition("?")[0]

            def _answer(self, document: Mapping[str, Any] | None) -> None:
                body = json.dumps(document).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        monkeypatch.setenv("KUBECONFIG", str(api_servers.kubeconfig(tmp_path, f"http://127.0.0.1:{server.server_port}")))
        monkeypatch.chdir(tmp_path)
        return run([*arguments])

    yield conduct
    for server in servers:
        server.shutdown()
        server.server_close()


def test_what_an_ending_pod_names_is_not_called_nothing(podcov: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    objects = Objects(config_map(), pod(deletionTimestamp="2030-01-01T00:00:00Z"))
    assert podcov(objects, "clean") == 0
    said = capsys.readouterr()
    assert said.out == ""
    stays = f"configmap/{WRAPPER} in namespace shop stays, for pod/orders-1-x, still ending"
    assert f"{stays}: try again when it is gone" in said.err
    assert objects.config_maps == [WRAPPER]


def test_what_is_new_is_not_called_nothing(podcov: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    objects = Objects(config_map(datetime.now(UTC).isoformat()))
    assert podcov(objects, "clean") == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "it was deployed less than 300 s ago; `podcov clean --namespace shop --min-age 0` removes it all the same" in said.err
    assert podcov(objects, "clean", "--min-age", "0") == 0
    assert capsys.readouterr().out == f"removed: configmap/{WRAPPER} in namespace shop\n"
    assert objects.config_maps == []


def test_what_runs_with_coverage_that_others_deployed_is_not_left_over(
    podcov: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert podcov(Objects(config_map(), pod()), "clean") == 0
    said = capsys.readouterr()
    assert said.out == "nothing is left over\n"
    assert said.err.endswith(f"configmap/{WRAPPER} in namespace shop stays, for pod/orders-1-x\n")


@pytest.mark.parametrize("command", ["clean", "detach"])
def test_a_dry_run_tells_of_what_only_workloads_use_that_would_be_detached(
    command: str, podcov: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    objects = Objects(config_map(), *attached())
    assert podcov(objects, command, "--dry-run", "--json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["config_maps"] == [f"shop/{WRAPPER}"]
    assert "stays" not in said.err
    assert objects.config_maps == [WRAPPER]


@pytest.mark.parametrize(
    ("objects", "user"),
    [
        ([*attached(paused=True)], "replicaset/orders-1, pod/orders-1-x"),
        ([*attached(), {**pod(), "metadata": {"name": "other"}}], "pod/other"),
    ],
    ids=["its pods would not be replaced", "another pod names it"],
)
def test_a_dry_run_tells_of_what_would_be_used_all_the_same(
    objects: Sequence[Mapping[str, Any]], user: str, podcov: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert podcov(Objects(config_map(), *objects), "clean", "--dry-run", "--json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["config_maps"] == []
    assert said.err.endswith(f"configmap/{WRAPPER} in namespace shop stays, for {user}\n")
