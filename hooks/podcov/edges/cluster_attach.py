"""Coverage for workloads that run already: `attach` patches them, `detach` takes that back, and nothing of ours is left.

Who is to be patched is decided in `cluster_owners`, when pods are ready in `cluster_rollout`, what is added in `podcov.generate`.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from podcov.edges import cluster_access, cluster_owners, cluster_rollout
from podcov.edges.cluster_api import FIELD_MANAGER, Api, Failed, Forbidden, Json, Resource
from podcov.edges.cluster_owners import AUTOSCALERS, CONFIG_MAPS, CSV, IMMUTABLE, SERVICES, WORKLOADS
from podcov.edges.cluster_rollout import Trouble
from podcov.errors import ClusterError, UsageError
from podcov.generate import config_maps, instrument, yaml_text
from podcov.generate.findings import Finding
from podcov.generate.inject import Injected

Note = Callable[[str], None]
"""Takes a line of progress."""
Inject = Callable[[Json], Injected]
"""Adds coverage to one workload. Raises for one that it cannot, or is not to, have it."""

_POLL = 0.5
"""seconds between two looks at a workload"""
_PATIENCE = 15.0
"""seconds that Kubernetes may say it cannot make the pods before that is believed"""
_ATTEMPTS = 10
"""at a patch, when others keep changing the object meanwhile"""
_OURS = ",".join(f"{key}={value}" for key, value in config_maps.LABELS.items())


@dataclass(frozen=True, slots=True)
class Target:
    """A workload, and the object that its pod template is to be changed in: itself, as a rule."""

    workload: Resource
    namespace: str
    name: str
    holder: Resource
    holder_name: str

    @property
    def reference(self) -> str:
        """`deployment/orders`."""
        return f"{self.workload.kind.lower()}/{self.name}"

    @classmethod
    def of(cls, document: Json) -> Target:
        """One that is to be changed in itself."""
        resource, name = WORKLOADS[document["kind"]], document["metadata"]["name"]
        return cls(resource, document["metadata"]["namespace"], name, resource, name)

    @property
    def held_elsewhere(self) -> bool:
        return self.holder != self.workload

    def __str__(self) -> str:
        via = f" (in {self.holder.kind.lower()}/{self.holder_name})" if self.held_elsewhere else ""
        return f"{self.reference} in namespace {self.namespace}{via}"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which workloads are meant: those named, and of all those there are the ones that have the labels and are of the release."""

    names: Sequence[str] = ()
    selector: str = ""
    release: str = ""


@dataclass(frozen=True, slots=True)
class Changed:
    """What became of a workload. `difference` is what is (or with a dry run would be) changed, as a unified diff; empty: nothing.

    `remark` is what is left for the user to do until its pods are as it says.
    """

    target: Target
    difference: str
    containers: tuple[str, ...] = ()
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """What was (or with a dry run would be) done. `config_maps` were made, or removed; `namespace/name`."""

    workloads: tuple[Changed, ...]
    config_maps: tuple[str, ...]
    findings: tuple[Finding, ...] = ()


@asynccontextmanager
async def connect(context: str, note: Note) -> AsyncIterator[Attachments]:
    """Raises ClusterError where there is no way to the cluster, and for whatever it refuses while this is open."""
    access = await cluster_access.find(context)
    async with Api(access) as api:
        try:
            yield Attachments(api, note)
        except Failed as failure:
            raise ClusterError(
                f"context {access.context!r}: {failure}", hint="`kubectl cluster-info` asks the same server"
            ) from failure


