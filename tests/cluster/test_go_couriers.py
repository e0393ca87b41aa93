"""A Go service is its own courier: how it is found in pods of all kinds, and what is said where there is none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

SERVICE = {"language": "go", "source": ["shipping"]}
SERVICES = {
    "beside": {"workload": "pod/beside", **SERVICE},
    "alone": {"workload": "pod/alone", "binary": "/shipping", "sidecar": False, **SERVICE},
    "commanded": {"workload": "pod/commanded", "sidecar": False, **SERVICE},
    "unnamed": {"workload": "pod/unnamed", "sidecar": False, **SERVICE},
    "old": {"workload": "pod/old", "binary": "/shipping", "sidecar": False, **SERVICE},
    "plain": {"workload": "pod/plain", "binary": "/shipping", **SERVICE},
}
WORKER = """\
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func init() {
	println("a worker has begun")
}

func main() {
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, syscall.SIGTERM)
	<-stopped
}
"""
"""takes any argument, and looks at none"""
DATA = [{"name": "podcov-data", "mountPath": "/podcov/data"}]


@pytest.fixture
def images(cluster: Any, root: Path) -> dict[str, str]:
    """The shop's service in Go: `plain`, and `recorded` by a toolchain with podcov in it."""
    built = {}
    for name, dockerfile in (("plain", "Dockerfile"), ("recorded", "Dockerfile.podcov")):
        folder, base = root / "examples/shop/shipping", cluster.image("golang:1.26")
        built[name] = cluster.image(f"couriers:{name}")
        words = ("--quiet", "--file", folder / dockerfile, "--tag", built[name], "--build-arg", f"GO={base}", folder)
        cluster.run("docker", "build", *words)
        cluster.run("docker", "push", "--quiet", built[name])
    return built


def pod(name: str, image: str, *, sidecar: bool, command: tuple[str, ...] = ()) -> dict[str, Any]:
    env = [{"name": "PODCOV_DATA", "value": "/podcov/data"}, {"name": "PODCOV_CONTAINER", "value": "app"}]
    common = {"image": image, "imagePullPolicy": "Always", "env": env, "volumeMounts": DATA}
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}
    app = {"name": "app", **common, "readinessProbe": probe, **({"command": list(command)} if command else {})}
    serve = ["/shipping", "--podcov-courier", "serve"]
    tells = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    courier = {"name": "podcov-courier", "restartPolicy": "Always", **common, "command": serve, **tells}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "initContainers": [courier] if sidecar else [],
            "containers": [app],
            "volumes": [{"name": "podcov-data", "emptyDir": {}}],
        },
    }


def test_it_is_found_or_it_is_said_what_is_missing(namespace: Any, images: dict[str, str], root: Path) -> None:
    recorded = images["recorded"]
    namespace.apply(
        pod("beside", recorded, sidecar=True),
        pod("alone", recorded, sidecar=False),
        pod("commanded", recorded, sidecar=False, command=("/shipping", "-address", ":8080")),
        pod("unnamed", recorded, sidecar=False),
        pod("old", images["plain"], sidecar=False),
        pod("plain", images["plain"], sidecar=True),
    )
    ready = ("beside", "alone", "commanded", "unnamed", "old")
    namespace.kubectl("wait", "--for=condition=Ready", *(f"pod/{name}" for name in ready), "--timeout=110s")
    ended = "{.status.initContainerStatuses[0].lastState.terminated.exitCode}=2"
    namespace.kubectl("wait", f"--for=jsonpath={ended}", "pod/plain", "--timeout=110s")

    project = namespace.folder / "project"
    shutil.copytree(root / "examples/shop/shipping", project / "shipping")
    (project / "podcov.yaml").write_text(yaml.safe_dump({"version": 1, "services": SERVICES}))
    done = namespace.podcov("run", "--namespace", namespace.name, "--", "true", cwd=project, check=False)

    assert done.returncode == 3, done.stdout + done.stderr
    ledger = json.loads((project / ".podcov/runs/latest/ledger.json").read_text())
    said = {target["service"]: target["reason"] for target in ledger["targets"]}
    assert {name for name, reason in said.items() if not reason} == {"beside", "alone", "commanded", "unnamed"}
    assert "no program with podcov in it has begun in the container" in said["old"]
    assert "ended with exit code 2" in said["plain"]
    assert "was not built by the coverage profile" in said["plain"]
    assert "(it said: flag provided but not defined: -podcov-courier" in said["plain"]


