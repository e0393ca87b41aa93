"""Which workloads are scaled, and when what one was scaled to is nobody's business any more."""

from __future__ import annotations

import json
import os
import socket
import time
from typing import Any

import pytest
from podcov.edges.cluster import pods, scale
from podcov.edges.cluster.scale import ANNOTATION, Scaled

NOBODY = 2**22 + 1
"""a pid that no process can have"""


def pod(owner: dict[str, Any] | None, labels: dict[str, str] | None = None) -> pods.Pod:
    owners = [{"controller": True, **owner}] if owner else []
    metadata = {"namespace": "shop", "name": "a", "uid": "u", "labels": labels or {}, "ownerReferences": owners}
    return pods.parse({"metadata": metadata})


def test_a_deployment_is_known_by_its_replica_set() -> None:
    owner = {"kind": "ReplicaSet", "name": "web-abc12"}
    assert scale.workload_of(pod(owner, {"pod-template-hash": "abc12"})) == Scaled("deployment", "web", "shop")


def test_a_stateful_set_is_the_owner_itself() -> None:
    assert scale.workload_of(pod({"kind": "StatefulSet", "name": "db"})) == Scaled("statefulset", "db", "shop")


@pytest.mark.parametrize("owner", [None, {"kind": "DaemonSet", "name": "log"}, {"kind": "ReplicaSet", "name": "bare"}])
def test_others_have_no_number_of_pods_that_could_be_zero(owner: dict[str, Any] | None) -> None:
    assert scale.workload_of(pod(owner)) is None


@pytest.mark.parametrize(
    ("memory", "abandoned"),
    [
        ({"pid": os.getpid()}, False),
        ({"pid": os.getppid()}, False),
        ({"pid": os.getppid(), "since": 0}, True),
        ({"pid": NOBODY}, True),
        ({"host": "another", "pid": os.getpid()}, False),
        ({"host": "another", "pid": os.getpid(), "since": 0}, True),
    ],
)
def test_what_a_living_podcov_will_scale_back_is_left_to_it(memory: dict[str, Any], abandoned: bool) -> None:
    text = json.dumps({"replicas": 3, "host": socket.gethostname(), "since": time.time(), **memory})
    found = scale.Memory.of({"metadata": {"annotations": {ANNOTATION: text}}})
    assert found
    assert (found.replicas, found.abandoned) == (3, abandoned)


@pytest.mark.parametrize("text", ["", "3", "{}", '{"replicas": "many"}', "[]"])
def test_an_annotation_that_somebody_made_something_else_of_says_nothing(text: str) -> None:
    assert scale.Memory.of({"metadata": {"annotations": {ANNOTATION: text}}}) is None


@pytest.mark.parametrize(
    ("spec", "noted", "remembered"),
    [
        ({"replicas": 2}, None, 2),
        ({}, None, 1),
        ({"replicas": 3}, 2, 3),
        ({}, 2, 1),
        ({"replicas": 0}, 2, 2),
        ({"replicas": 0}, None, 0),
    ],
)
def test_what_the_workload_has_now_counts_for_more_than_an_earlier_note(
    spec: dict[str, int], noted: int | None, remembered: int
) -> None:
    earlier = {ANNOTATION: json.dumps({"replicas": noted, "host": "another", "pid": 1, "since": 0})} if noted else {}
    document = {"metadata": {"annotations": earlier}, "spec": dict(spec)}
    scale.scale_down(document, time.time())
    assert document["spec"] == {"replicas": 0}
    assert (memory := scale.Memory.of(document))
    assert (memory.replicas, memory.is_of_this_machine, memory.abandoned) == (remembered, True, False)
