"""The platform `kubernetes`: finds the pods of the services, calls their couriers, watches them, and forwards ports to them.

What pods mean is decided in `pods` and `table`, without a cluster; requests are made in `api`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from types import TracebackType
from typing import Self

from podcov import languages
from podcov.config import Config, Service
from podcov.dumps.host_courier import HostCourier
from podcov.dumps.metas import Metas
from podcov.edges.cluster import access as cluster_access
from podcov.edges.cluster import exec as cluster_exec
from podcov.edges.cluster import labels, scale, settling
from podcov.edges.cluster import pods as cluster_pods
from podcov.edges.cluster.api import Api, Failed
from podcov.edges.cluster.exec import Cut, Invocation, Search
from podcov.edges.cluster.forwards import open_forwards
from podcov.edges.cluster.hands import ClusterHands
from podcov.edges.cluster.nodes import NodeCouriers
from podcov.edges.cluster.pods import Pod
from podcov.edges.cluster.scale import Scaled
from podcov.edges.cluster.table import Entry, PodTable
from podcov.edges.cluster.targets import Note
from podcov.errors import ClusterError, NoDataError
from podcov.formats.courier import frame
from podcov.generate import deploying
from podcov.platform import ContainerStart, CourierAddress, CourierAnswer, CourierUnreachable, PlatformEvent

SKAFFOLD_RUN_ID = "skaffold.dev/run-id"
TILT = "app.kubernetes.io/managed-by=tilt"

CALLS_AT_ONCE = 16
_WAITING_COMMAND = "wait"
"""The courier's long poll. It costs nothing while it waits, and must not keep others from being called."""
_LIST_ATTEMPTS = 7
"""with pauses that double, a quarter of a minute in all: an API server that is replaced meanwhile"""
ACCEPT_SECONDS = 30.0
"""How long the server may take to begin the first watch of a namespace, over as many attempts as that allows."""
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
"""seconds between two watches, while they fail"""
_PODS_NAMED = 12
LAST_STATE_SECONDS = 2.0
"""that a watch gets to tell what a pod was last that a list does not have any more"""
_LAST_STATE_POLL = 0.02
GOING_SECONDS = 120.0
"""that pods of a workload which was scaled to 0 get from one of them being gone to the next"""
_GOING_POLL = 0.25


