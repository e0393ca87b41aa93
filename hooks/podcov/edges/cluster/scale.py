"""Scales workloads to 0, for services that hand over their coverage when they end, and back to what they were.

How many pods there were stands in an annotation of the workload itself, written by the same request that scales it down. So where
a podcov was killed before it could scale back, the next one, or `podcov clean`, finds that and does.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import Any, Self

from podcov.edges.cluster import patch
from podcov.edges.cluster import rollout as cluster_rollout
from podcov.edges.cluster.api import FIELD_MANAGER, Api, Failed, Forbidden, Json, Resource
from podcov.edges.cluster.pods import Pod
from podcov.errors import ClusterError

ANNOTATION = "podcov/replicas"
KINDS: Mapping[str, Resource] = {
    "deployment": Resource("apps/v1", "deployments", "Deployment"),
    "statefulset": Resource("apps/v1", "statefulsets", "StatefulSet"),
}
"""what can be scaled"""
READY_SECONDS = 180.0
_ELSEWHERE_SECONDS = 900.0
"""after which a workload is scaled back that a podcov on another machine scaled down: it cannot be asked whether it still runs"""
_LONGEST_SECONDS = 3600.0
"""after which the process of that number on this machine is another"""
_ATTEMPTS = 10
_POLL = 0.5


@dataclass(frozen=True, slots=True)
class Scaled:
    """A workload that has its pods from `spec.replicas`."""

    kind: str
    """`deployment` or `statefulset`"""
    name: str
    namespace: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name} in namespace {self.namespace}"


@dataclass(frozen=True, slots=True)
class Memory:
    """What the annotation holds: how many replicas there were, and which podcov will scale back to that."""

    replicas: int
    host: str
    pid: int
    since: float

    @classmethod
    def of(cls, document: Json) -> Self | None:
        """None where there is none, or somebody has made something else of it."""
        text = (document["metadata"].get("annotations") or {}).get(ANNOTATION, "")
        with suppress(ValueError, TypeError, KeyError):
            value = json.loads(text)
            return cls(int(value["replicas"]), str(value["host"]), int(value["pid"]), float(value["since"]))
        return None

    @property
    def is_of_this_machine(self) -> bool:
        return self.host == socket.gethostname()

    @property
    def abandoned(self) -> bool:
        """Nobody is going to scale back, as far as this machine can know."""
        age = time.time() - self.since
        if not self.is_of_this_machine:
            return age > _ELSEWHERE_SECONDS
        return age > _LONGEST_SECONDS or not _runs(self.pid)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, {max(0.0, time.time() - self.since) / 60:.0f} minutes ago"


def workload_of(pod: Pod) -> Scaled | None:
    """What has the pod; None where that has no number of pods that could be 0."""
    template = pod.labels.get("pod-template-hash", "")
    if pod.owner_kind == "replicaset" and template and pod.owner_name.endswith(f"-{template}"):
        return Scaled("deployment", pod.owner_name.removesuffix(f"-{template}"), pod.namespace)
    if pod.owner_kind == "statefulset":
        return Scaled("statefulset", pod.owner_name, pod.namespace)
    return None


def scale_down(document: dict[str, Any], now: float) -> None:
    """Sets the replicas of a Deployment or StatefulSet to 0, and notes how many it has. `now` is in seconds of the epoch.

    An earlier note counts only while it is still at 0: whoever has scaled or deployed it since knows better.
    """
    earlier, replicas = Memory.of(document), _replicas(document)
    known = earlier.replicas if earlier and replicas == 0 else replicas
    memory = Memory(known, socket.gethostname(), os.getpid(), now)
    document["metadata"].setdefault("annotations", {})[ANNOTATION] = json.dumps(asdict(memory))
    document["spec"]["replicas"] = 0


@asynccontextmanager
async def at_zero(api: Api, workloads: Collection[Scaled]) -> AsyncIterator[None]:
    """The workloads have no replicas meanwhile. Leaving scales them back, however it ended, and waits until they are ready.

    Raises ClusterError where one cannot be scaled; those that were are scaled back first.
    """
    done: list[Scaled] = []
    try:
        for workload in workloads:
            done.append(workload)  # before: the answer may be what gets lost
            try:
                await _scale_down(api, workload)
            except Forbidden as error:
                done.remove(workload)
                raise ClusterError(error.message, hint="overlays/rbac/exit.yaml holds the Role that allows it") from error
            except Failed as failure:
                raise ClusterError(
                    f"{workload} cannot be scaled to 0: {failure}", hint="`kubectl describe` may say why"
                ) from failure
        yield
    finally:
        await asyncio.shield(asyncio.ensure_future(_scale_all_back(api, done)))
    await _until_ready(api, done)


async def restore(api: Api, namespaces: Iterable[str], *, dry_run: bool = False, elsewhere: bool = False) -> list[Scaled]:
    """Scales back what a podcov that is no more left at 0, and returns which. Empty, too, where they may not be listed.

    `elsewhere`: also what podcov on another machine scaled down a moment ago, which may still run. Otherwise that is only said.
    """
    found: list[Scaled] = []
    outdated: list[Scaled] = []
    for workload, memory, replicas in [noted async for noted in _noted(api, namespaces)]:
        if replicas:
            outdated.append(workload)
        elif memory.abandoned or (elsewhere and not memory.is_of_this_machine):
            found.append(workload)
        else:
            _say(f"{workload} was scaled to 0 by podcov, {memory}; where that was ended, `podcov clean` scales it back")
    if dry_run:
        return found
    for workload in outdated:
        await _scale_back(api, workload)
    for workload in found:
        replicas = await _scale_back(api, workload)
        _say(f"{workload} was left at 0 replicas by a podcov that was ended; it has {replicas} again")
    await _until_ready(api, found)
    return found


async def _noted(api: Api, namespaces: Iterable[str]) -> AsyncIterator[tuple[Scaled, Memory, int]]:
    """What has a note of podcov's, and how many replicas it is to have now: where not 0, somebody has scaled it since."""
    for namespace in namespaces:
        for kind, resource in KINDS.items():
            with suppress(Forbidden):  # who may not list them has never scaled them
                for document in await api.list_objects(resource, namespace):
                    if memory := Memory.of(document):
                        yield Scaled(kind, document["metadata"]["name"], namespace), memory, _replicas(document)


