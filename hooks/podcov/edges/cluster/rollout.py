"""How far a workload's pods are with what its template says now, and why one of them does not get there. Pure.

The rules are those of `kubectl rollout status`. Documents come in as the API server's JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from podcov.edges.cluster.api import Json

WAITS_FOR_ITS_TURN = ("PodInitializing", "ContainerCreating")
"""what a container is said to wait for that nothing keeps from starting"""


@dataclass(frozen=True, slots=True)
class Rollout:
    """`text` says how far it is; `failure`, where it will not get further by itself, what Kubernetes says about it.

    `wanted` is how many pods there are to be, at least, of one that is done.
    """

    done: bool
    text: str
    failure: str = ""
    wanted: int = 0


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a pod is not ready. `previous`: the log that says more is that of the container's previous start."""

    pod: str
    container: str
    """empty where no container has been started yet"""
    reason: str
    previous: bool = False

    def __str__(self) -> str:
        where = f"pod {self.pod}, container {self.container}" if self.container else f"pod {self.pod}"
        return f"{where}: {self.reason}"


def left_to_the_user(document: Json) -> str:
    """What has to be done for the pods to be replaced, where the workload's controller does not do it; empty where it does."""
    kind, name, spec = document["kind"], document["metadata"]["name"], document["spec"]
    where = f"--namespace {document['metadata']['namespace']}"
    if kind == "CronJob":
        return f"its next Job runs with it; `kubectl create job NAME --from cronjob/{name} {where}` starts one now"
    if kind == "ReplicaSet" or (spec.get("updateStrategy") or {}).get("type") == "OnDelete":
        return f"its pods are replaced when they are deleted: `kubectl delete pods --selector '{selector(document)}' {where}`"
    if spec.get("paused"):
        return f"it is paused: `kubectl rollout resume {kind.lower()}/{name} {where}` has its pods replaced"
    return ""


def selector(document: Json) -> str:
    """The workload's own label selector, as kubectl takes it."""
    parts = document["spec"].get("selector") or {}
    equal = [f"{key}={value}" for key, value in (parts.get("matchLabels") or {}).items()]
    return ",".join([*equal, *map(_expression, parts.get("matchExpressions") or ())])


def _expression(expression: Json) -> str:
    key, values = expression["key"], ",".join(expression.get("values") or ())
    match expression["operator"]:
        case "Exists":
            return str(key)
        case "DoesNotExist":
            return f"!{key}"
        case operator:
            return f"{key} {operator.lower()} ({values})"


def look(document: Json) -> Rollout:
    """How far the rollout of a Deployment, StatefulSet or DaemonSet is."""
    status = document.get("status") or {}
    if status.get("observedGeneration", 0) < document["metadata"].get("generation", 0):
        return Rollout(False, "the change has not been seen yet")
    match document["kind"]:
        case "DaemonSet":
            updated, available = status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)
            return _counted(status.get("desiredNumberScheduled", 0), updated, available, status.get("currentNumberScheduled", 0))
        case "StatefulSet":
            return _stateful(document["spec"], status)
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    return _counted(document["spec"].get("replicas", 1), updated, available, status.get("replicas", 0), failure=_failure(status))


def _stateful(spec: Json, status: Json) -> Rollout:
    present, wanted = status.get("replicas", 0), spec.get("replicas", 1)
    partition = ((spec.get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition", 0)
    updated = status.get("updatedReplicas", 0)
    if not partition and status.get("updateRevision") == status.get("currentRevision"):
        updated = present  # once all are, the controller stops counting them
    return _counted(max(wanted - partition, 0), updated, status.get("readyReplicas", 0), present, old_ones_stay=bool(partition))


def _counted(
    wanted: int, updated: int, available: int, present: int, *, old_ones_stay: bool = False, failure: str = ""
) -> Rollout:
    """Controllers count available pods old and new together: that many of the new ones are, at least."""
    old = max(present - updated, 0)
    ready = max(min(updated, available - old), 0)
    if ready < wanted:
        return Rollout(False, f"{ready} of {wanted} pods are new and ready", failure)
    if old and not old_ones_stay:
        return Rollout(False, f"{old} of the old pods {'is' if old == 1 else 'are'} still there", failure)
    return Rollout(True, f"{wanted} of {wanted} pods are new and ready", wanted=wanted)


def _failure(status: Json) -> str:
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    refused, progressing = conditions.get("ReplicaFailure", {}), conditions.get("Progressing", {})
    if refused.get("status") == "True":
        return str(refused.get("message") or refused.get("reason"))
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return str(progressing.get("message") or progressing["reason"])
    return ""


def troubles(pods: Iterable[Json]) -> list[Trouble]:
    """Why those of the pods that are not ready, and are not ending, are not."""
    alive = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    return [trouble for pod in alive if not _ready(pod) for trouble in _troubles(pod)]


def _ready(pod: Json) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in (pod.get("status") or {}).get("conditions") or ())


def _troubles(pod: Json) -> list[Trouble]:
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    found = [Trouble(name, c["name"], reason, previous=_told_before(c)) for c in containers if (reason := _reason(c))]
    if found:
        return found
    unmet = [c.get("message") or c.get("reason") for c in status.get("conditions") or () if c["status"] == "False"]
    return [Trouble(name, "", str(next((text for text in unmet if text), status.get("phase", "it was not started yet"))))]


def _told_before(container: Json) -> bool:
    """Whether the log that says why is that of the start before: one that waits for its next start still has its last one's."""
    return "running" in (container.get("state") or {}) and "terminated" in (container.get("lastState") or {})


def _reason(container: Json) -> str:
    """Why a container is not ready; empty for one that is, that has done its work, or that waits for its turn."""
    state = container.get("state") or {}
    before = (container.get("lastState") or {}).get("terminated")
    if waiting := state.get("waiting"):
        if waiting.get("reason") in WAITS_FOR_ITS_TURN:
            return ""
        text = ": ".join(filter(None, (waiting.get("reason"), waiting.get("message"))))
        return f"{text}; it {_ended(before)}" if before else text
    if terminated := state.get("terminated"):
        return f"it {_ended(terminated)}" if terminated.get("exitCode") else ""
    if "running" not in state or container.get("ready"):
        return ""
    return f"it runs, but is not ready; before, it {_ended(before)}" if before else "it runs, but is not ready"


def _ended(terminated: Json) -> str:
    """With the first line of what its status has of what it said."""
    said = next(iter(str(terminated.get("message") or "").split("\n")), "").strip()
    code = f"ended with exit code {terminated['exitCode']} ({terminated.get('reason', 'no reason given')})"
    return f"{code}: {said}" if said else code
