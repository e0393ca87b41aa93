"""Collecting: mark, follow what starts and ends, dump, pull. Talks to couriers through a `Platform` and decides nothing.

What came is kept in a `RawStore`, what did not come is remembered in `Collected` for the ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Protocol

from podcov.errors import ClusterError, DamagedError, NoDataError
from podcov.formats.bundle import Bundle, read_bundle
from podcov.formats.courier import TargetStatus, read_answers, read_ended, status_of
from podcov.platform import ContainerStart, CourierAddress, CourierAnswer, CourierUnreachable, Platform, PlatformEvent
from podcov.raw import RawStore, TargetInfo, digest_of

ATTEMPTS = 3
LEASE_SECONDS = 60
LEASE_RENEWAL_SECONDS = 20
MARK_SECONDS = 40.0
PULL_SECONDS = 120.0
LAST_PULL_SECONDS = 60.0
"""how long pods that are ending are waited for once the tests are over: twice the default grace period"""
COMING_SECONDS = 30.0
"""how long pods that are just starting get to serve once the tests are over, and programs in their containers to begin before"""
COMING_POLL_SECONDS = 1.0
WAIT_SECONDS = 10.0
"""of one long poll; between two of them we look whether there is still time"""


class Progress(Protocol):
    """Tells people what is going on. `verbose` notes are only for those who asked."""

    def step(self, text: str) -> None: ...

    def note(self, text: str, *, verbose: bool = False) -> None: ...


@dataclass
class Collected:
    """What marks, dumps and pulls said. Process ids are per target: `<pod uid>/<container>/<start id>` -> process -> reason."""

    unmarked: dict[str, dict[str, str]] = field(default_factory=dict)
    undumped: dict[str, dict[str, str]] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    """courier's id -> why nothing, or not what it ran last, could be pulled"""
    unreached: dict[str, str] = field(default_factory=dict)
    """courier's id -> why this run's mark did not get there"""
    missed: dict[str, list[str]] = field(default_factory=dict)
    """courier's id -> the container starts that ran when the mark did not get there, as `<container>/<restart>`; empty where no
    program of them had begun"""
    pulled: set[str] = field(default_factory=set)
    """couriers' ids"""