class ClusterPlatform:
    """One cluster, for one run. An async context manager: it watches from entering to leaving.

    `namespaces` are where services live that name none; empty: the configuration's, else the context's own. `run_id` is
    Skaffold's, `tilt` says that only what Tilt deployed counts, `selector` is a label selector; all that are given must hold.
    With `tilt`, entering waits until all that was deployed is there; `note` is told what for.

    Entering raises ClusterError where there is no kubeconfig, no such context, no answer, or no permission, and UsageError where
    the configuration cannot be followed.
    """

    name = "kubernetes"

    def __init__(
        self,
        config: Config,
        *,
        context: str = "",
        namespaces: Sequence[str] = (),
        run_id: str = "",
        tilt: bool = False,
        selector: str = "",
        note: Note = lambda _: None,
    ) -> None:
        self._config = config
        self._tilt = tilt
        self._note = note
        self._context = context or config.context
        self._default_namespaces = tuple(namespaces) or ((config.namespace,) if config.namespace else ())
        self._only_this_deployment = bool(run_id)
        self._selector = ",".join(filter(None, (f"{SKAFFOLD_RUN_ID}={run_id}" if run_id else "", TILT if tilt else "", selector)))
        self._calls = asyncio.Semaphore(CALLS_AT_ONCE)
        self._refreshing = asyncio.Lock()
        self._refreshed = float("-inf")
        """when the last list was asked for (the loop's clock)"""
        self._invocations: dict[tuple[str, str], Invocation] = {}
        self._host_couriers: dict[str, HostCourier] = {}
        """by the courier's id, where services measure themselves"""
        self._metas = Metas()
        self._never_told: set[str] = set()
        """pods that are gone, and of which the watch was waited for in vain"""
        self._backlog: list[PlatformEvent] = []
        self._subscribers: list[asyncio.Queue[PlatformEvent | None]] = []
        self._watchers: list[asyncio.Task[None]] = []
        self._failure: Exception | None = None
        self._versions: dict[str, str] = {}
        """by namespace: the resource version up to which everything is known; empty where that is too long ago"""
        self._interruptions: dict[str, str] = {}
        """by namespace: why the last watch that failed did"""
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        labels.parse(self._selector)
        for service in self._config.services:
            cluster_pods.criterion(service)
        access = await cluster_access.find(self._context)
        default = self._default_namespaces or (access.namespace,)
        namespaces = {s.name: (s.namespace,) if s.namespace else default for s in self._config.services}
        self._namespaces = sorted({name for names in namespaces.values() for name in names})
        self._default_namespace = default[0]
        self._table = PodTable(self._config.services, namespaces)
        self._node_couriers = NodeCouriers(self._table)
        async with AsyncExitStack() as stack:
            self._api = await stack.enter_async_context(Api(access))
            stack.push_async_callback(self._end_watching)
            if any(service.dump and service.dump.by == "exit" for service in self._config.services):
                await self._restore()
            if self._tilt:
                await self._until_settled(namespaces)
            for namespace in self._namespaces:
                await self._begin_watching(namespace)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def addresses(self) -> Sequence[CourierAddress]:
        await self._refresh()
        entries = self._table.entries()
        if not entries:
            raise await self._no_pods()
        if not any(entry.instrumented for entry in entries):
            pods = {entry.pod.uid for entry in entries}
            raise NoDataError(
                f"none of the {len(pods)} pods carries podcov, such as {entries[0].address.name} ({self._where()})",
                hint=deploying.hint(self._config.generate),
            )
        return [entry.address for entry in entries]

    async def call(
        self, address: CourierAddress, arguments: Sequence[str], stdin: bytes = b"", *, seconds: float = 60
    ) -> CourierAnswer:
        """Also raises ClusterError where exec is forbidden. Waiting for its turn does not count as `seconds`."""
        if courier := self._node_couriers.of(address):
            return await self._answer(courier, address, arguments, stdin, seconds)
        if arguments[0] == _WAITING_COMMAND:
            return await self._call(address, arguments, stdin, seconds)
        async with self._calls:
            return await self._call(address, arguments, stdin, seconds)

    async def watch(self) -> AsyncIterator[PlatformEvent]:
        """Also what has happened since the platform was entered, to the first who asks. Raises ClusterError where it must end."""
        queue: asyncio.Queue[PlatformEvent | None] = asyncio.Queue()
        for event in self._backlog:
            queue.put_nowait(event)
        self._backlog.clear()
        self._subscribers.append(queue)
        try:
            while self._failure is None and (event_or_end := await queue.get()) is not None:
                yield event_or_end
        finally:
            self._subscribers.remove(queue)
        if self._failure:
            raise self._failure

    async def starts(self) -> Sequence[ContainerStart]:
        await self._refresh()
        await self._until_last_states_are_told()
        return self._table.starts()

    def ending_to_hand_over(self, addresses: Sequence[CourierAddress]) -> Sequence[CourierAddress]:
        return [address for address in addresses if self._to_be_scaled(address)]

    @asynccontextmanager
    async def stopping(self, addresses: Sequence[CourierAddress]) -> AsyncIterator[Sequence[str]]:
        workloads = list(dict.fromkeys(w for w in map(self._to_be_scaled, addresses) if w))
        async with scale.at_zero(self._api, workloads):
            await self._until_gone({address.pod_uid for address in addresses})
            try:
                yield [str(workload) for workload in workloads]
            finally:
                self._table.close()

    def _to_be_scaled(self, address: CourierAddress) -> Scaled | None:
        """What is scaled to have the pod hand over what it ran; with one of its containers all of them end."""
        entries = self._table.of_pod(address.pod_uid)
        hands_over = any(s.dump and s.dump.by == "exit" for entry in entries for s in entry.services.values())
        return scale.workload_of(entries[0].pod) if hands_over else None

    async def _restore(self) -> None:
        """What an earlier podcov left at 0 is to be measured, too."""
        try:
            await scale.restore(self._api, self._namespaces)
        except Failed as failure:
            raise self._no_answer(failure) from failure

    async def _until_settled(self, namespaces: Mapping[str, Sequence[str]]) -> None:
        """Skaffold does so before it calls podcov. `namespaces` are those of each service, by its name."""
        services = {name: [s for s in self._config.services if name in namespaces[s.name]] for name in self._namespaces}
        try:
            await settling.until_settled(self._api, services, labels.parse(self._selector), self._note)
        except Failed as failure:
            raise self._no_answer(failure) from failure

    async def _until_gone(self, uids: set[str]) -> None:
        """Until none of the pods is there, or none has gone for so long that none will."""
        loop = asyncio.get_running_loop()
        left, end = uids, loop.time() + GOING_SECONDS
        while left and loop.time() < end:
            await asyncio.sleep(_GOING_POLL)
            await self._refresh()
            remaining = {uid for uid in left if not all(entry.gone for entry in self._table.of_pod(uid))}
            if remaining != left:
                left, end = remaining, loop.time() + GOING_SECONDS

    async def _until_last_states_are_told(self) -> None:
        """A list may be ahead of the watch, which alone tells what a pod was last; each is waited for once, within a bound."""
        loop = asyncio.get_running_loop()
        end = loop.time() + LAST_STATE_SECONDS
        while waiting := self._table.without_last_state() - self._never_told:
            if loop.time() > end:
                self._never_told |= waiting
            await asyncio.sleep(_LAST_STATE_POLL)

    def forwards(self) -> AbstractAsyncContextManager[Mapping[str, str]]:
        return open_forwards(self._api, self._config.port_forwards, self._default_namespace)

    # Watching

    async def _begin_watching(self, namespace: str) -> None:
        """Lists what there is, and follows what happens from there; returns when the server has accepted the watch."""
        try:
            documents, version = await self._api.list_pods(namespace, self._selector)
        except Failed as failure:
            raise self._no_answer(failure) from failure
        pods = [cluster_pods.parse(document) for document in documents]
        self._table.leave_out(pod for pod in pods if self._is_of_the_past(pod))
        for pod in pods:
            self._table.observe(pod)
        self._versions[namespace] = version
        accepted = asyncio.Event()
        self._watchers.append(asyncio.create_task(self._follow(namespace, accepted), name=f"watch {namespace}"))
        try:
            async with asyncio.timeout(ACCEPT_SECONDS):
                await accepted.wait()
        except TimeoutError:
            raise self._no_watch(namespace) from None
        if self._failure:
            raise self._failure

    def _is_of_the_past(self, pod: Pod) -> bool:
        """It was ending before podcov looked. One that had finished still counts where it is surely of this deployment."""
        return pod.deleting or (pod.finished and not self._only_this_deployment)

    async def _follow(self, namespace: str, accepted: asyncio.Event) -> None:
        """Watches until cancelled. What ends it otherwise is kept for those who ask next."""
        pause = _SHORTEST_PAUSE
        try:
            while True:
                try:
                    await self._watch_once(namespace, accepted)
                    pause = _SHORTEST_PAUSE
                except Failed as failure:
                    self._interruptions[namespace] = str(failure)
                    if failure.status == 410:
                        self._versions[namespace] = ""
                    pause = min(2 * pause, _LONGEST_PAUSE)
                await asyncio.sleep(pause)
        except Exception as error:
            self._failure = error
            self._wake_subscribers()
        finally:
            accepted.set()

    async def _watch_once(self, namespace: str, accepted: asyncio.Event) -> None:
        """Follows from the last version that is known until the connection ends."""
        if not self._versions[namespace]:
            self._versions[namespace] = await self._relist(namespace)
        async with aclosing(self._api.watch_pods(namespace, self._selector, self._versions[namespace])) as events:
            async for kind, document in events:
                if kind == "WATCHING":
                    accepted.set()
                    continue
                if kind != "BOOKMARK":
                    self._take(kind, cluster_pods.parse(document))
                self._versions[namespace] = document["metadata"]["resourceVersion"]

    def _take(self, kind: str, pod: Pod) -> None:
        self._publish(self._table.remove(pod) if kind == "DELETED" else self._table.observe(pod))

    async def _relist(self, namespace: str) -> str:
        """Compares with what there is now, so that nothing is missed between two watches; the version of the list."""
        known = self._table.uids(namespace)
        documents, version = await self._api.list_pods(namespace, self._selector)
        pods = [cluster_pods.parse(document) for document in documents]
        for pod in pods:
            self._publish(self._table.observe(pod))
        for uid in known - {pod.uid for pod in pods}:
            self._publish(self._table.forget(uid))
        return version

    async def _refresh(self) -> None:
        """Takes in what there is now. Whoever asks while another does shares the next list, not the one that is under way."""
        asked = asyncio.get_running_loop().time()
        async with self._refreshing:
            if self._failure:
                raise self._failure
            if self._refreshed < asked:
                self._refreshed = asyncio.get_running_loop().time()
                for namespace in self._namespaces:
                    await self._relist_patiently(namespace)

    async def _relist_patiently(self, namespace: str) -> None:
        for attempt in range(_LIST_ATTEMPTS):
            try:
                await self._relist(namespace)
                return
            except Failed as failure:
                if attempt == _LIST_ATTEMPTS - 1:
                    raise self._no_answer(failure) from failure
                await asyncio.sleep(0.25 * 2**attempt)

    def _publish(self, events: Iterable[PlatformEvent]) -> None:
        for event in events:
            for queue in self._subscribers:
                queue.put_nowait(event)
            if not self._subscribers:
                self._backlog.append(event)

    async def _end_watching(self) -> None:
        for task in self._watchers:
            task.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        self._wake_subscribers()

    def _wake_subscribers(self) -> None:
        for queue in self._subscribers:
            queue.put_nowait(None)

    # Calling

    @staticmethod
    async def _answer(
        courier: HostCourier, address: CourierAddress, arguments: Sequence[str], stdin: bytes, seconds: float
    ) -> CourierAnswer:
        try:
            return await asyncio.wait_for(courier.answer(arguments, stdin), seconds)
        except TimeoutError:
            raise CourierUnreachable(address, f"no answer to {arguments[0]!r} within {seconds:g} s") from None

    async def _call(self, address: CourierAddress, arguments: Sequence[str], stdin: bytes, seconds: float) -> CourierAnswer:
        entry = self._table.entry(address)
        if entry and entry.gone:
            raise CourierUnreachable(address, "the pod is gone", gone=True)
        try:
            async with asyncio.timeout(seconds):
                if entry and any(service.dump for service in entry.services.values()):
                    answer = await self._host_courier(entry).answer(arguments, stdin)
                else:
                    answer = await self._run(address, entry, arguments, frame(stdin) if stdin else b"")
                if await self._replaced(address, entry):
                    raise CourierUnreachable(address, "another pod has its name now", gone=True)
        except TimeoutError as error:
            self._table.note_silence(address, silent=True)
            raise CourierUnreachable(address, f"no answer to {arguments[0]!r} within {seconds:g} s") from error
        except (Failed, Cut) as error:
            if isinstance(error, Failed):  # a connection that was cut had been made
                self._table.note_silence(address, silent=not error.by_node)
            raise await self._unreachable(address, error) from error
        self._table.note_silence(address, silent=False)
        return answer

    def _host_courier(self, entry: Entry) -> HostCourier:
        """What answers for services of a pod that measure themselves."""
        key = entry.address.id
        if key not in self._host_couriers:
            hands = ClusterHands(self._api, entry, self._refresh)
            self._host_couriers[key] = HostCourier(hands, entry.services, self._metas, time.time)
        return self._host_couriers[key]

    async def _run(self, address: CourierAddress, entry: Entry | None, arguments: Sequence[str], stdin: bytes) -> CourierAnswer:
        """Runs the courier the way that worked before, else in the first way that exists."""
        if entry and not entry.instrumented:
            raise CourierUnreachable(address, "the pod does not carry podcov: was it deployed without the coverage profile?")
        key = address.pod_uid, address.container
        search = self._search(address, entry)
        for way in [self._invocations[key]] if key in self._invocations else search:
            outcome = await cluster_exec.run(
                self._api, address.namespace, address.pod, way.container, way.command(arguments), stdin
            )
            if search.rule_out(way, outcome):
                self._invocations.pop(key, None)
                continue
            if outcome.exit_code is None:
                raise Cut(outcome.stderr)
            if outcome.signal:
                raise Cut(f"the courier was ended by signal {outcome.signal}: its container was ended, or is out of memory")
            self._invocations[key] = way
            return CourierAnswer(outcome.exit_code, outcome.stdout, outcome.stderr)
        raise CourierUnreachable(address, search.reason, unbegun=search.unbegun)

    @staticmethod
    def _containers(address: CourierAddress, entry: Entry | None) -> Sequence[str]:
        """Without a sidecar any of the containers will do, as long as it runs."""
        if address.sidecar or entry is None:
            return [address.container]
        running = [container for container in address.containers if entry.pod.running(container)]
        return running or [address.container]

    def _search(self, address: CourierAddress, entry: Entry | None) -> Search:
        ways: list[Invocation] = []
        unknown = "nothing was tried"
        for container in self._containers(address, entry):
            command = entry.pod.command(container) if entry else ()
            for service in self._services(container, address, entry):
                courier = languages.of(service.language).courier
                found = courier.ways(service, container, command, sidecar=address.sidecar)
                ways += [Invocation(container, words, courier) for words in found]
                unknown = courier.unknown
        return Search(ways, nowhere=unknown)

    def _services(self, container: str, address: CourierAddress, entry: Entry | None) -> Iterable[Service]:
        """Whose courier may be in a container: the sidecar is one of them all."""
        if entry is None:
            return [self._config.service(address.service)]
        own = entry.services.get(container)
        return [own] if own else entry.services.values()

    async def _replaced(self, address: CourierAddress, entry: Entry | None) -> bool:
        """A StatefulSet gives a new pod the name of the old one, and exec goes by name."""
        if entry and entry.pod.owner_kind not in ("statefulset", ""):
            return False
        document = await self._api.pod(address.namespace, address.pod)
        return document is not None and document["metadata"]["uid"] != address.pod_uid

    async def _unreachable(self, address: CourierAddress, error: Failed | Cut) -> CourierUnreachable:
        """What an exec that failed means. Gone is a pod, or the container in it that was called, that will never answer again."""
        try:
            document = await self._api.pod(address.namespace, address.pod)
        except Failed:
            return CourierUnreachable(address, str(error))
        if document is None or document["metadata"]["uid"] != address.pod_uid:
            return CourierUnreachable(address, str(error), gone=True)
        pod = cluster_pods.parse(document)
        gone = pod.finished or (pod.deleting and not pod.running(address.container))
        return CourierUnreachable(address, str(error) if gone else self._explained(address, pod, error), gone=gone)

    def _explained(self, address: CourierAddress, pod: Pod, error: Failed | Cut) -> str:
        """The exec's own words say little of a container that is between two starts."""
        status = pod.statuses.get(address.container)
        if not address.sidecar or status is None or status.running or status.exit_code is None:
            return str(error)
        courier = languages.of(self._config.service(address.service).language).courier
        return status.not_running(ended=courier.ended, absent=courier.absent)

    # What to tell

    def _where(self) -> str:
        parts = [
            f"context {self._api.access.context!r}",
            f"namespace {', '.join(self._namespaces)}",
            f"label selector {self._selector!r}" if self._selector else "no label selector",
        ]
        return "; ".join(parts)

    def _no_answer(self, failure: Failed) -> ClusterError:
        return ClusterError(
            f"no answer from context {self._api.access.context!r}: {failure}",
            hint="is the cluster running, and is this the right context? `kubectl cluster-info` asks the same server",
        )

    def _no_watch(self, namespace: str) -> ClusterError:
        said = self._interruptions.get(namespace, "it does not answer")
        return ClusterError(
            f"context {self._api.access.context!r} lists the pods of namespace {namespace!r}, and does not begin to watch them "
            f"within {ACCEPT_SECONDS:g} s: {said}",
            hint="podcov must hear of pods that start and end meanwhile; does a proxy before the server hold its answers back? "
            f"`kubectl get pods --watch --namespace {namespace}` asks for the same",
        )

    async def _no_pods(self) -> NoDataError:
        present: list[Pod] = []
        for namespace in self._namespaces:
            documents, _ = await self._api.list_pods(namespace)
            present += [cluster_pods.parse(document) for document in documents]
        return self._nothing_matches(present)

    def _nothing_matches(self, present: Sequence[Pod]) -> NoDataError:
        wanted = ", ".join(f"{s.name} ({s.selector or s.workload})" for s in self._config.services)
        there = [f"{pod.namespace}/{pod.name}" + (" (ending)" if pod.ending else "") for pod in present]
        more = f" and {len(there) - _PODS_NAMED} more" if len(there) > _PODS_NAMED else ""
        return NoDataError(
            f"no pod of any service was found ({self._where()}); looked for {wanted}; "
            + (f"pods there: {', '.join(there[:_PODS_NAMED])}{more}" if there else "there is no pod at all"),
            hint="is it deployed, in this namespace, and by this run? Look at `workload` and `selector` in podcov.yaml, and at "
            "`kubectl get pods --show-labels`",
        )
