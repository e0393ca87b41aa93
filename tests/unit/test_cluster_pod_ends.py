"""How pods end, as Kubernetes tells of it, and for which of their containers that says for certain that nothing ran.

The documents are those of kubelets, of the garbage collector of pods, and of who evicts and preempts; a pod with podcov has an
init container and its courier before the service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from podcov.accounting import settle
from podcov.config import COURIER_CONTAINER, Service
from podcov.edges.cluster import pods as cluster_pods
from podcov.edges.cluster.table import PodTable
from podcov.ledger import TargetEntry
from podcov.platform import ContainerStart

Json = Mapping[str, Any]

UNKNOWN = {"reason": "ContainerStatusUnknown", "exitCode": 137}
RAN = {"containerID": "containerd://1", "restartCount": 0}
KILLED = {"exitCode": 137, "reason": "Error", "startedAt": "2024-05-01T10:00:00Z", "finishedAt": "2024-05-01T10:01:00Z"}
DONE = {"exitCode": 0, "reason": "Completed", "startedAt": "2024-05-01T09:59:00Z", "finishedAt": "2024-05-01T09:59:01Z"}


def container(name: str, state: Json, **more: Any) -> Json:
    return {"name": name, "restartCount": 0, "lastState": {}, "state": state, **more}


def waits(name: str, reason: str = "PodInitializing", **more: Any) -> Json:
    return container(name, {"waiting": {"reason": reason}}, **more)


def runs(name: str) -> Json:
    return container(name, {"running": {"startedAt": "2024-05-01T10:00:00Z"}}, **RAN)


def over(name: str, end: Json, **more: Any) -> Json:
    return container(name, {"terminated": end}, **more)


def document(
    *app: Json, first: Sequence[Json] = (), version: int = 1, sandbox: bool | None = False, deleted: bool = False, **status: Any
) -> Json:
    """A pod of the service `web`, failed unless `status` says otherwise. Kubernetes before 1.29 does not tell of a `sandbox`."""
    told = [] if sandbox is None else [{"type": "PodReadyToStartContainers", "status": str(sandbox)}]
    conditions = [{"type": "PodScheduled", "status": "True"}, *told, *status.pop("conditions", ())]
    return {
        "metadata": {
            "namespace": "shop",
            "name": "web-1",
            "uid": "uid-1",
            "resourceVersion": str(version),
            "labels": {"app": "web"},
            **({"deletionTimestamp": "2024-05-01T10:01:00Z"} if deleted else {}),
        },
        "spec": {
            "nodeName": "node-1",
            "containers": [{"name": "app"}],
            "initContainers": [{"name": "migrate"}, {"name": COURIER_CONTAINER, "restartPolicy": "Always"}] if first else [],
        },
        "status": {
            "phase": "Failed",
            "conditions": conditions,
            "initContainerStatuses": list(first),
            "containerStatuses": list(app),
            **status,
        },
    }


DISRUPTED = {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC"}]}
"""what the garbage collector adds where the node does not exist any more; on a node that is out of service it adds nothing"""
OUT_OF_MEMORY = {"reason": "Evicted", "message": "The node was low on resource: memory. Threshold quantity: 100Mi."}
SHUT_DOWN = {"reason": "Terminated", "message": "Pod was terminated in response to imminent node shutdown."}
PREEMPTED = {"reason": "Preempting", "message": "Preempted in order to admit critical pod"}


def rejected(reason: str, why: str) -> Json:
    return {"reason": reason, "message": f"Pod was rejected: {why}", "sandbox": None}


NEVER_RAN = {
    "no room on its node": document(**rejected("OutOfcpu", "Node didn't have enough resource: cpu, requested: 8000, used: 0")),
    "a device is missing": document(**rejected("UnexpectedAdmissionError", "Allocate failed, which is unexpected")),
    "no node for it after all": document(**rejected("NodeAffinity", "Predicate NodeAffinity failed")),
    "its node is shutting down": document(**rejected("NodeShutdown", "Pod was not admitted as the node is shutting down.")),
    "its node is low on memory": document(**rejected("Evicted", "The node had condition: [MemoryPressure].")),
    "deleted before its first container": document(
        waits("app"), first=[over("migrate", UNKNOWN), waits(COURIER_CONTAINER)], deleted=True
    ),
    "the same, of a Kubernetes that tells no sandbox": document(
        waits("app"), first=[over("migrate", UNKNOWN), waits(COURIER_CONTAINER)], deleted=True, sandbox=None
    ),
    "deleted while what comes first ran": document(
        waits("app"), first=[over("migrate", KILLED, **RAN), waits(COURIER_CONTAINER)], deleted=True
    ),
    "deleted between two of what comes first": document(
        waits("app"), first=[over("migrate", DONE, **RAN), waits(COURIER_CONTAINER)], deleted=True
    ),
    "deleted while its courier began": document(
        waits("app"), first=[over("migrate", DONE, **RAN), over(COURIER_CONTAINER, KILLED, **RAN)], deleted=True
    ),
    "deleted before its turn came": document(
        over("app", UNKNOWN), first=[over("migrate", DONE, **RAN), over(COURIER_CONTAINER, KILLED, **RAN)], deleted=True
    ),
    "deleted, with nothing before it": document(over("app", UNKNOWN), deleted=True),
    "evicted before its turn came": document(over("app", UNKNOWN), **OUT_OF_MEMORY),
    "preempted before its turn came": document(over("app", UNKNOWN), **PREEMPTED),
}

MAY_HAVE_RUN = {
    "vanished with its node": document(waits("app", "ContainerCreating"), **DISRUPTED),
    "the same, before its sandbox was told of": document(waits("app", "ContainerCreating"), sandbox=True, **DISRUPTED),
    "vanished with its node, and its courier had begun": document(
        waits("app"), first=[over("migrate", DONE, **RAN), runs(COURIER_CONTAINER)], sandbox=True, **DISRUPTED
    ),
    "vanished with its node, and its courier may have": document(
        waits("app"), first=[over("migrate", DONE, **RAN), waits(COURIER_CONTAINER)], sandbox=True, **DISRUPTED
    ),
    "vanished with its node, and nothing was told of yet": document(
        waits("app"), first=[waits("migrate"), waits(COURIER_CONTAINER)], **DISRUPTED
    ),
    "its node is out of service": document(waits("app", "ContainerCreating"), sandbox=True),
    "its node was never heard of": document(sandbox=None, **DISRUPTED),
    "evicted, and all was forgotten": document(sandbox=None, **OUT_OF_MEMORY),
    "its node shut down, and all was forgotten": document(sandbox=None, **SHUT_DOWN),
    "a kubelet that tells no sandbox": document(
        waits("app"), first=[over("migrate", DONE, **RAN), waits(COURIER_CONTAINER)], sandbox=None
    ),
    "its kubelet lost track of it": document(over("app", UNKNOWN, lastState={"terminated": UNKNOWN})),
    "the same, and it waits": document(waits("app", "ContainerCreating", lastState={"terminated": UNKNOWN})),
    "its kubelet had named it": document(over("app", UNKNOWN, containerID="containerd://1")),
}

DID_RUN = {
    "killed": document(over("app", KILLED, **RAN)),
    "vanished with its node while it ran": document(runs("app"), sandbox=True, **DISRUPTED),
    "evicted": document(over("app", KILLED, **RAN), **OUT_OF_MEMORY),
    "preempted": document(over("app", KILLED, **RAN), **PREEMPTED),
    "its node shut down": document(over("app", KILLED, **RAN), **SHUT_DOWN),
    "it ran before": document(over("app", UNKNOWN, restartCount=1, lastState={"terminated": KILLED})),
}


def seen(*documents: Json, gone: bool = False) -> list[ContainerStart]:
    table = PodTable([Service("web", selector="app=web", container="app")], {"web": ("shop",)})
    pods = [cluster_pods.parse(one) for one in documents]
    for pod in pods:
        table.observe(pod)
    if gone:
        table.remove(pods[-1])
    return table.starts()


def entry(starts: Sequence[ContainerStart]) -> TargetEntry:
    """How the ledger calls the last of them, beside a pod of which all is known."""
    return settle(starts, [], services=["web"], run="r", marked_at=None).ledger.targets[-1]


@pytest.mark.parametrize("gone", [False, True], ids=["still there", "deleted"])
class TestTheEndOfAPod:
    @pytest.mark.parametrize("last", NEVER_RAN.values(), ids=NEVER_RAN.keys())
    def test_says_for_certain_that_nothing_ran(self, last: Json, gone: bool) -> None:
        [start] = seen(last, gone=gone)
        assert (start.awaited, entry([start]).slug) == (True, "not-begun")

    @pytest.mark.parametrize("last", MAY_HAVE_RUN.values(), ids=MAY_HAVE_RUN.keys())
    def test_leaves_open_whether_something_ran_and_then_it_is_lost(self, last: Json, gone: bool) -> None:
        [start] = seen(last, gone=gone)
        assert (start.awaited, start.started) == (False, None)
        assert (entry([start]).state, entry([start]).slug) == ("failed", "lost")

    @pytest.mark.parametrize("last", DID_RUN.values(), ids=DID_RUN.keys())
    def test_tells_of_what_ran(self, last: Json, gone: bool) -> None:
        starts = seen(last, gone=gone)
        assert not any(start.awaited for start in starts)
        assert entry(starts).state == "failed"

    @pytest.mark.parametrize("last", [*NEVER_RAN.values(), *MAY_HAVE_RUN.values()], ids=[*NEVER_RAN, *MAY_HAVE_RUN])
    def test_takes_nothing_back_that_was_seen_to_run(self, last: Json, gone: bool) -> None:
        """A kubelet that was restarted may refuse a pod that ran, and forgets it then."""
        running = document(runs("app"), phase="Running", sandbox=True)
        [start] = seen(running, {**last, "metadata": {**last["metadata"], "resourceVersion": "2"}}, gone=gone)
        assert start.started is not None
        assert not start.awaited


def test_a_kubelet_that_lost_track_of_what_was_seen_to_be_created_says_that_it_ran() -> None:
    created = document(waits("app", "ContainerCreating"), phase="Pending")
    lost = document(over("app", UNKNOWN, lastState={"terminated": UNKNOWN}), version=2)
    assert entry(seen(created, lost)).slug == "lost"
    assert (
        entry(seen(created, lost)).reason == "nobody has told what it ran: its node lost track of it, does not answer, or is gone"
    )
