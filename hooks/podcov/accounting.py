"""Holds what should have answered against what did: container starts that the platform saw, targets that were pulled.

Pure. The result is the ledger, and the ids of the targets that the run's numbers are made of.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from podcov.ledger import Ledger, ProcessEntry, State, TargetEntry
from podcov.platform import DELETED, UNTOLD, ContainerStart

CLOCK_SLACK = 1.5
"""seconds: Kubernetes reports whole seconds, and rounds down"""


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """One start record, and what is known of its process."""

    id: str
    argv: tuple[str, ...]
    state: str
    """the start record's: `recording`, `unsupported`, `failed`; `torn` where the record itself is incomplete"""
    reason: str = ""
    recording: str = ""
    save_interval: float | None = None
    saved_at_end: bool = False
    alive: bool = False
    full: bool = False
    broken: bool = False
    """recording stopped by an internal error"""
    overflow: bool = False
    trace_replaced: bool = False
    """the app set a trace function of its own in place of the recorder's"""
    damage: tuple[str, ...] = ()
    hits: bool = False
    """something was recorded in the epochs that count"""
    missing: tuple[str, str] | None = None
    """slug and reason, where its records themselves say that something is missing"""
    note: str = ""
    """what is true of it all the same"""


@dataclass(frozen=True, slots=True)
class Unregistered:
    """An interpreter that runs in the target and left no start record."""

    pid: int
    start_time: int
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """One pulled target folder."""

    service: str
    name: str
    id: str
    pod_uid: str
    container: str
    first_time: float | None
    """Unix seconds of its first start record"""
    runs: tuple[str, ...] = ()
    """the runs that began an epoch in it"""
    marked_at: float | None = None
    """when this run did, Unix seconds by the clock of its node; None where it did not"""
    processes: tuple[ProcessFacts, ...] = ()
    unregistered: tuple[Unregistered, ...] = ()
    unmarked: Mapping[str, str] = field(default_factory=dict)
    """process id -> why the mark of this run was not acknowledged"""
    undumped: Mapping[str, str] = field(default_factory=dict)
    overtaken_by: str = ""
    """another run that began an epoch in it after this one had, or where this one never did"""
    damage: tuple[str, ...] = ()


_Pair = tuple[ContainerStart | None, TargetFacts | None]
"""a container start and the folder that it wrote; at most one of them is None"""


@dataclass(frozen=True, slots=True)
class Account:
    ledger: Ledger
    counted: frozenset[str]
    """ids of the targets whose data belong to this run"""


def settle(
    starts: Sequence[ContainerStart],
    targets: Sequence[TargetFacts],
    *,
    services: Iterable[str],
    run: str,
    marked_at: float | None,
    lost: Mapping[str, str] | None = None,
    unreached: Mapping[str, str] | None = None,
    missed: Mapping[str, Sequence[str]] | None = None,
    ignore: Mapping[str, Sequence[str]] | None = None,
    unseen: Mapping[str, str] | None = None,
) -> Account:
    """The ledger of a run.

    `starts` is all that the platform saw, `targets` all that was pulled, `marked_at` when the run began (Unix seconds).
    `lost` says for a courier's id why nothing, or not what ran last, could be pulled, `unreached` why this run's mark did not get
    there, and `missed` which starts ran then, as `<container>/<restart>`. `ignore` are regular expressions on command lines, per
    service, of interpreters that need not register; `unseen` is what may be wrong in a service of which no process registered, as
    a question.
    """
    lost, unreached, missed, ignore, unseen = lost or {}, unreached or {}, missed or {}, ignore or {}, unseen or {}
    entries: list[TargetEntry] = []
    counted: set[str] = set()
    for courier, pairs in _by_container(starts, targets):
        why, unmarked = lost.get(courier, ""), unreached.get(courier, "")
        for start, folder in pairs:
            if _of_an_earlier_run(start, folder, run, marked_at):
                continue
            if folder is None:
                assert start is not None
                entries.append(_missing(start, why, unseen.get(start.service, "")))
                continue
            counted.add(folder.id)
            entry = _pulled(folder, start, ignore.get(folder.service, ()))
            is_latest = (start, folder) == pairs[-1]
            if start and courier in missed:
                ran_then = f"{start.container}/{start.restart}" in missed[courier]
            else:
                ran_then = _ran_at(marked_at, start, folder)
            entries.append(_incomplete(entry, why if is_latest else "", unmarked if ran_then else ""))
    entries = _excused(entries)
    seen = {entry.service for entry in entries}
    return Account(Ledger(tuple(entries), tuple(s for s in services if s not in seen)), frozenset(counted))