class Attachments:
    """What podcov has changed, and is to change, in workloads of one cluster."""

    def __init__(self, api: Api, note: Note) -> None:
        self._api = api
        self._note = note

    @property
    def namespace(self) -> str:
        """The context's own."""
        return self._api.access.namespace

    # Finding

    async def find(self, namespace: str, selection: Selection, *, force: bool = False) -> list[Target]:
        """The workloads that are meant, each once, with those who have their pod templates.

        `force`: also those that an operator would change back. Raises UsageError where there is none, or it cannot be changed.
        """
        documents = [await self._named(namespace, name) for name in selection.names]
        if selection.selector or selection.release:
            documents += await self._matching(namespace, selection)
        return list(dict.fromkeys([await self._climb(document, force=force) for document in documents]))

    async def attached(self, namespace: str) -> list[Target]:
        """The workloads that carry coverage."""
        targets = []
        for resource in (r for r in WORKLOADS.values() if r.kind not in IMMUTABLE):
            targets += [Target.of(d) for d in await self._list(resource, namespace) if cluster_owners.attached(d)]
        for document in await self._list_if_allowed(CSV, namespace):
            holder = CSV, document["metadata"]["name"]
            names = cluster_owners.attached(document)
            targets += [Target(WORKLOADS["Deployment"], namespace, name, *holder) for name in names]
        return targets

    async def _named(self, namespace: str, text: str) -> Json:
        resource, name = cluster_owners.target(text)
        document = await self._api.get_object(resource, namespace, name)
        if document is None:
            there = [cluster_owners.reference(d) for d in await self._top(namespace)]
            raise UsageError(
                f"there is no {resource.kind.lower()}/{name} in namespace {namespace} (context {self._api.access.context!r})",
                hint=f"there are: {', '.join(there)}" if there else "there is no workload at all: is this the right namespace?",
            )
        return document

    async def _matching(self, namespace: str, selection: Selection) -> list[Json]:
        there = await self._top(namespace, selection.selector)
        found = [d for d in there if not selection.release or cluster_owners.in_release(d, selection.release)]
        for document in (d for d in found if d["kind"] in IMMUTABLE):
            self._note(f"{cluster_owners.reference(document)}: left as it is, Kubernetes lets nobody change what it runs")
        mutable = [d for d in found if d["kind"] not in IMMUTABLE]
        if not mutable:
            raise await self._nothing_matches(namespace, selection)
        return mutable

    async def _nothing_matches(self, namespace: str, selection: Selection) -> UsageError:
        wanted = [f"the labels {selection.selector}"] if selection.selector else []
        wanted += [f"the Helm release {selection.release}"] if selection.release else []
        there = [_described(document) for document in await self._top(namespace)]
        return UsageError(
            f"no workload in namespace {namespace} has {' and '.join(wanted)} (context {self._api.access.context!r})",
            hint=f"there are: {'; '.join(there)}" if there else "there is no workload at all: is this the right namespace?",
        )

    async def _top(self, namespace: str, selector: str = "") -> list[Json]:
        """The workloads that are nobody else's."""
        found: list[Json] = []
        for resource in WORKLOADS.values():
            listed = await self._api.list_objects(resource, namespace, selector)
            found += [d for d in listed if not ((above := cluster_owners.owner(d)) and above.resource and above.resource != CSV)]
        return found

    async def _climb(self, document: Json, *, force: bool) -> Target:
        namespace = document["metadata"]["namespace"]
        while above := cluster_owners.owner(document):
            if above.resource is None:
                if force:
                    break
                cluster_owners.refuse_owner(document, above)
            parent = await self._api.get_object(above.resource, namespace, above.name)
            if parent is None:
                break  # it is about to be collected, or was orphaned: it stands for itself
            if above.resource == CSV:
                return Target(WORKLOADS["Deployment"], namespace, document["metadata"]["name"], CSV, above.name)
            document = {"apiVersion": above.resource.api_version, "kind": above.resource.kind, **parent}
        cluster_owners.refuse_immutable(document)
        return Target.of(document)

    async def _list(self, resource: Resource, namespace: str) -> list[Json]:
        return await self._api.list_objects(resource, namespace)

    async def _list_if_allowed(self, resource: Resource, namespace: str) -> list[Json]:
        """Of a kind that most clusters do not have, so that most people have no right to it: then there is none."""
        try:
            return await self._api.list_objects(resource, namespace)
        except Forbidden:
            return []

    async def documents(self, target: Target) -> list[Json]:
        """The workload, and the Services of its namespace where one may list them: what a first podcov.yaml is written from."""
        return [await self._workload(target), *await self._list_if_allowed(SERVICES, target.namespace)]

    # Attaching

    async def attach(
        self, targets: Sequence[Target], inject: Inject, *, scales: bool = False, dry_run: bool = False, seconds: float
    ) -> Done:
        """Adds coverage to workloads, or brings it up to date, and waits until their pods have it: `seconds` in all.

        `scales` says that `inject` sets the number of replicas. Nothing is changed where it raises, for any of them. Raises
        ClusterError where pods do not get ready.
        """
        injected = {target: inject(await self._workload(target)) for target in targets}
        findings = [f for target in targets for f in await self._warnings(target, scales=scales)]
        made = await self._make_config_maps(injected.values(), dry_run=dry_run)
        changed = []
        for target in targets:
            measured = tuple(name for names in injected[target].measured.values() for name in names)
            before, after = await self._change(target, lambda w: inject(w).documents[0], dry_run=dry_run)
            changed.append(Changed(target, _difference(before, after), measured, await self._remark(target)))
        if not dry_run:
            await self._roll_out(changed, seconds, take_back=True)
        return Done(tuple(changed), tuple(made), (*(f for i in injected.values() for f in i.findings), *findings))

    async def _warnings(self, target: Target, *, scales: bool) -> list[Finding]:
        document = await self._live(target)
        warnings = [] if target.held_elsewhere else cluster_owners.reverters(document)
        if scales:
            warnings += cluster_owners.autoscaled(document, await self._list_if_allowed(AUTOSCALERS, target.namespace))
        return warnings

    async def _make_config_maps(self, injected: Iterable[Injected], *, dry_run: bool) -> list[str]:
        """Those that are not there. Their names tell their content: one of the same name holds the same."""
        wanted = {_place(document): document for one in injected for document in one.config_maps}
        return [
            f"{namespace}/{name}"
            for (namespace, name), document in wanted.items()
            if await self._api.create_object(CONFIG_MAPS, namespace, document, dry_run=dry_run)
        ]

    # Detaching

    async def detach(self, targets: Sequence[Target], *, dry_run: bool = False, seconds: float) -> Done:
        """Takes coverage off again, waits until the pods are without it, and removes ConfigMaps that nothing uses any more.

        Raises ClusterError where pods do not get ready, ManifestError where what podcov remembers of a workload was damaged.
        """
        changed = []
        for target in targets:
            before, after = await self._change(target, instrument.remove, dry_run=dry_run)
            if not dry_run:
                await self._forget_who_changed_it(target)
            changed.append(Changed(target, _difference(before, after), remark=await self._remark(target)))
        if dry_run:
            return Done(tuple(changed), ())
        await self._roll_out(changed, seconds, take_back=False)
        removed = []
        for namespace in dict.fromkeys(target.namespace for target in targets):
            removed += await self.remove_unused(namespace, seconds=seconds)
        return Done(tuple(changed), tuple(removed))

    async def _forget_who_changed_it(self, target: Target) -> None:
        """The API server notes who set each field, and refuses a later server-side apply that would set one of ours."""
        for _ in range(_ATTEMPTS):
            holder = await self._holder(target)
            entries = holder["metadata"].get("managedFields") or ()
            ours = [
                n for n, entry in enumerate(entries) if entry.get("manager") == FIELD_MANAGER and not entry.get("subresource")
            ]
            if not ours:
                return
            removals = [{"op": "remove", "path": f"/metadata/managedFields/{n}"} for n in reversed(ours)]
            if await self._patch(target, [_unless_changed(holder), *removals], dry_run=False):
                return

    # Cleaning

    async def unused(self, namespace: str) -> dict[str, list[str]]:
        """podcov's ConfigMaps by name, each with those who use it: empty for one that can go."""
        maps = [m["metadata"]["name"] for m in await self._api.list_objects(CONFIG_MAPS, namespace, _OURS)]
        if not maps:
            return {}
        users: dict[str, list[str]] = {name: [] for name in maps}
        for resource in WORKLOADS.values():
            for document in filter(_counts, await self._list(resource, namespace)):
                _note_use(document, users)
        for document in await self._list_if_allowed(CSV, namespace):
            _note_use(document, users)
        return users

    async def remove_unused(self, namespace: str, *, dry_run: bool = False, seconds: float = 0) -> list[str]:
        """Removes podcov's ConfigMaps that nothing uses, and says which: `namespace/name`. Pods that are ending get `seconds`."""
        users = await self.unused(namespace)
        end = _now() + seconds
        while any(users.values()) and _now() < end and await self._only_ending_pods(namespace, users):
            await asyncio.sleep(_POLL)
            users = await self.unused(namespace)
        for name in (n for n, using in users.items() if using):
            self._note(f"configmap/{name} in namespace {namespace} stays: {', '.join(users[name][:3])} uses it")
        free = [name for name, using in users.items() if not using]
        if not dry_run:
            free = [name for name in free if await self._api.delete_object(CONFIG_MAPS, namespace, name)]
        return [f"{namespace}/{name}" for name in free]

    async def _only_ending_pods(self, namespace: str, users: Mapping[str, Sequence[str]]) -> bool:
        """Whether some ConfigMap is used by nothing but pods that will be gone soon."""
        pods = await self._list(WORKLOADS["Pod"], namespace)
        ending = {cluster_owners.reference(p) for p in pods if p["metadata"].get("deletionTimestamp")}
        return any(using and ending.issuperset(using) for using in users.values())

    async def namespaces(self) -> list[str]:
        """All of the cluster."""
        return await self._api.list_namespaces()

    # Objects

    async def _holder(self, target: Target) -> Json:
        document = await self._api.get_object(target.holder, target.namespace, target.holder_name)
        if document is None:
            raise UsageError(f"{target} is gone", hint="it was deleted meanwhile")
        return {"apiVersion": target.holder.api_version, "kind": target.holder.kind, **document}

    async def _workload(self, target: Target) -> Json:
        """As its holder has it."""
        return cluster_owners.workload_in(await self._holder(target), target.name)

    async def _live(self, target: Target) -> Json:
        """As it is at the moment."""
        document = await self._api.get_object(target.workload, target.namespace, target.name)
        if document is None:
            raise UsageError(f"{target} is gone", hint="it was deleted meanwhile")
        return {"apiVersion": target.workload.api_version, "kind": target.workload.kind, **document}

    async def _change(self, target: Target, change: Callable[[Json], Json], *, dry_run: bool) -> tuple[Json, Json]:
        """Changes the workload where it is held; what its holder was, and is now. No change of others in between is lost."""
        for _ in range(_ATTEMPTS):
            before = await self._holder(target)
            wanted = cluster_owners.with_workload(before, change(cluster_owners.workload_in(before, target.name)))
            operations = list(_operations(before, wanted))
            if not operations:
                return before, before
            after = await self._patch(target, [_unless_changed(before), *operations], dry_run=dry_run)
            if after:
                return before, after
        raise ClusterError(
            f"{target} was changed by others at each of {_ATTEMPTS} attempts to patch it",
            hint="see who does, with `kubectl get --show-managed-fields --output yaml`, and try again",
        )

    async def _patch(self, target: Target, operations: Sequence[Json], *, dry_run: bool) -> Json | None:
        """None where somebody else was quicker."""
        try:
            return await self._api.patch_object(target.holder, target.namespace, target.holder_name, operations, dry_run=dry_run)
        except Failed as failure:
            if failure.status == 409:
                return None
            raise ClusterError(
                f"{target}: Kubernetes does not take the change: {failure}",
                hint="`--dry-run` shows what was to be changed; nothing of it was done to this workload",
            ) from failure

    # Rollouts

    async def _remark(self, target: Target) -> str:
        return cluster_rollout.left_to_the_user(await self._live(target))

    async def _roll_out(self, changed: Iterable[Changed], seconds: float, *, take_back: bool) -> None:
        end = _now() + seconds
        failures = []
        for change in changed:
            if change.remark:
                self._note(f"{change.target.reference}: {change.remark}")
                continue
            try:
                await self._until_ready(change.target, end, seconds)
            except _NotReady as error:
                failures.append((change.target, str(error)))
        if failures:
            commands = "; ".join(f"`podcov detach {t.reference} --namespace {t.namespace}`" for t, _ in failures)
            raise ClusterError(
                "\n".join(text for _, text in failures),
                hint=f"{commands} takes it back"
                if take_back
                else "`kubectl describe` tells more; what podcov changed is taken back",
            )

    async def _until_ready(self, target: Target, end: float, seconds: float) -> None:
        """Raises _NotReady."""
        said, stuck_since = "", None
        while True:
            document = await self._live(target)
            rollout = cluster_rollout.look(document)
            waits_for_holder = target.held_elsewhere and not await self._holder_was_followed(target, document)
            if rollout.done and not waits_for_holder:
                self._note(f"{target.reference}: {rollout.text}")
                return
            text = (
                f"{target.holder.kind.lower()}/{target.holder_name} has not been followed yet"
                if waits_for_holder
                else rollout.text
            )
            troubles = await self._troubles(document)
            line = "; ".join([text, *map(str, troubles)])
            if line != said:
                self._note(f"{target.reference}: {line}")
                said = line
            stuck_since = (stuck_since or _now()) if rollout.failure else None
            if _now() > end or (stuck_since and _now() - stuck_since > _PATIENCE):
                raise _NotReady(await self._why(target, text, rollout.failure, troubles, seconds if _now() > end else None))
            await asyncio.sleep(_POLL)

    async def _holder_was_followed(self, target: Target, live: Json) -> bool:
        return _maps_of_template(live) == _maps_of_template(await self._workload(target))

    async def _troubles(self, document: Json) -> list[Trouble]:
        pods = await self._api.list_objects(
            WORKLOADS["Pod"], document["metadata"]["namespace"], cluster_rollout.selector(document)
        )
        return cluster_rollout.troubles(pods)

    async def _why(self, target: Target, text: str, failure: str, troubles: Sequence[Trouble], seconds: float | None) -> str:
        bound = f" within {seconds:g} s" if seconds is not None else ""
        lines = [f"{target} did not get ready{bound}: {text}", *([f"  {failure}"] if failure else [])]
        for trouble in troubles:
            lines.append(f"  {trouble}")
            lines += [f"    {line}" for line in await self._log(target.namespace, trouble)]
        if target.workload.kind == "StatefulSet" and troubles:
            pods = " ".join(dict.fromkeys(trouble.pod for trouble in troubles))
            lines.append(
                f"  a StatefulSet keeps a pod that never got ready, whatever its template says: "
                f"`kubectl delete pod {pods} --namespace {target.namespace}`"
            )
        return "\n".join(lines)

    async def _log(self, namespace: str, trouble: Trouble) -> list[str]:
        """The last line that the container printed, and the command that shows the others."""
        if not trouble.container:
            return []
        command = f"kubectl logs {trouble.pod} --container {trouble.container} --namespace {namespace}"
        command += " --previous" if trouble.previous else ""
        try:
            text = await self._api.pod_log(namespace, trouble.pod, trouble.container, lines=5, previous=trouble.previous)
        except (Failed, Forbidden):
            return [f"its log: `{command}`"]
        last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
        return [f"its log ends with: {last}", f"all of it: `{command}`"] if last else ["its log is empty"]


