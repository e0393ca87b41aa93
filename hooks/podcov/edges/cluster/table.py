"""What is known of the selected pods over time: which there are, which have gone, every container start they ever told of. Pure.

Observations may come from a list and from a watch at once, so an older one may follow a newer one: what has happened once stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from podcov.config import Service
from podcov.edges.cluster import pods as cluster_pods
from podcov.edges.cluster.pods import Pod
from podcov.platform import DELETED, UNTOLD, ContainerStart, CourierAddress, PlatformEvent

Kind = Literal["started", "ready", "ending", "ended", "gone"]


@dataclass(slots=True)
class Entry:
    """One pod of the services, or of a pod with several couriers what one of them answers for."""

    pod: Pod
    address: CourierAddress
    services: Mapping[str, Service]
    """by container"""
    starts: dict[tuple[str, int], ContainerStart] = field(default_factory=dict)
    """by container and restart count"""
    seen: set[Kind] = field(default_factory=set)
    """kinds of the events that have happened"""
    serving: frozenset[tuple[str, int]] = frozenset()
    """the containers, and their restart counts, that were running when the pod was last seen ready; empty where it is not"""
    silent: bool = False
    """its node did not answer when it was asked last, so that what was told of the pod may be of long ago"""
    seen_last: bool = False
    """the pod is gone, and `pod` is its last state; a list says only that it is gone"""

    @property
    def gone(self) -> bool:
        return "gone" in self.seen

    @property
    def instrumented(self) -> bool:
        return cluster_pods.instrumented(self.services, self.pod)

    @property
    def courier(self) -> str:
        """The sidecar that is its courier; empty where there is none."""
        return cluster_pods.courier_of(self.services, self.pod)


class PodTable:
    """The pods of `services`, each of which lives in one of the namespaces that `namespaces` gives for its name."""

    def __init__(self, services: Sequence[Service], namespaces: Mapping[str, Sequence[str]]) -> None:
        self._services = services
        self._namespaces = namespaces
        self._entries: dict[str, list[Entry]] = {}
        """by the pod's uid"""
        self._left_out: set[str] = set()
        self._closed = False

    def leave_out(self, pods: Iterable[Pod]) -> None:
        """These are not of this run, whatever is heard of them later."""
        self._left_out.update(pod.uid for pod in pods)

    def close(self) -> None:
        """Pods that are heard of from now on for the first time are not of this run."""
        self._closed = True

    def observe(self, pod: Pod) -> list[PlatformEvent]:
        """Takes in the state of a pod; what is new about it, in order. It is `ready` again after each restart."""
        return [event for entry in self._entries_of(pod) for event in self._observe(entry, pod)]

    def _observe(self, entry: Entry, pod: Pod) -> list[PlatformEvent]:
        if pod.version < entry.pod.version:
            return []
        if pod.deleting:  # what kept it from starting when it was told to end did so to its end
            pod = replace(pod, obstacle=entry.pod.obstacle)
        serving = _serving(pod, entry)
        if serving and serving != entry.serving:
            entry.seen.discard("ready")
        entry.pod, entry.serving = pod, serving
        self._note_starts(entry, cluster_pods.starts_of(entry.address, entry.services, pod))
        if entry.gone:  # a list was ahead of the watch, which tells the end only now
            self._end_starts(entry)
            return []
        happened: dict[Kind, bool] = {
            "started": pod.running(entry.address.container),
            "ready": pod.ready,
            "ending": pod.ending,
            "ended": pod.finished,
        }
        return self._events(entry, [kind for kind, holds in happened.items() if holds])

    def remove(self, pod: Pod) -> list[PlatformEvent]:
        """The pod does not exist any more, and this was its last state."""
        events = self.observe(pod)
        for entry in self.of_pod(pod.uid):
            entry.seen_last = True
        return [*events, *self.forget(pod.uid)]

    def forget(self, uid: str) -> list[PlatformEvent]:
        """The pod does not exist any more; what it was last, nobody has told yet."""
        gone = [event for entry in self.of_pod(uid) for event in self._events(entry, ["gone"])]
        for entry in self.of_pod(uid):
            self._end_starts(entry)
        return gone

    @staticmethod
    def _end_starts(entry: Entry) -> None:
        for key, start in entry.starts.items():
            if start.started is not None and not start.ended:
                entry.starts[key] = replace(start, ended=DELETED)

    def note_silence(self, address: CourierAddress, *, silent: bool) -> None:
        """Whether the pod's node answered when its courier was called."""
        entry = self.entry(address)
        if entry:
            entry.silent = silent

    def uids(self, namespace: str) -> set[str]:
        """The pods of a namespace that exist, as far as is known."""
        return {e.pod.uid for e in self.known() if e.pod.namespace == namespace and not e.gone}

    def without_last_state(self) -> set[str]:
        """The pods that are gone, and of which a container may have begun or not: their last state is still to be told."""
        gone = (e for e in self.known() if e.gone and not e.seen_last)
        return {e.pod.uid for e in gone if any(start.awaited for start in e.starts.values())}

    def entry(self, address: CourierAddress) -> Entry | None:
        return next((entry for entry in self.of_pod(address.pod_uid) if entry.address.id == address.id), None)

    def of_pod(self, uid: str) -> list[Entry]:
        return self._entries.get(uid, [])

    def known(self) -> list[Entry]:
        """All, those that are gone included."""
        return [entry for entries in self._entries.values() for entry in entries]

    def entries(self) -> list[Entry]:
        """Those that exist, by name."""
        return sorted((e for e in self.known() if not e.gone), key=lambda e: e.address.name)

    def starts(self) -> list[ContainerStart]:
        """Of all pods, those that are gone included; by pod, container and restart count."""
        every = [_known_not_to_have_begun(entry, start) for entry in self.known() for start in entry.starts.values()]
        return sorted(every, key=lambda s: (s.address.name, s.address.pod_uid, s.container, s.restart))

    def _entries_of(self, pod: Pod) -> list[Entry]:
        """One for each courier of the pod; empty for pods that are not of the run, or not of the services."""
        if pod.uid in self._left_out or (self._closed and pod.uid not in self._entries):
            return []
        if pod.uid not in self._entries:
            here = [s for s in self._services if pod.namespace in self._namespaces[s.name]]
            parties = cluster_pods.by_recorder(cluster_pods.services_of(here, pod), pod)
            alone = len(parties) == 1
            found = [Entry(pod, cluster_pods.address_of(claimed, pod, alone=alone), claimed) for claimed in parties]
            if found:
                self._entries[pod.uid] = found
        return self.of_pod(pod.uid)

    @staticmethod
    def _note_starts(entry: Entry, starts: Iterable[ContainerStart]) -> None:
        for start in starts:
            key = start.container, start.restart
            entry.starts[key] = merged(entry.starts[key], start) if key in entry.starts else start

    @staticmethod
    def _events(entry: Entry, kinds: Iterable[Kind]) -> list[PlatformEvent]:
        new = [kind for kind in kinds if kind not in entry.seen]
        entry.seen.update(new)
        return [PlatformEvent(kind, entry.address) for kind in new]


