"""Coverage for workloads that run already: `attach` patches them, `detach` takes that back, and nothing of ours is left.

What is added is decided in `podcov.generate`, where in `targets`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import cycle

from podcov.edges.cluster import access as cluster_access
from podcov.edges.cluster import leftovers, owners, patch, rollout, scale
from podcov.edges.cluster.api import FIELD_MANAGER, Api, Failed, Json
from podcov.edges.cluster.leftovers import Leftovers, Outlook, Swept
from podcov.edges.cluster.owners import AUTOSCALERS, CONFIG_MAPS
from podcov.edges.cluster.readiness import POLL, Readiness, Unready
from podcov.edges.cluster.scale import Scaled
from podcov.edges.cluster.targets import Gone, Note, Target, Targets
from podcov.errors import ClusterError, PodcovError
from podcov.generate.coverage import instrument
from podcov.generate.coverage.inject import Injected
from podcov.generate.findings import Finding

Inject = Callable[[Json], Injected]
"""Adds coverage to one workload. Raises for one that it cannot, or is not to, have it."""

_CLEANS_UP = "what podcov changed is taken back; {commands} again, once that is mended, clean{s} up"
_ATTEMPTS = 10
"""at a patch, when others keep changing the object meanwhile"""


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
    """What was (or with a dry run would be) done. `config_maps` were made, or removed; `namespace/name`.

    `later` are those of them that stay for a while yet.
    """

    workloads: tuple[Changed, ...]
    config_maps: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    later: tuple[str, ...] = ()

    def with_swept(self, swept: Iterable[Swept]) -> Done:
        """And with these ConfigMaps."""
        removed, later = self.config_maps, self.later
        for one in swept:
            removed, later = (*removed, *one.removed), (*later, *one.later)
        return replace(self, config_maps=removed, later=later)


@dataclass(slots=True)
class _Waited:
    """What became of the workloads that are waited for, as far as that is known."""

    ready: set[Target] = field(default_factory=set)
    unready: dict[Target, Unready] = field(default_factory=dict)

    @property
    def hopeless(self) -> bool:
        """Whether one is certain to never get ready, however long the others are waited for."""
        return any(unready.remedy for unready in self.unready.values())

    def note(self, target: Target, unready: Unready | None) -> None:
        if unready is None:
            self.ready.add(target)
        else:
            self.unready[target] = unready


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
        self._readiness = Readiness(api, note)
        self.targets = Targets(api, note)
        self.leftovers = Leftovers(api, note)

    @property
    def namespace(self) -> str:
        """The context's own."""
        return self._api.access.namespace

    async def namespaces(self) -> list[str]:
        """All of the cluster."""
        return await self._api.list_namespaces()

    async def restore_replicas(self, namespaces: Iterable[str], *, dry_run: bool = False) -> list[Scaled]:
        """Scales back what podcov left at 0: all but what one that still runs on this machine has scaled down."""
        return await scale.restore(self._api, namespaces, dry_run=dry_run, elsewhere=True)

    async def attach(
        self,
        targets: Sequence[Target],
        inject: Inject,
        *,
        scales: bool = False,
        dry_run: bool = False,
        seconds: float,
        prepare: Callable[[], None] = lambda: None,
    ) -> Done:
        """Adds coverage to workloads, or brings it up to date, and waits until their pods have it: `seconds` for each.

        Where one of them is certain to never get ready, the others are waited for no longer.

        `scales` says that `inject` sets the number of replicas. No workload is changed where `inject` raises for any of them, or
        Kubernetes would refuse the change. Raises ClusterError for that, and where pods do not get ready. `prepare` is called
        once all was tried, before anything is changed; not with a dry run.
        """
        injected = {target: inject(await self.targets.workload(target)) for target in targets}
        findings = [finding for one in injected.values() for finding in one.findings]
        findings += [finding for target in targets for finding in await self._warnings(target, scales=scales)]
        for finding in dict.fromkeys(findings):
            self._note(told(finding))

        def change(workload: Json) -> Json:
            return inject(workload).documents[0]

        changed = []
        for target in targets:
            before, after = await self._change(target, change, dry_run=True)
            measured = tuple(name for names in injected[target].measured.values() for name in names)
            remark = rollout.left_to_the_user(await self.targets.live(target))
            changed.append(Changed(target, patch.difference(before, after), measured, remark))
        made = await self._make_config_maps(injected.values(), dry_run=True)
        if not dry_run:
            prepare()
            made = await self._make_config_maps(injected.values())
            older = {c.target: await self._readiness.pods(c.target) for c in changed if not c.remark}
            await self._change_all(targets, change, made)
            await self._make_config_maps(injected.values())  # a removal that saw no user yet may have been faster
            await self._wait(changed, seconds, hint="{commands} take{s} it back", older=older)
        return Done(tuple(changed), tuple(made), tuple(dict.fromkeys(findings)))

    async def detach(self, targets: Sequence[Target], *, dry_run: bool = False, seconds: float, min_age: float) -> Done:
        """Takes coverage off again, waits until the pods are without it, and removes ConfigMaps that nothing uses any more.

        `min_age` is for those that a deployment brought and none of these workloads had, in seconds.

        Raises ClusterError where pods do not get ready, ManifestError where what a workload remembers of before was damaged.
        """
        changed = []
        had: set[str] = set()
        outlooks = {target.namespace: Outlook() for target in targets}
        for target in targets:
            try:
                before, after = await self._change(target, instrument.remove, dry_run=dry_run)
                had |= leftovers.mounted(before)
                if not dry_run:
                    await self._forget_who_changed_it(target)
                remark = rollout.left_to_the_user(await self.targets.live(target))
            except Gone as gone:
                self._pass_over(gone)
                continue
            changed.append(Changed(target, patch.difference(before, after), remark=remark))
            if dry_run:
                _detach(outlooks[target.namespace], target, before, pods_stay=bool(remark))
        if not dry_run:
            await self._wait(changed, seconds, hint=_CLEANS_UP)
        swept = [
            await self.leftovers.remove(
                place, had=had, min_age=min_age, seconds=0 if dry_run else seconds, dry_run=dry_run, outlook=outlook
            )
            for place, outlook in outlooks.items()
        ]
        return Done(tuple(changed), ()).with_swept(swept)

    async def _warnings(self, target: Target, *, scales: bool) -> list[Finding]:
        document = await self.targets.live(target)
        warnings = [] if target.held_elsewhere else owners.reverters(document)
        if scales:
            autoscalers = await self.targets.list_if_allowed(AUTOSCALERS, target.namespace)
            warnings += owners.autoscaled(document, autoscalers)
        return warnings

    async def _make_config_maps(self, injected: Iterable[Injected], *, dry_run: bool = False) -> list[str]:
        """Those that are not there. Their names tell their content: one of the same name holds the same."""
        wanted = {_place(document): document for one in injected for document in one.config_maps}
        return [
            f"{namespace}/{name}"
            for (namespace, name), document in wanted.items()
            if await self._api.create_object(CONFIG_MAPS, namespace, document, dry_run=dry_run)
        ]

    async def _change_all(self, targets: Iterable[Target], change: Callable[[Json], Json], made: Sequence[str]) -> None:
        """Raises ClusterError for the first that is refused all the same, and says what is there by then."""
        done: list[Target] = []
        for target in targets:
            try:
                await self._change(target, change)
            except (PodcovError, Failed) as error:
                stays = [*(f"{t.reference} in namespace {t.namespace} with coverage" for t in done), *map(_config_map, made)]
                raise ClusterError(
                    f"{error}\nwhat was done before stays: {', '.join(stays) or 'nothing'}",
                    hint=f"{getattr(error, 'hint', '') or 'try again'}; `podcov clean` takes back what stays",
                ) from error
            done.append(target)

    async def _wait(
        self, changed: Iterable[Changed], seconds: float, *, hint: str, older: Mapping[Target, frozenset[str]] | None = None
    ) -> None:
        """`hint` says what to do where pods do not get ready: `{commands}` detach them, `{s}` ends the verb where that is one.

        `older` are the pods that were there before the workloads got coverage, by their uids; None where they lost it: of those
        one may go meanwhile.
        """
        targets: list[Target] = []
        for change in changed:
            if change.remark:
                self._note(f"{change.target.reference}: {change.remark}")
            else:
                targets.append(change.target)
        waited = _Waited()
        in_turn = self._wait_in_turn(targets, seconds, older, waited)
        if older and len(targets) > 1:
            await _until_either(in_turn, self._find_hopeless(targets, older, waited))
        else:  # without coverage no sidecar is hopeless; of one alone the wait itself tells
            await in_turn
        if waited.unready:
            raise _not_ready(waited, targets, hint)

    async def _wait_in_turn(
        self, targets: Sequence[Target], seconds: float, older: Mapping[Target, frozenset[str]] | None, waited: _Waited
    ) -> None:
        """Until all are ready, or one is hopeless. Each has its time from when those before it, which may be in its way, end."""
        for target in targets:
            try:
                waited.note(target, await self._readiness.wait(target, seconds, older=(older or {}).get(target, ())))
            except Gone as gone:
                if older is not None:
                    raise
                self._pass_over(gone)
                waited.note(target, None)
            if waited.hopeless:
                return

    async def _find_hopeless(self, targets: Sequence[Target], older: Mapping[Target, frozenset[str]], waited: _Waited) -> None:
        """Until one is certain to never get ready. Looks at one at a time: many cost the API server no more than two."""
        for target in cycle(targets):
            state = await self._readiness.look(target, older.get(target, ()))
            if state.remedy:
                waited.note(target, await self._readiness.hopeless(target, state))
                return
            if state.done:
                waited.note(target, None)
            await asyncio.sleep(POLL)

    def _pass_over(self, gone: Gone) -> None:
        self._note(f"{gone.message}, and its coverage with it")

    async def _change(self, target: Target, change: Callable[[Json], Json], *, dry_run: bool = False) -> tuple[Json, Json]:
        """Changes the workload where it is held; what its holder was, and is now. No change of others in between is lost."""
        for _ in range(_ATTEMPTS):
            before = await self.targets.holder(target)
            wanted = owners.with_workload(before, change(owners.workload_in(before, target.name)))
            operations = list(patch.operations(before, wanted))
            if not operations:
                return before, before
            after = await self._patch(target, [patch.unless_changed(before), *operations], dry_run=dry_run)
            if after:
                return before, after
        raise ClusterError(
            f"{target} was changed by others at each of {_ATTEMPTS} attempts to patch it",
            hint="see who does, with `kubectl get --show-managed-fields --output yaml`, and try again",
        )

    async def _forget_who_changed_it(self, target: Target) -> None:
        """The API server notes who set each field, and refuses a later server-side apply that would set one of ours."""
        for _ in range(_ATTEMPTS):
            holder = await self.targets.holder(target)
            entries = holder["metadata"].get("managedFields") or ()
            ours = [
                n for n, entry in enumerate(entries) if entry.get("manager") == FIELD_MANAGER and not entry.get("subresource")
            ]
            removals = [{"op": "remove", "path": f"/metadata/managedFields/{n}"} for n in reversed(ours)]
            if not removals or await self._patch(target, [patch.unless_changed(holder), *removals]):
                return

    async def _patch(self, target: Target, operations: Sequence[Json], *, dry_run: bool = False) -> Json | None:
        """None where somebody else was quicker, who may have deleted it."""
        try:
            return await self._api.patch_object(target.holder, target.namespace, target.holder_name, operations, dry_run=dry_run)
        except Failed as failure:
            if failure.status in (404, 409):
                return None
            raise ClusterError(
                f"{target}: Kubernetes does not take the change: {failure}",
                hint="it says which field it does not take; services' settings in podcov.yaml decide what is added",
            ) from failure