class _NotReady(Exception):
    """The pods of a workload did not get ready; says why."""


def _now() -> float:
    return asyncio.get_running_loop().time()


def _described(document: Json) -> str:
    labels = ",".join(f"{key}={value}" for key, value in (document["metadata"].get("labels") or {}).items())
    return f"{cluster_owners.reference(document)} ({labels or 'no labels'})"


def _place(document: Json) -> tuple[str, str]:
    return document["metadata"]["namespace"], document["metadata"]["name"]


def _unless_changed(document: Json) -> Json:
    """The API server refuses a patch that sets another resource version than the object has: 409."""
    return {"op": "add", "path": "/metadata/resourceVersion", "value": document["metadata"]["resourceVersion"]}


def _operations(before: Any, after: Any, path: str = "") -> Iterator[Json]:
    """The JSON patch from one object to the other: mappings are gone into, everything else is set as a whole."""
    for key in [*before, *(key for key in after if key not in before)]:
        place = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
        if key not in after:
            yield {"op": "remove", "path": place}
        elif key not in before or not (isinstance(before[key], dict) and isinstance(after[key], dict)):
            if key not in before or before[key] != after[key]:
                yield {"op": "add", "path": place, "value": after[key]}
        else:
            yield from _operations(before[key], after[key], place)


