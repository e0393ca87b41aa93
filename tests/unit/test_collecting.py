"""What is asked of couriers and when: while pods come and go, nothing is taken too early, too late, or for granted."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from typing import Any

import pytest
from podcov import collecting
from podcov.collecting import Collector
from podcov.errors import ClusterError
from podcov.formats.bundle import write_bundle
from podcov.platform import ContainerStart, CourierAddress, CourierAnswer, CourierUnreachable, PlatformEvent
from podcov.raw import RawStore, TargetInfo, digest_of

POD = CourierAddress("orders", "shop", "orders-1", "uid-1", "podcov-courier", True, ("app",))
BARE = CourierAddress("orders", "shop", "orders-2", "uid-2", "app", False, ("app",))
LATE = CourierAddress("orders", "shop", "orders-3", "uid-3", "podcov-courier", True, ("app",))
OTHER = CourierAddress("orders", "shop", "orders-9", "uid-9", "podcov-courier", True, ("app",))
ORDER_OF_THE_END = ["lease", "pull", "wait", "pull", "release"]


def bundle() -> bytes:
    head = json.dumps({"protocol": 1, "time": 1, "targets": [], "files": []}).encode()
    content = b"podcov-bundle 1 %d\n" % len(head) + head
    return content + b"\nend %s\n" % hashlib.sha256(content).hexdigest().encode()


ANSWERS: Mapping[str, bytes] = {
    "lease": b'{"protocol": 1, "until": 1}',
    "mark": b'{"protocol": 1, "time": 1, "targets": []}',
    "dump": b'{"protocol": 1, "time": 1, "targets": []}',
    "wait": b'{"protocol": 1, "ended": true}',
    "release": b'{"protocol": 1, "released": true}',
    "pull": bundle(),
}


class Services:
    """A platform on which things happen when the test says so. `troubles`: command -> what a call of it does instead, in turn."""

    name = "kubernetes"

    def __init__(self, *present: CourierAddress) -> None:
        self.present = list(present)
        self.asked: list[tuple[str, str]] = []
        self.troubles: dict[str, list[bytes | Exception | None]] = {}
        self.events: asyncio.Queue[PlatformEvent] = asyncio.Queue()
        self.unanswered = ""
        """why the cluster cannot be asked which containers there are"""
        self.ending: tuple[CourierAddress, ...] = ()
        """those that hand over at their end"""
        self.cannot_end = ""
        self.awaited: list[CourierAddress] = []
        """those whose container has not begun"""
        self.scaled: list[str] = []

    async def addresses(self) -> Sequence[CourierAddress]:
        return tuple(self.present)

    async def starts(self) -> Sequence[ContainerStart]:
        await asyncio.sleep(0)
        if self.unanswered:
            raise ClusterError(self.unanswered)
        begun = tuple(ContainerStart(a, a.service, "app", "id", 0, 1.0) for a in self.present if a not in self.awaited)
        return (*begun, *(ContainerStart(a, a.service, "app", "", 0, None, awaited=True) for a in self.awaited))

    async def call(
        self, address: CourierAddress, arguments: Sequence[str], stdin: bytes = b"", *, seconds: float = 60
    ) -> CourierAnswer:
        await asyncio.sleep(0)
        self.asked.append((address.pod, arguments[0]))
        turns = self.troubles.get(arguments[0], [])
        trouble = turns.pop(0) if turns else None
        if isinstance(trouble, Exception):
            raise trouble
        return CourierAnswer(0, trouble or ANSWERS[arguments[0]], "")

    async def watch(self) -> AsyncIterator[PlatformEvent]:
        while True:
            yield await self.events.get()

    def ending_to_hand_over(self, addresses: Sequence[CourierAddress]) -> Sequence[CourierAddress]:
        return [address for address in addresses if address in self.ending]

    @asynccontextmanager
    async def stopping(self, addresses: Sequence[CourierAddress]) -> AsyncIterator[Sequence[str]]:
        if self.cannot_end:
            raise ClusterError(self.cannot_end)
        self.scaled.append("to 0")
        for address in addresses:
            await self.happens("ending", address)
            self.present.remove(address)
            await self.happens("gone", address)
        try:
            yield ["deployment/orders"]
        finally:
            self.scaled.append("back")

    def forwards(self) -> AbstractAsyncContextManager[Mapping[str, str]]:
        return nullcontext({})

    def of(self, address: CourierAddress) -> list[str]:
        return [command for pod, command in self.asked if pod == address.pod]

    async def happens(self, kind: Any, address: CourierAddress) -> None:
        """Returns when whatever that sets off has gone as far as it gets."""
        self.events.put_nowait(PlatformEvent(kind, address))
        for _ in range(100):
            await asyncio.sleep(0)


class Silent:
    def step(self, text: str) -> None: ...

    def note(self, text: str, *, verbose: bool = False) -> None: ...


class Nowhere:
    def save_target(self, info: Any, files: Any) -> None: ...

    def targets(self, pod_uid: str = "") -> Any:
        return iter(())

    def add_source(self, digest: str, content: bytes) -> None: ...

    def source(self, digest: str) -> bytes | None:
        return None


class InMemory(Nowhere):
    """Keeps sources, and what is said of targets."""

    def __init__(self) -> None:
        self.sources: dict[str, bytes] = {}
        self.infos: dict[str, TargetInfo] = {}

    def save_target(self, info: TargetInfo, files: Any) -> None:
        self.infos[info.id] = info

    def add_source(self, digest: str, content: bytes) -> None:
        self.sources[digest] = content

    def source(self, digest: str) -> bytes | None:
        return self.sources.get(digest)


def conduct(
    services: Services,
    tests: Callable[[Collector], Awaitable[None]],
    before_release: Callable[[CourierAddress], Awaitable[None]] | None = None,
    store: RawStore | None = None,
) -> Collector:
    """A run whose tests are `tests`."""

    async def run() -> Collector:
        collector = Collector(services, store or Nowhere(), "r", "", Silent(), before_release)
        async with collector.following():
            await collector.mark()
            await tests(collector)
            await collector.collect()
        return collector

    return asyncio.run(run())


def gone(address: CourierAddress) -> CourierUnreachable:
    return CourierUnreachable(address, "the pod is gone", gone=True)


def test_a_pod_that_stays_is_leased_marked_dumped_pulled_and_set_free() -> None:
    services = Services(POD)

    async def tests(collector: Collector) -> None: ...

    collector = conduct(services, tests)
    assert services.of(POD) == ["lease", "mark", "dump", "pull", "lease"]
    assert collector.collected.lost == {}


def test_couriers_of_one_pod_are_asked_each_by_itself_and_one_that_fails_costs_the_others_nothing() -> None:
    couriers = tuple(
        replace(POD, container=name, part=name, containers=(of,)) for name, of in (("one", "app"), ("two", "worker"))
    )
    services = Services(*couriers)
    services.troubles = {"mark": [gone(couriers[0])], "pull": [gone(couriers[0])]}

    async def tests(collector: Collector) -> None: ...

    collected = conduct(services, tests).collected
    assert collected.lost == {"uid-1/one": "the pod is gone"}
    assert collected.unreached == {"uid-1/one": "the pod is gone"}
    assert collected.pulled == {"uid-1/two"}


class ToldInTurn(Services):
    """Kubernetes tells the second of two sidecars first, and the first only when the second has gone."""

    async def call(
        self, address: CourierAddress, arguments: Sequence[str], stdin: bytes = b"", *, seconds: float = 60
    ) -> CourierAnswer:
        if arguments[0] == "wait" and address.part == "one":
            await asyncio.Event().wait()
        return await super().call(address, arguments, stdin, seconds=seconds)


def test_couriers_of_one_pod_hand_over_when_the_first_of_them_is_told_that_it_ends() -> None:
    one, two = (replace(POD, container=name, part=name, containers=(of,)) for name, of in (("one", "app"), ("two", "worker")))
    services = ToldInTurn(one, two)

    async def tests(collector: Collector) -> None:
        await asyncio.gather(services.happens("ending", one), services.happens("ending", two))
        services.present.clear()

    collected = conduct(services, tests).collected
    assert collected.lost == {}
    assert services.of(POD).count("release") == 2


META = b"what the counters mean"
SOURCE = {"path": "covmeta.1", "size": len(META), "mtime": 0, "digest": digest_of(META), "reason": ""}


def pulled(*targets: Mapping[str, Any]) -> bytes:
    return write_bundle({"protocol": 1, "time": 1, "targets": list(targets)}, {})


def target(container: str = "app", **more: Any) -> Mapping[str, Any]:
    return {
        "container": container,
        "start_id": "1-1",
        "epoch": 1,
        "epochs": [],
        "processes": [],
        "unregistered": [],
        "scanned": False,
        "scan_reason": "",
        "sources": [],
        **more,
    }


PULLED = pulled(target(sources=[SOURCE]))
SENT = write_bundle({"protocol": 1}, {f"sources/{digest_of(META)}": META})
UNSENT = write_bundle({"protocol": 1}, {})


@pytest.mark.parametrize(
    ("sent", "asked", "kept"),
    [
        pytest.param([SENT], 1, True, id="the first has it"),
        pytest.param([UNSENT, SENT], 2, True, id="only the second has it"),
        pytest.param([gone(POD), SENT], 2, True, id="the first is gone meanwhile"),
        pytest.param([UNSENT, UNSENT, UNSENT], 3, False, id="nobody has it"),
    ],
)
def test_what_all_pods_have_is_moved_once(sent: list[bytes | Exception | None], asked: int, kept: bool) -> None:
    services, store = Services(POD, LATE, OTHER), InMemory()
    services.troubles = {"pull": [PULLED, PULLED, PULLED], "sources": sent}

    async def tests(collector: Collector) -> None: ...

    conduct(services, tests, store=store)
    assert [command for _, command in services.asked].count("sources") == asked
    assert (store.sources.get(digest_of(META)) == META) is kept


def test_what_a_courier_holds_of_services_that_take_no_part_is_not_of_the_run() -> None:
    """Containers that share a volume have one courier, and `--without` leaves one of them out."""
    services, store = Services(POD), InMemory()
    services.troubles = {"pull": [pulled(target("app"), target("worker"))]}

    async def tests(collector: Collector) -> None: ...

    conduct(services, tests, store=store)
    assert [(info.service, info.container) for info in store.infos.values()] == [("orders", "app")]


def process(name: str) -> Mapping[str, Any]:
    return {"id": name, "start": None, "alive": False, "reason": "", "ended": True, "epochs": [], "flags": 0}


@pytest.mark.parametrize(
    ("before", "after", "remembered"),
    [
        pytest.param([], [], True, id="it never registered"),
        pytest.param([], [process("7-100-aa")], False, id="it was just about to"),
        pytest.param([], [process("7-200-bb")], True, id="another had its number"),
        pytest.param([process("7-100-aa")], [process("7-100-aa")], True, id="one that registered became it"),
    ],
)
def test_an_interpreter_that_nothing_was_recorded_of_is_remembered_when_it_has_ended(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]], remembered: bool
) -> None:
    """Once the containers of a pod have ended nobody can look for such any more."""
    services, store = Services(POD), InMemory()
    stranger = {"pid": 7, "start_time": 100, "argv": ["python3", "-I", "work.py"]}
    services.troubles = {
        "pull": [
            pulled(target(unregistered=[stranger], scanned=True, processes=before)),
            pulled(target(processes=after)),
        ]
    }

    async def tests(collector: Collector) -> None:
        await services.happens("ending", POD)
        services.present.clear()
        await services.happens("gone", POD)

    conduct(services, tests, store=store)
    [info] = store.infos.values()
    assert info.courier["unregistered"] == ([stranger] if remembered else [])


def test_a_pod_that_ends_is_pulled_at_once_and_again_when_its_containers_have_ended() -> None:
    services = Services(POD)
    prepared = []

    async def prepare(address: CourierAddress) -> None:
        prepared.append((address, services.of(POD)[-1]))

    async def tests(collector: Collector) -> None:
        await services.happens("ending", POD)
        services.present.clear()
        await services.happens("gone", POD)

    collector = conduct(services, tests, prepare)
    assert services.of(POD) == ["lease", "mark", *ORDER_OF_THE_END]
    assert prepared == [(POD, "pull"), (POD, "pull")]
    assert collector.collected.lost == {}


@pytest.mark.parametrize(
    "troubles",
    [{"pull": [gone(POD)]}, {"pull": [None, gone(POD)]}, {"wait": [gone(POD)]}],
    ids=["at once", "the second time", "while we wait"],
)
def test_a_pod_whose_last_data_could_not_be_taken_is_lost_even_if_it_was_pulled_before(troubles: Any) -> None:
    services = Services(POD)
    services.troubles = {command: list(turns) for command, turns in troubles.items()}

    async def tests(collector: Collector) -> None:
        await services.happens("ending", POD)

    assert "before its last data could be taken" in conduct(services, tests).collected.lost["uid-1"]
    assert "release" not in services.of(POD)


SWITCHED = replace(POD, asked_at_end=True)
OVER = CourierUnreachable(POD, "exit code 1: it has ended")


@pytest.mark.parametrize("troubles", [{}, {"dump": [OVER]}], ids=["asked", "over"])
def test_a_pod_that_has_to_be_asked_is_when_it_ends(troubles: Any) -> None:
    services = Services(SWITCHED)

    async def tests(collector: Collector) -> None:
        services.troubles = troubles
        services.asked.clear()
        await services.happens("ending", SWITCHED)

    assert conduct(services, tests).collected.lost == {}
    assert services.of(SWITCHED) == ["lease", "pull", "dump", "pull", "wait", "pull", "release"]


def test_a_pod_that_goes_away_before_it_is_released_has_lost_nothing() -> None:
    services = Services(POD)
    services.troubles = {"release": [gone(POD)]}

    async def tests(collector: Collector) -> None:
        await services.happens("ending", POD)

    assert conduct(services, tests).collected.lost == {}


def test_without_a_sidecar_nobody_can_have_what_a_pod_ran_while_it_was_ending() -> None:
    services = Services(BARE)

    async def tests(collector: Collector) -> None:
        await services.happens("ending", BARE)

    assert "no sidecar" in conduct(services, tests).collected.lost["uid-2"]
    assert services.of(BARE) == ["mark", "pull"]


def test_a_pod_that_takes_long_to_end_is_waited_for_while_the_tests_run() -> None:
    services = Services(POD)
    services.troubles = {"wait": [b'{"protocol": 1, "ended": false}'] * 5}

    async def tests(collector: Collector) -> None:
        await services.happens("ending", POD)

    assert conduct(services, tests).collected.lost == {}
    assert services.of(POD).count("wait") == 6


def test_a_pod_that_is_still_ending_long_after_the_tests_is_not_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "LAST_PULL_SECONDS", 0.0)
    services = Services(POD)
    services.troubles = {"wait": [b'{"protocol": 1, "ended": false}'] * 1_000_000}

    async def tests(collector: Collector) -> None:
        await services.happens("ending", POD)

    assert "still ending" in conduct(services, tests).collected.lost["uid-1"]


def test_a_pod_that_vanishes_is_lost() -> None:
    services = Services(POD)

    async def tests(collector: Collector) -> None:
        services.present.clear()
        await services.happens("gone", POD)

    assert "gone before its data" in conduct(services, tests).collected.lost["uid-1"]


def test_a_newcomer_is_marked_when_it_is_ready_and_collected() -> None:
    services = Services(POD)

    async def tests(collector: Collector) -> None:
        services.present.append(LATE)
        await services.happens("started", LATE)
        await services.happens("ready", LATE)

    conduct(services, tests)
    assert services.of(LATE) == ["lease", "mark", "dump", "pull", "lease"]


def test_a_newcomer_gets_to_serve_before_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the place of a pod that the tests deleted last."""
    monkeypatch.setattr(collecting, "COMING_POLL_SECONDS", 0.1)
    services = Services(POD)

    async def tests(collector: Collector) -> None:
        services.present.append(LATE)
        services.awaited.append(LATE)
        asyncio.get_running_loop().call_later(2 * collecting.COMING_POLL_SECONDS, begins)

    def begins() -> None:
        services.asked.clear()
        services.awaited.clear()
        services.events.put_nowait(PlatformEvent("ready", LATE))

    assert conduct(services, tests).collected.lost == {}
    assert sorted(services.of(LATE)) == sorted(["lease", "mark", "dump", "pull", "lease"])
    assert services.of(POD) == ["dump", "pull", "lease"]


