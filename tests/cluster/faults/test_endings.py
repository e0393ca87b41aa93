"""Pods and containers that end while the tests run: what they ran is in the report, or the ledger says what is missing."""

from __future__ import annotations

from typing import Any

import pytest

ASK_HOW_IT_IS = {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 1, "timeoutSeconds": 10}
UNHEALTHY_IS_KILLED = {
    "startupProbe": {**ASK_HOW_IT_IS, "failureThreshold": 120},
    "livenessProbe": {**ASK_HOW_IT_IS, "failureThreshold": 1, "terminationGracePeriodSeconds": 1},
}
LITTLE_MEMORY = {"resources": {"limits": {"memory": "128Mi"}}}
BOUND = "it ended without a last save: at most its last 2 s are missing"


@pytest.mark.deployed("deleted", grace=30)
def test_a_deleted_pod_is_reported_with_what_its_shutdown_ran_and_so_is_its_replacement(app: Any) -> None:
    with app.tested() as tests:
        deleted = app.pod()
        assert tests.get("/first") == "first"
        app.space.kubectl("delete", "pod", deleted)
        assert tests.get("/second") == "second"
        replacement = tests.get("/whoami")
    result = tests.result
    assert result.exit_code == 0, result
    assert replacement != deleted
    assert result.names() == {"start-up", "first", "second", "terminated", "left"}
    assert result.complete
    assert {(t["name"].split("/")[1], t["state"]) for t in result.targets} == {(deleted, "collected"), (replacement, "collected")}


@pytest.mark.deployed("stubborn", grace=3)
def test_a_deleted_pod_that_does_not_end_when_it_is_told_to_is_reported_up_to_its_kill(app: Any) -> None:
    with app.tested() as tests:
        deleted = app.pod()
        tests.get("/ignore")
        app.space.kubectl("delete", "pod", deleted)
        tests.get("/first")
    result = tests.result
    assert result.exit_code == 0, result
    assert result.names() == {"start-up", "ignored", "first"}
    assert result.complete


@pytest.mark.deployed("alone", settings={"sidecar": False})
def test_without_a_sidecar_living_pods_are_reported_and_the_end_of_others_is_called_lost(app: Any) -> None:
    with app.tested() as tests:
        tests.get("/first")
    assert tests.result.exit_code == 0, tests.result
    assert tests.result.names() == {"start-up", "first"}
    with app.tested() as tests:
        deleted = app.pod()
        app.space.kubectl("delete", "pod", deleted)
        tests.get("/second")
    result = tests.result
    assert result.exit_code == 3, result
    assert [t["name"] for t in result.targets if t["slug"] == "lost"] == [f"{app.space.name}/{deleted}/app"]
    assert "second" in result.names()


@pytest.mark.deployed("scaled", grace=30, replicas=2)
def test_pods_of_a_deployment_that_is_scaled_to_nothing_are_reported(app: Any) -> None:
    with app.tested() as tests:
        tests.get("/first")
        app.space.kubectl("scale", "deployment", app.name, "--replicas=0")
        app.wait_until(lambda: not app.space.get("pods", "--selector", f"app={app.name}")["items"], 120, "all pods are gone")
    result = tests.result
    assert result.exit_code == 0, result
    assert result.names() == {"start-up", "first", "terminated", "left"}
    assert [t["state"] for t in result.targets] == ["collected", "collected"]


@pytest.mark.parametrize(
    "recording",
    [
        pytest.param("mapped", marks=pytest.mark.deployed("killed-mapped", container=UNHEALTHY_IS_KILLED)),
        pytest.param("saved", marks=pytest.mark.deployed("killed-saved", image="python:3.11", container=UNHEALTHY_IS_KILLED)),
    ],
)
def test_a_container_that_the_node_kills(app: Any, recording: str) -> None:
    with app.tested() as tests:
        tests.get("/first")
        if recording == "saved":
            app.podcov("dump", "-n", app.space.name)
        tests.get("/hang")
        app.wait_until(lambda: app.restarts() == 1, 120, "it is started again")
        tests.get("/second")
    judge(app, tests.result, recording, ended="Error", last={"hang", "last words"})


@pytest.mark.parametrize(
    "recording",
    [
        pytest.param("mapped", marks=pytest.mark.deployed("oom-mapped", container=LITTLE_MEMORY)),
        pytest.param("saved", marks=pytest.mark.deployed("oom-saved", image="python:3.11", container=LITTLE_MEMORY)),
    ],
)
def test_a_container_that_takes_too_much_memory(app: Any, recording: str) -> None:
    with app.tested() as tests:
        tests.get("/first")
        if recording == "saved":
            app.podcov("dump", "-n", app.space.name)
        assert tests.try_get("/burst") is None
        app.wait_until(lambda: app.restarts() == 1, 120, "it is started again")
        tests.get("/second")
    judge(app, tests.result, recording, ended="OOMKilled", last={"burst"})


def judge(app: Any, result: Any, recording: str, *, ended: str, last: set[str]) -> None:
    """Everything up to the kill is there, where recording is mapped; else everything up to the last save, and a note."""
    assert result.exit_code == 0, result
    assert result.complete
    assert [(t["state"], t["start"]) for t in result.targets] == [("collected", 0), ("collected", 1)]
    assert [t["ended"] for t in result.targets] in ([ended, ""], *([] if is_told_of(app) else [["unseen", ""]]))
    assert {"start-up", "first", "second"} <= result.names()
    killed = result.processes[0]
    assert killed["recording"] == recording
    assert killed["note"] == (BOUND if recording == "saved" else "")
    assert recording == "saved" or last <= result.names()


def is_told_of(app: Any) -> bool:
    """Whether Kubernetes says how the container ended.

    Its kubelet cleans up each minute, and keeps of containers that do not run the latest: it may be about to start that one.
    """
    (pod,) = app.pods()
    return "terminated" in pod["status"]["containerStatuses"][0]["lastState"]


@pytest.mark.deployed("vanished")
def test_a_pod_whose_data_are_truly_gone_is_named_and_only_allow_partial_gets_past_it(app: Any) -> None:
    with app.tested() as tests:
        tests.get("/first")
        vanished = app.pod()
        app.space.kubectl("delete", "pod", vanished, "--grace-period=0", "--force")
        tests.get("/second")
    result = tests.result
    assert result.exit_code == 3, result
    assert f"{app.space.name}/{vanished}/app" in result.stdout
    (lost,) = [t for t in result.targets if t["state"] == "failed"]
    assert lost["name"] == f"{app.space.name}/{vanished}/app"
    assert lost["slug"] == "lost"
    assert "second" in result.names()
    assert "first" not in result.names()
    assert app.podcov("report", "--allow-partial").exit_code == 0
    assert app.podcov("report").exit_code == 3
