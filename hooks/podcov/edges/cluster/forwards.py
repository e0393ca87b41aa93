"""Where port-forwards lead in a cluster: to a ready pod of the resource, the same one for as long as it is ready."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from podcov.config import PortForward
from podcov.edges import forwards
from podcov.edges.cluster import pods as cluster_pods
from podcov.edges.cluster.api import Api, Failed
from podcov.edges.cluster.pods import Pod, Workload
from podcov.edges.forwards import Refused
from podcov.errors import ClusterError, UsageError

READY_SECONDS = 60.0
"""How long a connection waits for a pod to become ready."""

KINDS = ("service", "deployment", "statefulset", "daemonset", "replicaset", "job", "pod")
"""of what may be forwarded to"""
_FRESH_SECONDS = 1.0
_PAUSE = 0.25
_DATA, _ERROR = 0, 1


@asynccontextmanager
async def open_forwards(api: Api, declared: Sequence[PortForward], namespace: str) -> AsyncIterator[Mapping[str, str]]:
    """Local servers for all that is declared; yields the environment variables for the tests.

    `namespace` is that of forwards which name none. Raises UsageError for a resource or port that does not exist and for a local
    port in use, ClusterError where port-forwarding is forbidden.
    """
    routes = [await _route(api, forward, forward.namespace or namespace) for forward in declared]
    for route in routes:
        await route.check_permission()
    async with forwards.serve([(f, route.dial) for f, route in zip(declared, routes, strict=True)]) as environment:
        yield environment


async def _route(api: Api, forward: PortForward, namespace: str) -> _Route:
    resource = cluster_pods.workload(forward.resource, where="port_forwards", kinds=KINDS)
    if resource.kind != "service":
        return _Route(api, namespace, resource, resource.owns, forward.port)
    try:
        document = await api.service(namespace, resource.name)
    except Failed as failure:
        raise ClusterError(f"{resource} in namespace {namespace!r}: {failure}", hint="try again") from failure
    if document is None:
        raise UsageError(
            f"port_forwards: there is no {resource} in namespace {namespace!r}",
            hint="`kubectl get services` lists what there is; `namespace` says where else to look",
        )
    spec = document.get("spec") or {}
    selector = spec.get("selector") or {}
    if not selector:
        raise UsageError(f"port_forwards: {resource} selects no pods", hint="forward to a deployment or a pod instead")
    return _Route(api, namespace, resource, lambda pod: selector.items() <= pod.labels.items(), target_port(spec, forward))


def target_port(spec: Mapping[str, Any], forward: PortForward) -> int | str:
    """The port of the pods behind a port of a Service, a number or a name. Raises UsageError where there is none."""
    ports = spec.get("ports") or ()
    for port in ports:
        if port["port"] == forward.port:
            target: int | str = port.get("targetPort") or forward.port
            return target
    raise UsageError(
        f"port_forwards: {forward.resource} has no port {forward.port}",
        hint=f"its ports: {', '.join(str(port['port']) for port in ports) or 'none'}",
    )


@dataclass(slots=True)
class _Route:
    """The way to the pods of one resource."""

    api: Api
    namespace: str
    resource: Workload
    belongs: Callable[[Pod], bool]
    port: int | str
    _ready: list[Pod] = field(default_factory=list)
    _listed: float = float("-inf")
    _listing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _chosen: str = ""
    """uid of the pod that connections go to"""

    async def check_permission(self) -> None:
        """Raises ClusterError where port-forwarding to a pod that is there is forbidden."""
        for pod in (await self._ready_pods())[:1]:
            try:
                async with self.api.portforward(self.namespace, pod.name, self._port_of(pod)):
                    pass
            except (Failed, Refused):
                return

    @asynccontextmanager
    async def dial(self) -> AsyncIterator[forwards.Remote]:
        pod = await self._pick()
        try:
            async with self.api.portforward(self.namespace, pod.name, self._port_of(pod)) as websocket:
                yield _Channels(websocket, pod.name)
        except (Failed, Refused) as error:
            # Whatever is known of the pods may be out of date: look again before the next connection, and at others first.
            self._listed, self._chosen = float("-inf"), ""
            self._ready = [other for other in self._ready if other.uid != pod.uid]
            raise error if isinstance(error, Refused) else Refused(str(error)) from error

    async def _pick(self) -> Pod:
        """The pod of the last connection while it is ready, else another; waits where none is."""
        deadline = _now() + READY_SECONDS
        while not (ready := await self._ready_pods()):
            if _now() > deadline:
                raise Refused(f"no pod of {self.namespace}/{self.resource} became ready within {READY_SECONDS:g} s")
            await asyncio.sleep(_PAUSE)
        pod = next((pod for pod in ready if pod.uid == self._chosen), ready[0])
        self._chosen = pod.uid
        return pod

    async def _ready_pods(self) -> list[Pod]:
        async with self._listing:
            if _now() - self._listed > _FRESH_SECONDS:
                try:
                    documents, _ = await self.api.list_pods(self.namespace)
                except Failed:
                    return []
                pods = [cluster_pods.parse(document) for document in documents]
                ready = (pod for pod in pods if pod.ready and not pod.ending and self.belongs(pod))
                self._ready = sorted(ready, key=lambda pod: pod.name)
                self._listed = _now()
            return self._ready

    def _port_of(self, pod: Pod) -> int:
        if isinstance(self.port, int):
            return self.port
        for container in pod.containers:
            if self.port in container.ports:
                return container.ports[self.port]
        raise Refused(f"pod {self.namespace}/{pod.name} has no port named {self.port!r}")


async def get(api: Api, namespace: str, pod: str, port: int, path: str) -> str:
    """Asks a port of a pod for a path: the status code, `closed` where it ended the connection without, `refused`.

    Raises ClusterError where port-forwarding is forbidden, and Failed.
    """
    try:
        async with api.portforward(namespace, pod, port) as websocket:
            channels = _Channels(websocket, pod)
            await channels.send(b"GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n" % path.encode())
            head = (await channels.receive()).split(maxsplit=2)
            while await channels.receive():
                pass
    except Refused:
        return "refused"
    except ConnectionResetError:
        return "closed"
    return head[1].decode() if len(head) > 1 else "closed"


class _Channels:
    """One forwarded port: data and errors on two channels of a websocket, each of which begins by saying its port."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse, pod: str) -> None:
        self._websocket = websocket
        self._pod = pod
        self._begun: set[int] = set()

    async def send(self, data: bytes) -> None:
        await self._websocket.send_bytes(bytes([_DATA]) + data)

    async def receive(self) -> bytes:
        async for message in self._websocket:
            if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                continue
            channel, data = message.data[0], message.data[1:]
            if channel not in self._begun:
                self._begun.add(channel)
            elif channel == _ERROR and data:
                raise self._trouble(data.decode(errors="replace"))
            elif channel == _DATA and data:
                return bytes(data)
        return b""

    def _trouble(self, text: str) -> Exception:
        told = f"pod {self._pod}: {text.strip()}"
        return Refused(told) if "refused" in text or "failed to connect" in text else ConnectionResetError(told)


def _now() -> float:
    return asyncio.get_running_loop().time()
