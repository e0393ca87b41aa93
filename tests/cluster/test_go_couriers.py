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
    "misnamed": {"workload": "pod/misnamed", "binary": "/nowhere", "sidecar": False, **SERVICE},
    "plain": {"workload": "pod/plain", "binary": "/shipping", **SERVICE},
}
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
    common = {"image": image, "env": env, "volumeMounts": DATA}
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
        pod("misnamed", recorded, sidecar=False),
        pod("plain", images["plain"], sidecar=True),
    )
    ready = ("beside", "alone", "commanded", "unnamed", "misnamed")
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
    assert {name for name, reason in said.items() if not reason} == {"beside", "alone", "commanded"}
    assert "name it as `binary`" in said["unnamed"]
    assert "/nowhere is not in the image" in said["misnamed"]
    assert "ended with exit code 2" in said["plain"]
    assert "was not built by the coverage profile" in said["plain"]
    assert "(it said: flag provided but not defined: -podcov-courier" in said["plain"]
