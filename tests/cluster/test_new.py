"""`podcov new`, then what its README says: the new service runs in Kubernetes at once, with coverage."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ports import free_port

Make = Callable[..., Path]


@pytest.fixture
def node_port(cluster: Any) -> int:
    """One that no Service has. A node's ports are all namespaces', those that other tests have, or are about to give back."""
    services = json.loads(cluster.run("kubectl", "get", "services", "--all-namespaces", "--output", "json").stdout)["items"]
    taken = {port.get("nodePort") for service in services for port in service["spec"]["ports"]}
    return random.choice([port for port in range(30000, 32768) if port not in taken])


@pytest.fixture
def make(namespace: Any, node_port: int, tmp_path: Path) -> Make:
    """`make("orders-api")`: the folder of a new service."""

    def new(name: str) -> Path:
        namespace.podcov("new", name, "--language", "python", "--port", "8086", "--set", f"node_port={node_port}", cwd=tmp_path)
        return tmp_path / name

    return new


def summary(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / ".podcov/runs/latest/summary.json").read_text())
    return told


def test_make_cluster_test_deploys_a_new_service_and_reports_every_line_of_it(namespace: Any, make: Make) -> None:
    """It is `skaffold run --profile coverage`, with the service's own virtual environment for the tests."""
    orders = make("orders-api")
    told_by_ci = {"BASE": namespace.cluster.image("python:3.13"), "SKAFFOLD_NAMESPACE": namespace.name}
    command = ("make", "cluster-test", f"PYTHON={sys.executable}")
    done = namespace.cluster.run(*command, cwd=orders, env={**namespace.podcov_env, **told_by_ci}, seconds=600)
    assert "everything is up to date" in done.stdout
    assert "skaffold run --profile coverage" in done.stdout
    assert "Ledger: complete" in done.stdout + done.stderr
    told = summary(orders)
    assert told["ledger"]["targets"] == {"expected": 2, "collected": 2, "empty": 0, "failed": 0}
    # In each of two replicas gunicorn's first process and two workers.
    assert (told["ledger"]["processes"]["expected"], told["ledger"]["processes"]["failed"]) == (6, 0)
    assert told["tests"]["exit_code"] == 0
    assert told["services"]["orders-api"]["percent"] == 100
    assert "orders-api" in (orders / ".podcov/runs/latest/reports/summary.md").read_text()


def test_a_new_service_in_go_runs_where_every_privilege_has_to_be_given_up(
    restricted_namespace: Any, node_port: int, tmp_path: Path
) -> None:
    space = restricted_namespace
    space.podcov("new", "orders-api", "--language", "go", "--port", "8086", "--set", f"node_port={node_port}", cwd=tmp_path)
    orders = tmp_path / "orders-api"
    told_by_ci = {"BASE": space.cluster.image("golang:1.26"), "SKAFFOLD_NAMESPACE": space.name}
    space.cluster.run("make", "cluster-test", cwd=orders, env={**space.podcov_env, **told_by_ci}, seconds=600)
    told = summary(orders)
    assert told["ledger"]["complete"]
    assert told["ledger"]["targets"] == {"expected": 2, "collected": 2, "empty": 0, "failed": 0}
    assert told["ledger"]["processes"] == {"expected": 2, "collected": 2, "empty": 0, "failed": 0}
    assert told["tests"]["exit_code"] == 0
    assert 80 < told["services"]["orders-api"]["percent"] < 100
    profile = (orders / ".podcov/runs/latest/reports/go/orders-api.out").read_text()
    assert "example.com/orders-api/internal/greetings/greetings.go:" in profile


def test_its_pods_may_run_where_every_privilege_has_to_be_given_up(
    restricted_namespace: Any, node_port: int, tmp_path: Path
) -> None:
    restricted_namespace.podcov("new", "orders", "--set", f"node_port={node_port}", cwd=tmp_path)
    orders = tmp_path / "orders"
    for folder in ("k8s", "podcov/overlay"):
        said = restricted_namespace.cluster.run(
            "kubectl", "--namespace", restricted_namespace.name, "apply", "--dry-run=server", "--kustomize", orders / folder
        )
        assert "deployment.apps/orders created" in said.stdout
        assert "Warning" not in said.stderr


def test_tilt_ci_deploys_a_new_service_and_reports(namespace: Any, make: Make) -> None:
    orders = make("orders-api")
    context = namespace.cluster.run("kubectl", "config", "current-context").stdout.strip()
    tiltfile = orders / "Tiltfile"
    # Tilt has to be told of a cluster that it does not know to be a local one; a port of the machine is not the test's to take.
    head = f"allow_k8s_contexts({context!r})\ndefault_registry({namespace.cluster.env['SKAFFOLD_DEFAULT_REPO']!r})\n"
    tiltfile.write_text(head + tiltfile.read_text().replace(", port_forwards=8086", ""))
    settings = {"PODCOV": "1", "BASE": namespace.cluster.image("python:3.13")}
    namespace.tilt("ci", "--port", str(free_port()), cwd=orders, env=settings)
    told = summary(orders)
    assert told["ledger"]["complete"]
    assert told["ledger"]["targets"]["collected"] == 2
    assert told["services"]["orders-api"]["percent"] == 100


def test_the_port_of_the_node_that_kind_opens_leads_to_the_service(
    namespace: Any, make: Make, node_port: int, wait_until: Callable[..., Any]
) -> None:
    orders = make("orders-api")
    assert f"containerPort: {node_port}" in (orders / "kind.yaml").read_text()
    namespace.skaffold("run", cwd=orders, env={"BASE": namespace.cluster.image("python:3.14")})
    [node, *_] = namespace.get("nodes")["items"]
    address = next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")
    command = ("curl", "--silent", "--fail", "--max-time", "5", f"http://{address}:{node_port}/greetings/Ada")

    def answer() -> str:
        said: str = namespace.cluster.run(*command, check=False).stdout
        return said

    assert json.loads(wait_until(answer, 60, "the node's port answers")) == {"greeting": "Hello, Ada!"}
