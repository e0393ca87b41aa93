"""Pods without any privilege, images with nothing but an interpreter, and containers that are none of podcov's business."""

from __future__ import annotations

from typing import Any

import yaml

WITHOUT_PRIVILEGES = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}
PORTS = {"web": 8080, "jobs": 8081}


def server(name: str, image: str) -> dict[str, Any]:
    return {
        "name": name,
        "image": image,
        "command": ["python3", "/srv/app.py"],
        "env": [{"name": "PORT", "value": str(PORTS[name])}],
        "readinessProbe": {"httpGet": {"path": "/health", "port": PORTS[name]}, "periodSeconds": 1},
        "securityContext": WITHOUT_PRIVILEGES,
        "volumeMounts": [{"name": "source", "mountPath": "/srv"}],
    }


def bystander(name: str, image: str, *command: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": image, "command": list(command), "securityContext": WITHOUT_PRIVILEGES, **more}


def test_two_services_of_one_pod_without_privileges_or_shell_beside_containers_that_are_not_python(
    restricted_namespace: Any, deploy_by_hand: Any
) -> None:
    image = restricted_namespace.cluster.image
    prepare = bystander("prepare", image("python:3.13"), "/bin/true")
    proxy = bystander("proxy", image("python:3.13"), "/bin/sleep", "infinity", restartPolicy="Always")
    logs = bystander("logs", image("python:3.13"), "/bin/sleep", "infinity")
    spec = {
        "terminationGracePeriodSeconds": 1,
        "initContainers": [prepare, proxy],
        "containers": [server("web", image("python:bare")), logs, server("jobs", image("python:3.14"))],
        "volumes": [{"name": "source", "configMap": {"name": "source"}}],
    }
    template = {"metadata": {"labels": {"app": "pair"}}, "spec": spec}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "pair"},
        "spec": {"selector": {"matchLabels": {"app": "pair"}}, "template": template},
    }
    app = deploy_by_hand(restricted_namespace, deployment)
    services = yaml.safe_load((app.folder / "podcov.yaml").read_text())["services"]
    forwards = [{"resource": "deployment/pair", "port": port, "name": name} for name, port in PORTS.items()]
    app.configure(services=services, port_forwards=forwards)

    with app.tested() as tests:
        assert tests.get("/first", forward="web") == "first"
        assert tests.get("/second", forward="jobs") == "second"
    result = tests.result

    assert result.exit_code == 0, result
    assert result.complete
    assert {target["name"].split("/")[2] for target in result.targets} == {"web", "jobs"}
    assert {(s, n) for s in services for n in result.names(service=s)} == {
        ("pair-web", "start-up"),
        ("pair-web", "first"),
        ("pair-jobs", "start-up"),
        ("pair-jobs", "second"),
    }
    (pod,) = app.pods()
    assert [c["name"] for c in pod["spec"]["initContainers"]] == ["podcov-courier", "prepare", "proxy"]
    assert [c["name"] for c in pod["spec"]["containers"]] == ["web", "logs", "jobs"]
    for given in (prepare, proxy, logs):
        (there,) = [c for c in (*pod["spec"]["initContainers"], *pod["spec"]["containers"]) if c["name"] == given["name"]]
        assert {key: there[key] for key in given} == given
        assert not there.get("env")
        assert not [mount for mount in there["volumeMounts"] if mount["mountPath"].startswith("/podcov")]
