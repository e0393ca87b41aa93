"""The way of the data: mark, tests, dump, pull (`conduct`), then account and convert (`examine`). Written against Protocols.

`conduct` talks to services; `examine` needs only what `conduct` left on disk, and can be done again at any time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from podcov import languages, signals
from podcov.accounting import Account, ProcessFacts, TargetFacts, Unregistered, settle
from podcov.collecting import Collector, Progress
from podcov.config import Config, Service
from podcov.errors import Exit, InterpreterError
from podcov.formats.analysis import FileAnalysis
from podcov.formats.courier import ProcessStatus, TargetStatus, target_status
from podcov.formats.records import ProcessRecords, TargetRecords, parse_target
from podcov.formats.run_json import RunRecord, SuiteRecord
from podcov.languages import Converted, DigestAt, Language, Need, Numbering, Observed, Selection, ServiceData, Text, number_epochs
from podcov.ledger import Ledger
from podcov.merge import divergent
from podcov.model import Report
from podcov.paths import is_below
from podcov.platform import CourierAddress, Platform
from podcov.raw import RawStore, StoredTarget

START_UP = 0
"""the epoch before the first mark"""

Clock = Callable[[], float]
"""Unix seconds"""
Suite = Callable[[Mapping[str, str]], Awaitable[int]]
"""runs the tests with these environment variables; returns their exit code"""


async def conduct(
    record: RunRecord,
    platform: Platform,
    store: RawStore,
    suite: Suite | None,
    progress: Progress,
    clock: Clock,
    before_release: Callable[[CourierAddress], Awaitable[None]] | None = None,
) -> RunRecord:
    """Marks, runs the tests if there are any, and collects whatever came of them. Returns what was observed.

    `before_release` is told of each pod that ends, when its data are here and its courier still answers. Raises NoDataError
    where there is nothing to mark; what fails later is in the record, for the ledger.
    """
    collector = Collector(platform, store, record.id, " ".join(record.tests.command), progress, before_release)
    async with collector.following():
        progress.step("marking")
        addresses = await collector.mark()
        record = replace(record, marked=clock())
        progress.note("marked " + ", ".join(f"{name} ({n})" for name, n in Counter(a.service for a in addresses).items()))
        if suite is not None:
            record = await _test(record, platform, suite, progress, clock)
        progress.step("collecting")
        await collector.collect()
        starts = tuple(await platform.starts())
    collected = collector.collected
    return replace(
        record,
        finished=clock(),
        starts=starts,
        unmarked=collected.unmarked,
        undumped=collected.undumped,
        lost=collected.lost,
        unreached=collected.unreached,
        missed=collected.missed,
    )


async def mark(record: RunRecord, platform: Platform, store: RawStore, progress: Progress, clock: Clock) -> RunRecord:
    """Only begins the run's epoch. Nobody watches afterwards: what is there now is what `collect` will ask for."""
    collector = Collector(platform, store, record.id, "", progress)
    await collector.mark()
    starts = tuple(await platform.starts())
    collected = collector.collected
    return replace(
        record,
        marked=clock(),
        starts=starts,
        unmarked=collected.unmarked,
        unreached=collected.unreached,
        missed=collected.missed,
    )


async def collect(record: RunRecord, platform: Platform, store: RawStore, progress: Progress, clock: Clock) -> RunRecord:
    """Only dumps and pulls, for a run that was marked before (or never). What was there at the mark and is gone is lost."""
    collector = Collector(platform, store, record.id, "", progress)
    async with collector.following():
        await collector.collect()
        starts = await platform.starts()
    collected = collector.collected
    present = {s.address.pod_uid for s in starts}
    gone = {s.address.id for s in record.starts if s.address.pod_uid not in present}
    known = {(s.address.pod_uid, s.container, s.restart) for s in starts}
    unknown = [s for s in record.starts if (s.address.pod_uid, s.container, s.restart) not in known]
    kept = [replace(s, awaited=False) for s in unknown]  # nobody saw whether it has begun since
    return replace(
        record,
        finished=clock(),
        starts=(*kept, *starts),
        undumped=collected.undumped,
        lost={**dict.fromkeys(gone, _UNWATCHED), **collected.lost},
    )


_UNWATCHED = "its pod was there at the mark and is gone; `podcov run` watches pods, and takes the data of those that end"


async def _test(record: RunRecord, platform: Platform, suite: Suite, progress: Progress, clock: Clock) -> RunRecord:
    async with platform.forwards() as environment:
        progress.step(f"testing: {' '.join(record.tests.command)}")
        began = clock()
        code = await suite(environment)
        seconds = clock() - began
    return replace(record, tests=replace(record.tests, exit_code=code, seconds=round(seconds, 3)))


