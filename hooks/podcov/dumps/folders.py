"""The target folders of a service that measures itself, as a courier of podcov's own would have them. Pure.

There is one for each start of the container. All starts write into the same folder; the time of a piece tells whose it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from podcov.dumps.contract import Piece, Process, Start
from podcov.dumps.journal import Journal
from podcov.formats.records import PROTOCOL, EpochRecord

NANO = 1_000_000_000
WHOLE_SECOND = 1.0
"""platforms round times down to whole seconds"""
SCAN_REASON = "a service that measures itself is asked for what it measured, and for nothing else"
FIRST = 1


@dataclass(frozen=True, slots=True)
class Remains:
    """What is known of one process: the pieces that it wrote, and whether it lives."""

    id: str
    pid: int
    argv: tuple[str, ...]
    alive: bool
    pieces: tuple[Piece, ...]
    wrote_at_end: bool
    """it ended, and wrote everything before it did"""
    note: str = ""
    """what is true of it all the same"""


@dataclass(frozen=True, slots=True)
class Folder:
    """One start of the container, and its processes."""

    container: str
    start: Start
    journal: Journal
    processes: tuple[Remains, ...]
    epochs: tuple[EpochRecord, ...]
    """that it tells of"""

    @property
    def start_id(self) -> str:
        return start_id(self.start)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        return tuple(piece for process in self.processes for piece in process.pieces)

    def named(self, **more: Any) -> dict[str, Any]:
        """The beginning of whatever a courier says of a target."""
        return {"container": self.container, "start_id": self.start_id, "epoch": self.journal.epoch, **more}


@dataclass(frozen=True, slots=True)
class Facts:
    """What the start records say beside the process: `unsupported` is why it cannot measure itself; empty where it can."""

    binary: str = ""
    unsupported: str = ""
    argv: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """by name of the piece: the command line that it tells"""


def start_id(start: Start) -> str:
    return f"{start.restart}-{_digest(start)}"


def process_id(start: Start, pid: int, life: int = 0) -> str:
    """As `<process>` in a target folder. A container start has each pid once, as far as its files tell, but for `life`."""
    return f"{pid}-{life or start.restart}-{_digest(start)}"


def _digest(start: Start) -> str:
    return hashlib.sha256(start.id.encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known from having asked the processes of a container, and cannot be seen in what they left."""

    silent: Collection[int] = ()
    """pids of those that are to be told of, while they live, although they wrote nothing"""
    ended: Collection[tuple[int, int]] = ()
    """who ended of it, by restart of the container and pid: they are told of, too"""
    last: Collection[str] = ()
    """keys of the pieces that were asked for when the pod was ending: what is started again after that is not missed"""
    runs: Collection[str] = ()
    """that it was for; lives that were of other runs than these and the current one are not told"""


NOTHING_ASKED = Asked()


def folders(
    container: str,
    starts: Sequence[Start],
    pieces: Sequence[Piece],
    living: Sequence[Process],
    journal: Journal,
    asked: Asked = NOTHING_ASKED,
    *,
    in_parts: bool = False,
) -> tuple[Folder, ...]:
    """A folder for each start that ran, whether or not anybody saw it.

    `living` are the processes of the one that runs. Where processes hand over `in_parts`, each start has epochs of its own.
    """
    own = _by_start(starts, pieces)
    return tuple(
        _folder(container, start, own[start.restart], living if start.running else (), journal, asked, in_parts=in_parts)
        for start in starts
        if start.began is not None or own[start.restart] or start is not starts[-1]
    )


def _by_start(starts: Sequence[Start], pieces: Sequence[Piece]) -> dict[int, list[Piece]]:
    """The pieces of each start, by its restart."""
    found: dict[int, list[Piece]] = {start.restart: [] for start in starts}
    for piece in pieces:
        if start := _start_of(piece, starts):
            found[start.restart].append(piece)
    return found


def _start_of(piece: Piece, starts: Sequence[Start]) -> Start | None:
    """The first that had not ended before the piece was written."""
    moment = piece.time / NANO
    for start, following in zip(starts, [*starts[1:], None], strict=True):
        if start.finished is not None:
            until = start.finished + WHOLE_SECOND
        else:
            until = following.began if following and following.began is not None else float("inf")
        if moment <= until:
            return start
    return starts[-1] if starts else None


def _folder(
    container: str,
    start: Start,
    pieces: Sequence[Piece],
    living: Sequence[Process],
    journal: Journal,
    asked: Asked,
    *,
    in_parts: bool,
) -> Folder:
    kept = journal.of_start(start.restart) if in_parts else journal
    alive = {process.pid: process for process in living}
    processes = _processes(start, pieces, alive, kept, asked)
    # One that has ended ran for the run before, if any, and is not missed by the next: so it tells of all marks.
    epochs = kept.epochs if start.finished is None else journal.epochs
    return Folder(container, start, kept, _of_runs(start, processes, alive, kept, asked.runs), epochs)


def _processes(
    start: Start, pieces: Sequence[Piece], alive: Mapping[int, Process], journal: Journal, asked: Asked
) -> tuple[Remains, ...]:
    """Those that wrote something or should have."""
    dead = {pid for restart, pid in asked.ended if restart == start.restart and pid not in alive}
    past = [_past(start, piece, asked) for piece in pieces if piece.life]
    pids = {p.pid for p in pieces if not p.life} | (alive.keys() & set(asked.silent)) | dead
    ended_in_another = bool(past) and not alive and pieces[-1].key not in asked.last and _outlived(start, pieces[-1], journal)
    if not (pieces or dead) or ended_in_another:
        pids.add(min(alive, default=FIRST))
    lasting = [_remains(start, pid, [p for p in pieces if (p.pid, p.life) == (pid, 0)], alive, journal) for pid in sorted(pids)]
    return (*past, *lasting)


