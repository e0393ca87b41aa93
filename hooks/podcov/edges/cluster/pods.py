"""What podcov reads from pods: whose they are, where their courier is, which container starts they tell of. Pure.

Pods come in as the API server's JSON, and leave as values. Workloads are recognised by `ownerReferences` alone, so that reading
pods is all that podcov has to be allowed.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from podcov.config import Service, is_courier_container
from podcov.edges.cluster import labels as cluster_labels
from podcov.edges.cluster.labels import LabelSelector
from podcov.edges.cluster.rollout import WAITS_FOR_ITS_TURN
from podcov.errors import UsageError
from podcov.platform import UNTOLD, ContainerStart, CourierAddress

DATA_FOLDER = "/podcov/data"
WRAPPER_FOLDER = "/podcov/wrapper"
UNSEEN = "unseen"
"""`ContainerStart.ended` of a start that is known from the restart count alone"""
NOT_FOUND = "ContainerStatusUnknown"
"""how a kubelet calls the end of a container that it has no trace of, once its pod is over"""
_REJECTED = "Pod was rejected: "
"""how a kubelet begins to say why it did not take a pod in"""

_FINISHED = ("Succeeded", "Failed")
"""phases that no pod leaves"""
_NOT_STARTED = ("StartError", "ContainerCannotRun")
"""what container runtimes call an end before the beginning"""
_SHOWN = 150
"""characters of the begin, and of the end, of what a program said"""
_SHORT_KINDS = {
    "cj": "cronjob",
    "deploy": "deployment",
    "ds": "daemonset",
    "po": "pod",
    "rs": "replicaset",
    "sts": "statefulset",
    "svc": "service",
}
_WORKLOAD_KINDS = ("deployment", "statefulset", "daemonset", "replicaset", "job", "cronjob", "pod")
_DEFAULT_CONTAINER_ANNOTATION = "kubectl.kubernetes.io/default-container"


@dataclass(frozen=True, slots=True)
class Container:
    name: str
    instrumented: bool
    """it has podcov's data volume"""
    ports: Mapping[str, int]
    """its named ports"""
    command: tuple[str, ...] = ()
    """as its pod gives it; empty where it is the image's"""
    mounts: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """by path: the volume, and the folder in it"""


@dataclass(frozen=True, slots=True)
class Start:
    """One start of one container, as its status tells. Times are Unix seconds."""

    restart: int
    container_id: str = ""
    started: float | None = None
    finished: float | None = None
    ended: str = ""
    awaited: bool = False
    """as far as the container's own status tells; what has to run before it may have failed"""
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    name: str
    running: bool
    exit_code: int | None
    """of the latest start, where it has ended"""
    starts: tuple[Start, ...]
    """every start up to now, in order; what is not in the status any more is `UNSEEN`"""
    not_started: str = ""
    """why the program of the latest start could not be run at all; empty where it was"""
    last_words: str = ""
    """of the program of the latest start, where it has ended and its container has them in its status; on one line"""

    def not_running(self, *, ended: str, absent: str) -> str:
        """Why it has ended by itself, and what to do: `ended` where its program ran, `absent` where that could not be run."""
        if self.not_started:
            return f"its container {self.name} does not run, its program could not be started: {self.not_started}; {absent}"
        said = f" (it said: {_shortened(self.last_words)})" if self.last_words else ""
        return f"its container {self.name} does not run, it ended with exit code {self.exit_code}: {ended}{said}"