async def _scale_down(api: Api, workload: Scaled) -> None:
    def change(document: dict[str, Any]) -> None:
        scale_down(document, time.time())

    await _change(api, workload, change)


async def _scale_all_back(api: Api, workloads: Iterable[Scaled]) -> None:
    """Each is tried; one that cannot be is said, for what was collected is not to be lost for it."""
    for workload in workloads:
        try:
            await _scale_back(api, workload)
        except (ClusterError, Failed) as error:
            _say(f"{workload} could not be scaled back: {error}; `podcov clean` tries again")


async def _scale_back(api: Api, workload: Scaled) -> int:
    """How many replicas it has again."""
    replicas = 0

    def change(document: dict[str, Any]) -> None:
        nonlocal replicas
        memory = Memory.of(document)
        if memory is None:  # somebody deployed it anew meanwhile
            replicas = _replicas(document)
            return
        # Whoever has scaled it up meanwhile knows better.
        replicas = document["spec"]["replicas"] = _replicas(document) or memory.replicas
        del document["metadata"]["annotations"][ANNOTATION]

    await _change(api, workload, change)
    await _forget_who_changed_it(api, workload)
    return replicas


async def _change(api: Api, workload: Scaled, change: Any) -> None:
    """Changes the workload as it is now. One that has been deleted is none of our business."""
    for _ in range(_ATTEMPTS):
        before = await _document(api, workload)
        if before is None:
            return
        after = deepcopy(before)
        change(after)
        operations = list(patch.operations(before, after))
        if not operations or await _patch(api, workload, [patch.unless_changed(before), *operations]):
            return
    raise ClusterError(
        f"{workload} was changed by others at each of {_ATTEMPTS} attempts to scale it",
        hint="see who does, with `kubectl get --show-managed-fields --output yaml`, and try again",
    )


async def _forget_who_changed_it(api: Api, workload: Scaled) -> None:
    """The API server notes who set each field, and refuses a later server-side apply that would set one of ours."""
    for _ in range(_ATTEMPTS):
        document = await _document(api, workload)
        entries = document["metadata"].get("managedFields") or () if document else ()
        ours = [n for n, entry in enumerate(entries) if entry.get("manager") == FIELD_MANAGER and not entry.get("subresource")]
        removals = [{"op": "remove", "path": f"/metadata/managedFields/{n}"} for n in reversed(ours)]
        if document is None or not removals:
            return
        if await _patch(api, workload, [patch.unless_changed(document), *removals]):
            return


async def _patch(api: Api, workload: Scaled, operations: list[Json]) -> bool:
    """False where somebody else was quicker, who may have deleted it."""
    try:
        await api.patch_object(KINDS[workload.kind], workload.namespace, workload.name, operations)
    except Failed as failure:
        if failure.status in (404, 409):
            return False
        raise
    return True


async def _document(api: Api, workload: Scaled) -> dict[str, Any] | None:
    document = await api.get_object(KINDS[workload.kind], workload.namespace, workload.name)
    return None if document is None else dict(document)


async def _until_ready(api: Api, workloads: Iterable[Scaled]) -> None:
    """The cluster is as it was before. One that does not get there is said, and is no failure of the run."""
    end = asyncio.get_running_loop().time() + READY_SECONDS
    for workload in workloads:
        while document := await _document(api, workload):
            rollout = cluster_rollout.look(document)
            if rollout.done:
                break
            if rollout.failure or asyncio.get_running_loop().time() > end:
                _say(f"{workload} has its replicas again, and they are not ready: {rollout.failure or rollout.text}")
                break
            await asyncio.sleep(_POLL)


def _replicas(document: Json) -> int:
    """How many it is to have; Kubernetes takes 1 where it does not say."""
    said = document["spec"].get("replicas")
    return 1 if said is None else int(said)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _say(text: str) -> None:
    sys.stderr.write(f"podcov {text}\n")
    sys.stderr.flush()