def _past(start: Start, piece: Piece, asked: Asked) -> Remains:
    """A life that has left this."""
    note = _AGAIN if piece.key in asked.last else ""
    return Remains(process_id(start, piece.pid, piece.life), piece.pid, (), False, (piece,), wrote_at_end=True, note=note)


_AGAIN = "it wrote this when its pod was told to end: what was started again in that pod before it was gone is not here"


def _of_runs(
    start: Start, processes: Sequence[Remains], alive: Mapping[int, Process], journal: Journal, runs: Collection[str]
) -> tuple[Remains, ...]:
    """Without the lives that other runs have counted; of a start that has ended one stays, for the folder to tell of it."""
    told = [one for one in processes if not _is_life(one) or journal.is_of(one.pieces[-1], runs)]
    if told:
        return tuple(told)
    return (_remains(start, min(alive), (), alive, journal),) if alive else tuple(processes[-1:])


def _is_life(process: Remains) -> bool:
    return any(piece.life for piece in process.pieces)


def _outlived(start: Start, last: Piece, journal: Journal) -> bool:
    """Whether a container that has ended did so in another life of its process than the one that left `last`.

    One whose pod is being deleted may still be said to run.
    """
    end = _end(start)
    return last.key in journal.asked if end is None else last.time / NANO < end - WHOLE_SECOND


def _end(start: Start) -> float | None:
    """When the container ended, where anybody saw it: the end of a start that is known by its follower's may be long before."""
    return start.finished if start.began is not None else None


def _remains(start: Start, pid: int, pieces: Sequence[Piece], alive: Mapping[int, Process], journal: Journal) -> Remains:
    at_end = pid not in alive and bool(pieces) and _wrote_at_end(start, pieces, journal)
    argv = alive[pid].argv if pid in alive else ()
    return Remains(process_id(start, pid), pid, argv, pid in alive, tuple(pieces), at_end)


def _wrote_at_end(start: Start, pieces: Sequence[Piece], journal: Journal) -> bool:
    """Whether the last piece of a process that has ended holds all that came before its end.

    Others than podcov may have asked for it. A container ends with its first process, or with one that serves, and so is asked;
    any other may have ended at any time. Who is killed writes nothing then.
    """
    last, end = pieces[-1], _end(start)
    if last.key in journal.asked:
        return False
    ends_with_it = last.pid == FIRST or any(piece.key in journal.asked for piece in pieces)
    if ends_with_it and start.killed:
        return False
    return end is None or not ends_with_it or last.time / NANO >= end - WHOLE_SECOND


def describe(folder: Folder, facts: Facts, sources: Sequence[Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """The target in `status`; with `sources`, in a pull's manifest."""
    described = folder.named(
        epochs=[{"epoch": e.number, "run": e.run, "label": e.label, "time": e.time} for e in folder.epochs],
        processes=[_described(process, folder, facts) for process in folder.processes],
        unregistered=[],
        scanned=False,
        scan_reason=SCAN_REASON,
    )
    return described if sources is None else described | {"sources": list(sources)}


def _described(process: Remains, folder: Folder, facts: Facts) -> dict[str, Any]:
    return {
        "id": process.id,
        "start": start_record(process, folder.start, facts),
        "alive": process.alive,
        "ended": process.wrote_at_end,
        "reason": facts.unsupported if process.alive else process.note,
        "epochs": sorted({folder.journal.of(piece) for piece in process.pieces}),
        "flags": 0,
    }


def start_record(process: Remains, start: Start, facts: Facts) -> dict[str, Any]:
    """What a recorder of podcov's own would have written when the process began.

    `recording` is `dumped`, and null while nothing was to be had from it: it began after everybody was asked.
    """
    argv = process.argv or next((facts.argv[p.name] for p in process.pieces if p.name in facts.argv), ())
    unsupported = facts.unsupported if process.alive and not process.pieces else ""
    return {
        "protocol": PROTOCOL,
        "language": "go",
        "pid": process.pid,
        "start_time": start.restart,
        "time": int((start.began or 0) * NANO),
        "executable": facts.binary or next(iter(argv), ""),
        "argv": list(argv),
        "implementation": "gc",
        "state": "unsupported" if unsupported else "recording",
        "reason": unsupported or None,
        "recording": "dumped" if process.pieces or unsupported or not process.alive else None,
    }


def files(folder: Folder, facts: Facts, contents: Mapping[str, bytes]) -> dict[str, bytes]:
    """The folder's files by name; `contents` by name of the piece."""
    journal = folder.journal
    lines = (f"{e.number}\t{e.run}\t{e.label}\t{e.time}\n" for e in folder.epochs)
    found = {"epoch": b"%d\n" % journal.epoch, "epochs": "".join(lines).encode()}
    for process in folder.processes:
        record = json.dumps(start_record(process, folder.start, facts))
        found[f"{process.id}.start"] = f"{record}\n".encode()
        if process.wrote_at_end:
            found[f"{process.id}.end"] = b""
        numbers: dict[int, count[int]] = {}
        for piece in process.pieces:
            if piece.name in contents:
                epoch = journal.of(piece)
                number = next(numbers.setdefault(epoch, count()))
                found[f"{process.id}.{epoch}.{number}.{piece.suffix}"] = contents[piece.name]
    return found