@dataclass(frozen=True, slots=True)
class Pod:
    namespace: str
    name: str
    uid: str
    version: int
    """grows with each change; 0 where the server's versions are no numbers"""
    labels: Mapping[str, str]
    owner_kind: str
    owner_name: str
    deleting: bool
    phase: str
    ready: bool
    restart_policy: str
    default_container: str
    containers: tuple[Container, ...]
    sidecars: tuple[Container, ...]
    """init containers that keep running beside the others"""
    statuses: Mapping[str, ContainerStatus]
    node: str = ""
    """its name; empty while none was found"""
    node_folders: Mapping[str, str] = field(default_factory=dict)
    """by volume: the folder of the node that it is"""
    obstacle: str = ""
    """what keeps its containers from starting, other than themselves; empty for nothing that is known, as in a pod that is being
    deleted: what has to run first is ended there, too"""
    told: bool = False
    """it has finished, and its node itself says so: what its statuses do not tell of did not run"""

    @property
    def finished(self) -> bool:
        """No container of it runs, nor will."""
        return self.phase in _FINISHED

    @property
    def ending(self) -> bool:
        """It was told to end, or its containers have ended for good and only sidecars may still run."""
        return self.deleting or self.finished or (bool(self.containers) and all(self._over(c) for c in self.containers))

    def container(self, name: str) -> Container | None:
        return next((c for c in (*self.containers, *self.sidecars) if c.name == name), None)

    def command(self, container: str) -> tuple[str, ...]:
        """What that container runs, as the pod says it; empty where only its image does."""
        found = self.container(container)
        return found.command if found else ()

    def node_folder(self, container: str, folder: str) -> str:
        """Where on the node a folder of a container lies; empty where it is none of the node's."""
        found = self.container(container)
        above = [mount for mount in found.mounts if f"{folder}/".startswith(f"{mount}/")] if found else []
        if not found or not above:
            return ""
        closest = max(above, key=len)
        volume, inside = found.mounts[closest]
        rest = folder.removeprefix(closest)
        return posixpath.normpath(f"{self.node_folders[volume]}/{inside}/{rest}") if volume in self.node_folders else ""

    def running(self, container: str) -> bool:
        status = self.statuses.get(container)
        return status is not None and status.running

    def _over(self, container: Container) -> bool:
        status = self.statuses.get(container.name)
        if status is None or status.exit_code is None:
            return False
        return self.restart_policy == "Never" or (self.restart_policy == "OnFailure" and status.exit_code == 0)


def parse(document: Mapping[str, Any]) -> Pod:
    """A pod from the API server's JSON."""
    metadata, spec, status = document["metadata"], document.get("spec") or {}, document.get("status") or {}
    owner: Mapping[str, str] = next((o for o in metadata.get("ownerReferences") or () if o.get("controller")), {})
    statuses = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return Pod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        version=int(version) if (version := metadata.get("resourceVersion", "")).isdecimal() else 0,
        labels=metadata.get("labels") or {},
        owner_kind=owner.get("kind", "").lower(),
        owner_name=owner.get("name", ""),
        deleting=bool(metadata.get("deletionTimestamp")),
        phase=status.get("phase", ""),
        ready=any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or ()),
        restart_policy=spec.get("restartPolicy", "Always"),
        default_container=(metadata.get("annotations") or {}).get(_DEFAULT_CONTAINER_ANNOTATION, ""),
        containers=tuple(_container(c) for c in spec.get("containers") or ()),
        sidecars=tuple(_container(c) for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"),
        statuses={s["name"]: _status(s) for s in statuses},
        node=spec.get("nodeName", ""),
        node_folders={v["name"]: v["hostPath"]["path"] for v in spec.get("volumes") or () if v.get("hostPath")},
        obstacle="" if metadata.get("deletionTimestamp") else _obstacle(status),
        told=status.get("phase") in _FINISHED and _told_by_its_node(status),
    )


def _told_by_its_node(status: Mapping[str, Any]) -> bool:
    """Whether it was the pod's kubelet that called it over, and not the garbage collector, which leaves all as it was last told.

    A kubelet does so when nothing runs any more. It has given up the sandbox then, without which no container runs, and what was
    to begin has an end without a trace, the first init container in any case. A pod that it refuses has no statuses at all; nor
    may one have that an older kubelet evicted.
    """
    first = status.get("initContainerStatuses") or ()
    containers = [*first, *(status.get("containerStatuses") or ())]
    if not containers:
        return str(status.get("message", "")).startswith(_REJECTED)
    if any("running" in (c.get("state") or {}) for c in containers):
        return False
    if any(_without_trace(c) for c in containers):
        return True
    conditions = {c["type"]: c["status"] for c in status.get("conditions") or ()}
    has_begun = any("terminated" in (c.get("state") or {}) for c in first[:1])
    return has_begun and conditions.get("PodReadyToStartContainers") == "False"