def test_a_newcomer_gets_to_serve_before_it_is_ended_to_be_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "COMING_POLL_SECONDS", 0.1)
    services = Services(POD)
    services.ending = (LATE,)

    async def tests(collector: Collector) -> None:
        services.present.append(LATE)
        services.awaited.append(LATE)
        asyncio.get_running_loop().call_later(2 * collecting.COMING_POLL_SECONDS, begins)

    def begins() -> None:
        services.awaited.clear()
        services.events.put_nowait(PlatformEvent("ready", LATE))

    conduct(services, tests)
    assert services.scaled == ["to 0", "back"]
    assert services.of(LATE)[:2] == ["lease", "mark"]


def test_what_is_never_ready_is_collected_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "COMING_SECONDS", 0.0)
    services = Services(POD)

    async def tests(collector: Collector) -> None:
        services.present.append(LATE)

    conduct(services, tests)
    assert services.of(LATE) == ["dump", "pull", "lease"]


def test_a_newcomer_that_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "COMING_POLL_SECONDS", 0.1)
    services = Services(POD)

    async def tests(collector: Collector) -> None:
        services.present.append(LATE)
        services.awaited.append(LATE)
        asyncio.get_running_loop().call_later(collecting.COMING_POLL_SECONDS, ends)

    def ends() -> None:
        services.present.remove(LATE)
        services.events.put_nowait(PlatformEvent("ending", LATE))

    conduct(services, tests)
    assert services.of(LATE) == ORDER_OF_THE_END


