"""What pods tell of whether all that was deployed is there, where their workloads may not be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from podcov.edges.cluster import labels, settling
from podcov.edges.cluster import pods as cluster_pods
from podcov.edges.cluster.pods import Pod
from podcov.edges.cluster.rollout import Rollout, Trouble
from podcov.edges.cluster.scale import Scaled
from podcov.edges.cluster.settling import ARRIVAL_SECONDS, FAILED_SECONDS, READY_SECONDS, Missing, Patience

TILT = {"app.kubernetes.io/managed-by": "tilt"}
CHOSEN = labels.parse("app.kubernetes.io/managed-by=tilt")


def pod(name: str, labels: Mapping[str, str], *, ready: bool = True, owner: tuple[str, str] = ("", "")) -> Pod:
    kind, owner_name = owner
    references = [{"kind": kind, "name": owner_name, "controller": True}] if kind else []
    metadata: dict[str, Any] = {"name": name, "namespace": "shop", "uid": name, "labels": labels, "ownerReferences": references}
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return cluster_pods.parse({"metadata": metadata, "spec": {}, "status": {"conditions": conditions}})


def replica(name: str, template: str, *, by_tilt: bool = True, ready: bool = True) -> Pod:
    more = TILT if by_tilt else {}
    return pod(name, {"pod-template-hash": template, **more}, ready=ready, owner=("ReplicaSet", f"orders-{template}"))


def member(name: str, revision: str) -> Pod:
    return pod(name, {"controller-revision-hash": revision, **TILT}, owner=("StatefulSet", "ledger"))


@pytest.mark.parametrize(
    "pods",
    [
        [],
        [replica("orders-b-1", "b"), replica("orders-b-2", "b")],
        [member("ledger-0", "r2"), replica("orders-b-1", "b")],
        [pod("alone", TILT), pod("somebody-else-s", {}, ready=False)],
    ],
    ids=["nothing was there", "all are new", "two workloads", "a pod of others"],
)
def test_nothing_is_missing(pods: list[Pod]) -> None:
    assert settling.missing_pods(pods, CHOSEN) is None


@pytest.mark.parametrize(
    ("pods", "said", "seconds"),
    [
        ([replica("orders-a-1", "a", by_tilt=False)], "only pods of before are there: orders-a-1", ARRIVAL_SECONDS),
        ([replica("orders-b-1", "b"), replica("orders-b-2", "b", ready=False)], "not ready: orders-b-2", READY_SECONDS),
        (
            [replica("orders-a-1", "a", by_tilt=False), replica("orders-b-1", "b")],
            "deployment/orders in namespace shop: pods of before are still there",
            READY_SECONDS,
        ),
        (
            [member("ledger-0", "r1"), member("ledger-1", "r2")],
            "statefulset/ledger in namespace shop: pods of before are still there",
            READY_SECONDS,
        ),
    ],
    ids=["none is new", "not all are ready", "others deployed it before", "Tilt did so before"],
)
def test_it_is_said_what_is_missing(pods: list[Pod], said: str, seconds: float) -> None:
    missing = settling.missing_pods(pods, CHOSEN)
    assert missing == settling.Missing(said, seconds)


def test_of_a_rollout_that_has_failed_it_is_said_why_and_it_is_not_waited_for_long() -> None:
    orders, refused = Scaled("deployment", "orders", "shop"), "exceeded quota: small"
    troubles = [Trouble("orders-b-1", "app", "ImagePullBackOff")]
    assert settling.missing_of(orders, Rollout(False, "0 of 1 pods are new and ready", refused), troubles) == Missing(
        f"{orders}: 0 of 1 pods are new and ready; {refused}; pod orders-b-1, container app: ImagePullBackOff", FAILED_SECONDS
    )
    assert settling.missing_of(orders, Rollout(False, "0 of 1 pods are new and ready"), []).seconds == READY_SECONDS


def test_a_workload_that_counts_a_pod_that_is_ending_is_not_believed() -> None:
    orders, done = Scaled("deployment", "orders", "shop"), Rollout(True, "2 of 2 pods are new and ready", wanted=2)
    ready = replica("orders-b-1", "b")
    there = [ready, replica("orders-b-2", "b")]
    assert settling.missing_of_done(orders, done, [*there, member("ledger-0", "r1")]) is None
    said = Missing(f"{orders}: 1 of 2 pods are there and ready")
    others = [member("ledger-0", "r1"), replica("orders-b-2", "b", ready=False), replace(ready, name="orders-b-3", deleting=True)]
    assert settling.missing_of_done(orders, done, [ready, *others]) == said


def test_what_is_missing_gets_its_time_from_when_it_is() -> None:
    before, unready = Missing("only pods of before", ARRIVAL_SECONDS), Missing("not ready")
    patience = Patience(100.0)
    assert not patience.is_over(unready, 100.0)
    assert not patience.is_over(before, 100.0 + ARRIVAL_SECONDS + 10)
    assert not patience.is_over(before, 100.0 + 2 * ARRIVAL_SECONDS)
    assert patience.is_over(before, 110.0 + 2 * ARRIVAL_SECONDS)


def test_what_is_missing_in_turn_is_not_waited_for_without_end() -> None:
    patience, turns = Patience(0.0), [Missing("not ready"), Missing("only pods of before", ARRIVAL_SECONDS)]
    waited = [second for second in range(1000) if not patience.is_over(turns[second % 2], float(second))]
    assert waited == list(range(int(READY_SECONDS)))
