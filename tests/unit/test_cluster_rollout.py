"""When a rollout is over, and why it is not."""

from __future__ import annotations

from typing import Any

import pytest
from podcov.edges.cluster import rollout as cluster_rollout
from podcov.edges.cluster.rollout import Rollout


def workload(kind: str, status: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "metadata": {"name": "orders", "namespace": "shop", "generation": 2},
        "spec": {"selector": {"matchLabels": {"app": "orders"}}, **spec},
        "status": {"observedGeneration": 2, **status},
    }


def deployment(wanted: int, **status: int) -> dict[str, Any]:
    return workload("Deployment", status, replicas=wanted)


def stateful(wanted: int, partition: int = 0, *, revisions: str = "ab", **status: int) -> dict[str, Any]:
    strategy = {"rollingUpdate": {"partition": partition}}
    revised = {**status, "currentRevision": revisions[0], "updateRevision": revisions[1]}
    return workload("StatefulSet", revised, replicas=wanted, updateStrategy=strategy)


def daemon(**status: int) -> dict[str, Any]:
    return workload("DaemonSet", status)


@pytest.mark.parametrize(
    ("document", "done", "text"),
    [
        (deployment(2, observedGeneration=1), False, "the change has not been seen yet"),
        (deployment(2), False, "0 of 2 pods are new and ready"),
        (deployment(1, replicas=2, updatedReplicas=1, availableReplicas=1), False, "0 of 1 pods are new and ready"),
        (deployment(2, replicas=3, updatedReplicas=2, availableReplicas=2), False, "1 of 2 pods are new and ready"),
        (deployment(2, replicas=3, updatedReplicas=2, availableReplicas=3), False, "1 of the old pods is still there"),
        (deployment(2, replicas=4, updatedReplicas=2, availableReplicas=4), False, "2 of the old pods are still there"),
        (deployment(2, replicas=2, updatedReplicas=2, availableReplicas=2), True, "2 of 2 pods are new and ready"),
        (deployment(0), True, "0 of 0 pods are new and ready"),
        (stateful(2, replicas=2, updatedReplicas=1, readyReplicas=2), False, "1 of 2 pods are new and ready"),
        (stateful(2, replicas=2, updatedReplicas=2, readyReplicas=1), False, "1 of 2 pods are new and ready"),
        (stateful(2, replicas=2, updatedReplicas=2, readyReplicas=2), True, "2 of 2 pods are new and ready"),
        (stateful(2, replicas=2, readyReplicas=2, revisions="bb"), True, "2 of 2 pods are new and ready"),
        (stateful(3, 2, replicas=3, updatedReplicas=0, readyReplicas=3), False, "0 of 1 pods are new and ready"),
        (stateful(3, 2, replicas=3, updatedReplicas=1, readyReplicas=3), True, "1 of 1 pods are new and ready"),
        (
            daemon(desiredNumberScheduled=2, currentNumberScheduled=2, updatedNumberScheduled=1, numberAvailable=2),
            False,
            "1 of 2",
        ),
        (
            daemon(desiredNumberScheduled=1, currentNumberScheduled=1, updatedNumberScheduled=1, numberAvailable=0),
            False,
            "0 of 1",
        ),
        (daemon(desiredNumberScheduled=1, currentNumberScheduled=1, updatedNumberScheduled=1, numberAvailable=1), True, "1 of 1"),
    ],
)
def test_a_rollout_is_over_when_all_pods_are_new_and_ready(document: dict[str, Any], done: bool, text: str) -> None:
    rollout = cluster_rollout.look(document)
    assert (rollout.done, rollout.failure) == (done, "")
    assert rollout.text.startswith(text)


def test_what_kubernetes_says_of_a_rollout_that_cannot_go_on_is_passed_on() -> None:
    refused = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"}
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "has timed out"}
    assert cluster_rollout.look(workload("Deployment", {"conditions": [refused]})) == Rollout(
        False, "0 of 1 pods are new and ready", "exceeded quota"
    )
    assert cluster_rollout.look(workload("Deployment", {"conditions": [late]})).failure == "has timed out"


