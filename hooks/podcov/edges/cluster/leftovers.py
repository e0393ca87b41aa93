"""podcov's ConfigMaps in a cluster: who uses them, and the removal of those that nobody does.

They are told by podcov's own label and by their name. Each version of the wrapper has its own, so deploying a new one leaves
those of the last behind. What goes is what no workload, pod or custom resource names. Two things may be about to name it:

- What a deployment brings along is there before its workloads are. So one that `attach` did not make, and that no workload had
  from which coverage was taken just now, stays until it has some age.
- `attach` makes them, then patches, then looks whether they still are there; the removal looks once more for users afterwards,
  and puts back what got some. Whoever of the two is last, sees the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from podcov.edges.cluster import owners
from podcov.edges.cluster.api import FIELD_MANAGER, Api, Failed, Forbidden, Json, Resource
from podcov.edges.cluster.owners import CONFIG_MAPS, CSV, WORKLOADS
from podcov.edges.cluster.targets import Note, Targets
from podcov.generate.kubernetes import config_maps

_OURS = ",".join(f"{key}={value}" for key, value in config_maps.OURS.items())
_POLL = 0.5
"""seconds between two looks at pods that are ending"""
_NAMED = 3
"""users, or kinds, in a line"""


@dataclass(frozen=True, slots=True)
class User:
    """What names a ConfigMap, as kubectl calls it."""

    reference: str
    ending: bool = False
    """a pod that will be gone soon"""


Users = Mapping[str, Sequence[User]]
"""By the ConfigMap's name: what names it."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What was (or with a dry run would be) removed; and what will be in a while: its users are ending, or it is new."""

    removed: tuple[str, ...] = ()
    later: tuple[str, ...] = ()


@dataclass(slots=True)
class Outlook:
    """What a detach that is but tried would leave in a namespace."""

    objects: dict[str, Json] = field(default_factory=dict)
    """as they would be, by their references"""
    renewed: set[str] = field(default_factory=set)
    """references of workloads whose pods would be replaced"""

    def of(self, documents: Sequence[Json]) -> list[Json]:
        """What of these objects would be there, and how."""
        above = {owners.reference(document): _maker(document) for document in documents}
        there = [document for document in documents if not any(r in self.renewed for r in _upwards(document, above))]
        return [*(d for d in there if owners.reference(d) not in self.objects), *self.objects.values()]


class Leftovers:
    """What podcov leaves behind in a cluster."""

    def __init__(self, api: Api, note: Note) -> None:
        self._api = api
        self._targets = Targets(api, note)
        self._note = note

    async def remove(
        self,
        namespace: str,
        *,
        had: Collection[str] = (),
        min_age: float,
        dry_run: bool = False,
        seconds: float = 0,
        outlook: Outlook | None = None,
    ) -> Swept:
        """Removes podcov's ConfigMaps that nothing uses, and says which: `namespace/name`. Pods that are ending get `seconds`.

        `had` are the names of those that workloads had until just now; others that were deployed go from `min_age` seconds on.
        `outlook` is what would be done before, where this is a dry run.
        """
        listed = await self._api.list_objects(CONFIG_MAPS, namespace, _OURS)
        ours = {document["metadata"]["name"]: document for document in listed if config_maps.is_ours(document)}
        users = await self._users_after_the_ending(namespace, ours, seconds, outlook or Outlook())
        unused = [name for name in ours if not users[name]]
        young = [name for name in unused if name not in had and _waits(ours[name], min_age)]
        for name in young:
            self._note(
                f"configmap/{name} in namespace {namespace} stays: it was deployed less than {min_age:g} s ago; "
                f"`podcov clean --namespace {namespace} --min-age 0` removes it all the same"
            )
        later = [*young, *(name for name in ours if _only_ending(users[name]))]
        free = [name for name in unused if name not in young]
        users = await self._custom_users(namespace, free)
        self._tell(namespace, users)
        free = [name for name in free if not users[name]]
        if not dry_run:
            free = await self._delete(namespace, [ours[name] for name in free])
        return Swept(tuple(f"{namespace}/{name}" for name in free), tuple(f"{namespace}/{name}" for name in later))

    async def _users_after_the_ending(self, namespace: str, names: Collection[str], seconds: float, outlook: Outlook) -> Users:
        users = await self._users(namespace, names, outlook)
        end = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < end and any(map(_only_ending, users.values())):
            await asyncio.sleep(_POLL)
            users = await self._users(namespace, names, outlook)
        self._tell(namespace, users)
        return users

    def _tell(self, namespace: str, users: Users) -> None:
        for name, using in users.items():
            if using:
                self._note(f"configmap/{name} in namespace {namespace} stays, for {_told(using)}")

    async def _delete(self, namespace: str, documents: Sequence[Json]) -> list[str]:
        """The names of those that are gone. What somebody began to use in the same moment is put back."""
        deleted = {
            document["metadata"]["name"]: document
            for document in documents
            if await self._api.delete_object(CONFIG_MAPS, namespace, document["metadata"]["name"])
        }
        users = await self._users(namespace, deleted, Outlook())
        for name in (name for name, using in users.items() if using):
            await self._api.create_object(CONFIG_MAPS, namespace, _anew(deleted[name]))
        self._tell(namespace, users)
        return [name for name in deleted if not users[name]]

    async def _users(self, namespace: str, names: Collection[str], outlook: Outlook) -> Users:
        users: dict[str, list[User]] = {name: [] for name in names}
        if not users:
            return users
        listed = [document for resource in WORKLOADS.values() for document in await self._api.list_objects(resource, namespace)]
        listed += await self._targets.list_if_allowed(CSV, namespace)
        for document in filter(_counts, outlook.of(listed)):
            _note_use(document, users)
        return users

    async def _custom_users(self, namespace: str, names: Collection[str]) -> Users:
        """Custom resources have pod templates, too, and no pods while they are scaled to zero."""
        users: dict[str, list[User]] = {name: [] for name in names}
        unseen: list[str] = []
        for resource in await self._custom_kinds() if users else ():
            try:
                for document in await self._api.list_objects(resource, namespace):
                    _note_use(document, users)
            except (Forbidden, Failed):
                unseen.append(_kubectl_name(resource))
        if unseen:
            others = f" and {len(unseen) - _NAMED} more kinds" if len(unseen) > _NAMED else ""
            self._note(
                f"namespace {namespace}: not looked at, for they could not be listed: {', '.join(unseen[:_NAMED])}{others}"
            )
        return users

    async def _custom_kinds(self) -> list[Resource]:
        try:
            return [resource for resource in await self._api.list_custom_kinds() if resource.kind != CSV.kind]
        except Forbidden:
            self._note("custom resources were not looked at: the API server does not say which kinds it has")
            return []


