"""Waits until what was just deployed is there: the pods of the services are those that their workloads want now, and ready.

Skaffold waits for that itself. Tilt goes on as soon as one pod is ready, be it the first of several, or one of before that is
about to be replaced; and where it was told to ignore readiness, at once.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from podcov.config import Service
from podcov.edges.cluster import pods as cluster_pods
from podcov.edges.cluster import rollout as cluster_rollout
from podcov.edges.cluster import scale
from podcov.edges.cluster.api import Api, Failed, Forbidden
from podcov.edges.cluster.labels import LabelSelector
from podcov.edges.cluster.pods import Pod, Workload
from podcov.edges.cluster.rollout import Rollout, Trouble
from podcov.edges.cluster.scale import Scaled
from podcov.edges.cluster.targets import Note

READY_SECONDS = 180.0
"""that pods get to be ready; nothing is waited for longer"""
ARRIVAL_SECONDS = 30.0
"""that the first pod of the deployment gets to exist, where only pods can be looked at: it may never come"""
FAILED_SECONDS = 15.0
"""that Kubernetes may say of a rollout that it has failed before that is believed: there may be room for its pods in a moment"""
_POLL = 0.5
_REVISIONS = ("pod-template-hash", "controller-revision-hash")
"""labels of pods that differ where their templates do"""


@dataclass(frozen=True, slots=True)
class Missing:
    """What is not there yet, and for how many seconds that is worth waiting while nothing of another bound is missing."""

    text: str
    seconds: float = READY_SECONDS


class Patience:
    """Whether to go on waiting. Times are those of any one clock, in seconds."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._since = began
        """since when what is missing has had the same bound"""
        self._seconds = READY_SECONDS

    def is_over(self, missing: Missing, now: float) -> bool:
        if missing.seconds != self._seconds:
            self._since, self._seconds = now, missing.seconds
        return now - self._since >= missing.seconds or now - self._began >= READY_SECONDS


async def until_settled(api: Api, services: Mapping[str, Sequence[Service]], chosen: LabelSelector, note: Note) -> None:
    """Until nothing is missing, or for as long as it is worth it: what then comes of it shows in the run.

    `services` are those of each namespace; `chosen` are the labels of the pods that were deployed just now. Raises Failed where
    the API server does not answer from the start.
    """
    clock = asyncio.get_running_loop().time
    began, said = clock(), ""
    patience = Patience(began)
    missing = await _first_missing(api, services, chosen)
    while missing:
        if patience.is_over(missing, clock()):
            note(f"going on after {clock() - began:.0f} s, though not all is there: {missing.text}")
            return
        if missing.text != said:
            said = missing.text
            note(f"waiting for what was deployed: {said}")
        await asyncio.sleep(_POLL)
        with suppress(Failed):  # a server that is busy, or is being replaced, does not end the wait
            missing = await _first_missing(api, services, chosen)


async def _first_missing(api: Api, services: Mapping[str, Sequence[Service]], chosen: LabelSelector) -> Missing | None:
    for namespace, here in services.items():
        if missing := await _missing_in(api, namespace, here, chosen):
            return missing
    return None


async def _missing_in(api: Api, namespace: str, services: Sequence[Service], chosen: LabelSelector) -> Missing | None:
    """What the workloads say, and of pods whose workload cannot be looked at, what they themselves do."""
    documents, _ = await api.list_pods(namespace)
    every = [(cluster_pods.parse(document), document) for document in documents]
    present = [(pod, document) for pod, document in every if _serves(pod, services)]
    seen: set[Scaled] = set()
    for workload in dict.fromkeys([*_named(services, namespace), *_owners(pod for pod, _ in present)]):
        rollout = await _rollout(api, workload)
        if rollout is None:
            continue
        if not rollout.done:
            troubles = cluster_rollout.troubles(document for pod, document in present if scale.workload_of(pod) == workload)
            return missing_of(workload, rollout, troubles)
        if missing := missing_of_done(workload, rollout, [pod for pod, _ in every]):
            return missing
        seen.add(workload)
    return missing_pods([pod for pod, _ in present if scale.workload_of(pod) not in seen], chosen)


def missing_of(workload: Scaled, rollout: Rollout, troubles: Iterable[Trouble]) -> Missing:
    """What a workload says that is not there, and why as far as Kubernetes tells."""
    text = "; ".join(filter(None, (f"{workload}: {rollout.text}", rollout.failure, *map(str, troubles))))
    return Missing(text, FAILED_SECONDS if rollout.failure else READY_SECONDS)


def missing_of_done(workload: Scaled, rollout: Rollout, pods: Iterable[Pod]) -> Missing | None:
    """What a workload does not say: it counts a pod that is ending as ready for as long as its containers run."""
    ready = sum(pod.ready and not pod.ending and scale.workload_of(pod) == workload for pod in pods)
    return Missing(f"{workload}: {ready} of {rollout.wanted} pods are there and ready") if ready < rollout.wanted else None


def missing_pods(pods: Sequence[Pod], chosen: LabelSelector) -> Missing | None:
    """What is missing as far as pods can tell: they do not know how many there are to be."""
    new = [pod for pod in pods if chosen.matches(pod.labels)]
    if pods and not new:
        return Missing(f"only pods of before are there: {_names(pods)}", ARRIVAL_SECONDS)
    if unready := [pod for pod in new if not pod.ready]:
        return Missing(f"not ready: {_names(unready)}")
    revisions = defaultdict(set)
    for pod in pods:
        if workload := scale.workload_of(pod):
            revisions[workload].add(next((pod.labels[label] for label in _REVISIONS if label in pod.labels), ""))
    mixed = [workload for workload in _owners(new) if len(revisions[workload]) > 1]
    return Missing(f"{mixed[0]}: pods of before are still there") if mixed else None


def _serves(pod: Pod, services: Iterable[Service]) -> bool:
    return not pod.ending and any(cluster_pods.selects(service, pod) for service in services)


def _named(services: Iterable[Service], namespace: str) -> list[Scaled]:
    """The workloads that the configuration names, which may have no pod yet."""
    named = [wanted for wanted in map(cluster_pods.criterion, services) if isinstance(wanted, Workload)]
    return [Scaled(workload.kind, workload.name, namespace) for workload in named if workload.kind in scale.KINDS]


def _owners(pods: Iterable[Pod]) -> list[Scaled]:
    return [workload for pod in pods if (workload := scale.workload_of(pod))]


def _names(pods: Iterable[Pod]) -> str:
    return ", ".join(pod.name for pod in pods)


async def _rollout(api: Api, workload: Scaled) -> Rollout | None:
    """None where podcov may not look, there is none of this name, or somebody else has to bring it about."""
    try:
        document = await api.get_object(scale.KINDS[workload.kind], workload.namespace, workload.name)
    except Forbidden:
        return None
    if document is None or cluster_rollout.left_to_the_user(document):
        return None
    return cluster_rollout.look(document)