@pytest.mark.parametrize(
    ("document", "remark"),
    [
        (workload("Deployment", {}), ""),
        (workload("StatefulSet", {}, updateStrategy={"type": "RollingUpdate"}), ""),
        (workload("Deployment", {}, paused=True), "`kubectl rollout resume deployment/orders --namespace shop`"),
        (workload("StatefulSet", {}, updateStrategy={"type": "OnDelete"}), "kubectl delete pods --selector 'app=orders'"),
        (workload("ReplicaSet", {}), "kubectl delete pods --selector 'app=orders' --namespace shop"),
        (workload("CronJob", {}), "kubectl create job NAME --from cronjob/orders --namespace shop"),
    ],
)
def test_what_no_controller_does_is_left_to_the_user(document: dict[str, Any], remark: str) -> None:
    told = cluster_rollout.left_to_the_user(document)
    assert remark in told
    assert bool(told) == bool(remark)


def test_the_selector_is_written_as_kubectl_takes_it() -> None:
    document = workload("Deployment", {})
    document["spec"]["selector"]["matchExpressions"] = [
        {"key": "tier", "operator": "In", "values": ["a", "b"]},
        {"key": "tier", "operator": "NotIn", "values": ["c"]},
        {"key": "team", "operator": "Exists"},
        {"key": "old", "operator": "DoesNotExist"},
    ]
    assert cluster_rollout.selector(document) == "app=orders,tier in (a,b),tier notin (c),team,!old"


def pod(*containers: dict[str, Any], deleting: bool = False, **status: Any) -> dict[str, Any]:
    ready = {"type": "Ready", "status": "False", "message": "containers with unready status: [app]"}
    return {
        "metadata": {"name": "orders-1", **({"deletionTimestamp": "2030-01-01T00:00:00Z"} if deleting else {})},
        "status": {"conditions": [ready], "containerStatuses": list(containers), **status},
    }


def test_the_reason_of_a_container_that_does_not_run_is_told() -> None:
    crashing = {
        "name": "app",
        "restartCount": 2,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 20s"}},
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
    }
    (trouble,) = cluster_rollout.troubles([pod(crashing)])
    assert str(trouble) == "pod orders-1, container app: CrashLoopBackOff: back-off 20s; it ended with exit code 1 (Error)"
    assert not trouble.previous, "its log is still there"
    crashing["lastState"]["terminated"]["message"] = "GOMEMLIMIT=none\nfatal error: malformed GOMEMLIMIT\n"
    (trouble,) = cluster_rollout.troubles([pod(crashing)])
    assert trouble.reason.endswith("; it ended with exit code 1 (Error): GOMEMLIMIT=none")


def test_one_that_was_started_again_says_why_in_the_log_of_before() -> None:
    terminated = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    again = {"name": "app", "started": True, "ready": False, "state": {"running": {}}, "lastState": terminated}
    (trouble,) = cluster_rollout.troubles([pod(again)])
    assert trouble.reason == "it runs, but is not ready; before, it ended with exit code 137 (OOMKilled)"
    assert trouble.previous


def test_an_image_that_cannot_be_pulled_has_no_log_of_before() -> None:
    waiting = {"name": "app", "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}
    (trouble,) = cluster_rollout.troubles([pod(waiting)])
    assert (trouble.reason, trouble.previous) == ("ErrImagePull: not found", False)


def test_one_that_runs_but_is_not_ready() -> None:
    running = {"name": "app", "started": True, "ready": False, "state": {"running": {}}}
    (trouble,) = cluster_rollout.troubles([pod(running)])
    assert str(trouble) == "pod orders-1, container app: it runs, but is not ready"


def test_a_pod_that_no_node_takes() -> None:
    conditions = [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}]
    (trouble,) = cluster_rollout.troubles([pod(conditions=conditions, phase="Pending")])
    assert str(trouble) == "pod orders-1: 0/1 nodes are available"


def test_pods_that_are_ready_or_ending_are_no_trouble() -> None:
    ready = {"metadata": {"name": "a"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    assert cluster_rollout.troubles([ready, pod({"name": "app", "state": {"terminated": {"exitCode": 1}}}, deleting=True)]) == []