class Collector:
    """Marks and collects one run on one platform.

    Use: `async with collector.following():` around the time in which services may start and end; `mark` before the
    tests, `collect` after them.

    `before_release` is told of each pod that ends, when its data are here and its courier still answers.
    """

    def __init__(
        self,
        platform: Platform,
        store: RawStore,
        run: str,
        label: str,
        progress: Progress,
        before_release: Callable[[CourierAddress], Awaitable[None]] | None = None,
    ) -> None:
        self.platform = platform
        self.store = store
        self.run = run
        self.label = label
        self.progress = progress
        self.before_release = before_release
        self.collected = Collected()
        self._marked: dict[str, int] = {}
        """courier's id -> container starts that it had when it was marked"""
        self._acknowledged: set[str] = set()
        """ids of the couriers that this run's mark got to"""
        self._coming: dict[str, asyncio.Future[None]] = {}
        """by digest: the contents that a pod is being asked for"""
        self._settled: set[str] = set()
        """ids of the couriers of pods that got ready, and were marked then where a run marks, or that will not be ready"""
        self._marking = False
        self._collecting = False
        self._time_is_up = math.inf
        """until when pods that are ending are waited for (the loop's clock)"""
        self._last_pulls: dict[str, asyncio.Task[None]] = {}
        self._ended: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        """by pod uid: a courier of it has said that its containers have ended"""
        self._unregistered: defaultdict[str, dict[str, tuple[Mapping[str, Any], Set[str]]]] = defaultdict(dict)
        """by target and the beginning of the ids that they would have: interpreters that a pull saw and nothing was recorded of,
        and the ids that were known then"""
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Watches the platform meanwhile: newcomers are marked, what ends is pulled before it is gone."""
        follower = asyncio.create_task(self._follow())
        keeper = asyncio.create_task(self._keep_leases())
        try:
            yield
        finally:
            broken = follower.exception() if follower.done() and not follower.cancelled() else None
            for task in (follower, keeper, *self._tasks):
                task.cancel()
            await asyncio.gather(follower, keeper, *self._tasks, return_exceptions=True)
            if broken:  # what started and ended since is unknown: no ledger can be written
                raise broken

    async def mark(self) -> Sequence[CourierAddress]:
        """Begins this run's epoch everywhere. Raises NoDataError where there is nothing to mark."""
        addresses = await self.platform.addresses()
        self._marking = True
        await asyncio.gather(*(self._mark(address) for address in addresses))
        return addresses

    async def collect(self) -> None:
        """Dumps and pulls everything that can be reached now, and waits, bounded, for pods that are just ending.

        What hands over only at its end is ended first, and is there again afterwards. That needs `following`.
        """
        await self._until_newcomers_serve()
        async with self._stopped():
            await self._collect()

    @contextlib.asynccontextmanager
    async def _stopped(self) -> AsyncIterator[None]:
        """Those that hand over only at their end have ended meanwhile, and `_take_last` has had, or has, what they left."""
        last = self.platform.ending_to_hand_over(await self._addresses())
        if not last:
            yield
            return
        self.progress.step(f"ending {', '.join(sorted({address.service for address in last}))}, to be handed over what ran")
        # An app may end the moment that it is told to, and its courier waits only for whoever has said so before.
        await asyncio.gather(*(self._lease(address) for address in last))
        async with contextlib.AsyncExitStack() as stack:
            try:
                workloads = await stack.enter_async_context(self.platform.stopping(last))
                self.progress.note(f"scaled to 0: {', '.join(workloads)}")
                stack.callback(lambda: self.progress.step(f"starting {', '.join(workloads)} again"))
            except ClusterError as error:  # what others ran is still to be collected
                self.progress.note(f"{error.message}; {error.hint}")
            yield

    async def _lease(self, address: CourierAddress) -> None:
        if address.sidecar:
            with contextlib.suppress(*_TROUBLE):  # what it costs shows when its data are taken
                await self._ask(address, "lease", str(LEASE_SECONDS))

    async def _addresses(self) -> Sequence[CourierAddress]:
        """Empty, too, where all that this run knows of has ended."""
        try:
            return await self.platform.addresses()
        except NoDataError:
            if not (self._last_pulls or self._marked):
                raise
            return ()

    async def _collect(self) -> None:
        addresses = await self._addresses()
        await self.platform.starts()  # meanwhile we hear of those that the list shows to be ending
        self._collecting = True
        await asyncio.gather(*(self._take(a) for a in addresses if a.id not in self._last_pulls))
        await self._finish_last_pulls()

    async def _until_newcomers_serve(self) -> None:
        """Pods that are just starting, as those that take the place of deleted ones, get to serve, within a bound.

        Before that they may have nothing to answer with; and what has not begun by then has run nothing.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + COMING_SECONDS
        coming = await self._newcomers()
        if coming:
            self.progress.note(f"waiting for {', '.join(sorted(coming.values()))} to be ready")
        while coming and loop.time() < end:
            await asyncio.sleep(COMING_POLL_SECONDS)
            coming = {one: name for one, name in (coming | await self._newcomers()).items() if one not in self._settled}

    async def _newcomers(self) -> dict[str, str]:
        """Pods that came after the mark, or of which a container has not begun, and that are not ready: courier's id -> name."""
        return {
            start.address.id: start.address.name
            for start in await self.platform.starts()
            if start.address.id not in self._settled
            and (start.awaited or (self._marking and start.address.id not in self._marked))
        }

    async def _finish_last_pulls(self) -> None:
        self._time_is_up = asyncio.get_running_loop().time() + LAST_PULL_SECONDS
        await asyncio.gather(*self._last_pulls.values())

    async def dump(self) -> None:
        """Makes every process save what it holds; who could not is in `collected.undumped`."""
        await asyncio.gather(*(self._dump_or_remember(a) for a in await self.platform.addresses()))

    # -- one courier

    async def _mark(self, address: CourierAddress) -> None:
        """A program that has not begun in a container that runs gets to, within a bound; one that begins later missed nothing."""
        begun, unbegun = await self._try_to_mark(address)
        if unbegun:
            self.progress.note(f"waiting for the program of {address.name} to begin")
        loop = asyncio.get_running_loop()
        end = loop.time() + COMING_SECONDS
        while unbegun and loop.time() < end:
            await asyncio.sleep(COMING_POLL_SECONDS)
            begun, unbegun = await self._try_to_mark(address)
        if begun and address.id in self.collected.unreached:
            ran = [start for start in begun if not (start.ended or unbegun)]
            self.collected.missed[address.id] = [f"{start.container}/{start.restart}" for start in ran]

    async def _try_to_mark(self, address: CourierAddress) -> tuple[Sequence[ContainerStart], bool]:
        """The starts that there had been; and whether there was nothing to mark, for no program had begun in them."""
        begun = await self._begun(address)
        self._marked[address.id] = len(begun)
        trouble = await self._ask_to_mark(address)
        return begun, isinstance(trouble, CourierUnreachable) and trouble.unbegun

    async def _mark_newcomer(self, address: CourierAddress) -> None:
        """As `mark`, while the tests run: what the cluster refuses now costs this pod its mark, and not the run."""
        try:
            self._marked[address.id] = len(await self._begun(address))
        except ClusterError:
            self._marked[address.id] = 0  # nobody knows: with its next start it is asked again
        try:
            await self._ask_to_mark(address)
        except ClusterError as error:
            self._not_marked(address, error)
        self._settled.add(address.id)

    async def _ask_to_mark(self, address: CourierAddress) -> _Trouble | None:
        """What was in the way; None where the mark got there."""
        try:
            if address.sidecar:
                await self._ask(address, "lease", str(LEASE_SECONDS))
            answer = await self._ask(address, "mark", self.run, self.label, seconds=MARK_SECONDS)
            answers = read_answers(answer.stdout)
        except _TROUBLE as error:
            self._not_marked(address, error)
            return error
        self._acknowledged.add(address.id)
        if address.id not in self.collected.missed:
            self.collected.unreached.pop(address.id, None)
        for target in answers.targets:
            self.collected.unmarked.setdefault(f"{address.pod_uid}/{target.name}", {}).update(target.failures)
        self.progress.note(f"marked {address.name}", verbose=True)
        return None

    def _not_marked(self, address: CourierAddress, error: _Trouble) -> None:
        # A container that is started again begins in an epoch of its own: only the first mark must not be missed.
        if address.id not in self._acknowledged:
            self.collected.unreached[address.id] = _reason(error)
        self.progress.note(f"{address.name}: could not be marked: {_reason(error)}", verbose=True)

    async def _take(self, address: CourierAddress) -> None:
        """Dump and pull; a courier that cannot be reached is remembered."""
        try:
            await self._dump(address)
            await self._pull(address)
            if address.sidecar:
                await self._ask(address, "lease", "0")
        except _TROUBLE as error:
            if address.id not in self.collected.pulled:
                self.collected.lost[address.id] = _reason(error)
            self.progress.note(f"{address.name}: {_reason(error)}", verbose=True)

    async def _dump_or_remember(self, address: CourierAddress) -> None:
        try:
            await self._dump(address)
        except _TROUBLE as error:
            self.collected.lost[address.id] = f"{address.name}: {_reason(error)}"

    async def _dump(self, address: CourierAddress) -> None:
        answer = await self._ask(address, "dump", seconds=MARK_SECONDS)
        for target in read_answers(answer.stdout).targets:
            self.collected.undumped.setdefault(f"{address.pod_uid}/{target.name}", {}).update(target.failures)

    async def _take_last(self, address: CourierAddress) -> None:
        """The pod is ending. What is there is taken at once, and all of it when its courier says that the containers are done.

        What has to be asked for may take longer than the pod has: so it is asked for once there is something already.
        """
        try:
            if address.sidecar:
                await self._ask(address, "lease", str(LEASE_SECONDS))
            await self._pull(address)
            if address.asked_at_end:
                await self._ask_once_more(address)
                await self._pull(address)
            if not address.sidecar:
                self.collected.lost[address.id] = "it has no sidecar: what it ran while it was ending could not be taken"
                return
            early = self._spawn(self._prepare_release(address))
            ended = await self._wait_for_end(address)
            await self._pull(address)
            await early
        except (*_TROUBLE, ClusterError) as error:
            self.collected.lost[address.id] = f"the pod ended before its last data could be taken ({_reason(error)})"
            return
        if not ended:
            self.collected.lost[address.id] = f"it was still ending {LAST_PULL_SECONDS:g} s after the tests"
            return
        await self._prepare_release(address)
        self.progress.note(f"{address.name} ended; its data are here", verbose=True)
        with contextlib.suppress(CourierUnreachable):  # then it is gone already, or goes when its lease ends
            await self._ask(address, "release", attempts=1)

    async def _ask_once_more(self, address: CourierAddress) -> None:
        """Who ended before the question got there may have written all the same, and if not, its files tell."""
        with contextlib.suppress(CourierUnreachable):
            await self._ask(address, "dump", seconds=MARK_SECONDS, attempts=1)

    async def _wait_for_end(self, address: CourierAddress) -> bool:
        """Whether the pod's containers have ended; False where the run cannot wait any longer.

        Of several couriers of a pod Kubernetes tells one after the other, the next when the one before has gone. What one of them
        was told goes for all, so that each can hand over, and be released, before the grace period is over.
        """
        ended = self._ended[address.pod_uid]
        while not ended.is_set() and asyncio.get_running_loop().time() < self._time_is_up:
            asking, telling = asyncio.create_task(self._ask_for_end(address)), asyncio.create_task(ended.wait())
            try:
                await asyncio.wait({asking, telling}, return_when=asyncio.FIRST_COMPLETED)
                if asking.done() and (ended.is_set() or asking.result()):
                    ended.set()
            finally:
                asking.cancel()
                telling.cancel()
                await asyncio.gather(asking, telling, return_exceptions=True)
        return ended.is_set()

    async def _ask_for_end(self, address: CourierAddress) -> bool:
        """One long poll."""
        waited = await self._ask(address, "wait", f"{WAIT_SECONDS:g}", seconds=WAIT_SECONDS + 30)
        return read_ended(waited.stdout)

    async def _prepare_release(self, address: CourierAddress) -> None:
        if self.before_release:
            await self.before_release(address)

    async def _pull(self, address: CourierAddress) -> None:
        bundle = await self._bundle(address, "pull")
        services = {s.container: s.service for s in await self.platform.starts() if s.address.id == address.id}
        files = split(bundle)
        targets = [
            (target, description)
            for target, description in zip(status_of(bundle.manifest).targets, bundle.manifest["targets"], strict=True)
            if target.container in address.containers  # its volume may have those of a service that takes no part in the run
        ]
        for target, description in targets:
            info = TargetInfo(
                service=services.get(target.container, address.service),
                address=f"{address.name}/{target.container}" if address.namespace else address.name,
                pod_uid=address.pod_uid,
                container=target.container,
                start_id=target.start_id,
                courier={**description, "unregistered": self._never_registered(address, target, description)},
            )
            self.store.save_target(info, files.get(target.name, {}))
        digests = {digest for target, _ in targets for digest in target.digests().values()}
        await self._pull_missing(address, digests)
        self.collected.pulled.add(address.id)
        self.collected.lost.pop(address.id, None)

    def _never_registered(
        self, address: CourierAddress, target: TargetStatus, description: Mapping[str, Any]
    ) -> Sequence[Mapping[str, Any]]:
        """Those that this pull or an earlier one saw: in a container that has ended nobody can look for them any more."""
        seen, ids = self._unregistered[f"{address.pod_uid}/{target.name}"], {process.id for process in target.processes}
        seen.update((f"{process['pid']}-{process['start_time']}-", (process, ids)) for process in description["unregistered"])
        return [
            process for begin, (process, known_then) in seen.items() if not any(new.startswith(begin) for new in ids - known_then)
        ]

    async def _pull_missing(self, address: CourierAddress, digests: Set[str]) -> None:
        """Each content is moved once a run, whichever pod has it: what another is being asked for is waited for."""
        asked: set[str] = set()
        while missing := sorted(d for d in digests - asked if self.store.source(d) is None):
            mine = [digest for digest in missing if digest not in self._coming]
            if mine:
                asked.update(mine)
                await self._pull_sources(address, mine)
            else:
                await asyncio.wait({self._coming[digest] for digest in missing})

    async def _pull_sources(self, address: CourierAddress, digests: Sequence[str]) -> None:
        done = asyncio.get_running_loop().create_future()
        self._coming.update(dict.fromkeys(digests, done))
        try:
            bundle = await self._bundle(address, "sources", stdin=json.dumps(digests).encode())
            for content in bundle.files.values():
                self.store.add_source(digest_of(content), content)
        finally:
            for digest in digests:
                del self._coming[digest]
            done.set_result(None)

    async def _bundle(self, address: CourierAddress, *arguments: str, stdin: bytes = b"") -> Bundle:
        """A bundle that arrived whole; asked for again where it did not."""
        problem = ""
        for _ in range(ATTEMPTS):
            answer = await self._ask(address, *arguments, stdin=stdin, seconds=PULL_SECONDS)
            try:
                return read_bundle(answer.stdout)
            except DamagedError as error:
                problem = error.message
        raise CourierUnreachable(address, f"{arguments[0]}: came damaged {ATTEMPTS} times: {problem}")

    async def _ask(
        self, address: CourierAddress, *arguments: str, stdin: bytes = b"", seconds: float = 30.0, attempts: int = ATTEMPTS
    ) -> CourierAnswer:
        """One courier command, tried again where the connection failed. All commands may be repeated."""
        for attempt in range(1, attempts + 1):
            try:
                answer = await self.platform.call(address, arguments, stdin, seconds=seconds)
            except CourierUnreachable as error:
                if error.gone or attempt == attempts:
                    raise
                await asyncio.sleep(0.2 * 2**attempt)
                continue
            if answer.exit_code:
                raise CourierUnreachable(address, f"{arguments[0]}: exit code {answer.exit_code}: {answer.stderr.strip()}")
            return answer
        raise AssertionError("unreachable")

    # -- what happens meanwhile

    async def _follow(self) -> None:
        async for event in self.platform.watch():
            await self._handle(event)

    async def _handle(self, event: PlatformEvent) -> None:
        address = event.address
        if event.kind == "ready" and self._marking and await self._is_new(address):
            self._spawn(self._mark_newcomer(address))
        elif event.kind != "started":
            self._settled.add(address.id)
        if event.kind == "ending" and address.id not in self._last_pulls and not self._collecting:
            self._last_pulls[address.id] = self._spawn(self._take_last(address))
        elif event.kind == "gone" and address.id not in self.collected.pulled | self._last_pulls.keys():
            self.collected.lost.setdefault(address.id, "the pod was gone before its data could be taken")

    async def _is_new(self, address: CourierAddress) -> bool:
        """Not marked yet, or a container of it has been started again since; or nobody can tell: a second mark does no harm."""
        try:
            return len(await self._begun(address)) > self._marked.get(address.id, 0)
        except ClusterError as error:
            self.progress.note(f"{address.name}: taken for new, for nobody can tell: {error.message}")
            return True

    async def _begun(self, address: CourierAddress) -> Sequence[ContainerStart]:
        """The container starts of the pod that there have been; one that is still waiting is none."""
        return [s for s in await self.platform.starts() if s.address.id == address.id and s.started is not None]

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(LEASE_RENEWAL_SECONDS)
            # Nothing there now, or no answer: newcomers get theirs at their mark, and a lease outlasts two renewals.
            with contextlib.suppress(NoDataError, CourierUnreachable, ClusterError):
                addresses = [
                    a for a in await self.platform.addresses() if a.sidecar and a.id in self._marked | self._last_pulls.keys()
                ]
                await asyncio.gather(
                    *(self._ask(a, "lease", str(LEASE_SECONDS), attempts=1) for a in addresses), return_exceptions=True
                )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


_TROUBLE = (CourierUnreachable, DamagedError)
"""what can become of asking a courier: no answer, or none that makes sense"""


_Trouble = CourierUnreachable | DamagedError | ClusterError


def _reason(error: _Trouble) -> str:
    return error.reason if isinstance(error, CourierUnreachable) else error.message


def split(bundle: Bundle) -> Mapping[str, dict[str, bytes]]:
    """The files of a pulled bundle by target: `<container>/<start id>` -> name -> content."""
    targets: dict[str, dict[str, bytes]] = {}
    for path, content in bundle.files.items():
        container, start_id, name = path.removeprefix("targets/").split("/", 2)
        targets.setdefault(f"{container}/{start_id}", {})[name] = content
    return targets
