"""The Go examples as people type them: with their own tests."""

from __future__ import annotations

import json
from typing import Any

import pytest
from go_pods import forwarded

REPORTS = ("html/index.html", "go.txt", "go.html")


def images(space: Any) -> dict[str, str]:
    return {"BASE": space.cluster.image("golang:1.26"), "RUNTIME": space.cluster.image("python:3.13")}


@pytest.mark.parametrize("name", ["go-hello", "go-signal", "go-killswitch"])
def test_it_is_deployed_tested_and_reported(namespace: Any, example: Any, name: str) -> None:
    folder = example(name)
    namespace.skaffold("run", "--profile", "coverage", cwd=folder, env=images(namespace))
    told = json.loads((folder / ".podcov/runs/latest/summary.json").read_text())
    assert told["ledger"]["complete"]
    assert told["ledger"]["targets"]["collected"] == 2
    assert told["tests"]["exit_code"] == 0
    [service] = told["services"].values()
    assert 50 < service["percent"] < 100
    assert all((folder / ".podcov/runs/latest/reports" / report).is_file() for report in REPORTS)


def test_without_the_profile_its_tests_find_nothing_of_podcov(namespace: Any, example: Any) -> None:
    folder = example("go-nodes")
    namespace.skaffold("run", cwd=folder, env=images(namespace))
    [deployment] = namespace.get("deployments")["items"]
    assert "podcov" not in json.dumps(deployment["spec"])
    pod, _ = namespace.get("pods")["items"]
    where = ("--kubeconfig", namespace.cluster.env["KUBECONFIG"], "--namespace", namespace.name)
    with forwarded(pod["metadata"]["name"], 8080, *where) as address:
        namespace.cluster.run("make", "e2e", cwd=folder, env={"STORAGE_URL": address})