@pytest.fixture
def worker(cluster: Any, tmp_path: Path) -> str:
    """The image of WORKER, as the standard toolchain makes it."""
    (tmp_path / "go.mod").write_text("module example.com/worker\n\ngo 1.20\n")
    (tmp_path / "main.go").write_text(WORKER)
    (tmp_path / "Dockerfile").write_text('FROM scratch\nCOPY worker /worker\nENTRYPOINT ["/worker"]\n')
    image: str = cluster.image("couriers:worker")
    cluster.run("env", "CGO_ENABLED=0", "go", "build", "-cover", "-o", "worker", ".", cwd=tmp_path)
    cluster.run("docker", "build", "--quiet", "--tag", image, tmp_path)
    cluster.run("docker", "push", "--quiet", image)
    return image


def test_what_was_built_without_podcov_does_not_run_twice_whatever_arguments_it_takes(
    namespace: Any, worker: str, root: Path, wait_until: Any
) -> None:
    namespace.kubectl("apply", "--filename", root / "overlays/rbac/attach.yaml")
    account = f"--serviceaccount={namespace.name}:podcov"
    namespace.kubectl("create", "rolebinding", "podcov-attach", "--role", "podcov-attach", account)
    common = {"image": worker, "imagePullPolicy": "Always"}
    app = {"name": "app", **common}
    beside = {"name": "beside", **common, "command": ["/worker", "--podcov-courier", "serve"], "restartPolicy": "Always"}
    labels = {"app": "worker"}
    template = {"metadata": {"labels": labels}, "spec": {"terminationGracePeriodSeconds": 1, "containers": [app]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    unguarded = {"containers": [app], "initContainers": [beside], "terminationGracePeriodSeconds": 1}
    namespace.apply(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "worker"}, "spec": spec},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "unguarded"}, "spec": unguarded},
    )
    namespace.kubectl("rollout", "status", "deployment/worker", "--timeout=110s")
    (serving,) = namespace.get("pods", "--selector", "app=worker")["items"]
    project = namespace.folder / "project"
    project.mkdir()
    service = {"workload": "deployment/worker", "language": "go", "binary": "/worker"}
    (project / "podcov.yaml").write_text(yaml.safe_dump({"version": 1, "services": {"worker": service}}))

    done = namespace.podcov("attach", "--namespace", namespace.name, cwd=project, check=False)

    assert done.returncode == 2, done.stdout + done.stderr
    assert "did not get ready and will not" in done.stderr, "it does not wait for what cannot come"
    assert "build its image anew with podcov in the Go toolchain" in done.stderr
    assert "container podcov-courier: " in done.stderr
    assert "GOMEMLIMIT=podcov: this program was built without podcov in its Go toolchain" in done.stderr
    unhindered = ("logs", "unguarded", "--container", "beside")
    wait_until(lambda: "a worker has begun" in namespace.kubectl(*unhindered, check=False), 120, "it runs twice")
    pods = namespace.get("pods", "--selector", "app=worker")["items"]
    (new,) = (item["metadata"]["name"] for item in pods if item["metadata"]["uid"] != serving["metadata"]["uid"])
    log = ("logs", new, "--container", "podcov-courier")
    wait_until(lambda: "fatal error: malformed GOMEMLIMIT" in namespace.kubectl(*log, check=False), 60, "its end is told")
    assert "a worker has begun" not in namespace.kubectl(*log, check=False)

    namespace.podcov("detach", "deployment/worker", "--namespace", namespace.name, cwd=project)
    (left,) = namespace.get("pods", "--selector", "app=worker", "--field-selector", "status.phase=Running")["items"]
    assert left["metadata"]["uid"] == serving["metadata"]["uid"], "it served all the time"
    assert left["status"]["containerStatuses"][0]["restartCount"] == 0