def test_a_mark_that_does_not_get_there_is_remembered() -> None:
    services = Services(POD, LATE)
    services.troubles = {"mark": [CourierUnreachable(POD, "no answer", gone=True), None]}

    async def tests(collector: Collector) -> None: ...

    assert conduct(services, tests).collected.unreached == {"uid-1": "no answer"}


@pytest.mark.parametrize("had_begun", [True, False])
def test_a_later_mark_makes_up_for_one_that_did_not_get_there_only_where_nothing_ran_then(had_begun: bool) -> None:
    """The mark that follows a restart does not tell what the start before ran for these tests from what it ran before them."""
    services = Services(POD, LATE)
    services.troubles = {"mark": [CourierUnreachable(POD, "no answer", gone=True), None]}
    if not had_begun:
        services.awaited.append(POD)

    async def tests(collector: Collector) -> None:
        services.awaited.clear()
        services.present.append(POD)  # as many starts of it
        await services.happens("ready", POD)
        services.present.pop()

    collected = conduct(services, tests).collected
    assert services.of(POD).count("mark") == 2
    assert collected.unreached == ({"uid-1": "no answer"} if had_begun else {})
    assert collected.missed == ({"uid-1": ["app/0"]} if had_begun else {})


def unbegun(address: CourierAddress) -> CourierUnreachable:
    return CourierUnreachable(address, "no program with podcov in it has begun", unbegun=True)


