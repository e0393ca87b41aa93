"""podcov's ConfigMaps in a cluster: who uses them, and the removal of those that nobody does.

They are told by their label. Each version of the wrapper has its own, so deploying a new one leaves those of the last behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from podcov.edges import cluster_owners
from podcov.edges.cluster_api import Api, Json
from podcov.edges.cluster_owners import CONFIG_MAPS, CSV, WORKLOADS
from podcov.edges.cluster_targets import Note, Targets
from podcov.generate import config_maps, instrument

_OURS = ",".join(f"{key}={value}" for key, value in config_maps.LABELS.items())
_POLL = 0.5
"""seconds between two looks at pods that are ending"""
_USERS_NAMED = 3


class Leftovers:
    """What podcov leaves behind in a cluster."""

    def __init__(self, api: Api, note: Note) -> None:
        self._api = api
        self._targets = Targets(api, note)
        self._note = note

    async def remove(self, namespace: str, *, dry_run: bool = False, seconds: float = 0) -> list[str]:
        """Removes podcov's ConfigMaps that nothing uses, and says which: `namespace/name`. Pods that are ending get `seconds`."""
        users = await self._users(namespace)
        end = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < end and await self._only_ending_pods(namespace, users):
            await asyncio.sleep(_POLL)
            users = await self._users(namespace)
        for name, using in users.items():
            if using:
                self._note(f"configmap/{name} in namespace {namespace} stays, for {', '.join(using[:_USERS_NAMED])}")
        free = [name for name, using in users.items() if not using]
        if not dry_run:
            free = [name for name in free if await self._api.delete_object(CONFIG_MAPS, namespace, name)]
        return [f"{namespace}/{name}" for name in free]

    async def _users(self, namespace: str) -> dict[str, list[str]]:
        """podcov's ConfigMaps by name, each with the workloads and pods that mount it."""
        ours = await self._api.list_objects(CONFIG_MAPS, namespace, _OURS)
        users: dict[str, list[str]] = {document["metadata"]["name"]: [] for document in ours}
        for resource in WORKLOADS.values() if users else ():
            for document in filter(_counts, await self._api.list_objects(resource, namespace)):
                _note_use(document, users)
        for document in await self._targets.list_if_allowed(CSV, namespace) if users else ():
            _note_use(document, users)
        return users

    async def _only_ending_pods(self, namespace: str, users: Mapping[str, Sequence[str]]) -> bool:
        """Whether some ConfigMap is used by nothing but pods that will be gone soon."""
        if not any(users.values()):
            return False
        pods = await self._api.list_objects(WORKLOADS["Pod"], namespace)
        ending = {cluster_owners.reference(p) for p in pods if p["metadata"].get("deletionTimestamp")}
        return any(using and ending.issuperset(using) for using in users.values())


def wrapper_of(workload: Json) -> list[str]:
    """The wrapper's ConfigMaps in a pod template, which tell one version of coverage, and none at all, from another."""
    volumes = workload["spec"]["template"]["spec"].get("volumes") or ()
    return sorted(set(_mounted([v for v in volumes if v.get("name") == instrument.WRAPPER])))


def _counts(document: Json) -> bool:
    """Whether what it mounts is used: the earlier revisions of a Deployment are kept as ReplicaSets without pods."""
    return document["kind"] != "ReplicaSet" or bool(document["spec"].get("replicas", 1))


def _note_use(document: Json, users: Mapping[str, list[str]]) -> None:
    for name in set(_mounted(document["spec"])) & users.keys():
        users[name].append(cluster_owners.reference(document))


def _mounted(value: Any) -> Iterator[str]:
    """The names of the ConfigMaps that volumes anywhere in a document mount."""
    if isinstance(value, dict):
        mounted = value.get("configMap")
        if isinstance(mounted, dict) and mounted.get("name"):
            yield str(mounted["name"])
        for inner in value.values():
            yield from _mounted(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _mounted(inner)