def _without_trace(container: Mapping[str, Any]) -> bool:
    """Its kubelet looked for it in the end, and knows of nothing that it ever was."""
    ended = (container.get("state") or {}).get("terminated") or {}
    before = container.get("restartCount") or container.get("lastState") or container.get("containerID")
    return ended.get("reason") == NOT_FOUND and not before


def _obstacle(status: Mapping[str, Any]) -> str:
    """No node has room for the pod, or one of the containers that have to run first fails."""
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("reason", ""))
    for document in status.get("initContainerStatuses") or ():
        first = _status(document)
        if first.exit_code or (first.starts[-1].started is None and not first.starts[-1].awaited):
            waiting = (document.get("state") or {}).get("waiting") or {}
            return f"its init container {first.name}: {waiting.get('reason') or f'exit code {first.exit_code}'}"
    return ""


def _container(document: Mapping[str, Any]) -> Container:
    return Container(
        name=document["name"],
        instrumented=any(m["mountPath"].rstrip("/") == DATA_FOLDER for m in document.get("volumeMounts") or ()),
        ports={p["name"]: p["containerPort"] for p in document.get("ports") or () if p.get("name")},
        command=tuple(document.get("command") or ()),
        mounts={m["mountPath"].rstrip("/"): (m["name"], m.get("subPath", "")) for m in document.get("volumeMounts") or ()},
    )


def _status(document: Mapping[str, Any]) -> ContainerStatus:
    state, last = document.get("state") or {}, document.get("lastState") or {}
    running, terminated, waiting = state.get("running"), state.get("terminated"), state.get("waiting") or {}
    count, latest_id = document.get("restartCount", 0), document.get("containerID", "")
    known: dict[int, Start] = {}
    if before := last.get("terminated"):
        # A container that waits for its next start is still counted, and named, as its previous one.
        known[count if not count or before.get("containerID") == latest_id else count - 1] = _terminated(before)
    if running:
        known[count] = Start(count, latest_id, _seconds(running.get("startedAt")))
    elif terminated:
        known[count] = _terminated(terminated)
    elif count not in known:
        known[count] = Start(count, ended=waiting.get("reason", ""))
    if not (running or count or last or latest_id):
        reason = (terminated or {}).get("reason") or waiting.get("reason", "")
        known[0] = replace(known[0], awaited=reason in ("", NOT_FOUND, *WAITS_FOR_ITS_TURN))
    final = terminated or (None if running else last.get("terminated"))
    ran = final is None or final.get("reason") not in _NOT_STARTED
    message = final.get("message", "") if final else ""
    return ContainerStatus(
        name=document["name"],
        running=bool(running),
        exit_code=final.get("exitCode") if final else None,
        starts=tuple(_with_unseen(known, count)),
        not_started="" if ran else message,
        last_words=" ".join(message.split()) if ran else "",
    )


def _shortened(words: str) -> str:
    """Begin and end: an argument that is not known is complained of first, and what a program ends of is said last."""
    return words if len(words) <= 2 * _SHOWN else f"{words[:_SHOWN]} ... {words[-_SHOWN:]}"


def _terminated(document: Mapping[str, Any]) -> Start:
    return Start(
        restart=0,
        container_id=document.get("containerID", ""),
        started=_seconds(document.get("startedAt")),
        finished=_seconds(document.get("finishedAt")),
        ended=document.get("reason") or f"exit code {document.get('exitCode')}",
        exit_code=document.get("exitCode"),
    )