def test_a_program_that_is_about_to_begin_in_its_container_is_marked_before_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "COMING_POLL_SECONDS", 0.0)
    services = Services(BARE)
    services.troubles = {"mark": [unbegun(BARE)] * collecting.ATTEMPTS}
    marked_first = []

    async def tests(collector: Collector) -> None:
        marked_first.append(collector.collected.unreached == {})

    collected = conduct(services, tests).collected
    assert marked_first == [True]
    assert services.of(BARE) == ["mark"] * (collecting.ATTEMPTS + 1) + ["dump", "pull"]
    assert (collected.unreached, collected.missed, collected.lost) == ({}, {}, {})


@pytest.mark.parametrize(
    ("trouble", "missed"), [(unbegun(BARE), {"uid-2": []}), (CourierUnreachable(BARE, "no answer"), {"uid-2": ["app/0"]})]
)
def test_a_program_that_began_after_all_waiting_has_missed_no_mark(
    trouble: CourierUnreachable, missed: Mapping[str, Sequence[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it can have run before the tests; of one that only did not answer nobody knows."""
    monkeypatch.setattr(collecting, "COMING_SECONDS", 0.0)
    services = Services(BARE)
    services.troubles = {"mark": [trouble] * collecting.ATTEMPTS}

    async def tests(collector: Collector) -> None: ...

    collected = conduct(services, tests).collected
    assert services.of(BARE) == ["mark"] * collecting.ATTEMPTS + ["dump", "pull"]
    assert collected.unreached == {"uid-2": trouble.reason}
    assert collected.missed == missed
    assert collected.lost == {}


def test_a_pod_of_which_nobody_can_tell_whether_it_is_new_is_marked() -> None:
    services = Services(POD)

    async def tests(collector: Collector) -> None:
        services.present.append(LATE)
        services.unanswered = "no answer from context 'kind'"
        await services.happens("ready", LATE)
        services.unanswered = ""

    collector = conduct(services, tests)
    assert services.of(LATE) == ["lease", "mark", "dump", "pull", "lease"]
    assert collector.collected.unreached == {}


def test_what_the_cluster_refuses_while_the_tests_run_is_remembered_of_that_pod_and_ends_no_run() -> None:
    services = Services(POD)

    async def tests(collector: Collector) -> None:
        services.present.append(LATE)
        services.unanswered = "no answer from context 'kind'"
        services.troubles = {"mark": [ClusterError("forbidden: pods/exec")]}
        await services.happens("ready", LATE)
        await services.happens("ending", POD)
        services.unanswered = ""

    collected = conduct(services, tests).collected
    assert collected.unreached == {"uid-3": "forbidden: pods/exec"}
    assert collected.lost == {
        "uid-1": "the pod ended before its last data could be taken (no answer from context 'kind')",
    }
    assert services.of(LATE)[-3:] == ["dump", "pull", "lease"]


def test_what_hands_over_only_at_its_end_is_ended_and_taken_and_started_again() -> None:
    services = Services(POD, LATE)
    services.ending = (POD,)

    async def tests(collector: Collector) -> None: ...

    assert conduct(services, tests).collected.lost == {}
    assert services.scaled == ["to 0", "back"]
    assert services.of(POD) == ["lease", "mark", "lease", *ORDER_OF_THE_END]
    assert services.of(LATE) == ["lease", "mark", "dump", "pull", "lease"]


def test_it_is_started_again_where_collecting_fails() -> None:
    services = Services(POD, LATE)
    services.ending = (POD,)
    services.troubles = {"dump": [ClusterError("forbidden: pods/exec")]}

    async def tests(collector: Collector) -> None: ...

    with pytest.raises(ClusterError, match="forbidden"):
        conduct(services, tests)
    assert services.scaled == ["to 0", "back"]


def test_where_it_cannot_be_ended_the_others_are_collected() -> None:
    services = Services(POD, LATE)
    services.ending = (POD,)
    services.cannot_end = "forbidden: patch on deployments"

    async def tests(collector: Collector) -> None: ...

    conduct(services, tests)
    assert services.of(LATE)[-3:] == ["dump", "pull", "lease"]
    assert services.scaled == []