def _difference(before: Json, after: Json) -> str:
    left, right = (yaml_text.dump(_of_the_users(d)).splitlines(keepends=True) for d in (before, after))
    name = f"{cluster_owners.reference(before)}.yaml"
    return "".join(difflib.unified_diff(left, right, f"a/{name}", f"b/{name}"))


def _of_the_users(document: Json) -> dict[str, Any]:
    """Without what the API server and controllers keep there."""
    metadata = {k: v for k, v in document["metadata"].items() if k not in ("managedFields", "resourceVersion", "generation")}
    return {"metadata": metadata, "spec": document["spec"]}


def _counts(document: Json) -> bool:
    """Whether what it mounts is used: the earlier revisions of a Deployment are kept as ReplicaSets without pods."""
    return document["kind"] != "ReplicaSet" or bool(document["spec"].get("replicas", 1))


def _note_use(document: Json, users: Mapping[str, list[str]]) -> None:
    for name in _config_maps_in(document["spec"]):
        if name in users:
            users[name].append(cluster_owners.reference(document))


def _maps_of_template(document: Json) -> list[str]:
    """The wrapper's ConfigMaps in the pod template, which tell one version of coverage, and none at all, from another."""
    volumes = document["spec"]["template"]["spec"].get("volumes") or ()
    return sorted(set(_config_maps_in([v for v in volumes if v.get("name") == instrument.WRAPPER])))


def _config_maps_in(value: Any) -> Iterator[str]:
    """The names of the ConfigMaps that volumes anywhere in a document mount."""
    if isinstance(value, dict):
        mounted = value.get("configMap")
        if isinstance(mounted, dict) and mounted.get("name"):
            yield str(mounted["name"])
        for inner in value.values():
            yield from _config_maps_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _config_maps_in(inner)