@dataclass(frozen=True, slots=True)
class Target:
    """A pulled target, read."""

    stored: StoredTarget
    records: TargetRecords
    status: TargetStatus
    counted_epochs: tuple[int, ...]
    """start-up and the epochs that this run began"""

    @property
    def service(self) -> str:
        return self.stored.info.service


def read_targets(store: RawStore, run: str, pod_uid: str = "") -> tuple[Target, ...]:
    """Every pulled target of the run, or those of one pod, read.

    Damage is in the records; DamagedError only for what podcov itself wrote.
    """
    return tuple(_read_target(stored, run) for stored in store.targets(pod_uid))


def _read_target(stored: StoredTarget, run: str) -> Target:
    records = parse_target(stored.files)
    return Target(stored, records, target_status(stored.info.courier), (START_UP, *records.epochs_of(run)))


def account(record: RunRecord, targets: Iterable[Target], config: Config, text: Text) -> Account:
    """The ledger of the run, and which targets its numbers are made of."""
    spoken = {service.name: languages.of(service.language) for service in config.services}
    return settle(
        record.starts,
        [facts(target, record, spoken.get(target.service), text) for target in targets],
        services=record.services,
        run=record.id,
        marked_at=record.marked,
        lost=record.lost,
        unreached=record.unreached,
        missed=record.missed,
        ignore={s.name: s.ignore_processes for s in config.services},
        unseen={name: language.unseen for name, language in spoken.items()},
    )


def facts(target: Target, record: RunRecord, language: Language | None, text: Text) -> TargetFacts:
    """What the ledger wants to know of one target. `language` is None where podcov.yaml does not have its service any more."""
    info, records, status = target.stored.info, target.records, target.status
    observed = language.observe(_for_language(target), target.counted_epochs, text) if language else {}
    times = [p.start.time for p in records.processes if p.start and p.start.time]
    known = {p.id: p for p in status.processes}
    return TargetFacts(
        service=info.service,
        name=info.address,
        id=info.id,
        pod_uid=info.pod_uid,
        container=info.container,
        first_time=min(times) / 1e9 if times else None,
        runs=tuple(dict.fromkeys(e.run for e in records.epochs)),
        marked_at=min((e.time / 1e9 for e in records.epochs if e.run == record.id), default=None),
        processes=tuple(_process(p, observed.get(p.id, _UNOBSERVED), known.get(p.id)) for p in records.processes),
        unregistered=tuple(Unregistered(u.pid, u.start_time, u.argv) for u in status.unregistered),
        unmarked=record.unmarked.get(info.id, {}),
        undumped=record.undumped.get(info.id, {}),
        overtaken_by=_overtaken_by(record, records),
        damage=records.damage,
    )


def _overtaken_by(record: RunRecord, records: TargetRecords) -> str:
    """A run that never marked counts from the start, and so up to the first mark of any other."""
    if record.marked is None:
        return next((epoch.run for epoch in records.epochs), "")
    return records.overtaken_by(record.id)


_UNOBSERVED = Observed(hits=False)


def _process(process: ProcessRecords, observed: Observed, status: ProcessStatus | None) -> ProcessFacts:
    start = process.start
    alive = bool(status and status.alive)
    said = status.reason if status and start and start.recording == "dumped" and not alive else ""
    return ProcessFacts(
        id=process.id,
        argv=start.argv if start else (),
        state=start.state if start else "torn",
        reason=(start.reason or "") if start else "",
        recording=(start.recording or "") if start else "",
        save_interval=start.save_interval if start else None,
        saved_at_end=process.ended,
        alive=alive,
        full=process.volume_full,
        broken=process.stopped_by_error,
        overflow=process.values_left_out,
        trace_replaced=process.trace_replaced,
        damage=(*process.damage, *observed.damage),
        hits=observed.hits,
        missing=(observed.slug, observed.reason) if observed.slug else None,
        note=observed.note or said,
    )


def outcome(tests: SuiteRecord, ledger: Ledger, *, anything: bool, allow_partial: bool) -> tuple[int, str]:
    """The exit code of a run, and the reason that `summary.json` names.

    The tests' own code comes first, then no data, then incomplete data. `anything`: some line was recorded somewhere.
    """
    if tests.exit_code:
        return tests.exit_code, "tests interrupted" if signals.interrupted_by(tests.exit_code) else "tests failed"
    if not anything:
        return Exit.NO_DATA, "no data"
    if not ledger.complete and not allow_partial:
        return Exit.INCOMPLETE, "incomplete data"
    return Exit.OK, "ok" if ledger.complete else "ok, incomplete data allowed"


