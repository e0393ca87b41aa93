"""Which workloads of a cluster are meant, and where each of them is to be changed.

What owns what, and what is refused, is decided in `owners`, without a cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from podcov.edges.cluster import owners
from podcov.edges.cluster.api import Api, Forbidden, Json, Resource
from podcov.edges.cluster.owners import CSV, IMMUTABLE, SERVICES, WORKLOADS
from podcov.errors import UsageError

Note = Callable[[str], None]
"""Takes a line of progress."""


@dataclass(frozen=True, slots=True)
class Target:
    """A workload, and the object that its pod template is to be changed in: itself, as a rule."""

    workload: Resource
    namespace: str
    name: str
    holder: Resource
    holder_name: str

    @classmethod
    def of(cls, document: Json) -> Target:
        """One that is to be changed in itself."""
        resource, name = WORKLOADS[document["kind"]], document["metadata"]["name"]
        return cls(resource, document["metadata"]["namespace"], name, resource, name)

    @property
    def reference(self) -> str:
        """`deployment/orders`."""
        return f"{self.workload.kind.lower()}/{self.name}"

    @property
    def holder_reference(self) -> str:
        return f"{self.holder.kind.lower()}/{self.holder_name}"

    @property
    def held_elsewhere(self) -> bool:
        return self.holder != self.workload

    def __str__(self) -> str:
        via = f" (in {self.holder_reference})" if self.held_elsewhere else ""
        return f"{self.reference} in namespace {self.namespace}{via}"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which workloads are meant: those named, and of all those there are the ones that have the labels and are of the release."""

    names: Sequence[str] = ()
    selector: str = ""
    release: str = ""


class NothingMatches(UsageError):
    """No workload of the namespace has the labels, or is of the release."""


class Gone(UsageError):
    """The workload, or who has its pod template, was there before."""


class Targets:
    """The workloads of a cluster."""

    def __init__(self, api: Api, note: Note) -> None:
        self._api = api
        self._note = note

    async def find(self, namespace: str, selection: Selection, *, force: bool = False) -> list[Target]:
        """The workloads that are meant, each once, with those who have their pod templates.

        `force`: also those that an operator would change back. Raises UsageError where there is none, or it cannot be changed;
        NothingMatches where only labels or a release were asked for.
        """
        documents = [await self._named(namespace, name) for name in selection.names]
        if selection.selector or selection.release:
            documents += await self._matching(namespace, selection)
        return list(dict.fromkeys([await self._climb(document, force=force) for document in documents]))

    async def attached(self, namespace: str) -> list[Target]:
        """The workloads that carry coverage."""
        targets = []
        for resource in (r for r in WORKLOADS.values() if r.kind not in IMMUTABLE):
            listed = await self._api.list_objects(resource, namespace)
            targets += [Target.of(document) for document in listed if owners.attached(document)]
        for document in await self.list_if_allowed(CSV, namespace):
            holder = CSV, document["metadata"]["name"]
            names = owners.attached(document)
            targets += [Target(WORKLOADS["Deployment"], namespace, name, *holder) for name in names]
        return targets

    async def holder(self, target: Target) -> Json:
        """The object that the workload is to be changed in. Raises Gone where it is not there any more."""
        return await self._get(target, target.holder, target.holder_name)

    async def workload(self, target: Target) -> Json:
        """The workload as its holder has it. Raises Gone where it is not there any more."""
        return owners.workload_in(await self.holder(target), target.name)

    async def live(self, target: Target) -> Json:
        """The workload as it is at the moment. Raises Gone where it is not there any more."""
        return await self._get(target, target.workload, target.name)

    async def documents(self, target: Target) -> list[Json]:
        """The workload, and the Services of its namespace where one may list them: what a first podcov.yaml is written from."""
        return [await self.workload(target), *await self.list_if_allowed(SERVICES, target.namespace)]

    async def list_if_allowed(self, resource: Resource, namespace: str) -> list[Json]:
        """Of a kind that most clusters lack, or that is looked at in passing: not to be allowed to is no reason to stop."""
        try:
            return await self._api.list_objects(resource, namespace)
        except Forbidden:
            return []

    async def _get(self, target: Target, resource: Resource, name: str) -> Json:
        document = await self._api.get_object(resource, target.namespace, name)
        if document is None:
            raise Gone(f"{target} is gone", hint="it was deleted meanwhile; deploy it again, then run this again")
        return {"apiVersion": resource.api_version, "kind": resource.kind, **document}

    async def _named(self, namespace: str, text: str) -> Json:
        resource, name = owners.target(text)
        document = await self._api.get_object(resource, namespace, name)
        if document is None:
            there = [owners.reference(d) for d in await self._top(namespace)]
            raise UsageError(
                f"there is no {resource.kind.lower()}/{name} in namespace {namespace} (context {self._api.access.context!r})",
                hint=_there(", ".join(there)),
            )
        return document

    async def _matching(self, namespace: str, selection: Selection) -> list[Json]:
        there = await self._top(namespace, selection.selector)
        found = [d for d in there if not selection.release or owners.in_release(d, selection.release)]
        for document in (d for d in found if d["kind"] in IMMUTABLE):
            self._note(f"{owners.reference(document)}: left as it is, Kubernetes lets nobody change what it runs")
        mutable = [d for d in found if d["kind"] not in IMMUTABLE]
        if not mutable:
            raise await self._nothing_matches(namespace, selection)
        return mutable

    async def _nothing_matches(self, namespace: str, selection: Selection) -> NothingMatches:
        wanted = [f"the labels {selection.selector}"] if selection.selector else []
        wanted += [f"the Helm release {selection.release}"] if selection.release else []
        there = [_described(document) for document in await self._top(namespace)]
        return NothingMatches(
            f"no workload in namespace {namespace} has {' and '.join(wanted)} (context {self._api.access.context!r})",
            hint=_there("; ".join(there)),
        )

    async def _top(self, namespace: str, selector: str = "") -> list[Json]:
        """The workloads that are not made by others of them."""
        found: list[Json] = []
        for resource in WORKLOADS.values():
            listed = await self._api.list_objects(resource, namespace, selector)
            found += [document for document in listed if not _is_made_by_another(document)]
        return found

    async def _climb(self, document: Json, *, force: bool) -> Target:
        """From a pod to its ReplicaSet, to its Deployment, to whatever installs that."""
        namespace = document["metadata"]["namespace"]
        while above := owners.owner(document):
            if above.resource is None:
                if force:
                    break
                owners.refuse_owner(document, above)
            parent = await self._api.get_object(above.resource, namespace, above.name)
            if parent is None:
                break  # it is about to be collected, or was orphaned: it stands for itself
            if above.resource == CSV:
                return Target(WORKLOADS["Deployment"], namespace, document["metadata"]["name"], CSV, above.name)
            document = {"apiVersion": above.resource.api_version, "kind": above.resource.kind, **parent}
        owners.refuse_immutable(document)
        return Target.of(document)


def _is_made_by_another(document: Json) -> bool:
    above = owners.owner(document)
    return above is not None and above.resource not in (None, CSV)


def _described(document: Json) -> str:
    labels = ",".join(f"{key}={value}" for key, value in (document["metadata"].get("labels") or {}).items())
    return f"{owners.reference(document)} ({labels or 'no labels'})"


def _there(names: str) -> str:
    return f"there are: {names}" if names else "there is no workload at all: is this the right namespace?"