def _by_container(starts: Sequence[ContainerStart], targets: Sequence[TargetFacts]) -> Iterator[tuple[str, list[_Pair]]]:
    """For each container of each pod the id of its courier, and which folder is of which of its starts."""
    started: dict[tuple[str, str], list[ContainerStart]] = defaultdict(list)
    for start in starts:
        started[start.address.pod_uid, start.container].append(start)
    pulled: dict[tuple[str, str], list[TargetFacts]] = defaultdict(list)
    for target in targets:
        pulled[target.pod_uid, target.container].append(target)
    for key in sorted(started.keys() | pulled.keys()):
        pod_uid, _ = key
        courier = next((start.address.id for start in started[key]), pod_uid)
        yield courier, pair(started[key], pulled[key])


def _incomplete(entry: TargetEntry, cut_off: str, unmarked: str) -> TargetEntry:
    """What was pulled may not be what the run is to have: `cut_off` says why it is not all, `unmarked` why it may be more."""
    if entry.state == "failed":
        return entry
    if cut_off:
        return replace(entry, state="failed", slug="lost", reason=cut_off)
    if unmarked:
        return replace(entry, state="failed", slug="mark-unanswered", reason=_UNREACHED.format(unmarked))
    return entry


def pair(starts: Sequence[ContainerStart], targets: Sequence[TargetFacts]) -> list[_Pair]:
    """Which folder is of which container start, for one container of one pod.

    Both are in order of time, and a folder's first record falls between its start and its end. A folder that fits no start is
    paired with None, and so is a start without a folder.
    """
    ordered = sorted(starts, key=lambda s: (s.restart, s.started or 0.0))
    waiting = sorted(targets, key=lambda t: t.first_time or 0.0)
    pairs: list[_Pair] = []
    for index, start in enumerate(ordered):
        until = start.finished if start.finished is not None else _next_start(ordered[index + 1 :])
        fitting = next((t for t in waiting if _falls_between(t.first_time, start.started, until)), None)
        if fitting is not None:
            waiting.remove(fitting)
        pairs.append((start, fitting))
    return pairs + [(None, target) for target in waiting]


def _next_start(later: Sequence[ContainerStart]) -> float | None:
    return next((s.started for s in later if s.started is not None), None)


def _falls_between(moment: float | None, begin: float | None, end: float | None) -> bool:
    if moment is None:
        return True
    return (begin is None or moment >= begin - CLOCK_SLACK) and (end is None or moment <= end + CLOCK_SLACK)


def _of_an_earlier_run(start: ContainerStart | None, target: TargetFacts | None, run: str, marked_at: float | None) -> bool:
    """A container start that had ended before this run began, and that an earlier run already counted."""
    if start is None or target is None or start.finished is None:
        return False
    begun = target.marked_at if target.marked_at is not None else marked_at
    # Kubernetes rounds the end down to a whole second: it may have come up to a second later.
    return begun is not None and start.finished + 1 <= begun and bool(set(target.runs) - {run})


def _ran_at(moment: float | None, start: ContainerStart | None, target: TargetFacts) -> bool:
    """The container had begun then, and had not ended."""
    if moment is None or target.first_time is None or target.first_time > moment:
        return False
    return start is None or start.finished is None or start.finished >= moment


_UNREACHED = "the run's mark did not get there ({}): what the tests ran cannot be told from what ran before"


def _excused(entries: Sequence[TargetEntry]) -> list[TargetEntry]:
    """What has not begun is a failure all the same where nothing of its service has: that was to be tested."""
    began = {entry.service for entry in entries if entry.slug != _NOT_BEGUN}
    return [
        entry if entry.slug != _NOT_BEGUN or entry.service in began else replace(entry, state="failed", reason=_NOTHING_BEGAN)
        for entry in entries
    ]


_NOT_BEGUN = "not-begun"
_NOTHING_BEGAN = "no container of its service has begun: what do its pods wait for? `kubectl describe` says it"


_NOT_TOLD = {
    DELETED: "its pod was gone before anybody told whether it had begun (deleted by force?)",
    UNTOLD: "nobody has told what it ran: its node lost track of it, does not answer, or is gone",
}


