"""`podcov attach` and `podcov detach` on workloads that run, with no more rights than the Roles that ship."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.cluster

APP = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit()); print('up', flush=True)\nwhile True: time.sleep(.1)"

VOLATILE = ("resourceVersion", "generation", "managedFields")
"""What the API server itself counts in an object's metadata."""
CONTROLLERS_OWN = {"deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation"}
"""Annotations in which controllers count the changes of a template."""


@pytest.fixture
def space(namespace: Any, root: Path) -> Any:
    """A namespace in which podcov may attach, too."""
    namespace.kubectl("apply", "--filename", root / "overlays/rbac/attach.yaml")
    account = f"--serviceaccount={namespace.name}:podcov"
    namespace.kubectl("create", "rolebinding", "podcov-attach", "--role", "podcov-attach", account)
    return namespace


@pytest.fixture
def image(cluster: Any) -> str:
    return str(cluster.image("python:3.13"))


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """`project(deployment="orders", ...)`: a folder whose podcov.yaml has a service for each workload, by KIND=NAME."""

    def write(*workloads: str, **settings: Any) -> Path:
        folder = tmp_path / "project"
        folder.mkdir(exist_ok=True)
        services = {text.replace("/", "-"): {"workload": text, "container": "app"} for text in workloads}
        (folder / "podcov.yaml").write_text(yaml.safe_dump({"version": 1, "services": services, **settings}))
        return folder

    return write


def template(image: str, name: str, **spec: Any) -> dict[str, Any]:
    container = {"name": "app", "image": image, "command": ["python3", "-c", APP]}
    return {
        "metadata": {"labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 5, "containers": [container], **spec},
    }


def workload(kind: str, image: str, name: str = "orders", **spec: Any) -> dict[str, Any]:
    pods = template(image, name)
    head = {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "labels": {"team": "shop"}}}
    if kind == "CronJob":
        pods["spec"]["restartPolicy"] = "Never"
        job = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": pods}}}
        return {**head, "apiVersion": "batch/v1", "spec": {**job, **spec}}
    selector = {"matchLabels": {"app": name}}
    extra = {"serviceName": name} if kind == "StatefulSet" else {}
    return {**head, "spec": {"selector": selector, "template": pods, **extra, **spec}}


def deploy(space: Any, *manifests: Mapping[str, Any]) -> None:
    space.apply(*manifests)
    for manifest in manifests:
        if manifest["kind"] in ("Deployment", "StatefulSet", "DaemonSet"):
            space.kubectl("rollout", "status", f"{manifest['kind']}/{manifest['metadata']['name']}", "--timeout=90s")


def podcov(space: Any, *arguments: str, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    done: subprocess.CompletedProcess[str] = space.podcov(*arguments, "--namespace", space.name, cwd=cwd, check=check)
    return done


def steady(document: Mapping[str, Any]) -> dict[str, Any]:
    """An object without its status and what the API server and controllers count in it."""
    kept: dict[str, Any] = deepcopy(dict(document))
    del kept["status"]
    for name in VOLATILE:
        kept["metadata"].pop(name, None)
    for name in CONTROLLERS_OWN:
        kept["metadata"].get("annotations", {}).pop(name, None)
    return kept


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "CronJob"])
def test_after_attach_and_detach_the_live_object_equals_the_one_before(
    space: Any, image: str, project: Callable[..., Path], kind: str
) -> None:
    reference = f"{kind.lower()}/orders"
    folder = project(reference)
    deploy(space, workload(kind, image))
    before = space.get(reference, "--show-managed-fields")

    attached = podcov(space, "attach", reference, cwd=folder)

    assert f"attached: {reference} in namespace {space.name}: app" in attached.stdout
    live = space.get(reference)
    assert steady(live) != steady(before)
    assert "podcov/original" in live["metadata"]["annotations"]
    if kind != "CronJob":
        pods = space.get("pods", "--selector", "app=orders")["items"]
        assert {p["spec"]["initContainers"][0]["name"] for p in pods if "deletionTimestamp" not in p["metadata"]} == {
            "podcov-courier"
        }

    detached = podcov(space, "detach", cwd=folder)

    assert f"detached: {reference} in namespace {space.name}" in detached.stdout
    after = space.get(reference, "--show-managed-fields")
    assert steady(after) == steady(before)
    assert "podcov" not in {entry["manager"] for entry in after["metadata"]["managedFields"]}
    assert space.get("configmaps", "--selector", "app.kubernetes.io/part-of=podcov")["items"] == []