def _only_ending(using: Sequence[User]) -> bool:
    return bool(using) and all(user.ending for user in using)


def _told(using: Sequence[User]) -> str:
    names = ", ".join(user.reference for user in using[:_NAMED])
    if not _only_ending(using):
        return names
    return f"{names}, still ending: try again when {'it is' if len(using) == 1 else 'they are'} gone"


def mounted(document: Json) -> set[str]:
    """The names of the ConfigMaps that volumes anywhere in an object mount."""
    return set(_mounted(document["spec"]))


def _counts(document: Json) -> bool:
    """Whether what it names is used: a Deployment keeps its earlier revisions as ReplicaSets without pods.

    Such a one of anything else may be all there is of a workload that is scaled to zero.
    """
    above = owners.owner(document)
    of_deployment = above is not None and above.resource == WORKLOADS["Deployment"]
    return document["kind"] != "ReplicaSet" or not of_deployment or bool(document["spec"].get("replicas", 1))


def _maker(document: Json) -> str:
    """The reference of the workload that has made it; empty where none has."""
    above = owners.owner(document)
    return f"{above.kind.lower()}/{above.name}" if above and above.resource else ""


def _upwards(document: Json, above: Mapping[str, str]) -> Iterator[str]:
    """The references of an object, of what has made it, of what has made that, and so on."""
    reference = owners.reference(document)
    for _ in above:  # the API server keeps nobody from making a circle
        if not reference:
            return
        yield reference
        reference = above.get(reference, "")


def _waits(config_map: Json, min_age: float) -> bool:
    """Whether it was brought by a deployment that may not be through yet."""
    metadata = config_map["metadata"]
    if any(entry.get("manager") == FIELD_MANAGER for entry in metadata.get("managedFields") or ()):
        return False
    return (datetime.now(UTC) - datetime.fromisoformat(metadata["creationTimestamp"])).total_seconds() < min_age


def _anew(config_map: Json) -> Json:
    """Without what the API server has added."""
    metadata = {
        key: value for key, value in config_map["metadata"].items() if key in ("name", "namespace", "labels", "annotations")
    }
    return {**config_map, "metadata": metadata}


def _note_use(document: Json, users: Mapping[str, list[User]]) -> None:
    """Anywhere but in its metadata and status: in what way a custom resource names a ConfigMap is for its operator to know."""
    wanted = {key: value for key, value in document.items() if key not in ("metadata", "status")}
    ending = document["kind"] == "Pod" and bool(document["metadata"].get("deletionTimestamp"))
    for name in users.keys() & set(_texts(wanted)):
        users[name].append(User(owners.reference(document), ending))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _kubectl_name(resource: Resource) -> str:
    """`rollouts.argoproj.io`."""
    return f"{resource.plural}.{resource.api_version.partition('/')[0]}"


def _mounted(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        config_map = value.get("configMap")
        if isinstance(config_map, dict) and config_map.get("name"):
            yield str(config_map["name"])
        for inner in value.values():
            yield from _mounted(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _mounted(inner)