Analyse = Callable[[Iterable[Need]], Awaitable[Mapping[Need, FileAnalysis]]]
"""has the texts looked at by interpreters of the right versions"""


@dataclass(frozen=True, slots=True)
class Checkout:
    """What the project's folder held when the run was first examined: the digest of each file, and each service's own coverage
    configuration. `vendored` and `today` are asked for what is there now: of vendored modules, and where that may be something
    else by now."""

    root: str
    digests: Mapping[str, str]
    selections: Mapping[str, Selection]
    default_minor: str
    vendored: DigestAt = lambda _: None
    today: DigestAt | None = None


def needs(record: RunRecord, targets: Sequence[Target], config: Config, checkout: Checkout, text: Text) -> tuple[Need, ...]:
    """The texts that converting these targets will want analysed."""
    epochs = number_epochs((t.records for t in targets), record.id)
    return tuple(
        need
        for service in config.services
        for need in languages.of(service.language).needs(_service_data(service, targets, epochs, config, checkout, text))
    )


async def examine(
    record: RunRecord, targets: Sequence[Target], config: Config, checkout: Checkout, analyse: Analyse, text: Text
) -> tuple[Report, Ledger]:
    """What the run covered, and what it is made of. `text` gives sources by digest. Raises MappingError.

    A service that no interpreter can be had for is left out, and the ledger says so.
    """
    settled = account(record, targets, config, text)
    counted = [t for t in targets if t.stored.info.id in settled.counted]
    epochs = number_epochs((t.records for t in counted), record.id)
    converted: list[Converted] = []
    services = [service for service in config.services if service.name in record.services]
    for service in services:
        data = _service_data(service, counted, epochs, config, checkout, text)
        language = languages.of(service.language)
        try:
            tables = await analyse(language.needs(data))
        except InterpreterError as error:
            converted.append(Converted((), failures=(f"service {service.name}: {error.message}; {error.hint}",)))
            continue
        converted.append(language.convert(data, tables))
    unknown = sorted({t.service for t in counted} - {s.name for s in config.services})
    converted.append(Converted((), failures=tuple(f"service {name} is not in podcov.yaml any more" for name in unknown)))
    files = tuple(f for c in converted for f in c.files)
    found_in_config = (*_absent(config, record), *_without_files(services, checkout.digests))
    report = Report(
        run=record.id,
        epochs=epochs.epochs,
        files=files,
        services=tuple(service.name for service in services),
        warnings=tuple(dict.fromkeys((*found_in_config, *(w for c in converted for w in c.warnings), *divergent(files)))),
    )
    return report, replace(settled.ledger, unreported=tuple(f for c in converted for f in c.failures))


def _absent(config: Config, record: RunRecord) -> Iterable[str]:
    """Services that the report says nothing about."""
    names = (service.name for service in config.services)
    return (f"service {name} took no part in this run, and is not reported" for name in names if name not in record.services)


def _without_files(services: Iterable[Service], local: Mapping[str, str]) -> Iterable[str]:
    """Sources that are misspelt, or gone: a percentage without the files that no process loaded is too high."""
    return (
        f"services.{service.name}.source: there is no source file in {folder}: what of it no process loaded is not counted"
        for service in services
        for folder in service.source
        if not any(is_below(path, folder) for path in local)
    )


def _service_data(
    service: Service, targets: Iterable[Target], epochs: Numbering, config: Config, checkout: Checkout, text: Text
) -> ServiceData:
    return ServiceData(
        service=service,
        targets=tuple(_for_language(target) for target in targets if target.service == service.name),
        epochs=epochs,
        local=checkout.digests,
        selection=checkout.selections.get(service.name, Selection()),
        root=checkout.root,
        default_minor=checkout.default_minor,
        default_mode=service.mode or config.mode,
        vendored=checkout.vendored,
        today=checkout.today,
        text=text,
    )


def _for_language(target: Target) -> languages.Target:
    return languages.Target(
        name=target.stored.info.address,
        records=target.records,
        digests={(s.path, s.size, s.mtime): s.digest for s in target.status.sources},
        files=target.stored.files,
    )


def recorded_anything(report: Report, ledger: Ledger) -> bool:
    """Some statement ran somewhere, whether or not it can be reported: then its service has no files in the report."""
    if any(region.covered for file in report.files for region in file.regions):
        return True
    return bool(ledger.unreported) and not {file.service for file in report.files}.issuperset(report.services)