def told(finding: Finding) -> str:
    """A finding as a line of progress."""
    return f"{finding.subject}: {finding.found}: {finding.decided}{f'; {finding.why}' if finding.why else ''}"


def _detach(outlook: Outlook, target: Target, holder: Json, *, pods_stay: bool) -> None:
    holder = outlook.objects.get(target.holder_reference, holder)
    workload = owners.workload_in(holder, target.name)
    if instrument.is_instrumented(workload):
        outlook.objects[target.holder_reference] = owners.with_workload(holder, instrument.remove(workload))
        if not pods_stay:
            outlook.renewed.add(target.reference)


def _not_ready(waited: _Waited, targets: Iterable[Target], hint: str) -> ClusterError:
    left = [target for target in targets if target not in waited.ready and target not in waited.unready]
    whys = [unready.why for unready in waited.unready.values()]
    whys += [f"{target} has coverage too, and was waited for no longer" for target in left]
    remedies = dict.fromkeys(unready.remedy for unready in waited.unready.values() if unready.remedy)
    commands = _commands("podcov detach", waited.unready)
    hints = [*remedies, hint.format(commands=" and ".join(commands), s="" if len(commands) > 1 else "s")]
    if left:
        hints.append(f"how far the others are: {', '.join(_commands('kubectl rollout status', left))}")
    return ClusterError("\n".join(whys), hint="; ".join(hints))


def _commands(verb: str, targets: Iterable[Target]) -> list[str]:
    return [f"`{verb} {target.reference} --namespace {target.namespace}`" for target in targets]


async def _until_either(one: Coroutine[None, None, None], other: Coroutine[None, None, None]) -> None:
    """Whichever ends first ends the other. Raises what that raises."""
    tasks = [asyncio.create_task(one), asyncio.create_task(other)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _config_map(place: str) -> str:
    namespace, _, name = place.partition("/")
    return f"configmap/{name} in namespace {namespace}"


def _place(document: Json) -> tuple[str, str]:
    return document["metadata"]["namespace"], document["metadata"]["name"]
