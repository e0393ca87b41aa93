"""Waits until the pods of workloads are what their templates say, and says why where they do not get there.

What counts as there, and what a pod's status means, is decided in `rollout`, without a cluster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from podcov.edges.cluster import rollout as cluster_rollout
from podcov.edges.cluster import sidecars
from podcov.edges.cluster.api import Api, Failed, Forbidden, Json
from podcov.edges.cluster.owners import WORKLOADS
from podcov.edges.cluster.rollout import Trouble
from podcov.edges.cluster.targets import Note, Target, Targets
from podcov.generate.coverage import instrument

POLL = 0.5
"""seconds between two looks at a workload"""
_PATIENCE = 15.0
"""seconds that Kubernetes may say it cannot make the pods before that is believed"""
_LOG_LINES = 5
_TOO_MANY_REQUESTS = 429


@dataclass(frozen=True, slots=True)
class State:
    """How far a workload is: `done`, or what is missing, what Kubernetes says of it, and why its pods are not ready.

    `remedy` is what to do where they are certain to never be.
    """

    done: bool
    text: str
    failure: str = ""
    troubles: tuple[Trouble, ...] = ()
    remedy: str = ""

    def __str__(self) -> str:
        return "; ".join([self.text, *map(str, self.troubles)])


@dataclass(frozen=True, slots=True)
class Unready:
    """Why pods did not get ready, in lines; and what to do about it, where that is known."""

    why: str
    remedy: str = ""


class Readiness:
    """The pods of a cluster's workloads."""

    def __init__(self, api: Api, note: Note) -> None:
        self._api = api
        self._targets = Targets(api, note)
        self._note = note

    async def pods(self, target: Target) -> frozenset[str]:
        """The uids of those that are there."""
        return frozenset(map(_uid, await self._pods(await self._targets.live(target))))

    async def wait(self, target: Target, seconds: float, *, older: Collection[str] = ()) -> Unready | None:
        """Until all pods are new and ready; else why they are not after that time, or once they will never be.

        `older` are the pods that were there before the change that is waited for, by their uids.
        """
        end, said, stuck_since = _now() + seconds, "", None
        while True:
            state = await self.look(target, older)
            if str(state) != said:
                said = str(state)
                self._note(f"{target.reference}: {said}")
            if state.done:
                return None
            if state.remedy:
                return await self.hopeless(target, state)
            stuck_since = (stuck_since or _now()) if state.failure else None
            if _now() >= end:
                return await self._unready(target, state, f"within {seconds:g} s")
            if stuck_since and _now() - stuck_since > _PATIENCE:
                return await self.hopeless(target, state)
            await asyncio.sleep(POLL)

    async def hopeless(self, target: Target, state: State) -> Unready:
        """Why the pods will never be ready, with what their containers printed last."""
        return await self._unready(target, state, "and will not")

    async def look(self, target: Target, older: Collection[str]) -> State:
        """How far they are now. An API server that is busy, or is being replaced, does not end the wait for them."""
        try:
            return await self._look_once(target, older)
        except Failed as failure:
            if 0 < failure.status < 500 and failure.status != _TOO_MANY_REQUESTS:
                raise
            return State(False, f"it cannot be seen at the moment: {failure}")

    async def _look_once(self, target: Target, older: Collection[str]) -> State:
        document = await self._targets.live(target)
        rollout = cluster_rollout.look(document)
        if target.held_elsewhere and not await self._holder_was_followed(target, document):
            return State(False, f"what {target.holder_reference} says now has not been done yet")
        if rollout.done:
            return State(True, rollout.text)
        pods = await self._pods(document)
        troubles = tuple(cluster_rollout.troubles(pods))
        remedy = sidecars.remedy(document, [pod for pod in pods if _uid(pod) not in older])
        return State(False, rollout.text, rollout.failure, troubles, remedy)

    async def _holder_was_followed(self, target: Target, live: Json) -> bool:
        return instrument.traces(live) == instrument.traces(await self._targets.workload(target))

    async def _pods(self, document: Json) -> list[Json]:
        namespace, selector = document["metadata"]["namespace"], cluster_rollout.selector(document)
        return await self._api.list_objects(WORKLOADS["Pod"], namespace, selector)

    async def _unready(self, target: Target, state: State, bound: str) -> Unready:
        lines = [f"{target} did not get ready {bound}: {state.text}", *([f"  {state.failure}"] if state.failure else [])]
        for trouble in state.troubles:
            lines += [f"  {trouble}", *(f"    {line}" for line in await self._log(target.namespace, trouble))]
        if target.workload.kind == "StatefulSet" and state.troubles:
            lines.append(f"  {_stuck(target, state.troubles)}")
        return Unready("\n".join(lines), state.remedy)

    async def _log(self, namespace: str, trouble: Trouble) -> list[str]:
        """The last line that the container printed, and the command that shows the others."""
        if not trouble.container:
            return []
        command = f"kubectl logs {trouble.pod} --container {trouble.container} --namespace {namespace}"
        command += " --previous" if trouble.previous else ""
        try:
            text = await self._api.pod_log(namespace, trouble.pod, trouble.container, lines=_LOG_LINES, previous=trouble.previous)
        except (Failed, Forbidden):  # it never ran, or nobody may read it: the command tells which
            return [f"its log: `{command}`"]
        last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
        return [f"its log ends with: {last}", f"all of it: `{command}`"] if last else ["its log is empty"]


def _stuck(target: Target, troubles: Sequence[Trouble]) -> str:
    pods = " ".join(dict.fromkeys(trouble.pod for trouble in troubles))
    return (
        "a StatefulSet keeps a pod that never got ready, whatever its template says next: "
        f"`kubectl delete pod {pods} --namespace {target.namespace}`"
    )


def _uid(pod: Json) -> str:
    return str(pod["metadata"]["uid"])


def _now() -> float:
    return asyncio.get_running_loop().time()