def _with_unseen(known: Mapping[int, Start], latest: int) -> Iterable[Start]:
    """All starts from the first to the latest. One that nothing tells of had ended when the next began."""
    for restart in range(latest + 1):
        start = known.get(restart)
        if start is None:
            following = next((known[r].started for r in range(restart + 1, latest + 1) if r in known), None)
            yield Start(restart, finished=following, ended=UNSEEN)
        else:
            yield replace(start, restart=restart)


def _seconds(time: str | None) -> float | None:
    # Kubernetes writes the year 1 or 1970 where a time is not known.
    if not time or time.startswith(("0001-", "1970-")):
        return None
    return datetime.fromisoformat(time).timestamp()


@dataclass(frozen=True, slots=True)
class NamePattern:
    """Pods by their names, `*` and `?` in it standing for what differs."""

    pattern: str

    def owns(self, pod: Pod) -> bool:
        return fnmatchcase(pod.name, self.pattern)


@dataclass(frozen=True, slots=True)
class Workload:
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    def owns(self, pod: Pod) -> bool:
        match self.kind:
            case "pod":
                return pod.name == self.name
            case "deployment":
                template = pod.labels.get("pod-template-hash", "")
                return pod.owner_kind == "replicaset" and bool(template) and pod.owner_name == f"{self.name}-{template}"
            case "cronjob":
                job, _, moment = pod.owner_name.rpartition("-")
                return pod.owner_kind == "job" and job == self.name and moment.isdigit()
            case kind:
                return pod.owner_kind == kind and pod.owner_name == self.name


def workload(text: str, *, where: str, kinds: Sequence[str] = _WORKLOAD_KINDS) -> Workload:
    """`KIND/NAME`, in long or short form. Raises UsageError; `where` says which setting is wrong."""
    kind, slash, name = text.partition("/")
    kind = _SHORT_KINDS.get(kind.lower(), kind.lower())
    if not slash or not name or kind not in kinds:
        raise UsageError(f"{where}: {text!r} names no workload", hint=f"write KIND/NAME with one of: {', '.join(kinds)}")
    return Workload(kind, name)


def criterion(service: Service) -> Workload | LabelSelector | NamePattern:
    """What says which pods run the service. Raises UsageError where nothing does, or it cannot be understood."""
    if service.selector:
        return cluster_labels.parse(service.selector)
    if service.pods and not service.workload:
        return NamePattern(service.pods)
    where = f"services.{service.name}.workload"
    if not service.workload:
        raise UsageError(
            f"{where}: neither a workload, nor a selector, nor a pattern of names says which pods run this service",
            hint="write `workload: deployment/NAME` in podcov.yaml, or a label selector as `selector`, or `pods: NAME-*`",
        )
    return workload(service.workload, where=where)


def selects(service: Service, pod: Pod) -> bool:
    """The pod runs the service. Namespaces are the caller's matter."""
    wanted = criterion(service)
    return wanted.matches(pod.labels) if isinstance(wanted, LabelSelector) else wanted.owns(pod)


def container_of(service: Service, pod: Pod) -> str:
    """The container that runs the service: the configured one, the pod's default, or its first."""
    return service.container or pod.default_container or next((c.name for c in pod.containers), "")


def services_of(services: Iterable[Service], pod: Pod) -> dict[str, Service]:
    """The pod's containers that run one of the services, each with the first that claims it.

    Raises UsageError where the workload's pod has no container of the name that a service gives. A selector may match pods of
    others, too.
    """
    present = [c.name for c in _lasting(pod)]
    claimed: dict[str, Service] = {}
    for service in services:
        if selects(service, pod):
            container = container_of(service, pod)
            if container not in present:
                if service.selector or service.pods:
                    continue
                raise UsageError(
                    f"services.{service.name}.container: {pod.namespace}/{pod.name} has no container {container!r}",
                    hint=f"its containers: {', '.join(present)}",
                )
            claimed.setdefault(container, service)
    return claimed