def _serving(pod: Pod, entry: Entry) -> frozenset[tuple[str, int]]:
    if not pod.ready:
        return frozenset()
    return frozenset((name, pod.statuses[name].starts[-1].restart) for name in entry.services if pod.running(name))


def _known_not_to_have_begun(entry: Entry, start: ContainerStart) -> ContainerStart:
    """The start, not awaited any more where nobody can be certain of that.

    A node says of each pod that it ended what became of its containers. One that is over without that, by forced deletion or the
    end of its node, may have run something, and so may one whose node does not answer: for a second, or for as long as a hook
    takes, a container that runs is said to be created.
    """
    never_had_a_node = not entry.pod.node and (entry.seen_last or not entry.gone)
    if not start.awaited or entry.pod.told or never_had_a_node or not (entry.gone or entry.pod.finished or entry.silent):
        return start
    return replace(start, ended=DELETED if entry.gone else UNTOLD, awaited=False)


def merged(known: ContainerStart, new: ContainerStart) -> ContainerStart:
    """Two observations of one start, in any order: it waits, runs, has ended, and its status may vanish."""
    if new.awaited and new.ended == cluster_pods.NOT_FOUND and known.started is None:
        return known  # what kept it from starting says more
    if new.ended == cluster_pods.UNSEEN and known.started is not None and not known.ended:
        return replace(known, finished=new.finished, ended=new.ended)
    return new if _knowledge(new) >= _knowledge(known) else known


def _knowledge(start: ContainerStart) -> int:
    if start.started is None:
        return 0
    return 2 if start.ended else 1
