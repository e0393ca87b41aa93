"""Pods that had hardly begun, or had not, when the tests ended: what began is in the report, what did not is no failure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

MISSING = {"name": "missing", "configMap": {"name": "nobody-made-this"}}


def kubectl(app: Any, *arguments: str) -> list[str]:
    """A test command with the rights of an administrator."""
    return ["kubectl", "--kubeconfig", app.space.cluster.env["KUBECONFIG"], "--namespace", app.space.name, *arguments]


def replacement(app: Any, spec: Mapping[str, Any]) -> str:
    """The pod that comes with this change of the template, beside the one that serves."""
    before = app.pod()
    update = json.dumps({"spec": {"template": {"spec": spec}}})
    app.space.kubectl("patch", "deployment", app.name, "--patch", update)
    app.wait_until(lambda: len(app.pods()) == 2, 120, "the new pod is there")
    return next(pod["metadata"]["name"] for pod in app.pods() if pod["metadata"]["name"] != before)


def is_begun(app: Any, pod: str, container: str) -> bool:
    """Whether an init container of the pod runs."""
    status = app.space.get("pod", pod)["status"]
    return any(c["name"] == container and "running" in c["state"] for c in status.get("initContainerStatuses", ()))


def states(result: Any) -> list[tuple[str, str]]:
    return sorted((target["state"], target["slug"]) for target in result.targets)


@pytest.mark.deployed("replaced-last", grace=30)
def test_a_pod_that_takes_the_place_of_one_that_the_tests_deleted_last_is_collected(app: Any) -> None:
    """It is there, and no more, when they end: what nobody has made yet, nobody can wait for."""
    deleted = app.pod()
    with app.tested() as tests:
        app.space.kubectl("delete", "pod", deleted, "--wait=false")
        app.wait_until(lambda: {pod["metadata"]["name"] for pod in app.pods()} - {deleted}, 120, "another is there")
    result = tests.result
    assert result.exit_code == 0, result
    assert result.complete
    assert states(result) == [("collected", ""), ("collected", "")]
    assert result.names() == {"start-up", "terminated", "left"}


@pytest.mark.deployed("stuck")
def test_a_pod_that_never_begins_has_run_nothing(app: Any) -> None:
    """It waits for a volume, and is deleted by the tests."""
    mounting = {"name": "app", "volumeMounts": [{"name": MISSING["name"], "mountPath": "/missing"}]}
    replacement(app, {"volumes": [MISSING], "containers": [mounting]})
    result = app.run(*kubectl(app, "rollout", "undo", f"deployment/{app.name}"))
    assert result.exit_code == 0, result
    assert states(result) == [("collected", ""), ("empty", "not-begun")]
    assert "note: 1 container: it had not begun when the run ended" in result.stdout


@pytest.mark.deployed("migrating", grace=3)
def test_a_pod_that_is_deleted_while_its_init_container_runs_has_run_nothing(app: Any) -> None:
    image = app.pods()[0]["spec"]["containers"][0]["image"]
    newcomer = replacement(app, {"initContainers": [{"name": "migrate", "image": image, "command": ["sleep", "600"]}]})
    app.wait_until(lambda: is_begun(app, newcomer, "migrate"), 120, "its init container runs")
    with app.tested() as tests:
        app.space.kubectl("rollout", "undo", f"deployment/{app.name}")
        app.space.kubectl("wait", "--for=delete", f"pod/{newcomer}", "--timeout=110s")
    assert tests.result.exit_code == 0, tests.result
    assert states(tests.result) == [("collected", ""), ("empty", "not-begun")]


@pytest.mark.deployed("forced")
def test_a_pod_that_is_deleted_by_force_may_have_run_what_nobody_told_of(app: Any) -> None:
    """As long as a hook takes, what runs is said to be created."""
    hook = {"postStart": {"exec": {"command": ["sleep", "600"]}}}
    newcomer = replacement(app, {"containers": [{"name": "app", "lifecycle": hook}]})
    recorded = ("exec", newcomer, "--container", "podcov-courier", "--", "ls", "/podcov/data/targets/app")
    app.wait_until(lambda: app.space.kubectl(*recorded, check=False).strip(), 120, "it runs")
    with app.tested() as tests:
        app.space.kubectl("delete", "pod", newcomer, "--grace-period=0", "--force")
        app.space.kubectl("rollout", "undo", f"deployment/{app.name}")
    result = tests.result
    assert result.exit_code == 3, result
    [target] = [target for target in result.targets if newcomer in target["name"]]
    assert (target["state"], target["slug"]) == ("failed", "lost")
    assert "before anybody told whether it had begun" in target["reason"]
