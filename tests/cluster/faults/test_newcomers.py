"""Pods that had hardly begun, or had not, when the tests ended: what began is in the report, what did not is no failure."""

from __future__ import annotations

import json
from typing import Any

import pytest

MISSING = {"name": "missing", "configMap": {"name": "nobody-made-this"}}


def kubectl(app: Any, *arguments: str) -> list[str]:
    """A test command with the rights of an administrator."""
    return ["kubectl", "--kubeconfig", app.space.cluster.env["KUBECONFIG"], "--namespace", app.space.name, *arguments]


def states(result: Any) -> list[tuple[str, str]]:
    return sorted((target["state"], target["slug"]) for target in result.targets)


@pytest.mark.deployed("replaced-last", grace=30)
def test_a_pod_that_takes_the_place_of_one_that_the_tests_deleted_last_is_collected(app: Any) -> None:
    deleted = app.pod()
    result = app.run(*kubectl(app, "delete", "pod", deleted, "--wait=false"))
    assert result.exit_code == 0, result
    assert result.complete
    assert states(result) == [("collected", ""), ("collected", "")]
    assert result.names() == {"start-up", "terminated", "left"}


@pytest.mark.deployed("stuck")
def test_a_pod_that_never_begins_has_run_nothing(app: Any) -> None:
    """It waits for a volume, and is deleted by the tests."""
    mounting = {"name": "app", "volumeMounts": [{"name": MISSING["name"], "mountPath": "/missing"}]}
    update = json.dumps({"spec": {"template": {"spec": {"volumes": [MISSING], "containers": [mounting]}}}})
    app.space.kubectl("patch", "deployment", app.name, "--patch", update)
    app.wait_until(lambda: len(app.pods()) == 2, 60, "the new pod is there")
    result = app.run(*kubectl(app, "rollout", "undo", f"deployment/{app.name}"))
    assert result.exit_code == 0, result
    assert states(result) == [("collected", ""), ("empty", "not-begun")]
    assert "note: 1 container: it had not begun when the run ended" in result.stdout
