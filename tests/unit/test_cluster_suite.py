"""The Job that runs the tests: what it says to Kubernetes, and when its pod is known to begin never."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from podcov.config import SuiteJob
from podcov.edges.cluster import suite
from podcov.edges.cluster.api import Failed
from podcov.errors import ClusterError


def pod(**state: Any) -> dict[str, Any]:
    status = {"containerStatuses": [{"name": "proxy", "state": {"running": {}}}, {"name": "tests", "state": state}]}
    return {"metadata": {"namespace": "shop", "labels": {"job-name": "podcov-tests-1"}}, "status": status}


def test_tests_are_run_once_and_never_tried_again() -> None:
    job = SuiteJob("tests:1", service_account="tester", pull_secrets=("registry",))
    spec = suite.manifest(job, ("pytest", "-x"), {"SHOP": "http://shop"}, "podcov-tests-1", 60)["spec"]
    assert spec["backoffLimit"] == 0
    assert spec["activeDeadlineSeconds"] > 60, "podcov's own time-out comes first"
    assert spec["template"]["spec"] == {
        "restartPolicy": "Never",
        "serviceAccountName": "tester",
        "imagePullSecrets": [{"name": "registry"}],
        "containers": [
            {
                "name": "tests",
                "image": "tests:1",
                "command": ["pytest", "-x"],
                "env": [{"name": "SHOP", "value": "http://shop"}],
            }
        ],
    }


def test_what_is_not_said_is_the_image_s_and_the_namespace_s() -> None:
    spec = suite.manifest(SuiteJob("tests:1"), (), {}, "podcov-tests-1", None)["spec"]
    assert spec["template"]["spec"] == {"restartPolicy": "Never", "containers": [{"name": "tests", "image": "tests:1"}]}
    assert "activeDeadlineSeconds" not in spec


@pytest.mark.parametrize(
    ("state", "begun"),
    [
        ({}, False),
        ({"waiting": {"reason": "ContainerCreating"}}, False),
        ({"waiting": {"reason": "ErrImagePull", "message": "a registry that stumbles is asked again"}}, False),
        ({"running": {}}, True),
        ({"terminated": {"reason": "Error", "exitCode": 1}}, True),
    ],
)
def test_other_containers_do_not_tell_whether_the_tests_have_begun(state: dict[str, Any], begun: bool) -> None:
    assert suite.has_run(pod(**state)) == begun


@pytest.mark.parametrize(
    "state",
    [
        {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}},
        {"waiting": {"reason": "CreateContainerConfigError", "message": "no such image"}},
        {"terminated": {"reason": "StartError", "message": "no such image", "exitCode": 128}},
    ],
)
def test_what_will_never_begin_is_said_at_once(state: dict[str, Any]) -> None:
    with pytest.raises(ClusterError, match=r"job/podcov-tests-1 in namespace shop: .*: no such image"):
        suite.has_run(pod(**state))


def test_an_error_does_not_tell_what_the_variables_are() -> None:
    error = suite.not_begun("shop/api-0/api", ("pytest", "-x"), {"PASSWORD": "mellon"}, 'exec: "env": not found')
    assert error.message == 'the tests cannot be started in shop/api-0/api: pytest -x: exec: "env": not found'
    assert error.hint
    assert "mellon" not in error.hint
    assert "tests.env" in error.hint


class Silent:
    """An API server that gives no answer `times` times."""

    def __init__(self, times: float) -> None:
        self.times = times

    async def pod(self, namespace: str, name: str) -> dict[str, Any]:
        self.times -= 1
        if self.times >= 0:
            raise Failed(f"{namespace}/{name}: no answer")
        return pod(running={})


def look(api: Silent) -> Any:
    return asyncio.run(suite._look(api, "shop", "tests"))  # type: ignore[arg-type]


def test_a_server_that_is_silent_for_a_moment_is_asked_again_and_one_that_stays_silent_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert look(Silent(1)) == pod(running={})
    monkeypatch.setattr(suite, "_SILENT_SECONDS", 0.0)
    with pytest.raises(Failed, match="shop/tests: no answer"):
        look(Silent(float("inf")))