def by_recorder(claimed: Mapping[str, Service], pod: Pod) -> list[dict[str, Service]]:
    """The services' containers, those together that share a data volume, which is what one courier holds.

    Those that measure themselves are never with others, nor those whose files are on the node with those whose are in the pod. A
    container that has no data volume is with the first of its kind.
    """
    parties: dict[tuple[str, str], dict[str, Service]] = {}
    for container in sorted(claimed, key=lambda name: not _data_volume(name, pod)):
        service = claimed[container]
        source = service.dump.source if service.dump else ""
        volume = _data_volume(container, pod) or next((volume for other, volume in parties if other == source), "")
        parties.setdefault((source, volume), {})[container] = service
    order = {container: place for place, container in enumerate(claimed)}
    ordered = [dict(sorted(party.items(), key=lambda item: order[item[0]])) for party in parties.values()]
    return sorted(ordered, key=lambda party: order[next(iter(party))])


def address_of(claimed: Mapping[str, Service], pod: Pod, *, alone: bool = True) -> CourierAddress:
    """Where the courier of these containers is: its sidecar, else the first of them. `alone`: the pod has no other courier.

    What stays on the node outlives the pod, as what a sidecar holds does.
    """
    first, courier, outlives = next(iter(claimed)), courier_of(claimed, pod), on_node(claimed)
    container = first if outlives else courier or first
    return CourierAddress(
        service=claimed[first].name,
        namespace=pod.namespace,
        pod=pod.name,
        pod_uid=pod.uid,
        container=container,
        sidecar=bool(courier) or outlives,
        containers=tuple(claimed),
        part="" if alone else container,
        asked_at_end=any(service.dump is not None and service.dump.by == "killswitch" for service in claimed.values()),
    )


def courier_of(claimed: Iterable[str], pod: Pod) -> str:
    """The sidecar that shares the data volume of these containers; empty where there is none."""
    volumes = {volume for container in claimed if (volume := _data_volume(container, pod))}
    couriers = (sidecar.name for sidecar in pod.sidecars if is_courier_container(sidecar.name))
    return next((name for name in couriers if _data_volume(name, pod) in volumes), "")


def _data_volume(container: str, pod: Pod) -> str:
    found = pod.container(container)
    volume, _ = found.mounts.get(DATA_FOLDER, ("", "")) if found else ("", "")
    return volume


def on_node(claimed: Mapping[str, Service]) -> bool:
    """All that the services leave is taken from the pod's node."""
    return all(service.dump is not None and service.dump.source == "nodes" for service in claimed.values())


def instrumented(claimed: Mapping[str, Service], pod: Pod) -> bool:
    """At least one of the services' containers has podcov's data volume, or needs none: it measures itself."""
    return any(c.instrumented or claimed[c.name].dump for c in _lasting(pod) if c.name in claimed)


def _lasting(pod: Pod) -> list[Container]:
    """Those that may run a service: a service may itself be a sidecar."""
    return [c for c in (*pod.containers, *pod.sidecars) if not is_courier_container(c.name)]


def starts_of(address: CourierAddress, claimed: Mapping[str, Service], pod: Pod) -> list[ContainerStart]:
    """Every start of the services' containers that the pod's status tells of, or implies.

    Of one whose kubelet has lost track of it nobody can tell when it began, but it did.
    """
    return [
        ContainerStart(
            address=address,
            service=service.name,
            container=container,
            container_id=start.container_id,
            restart=start.restart,
            started=start.started,
            finished=start.finished,
            ended=(pod.obstacle if start.awaited else _lost_track(start)) or start.ended,
            awaited=start.awaited and not pod.obstacle,
            exit_code=start.exit_code,
        )
        for container, service in claimed.items()
        for start in (pod.statuses[container].starts if container in pod.statuses else (Start(0, awaited=True),))
    ]


def _lost_track(start: Start) -> str:
    return UNTOLD if start.started is None and start.ended == NOT_FOUND else ""