def _missing(start: ContainerStart, why: str, unseen: str) -> TargetEntry:
    state: State = "failed"
    if start.awaited:
        state, slug, reason = "empty", _NOT_BEGUN, "it had not begun when the run ended, so nothing of it can have run"
    elif start.started is None and start.ended in _NOT_TOLD:
        slug, reason = "lost", "; ".join(filter(None, (_NOT_TOLD[start.ended], why)))
    elif start.started is None:
        slug, reason = "never-started", ": ".join(filter(None, ("the container never started", start.ended, why)))
    elif why:
        slug, reason = "lost", why
    else:
        slug = "no-records"
        reason = f"no process registered: is the data volume full or not writable, or {unseen or 'does nothing run in it?'}"
    return TargetEntry(
        service=start.service,
        name=f"{start.address.name}/{start.container}" if start.address.namespace else start.address.name,
        id=f"{start.address.pod_uid}/{start.container}/{start.container_id or start.restart}",
        state=state,
        reason=reason,
        slug=slug,
        start=start.restart,
        ended=start.ended,
    )


def _pulled(target: TargetFacts, start: ContainerStart | None, ignore: Sequence[str]) -> TargetEntry:
    processes = [_process(p, target) for p in target.processes]
    processes += [_unregistered(u) for u in target.unregistered if not _ignored(u.argv, ignore)]
    state: State
    reason = slug = ""
    if target.damage:
        state, slug, reason = "failed", "damaged", "; ".join(target.damage)
    elif target.overtaken_by:
        state, slug, reason = "failed", "overtaken", _OVERTAKEN.format(target.overtaken_by)
    elif not any(p.state == "recording" for p in target.processes):
        state, slug = "failed", "no-records"
        reason = "no process of it could record" if target.processes else "no process registered"
    else:
        state = "collected" if any(p.hits for p in target.processes) else "empty"
    return TargetEntry(
        service=target.service,
        name=target.name,
        id=target.id,
        state=state,
        reason=reason,
        slug=slug,
        start=start.restart if start else 0,
        ended=start.ended if start else "",
        processes=tuple(processes),
    )


_OVERTAKEN = (
    "{} marked it since, and what ran from then on counts there: let one run at a time use these pods, and begin each with a mark"
)


def _process(process: ProcessFacts, target: TargetFacts) -> ProcessEntry:
    slug, reason = _trouble(process, target)
    state: State = "failed" if slug else "collected" if process.hits else "empty"
    return ProcessEntry(
        id=process.id,
        argv=process.argv,
        state=state,
        reason=reason,
        slug=slug,
        recording=process.recording,
        note="" if slug else _note(process),
    )


_FULL = (
    "the data volume is full: nothing more was recorded; "
    "give its data volume (`podcov-data`, or with a number) a larger sizeLimit"
)


def _trouble(process: ProcessFacts, target: TargetFacts) -> tuple[str, str]:
    if process.state == "torn":
        return "damaged", "its start record is incomplete; " + "; ".join(process.damage)
    if process.state == "unsupported":
        return process.missing or ("unsupported", process.reason)
    if process.state != "recording":
        return "recording-failed", process.reason
    if process.damage:
        return "damaged", "; ".join(process.damage)
    if process.full:
        return "volume-full", _FULL
    if process.broken:
        return "recording-failed", "recording stopped by an internal error"
    if process.overflow:
        return "overflow", "a value did not fit into its record and was left out"
    if process.trace_replaced:
        return "trace-replaced", "the app set a trace function of its own (a debugger?): what ran under it was not recorded"
    if process.id in target.unmarked:
        return (
            "mark-unanswered",
            f"the mark was not acknowledged: {target.unmarked[process.id]}",
        )
    if process.id in target.undumped:
        return "dump-unanswered", f"it was asked to save and did not answer ({target.undumped[process.id]})"
    if process.recording == "dumped" and not (process.alive or process.saved_at_end):
        return "lost", _UNCLEAN_END
    return process.missing or ("", "")


_UNCLEAN_END = (
    "it ended without writing what it ran (SIGKILL, a panic, out of memory?): what it ran since it was asked last is lost; "
    "podcov's own recording loses nothing (leave out `dump`)"
)


def _note(process: ProcessFacts) -> str:
    if process.recording == "saved" and not process.saved_at_end and not process.alive:
        return f"it ended without a last save: at most its last {process.save_interval or 0:g} s are missing"
    return process.note


def _unregistered(process: Unregistered) -> ProcessEntry:
    return ProcessEntry(
        id=f"{process.pid}-{process.start_time}",
        argv=process.argv,
        state="failed",
        slug="unregistered",
        reason="an interpreter that never registered: started with -I, -E or -S, or with an environment of its own; "
        "let it be with ignore_processes",
    )


def _ignored(argv: Sequence[str], patterns: Sequence[str]) -> bool:
    line = " ".join(argv)
    return any(re.search(pattern, line) for pattern in patterns)
