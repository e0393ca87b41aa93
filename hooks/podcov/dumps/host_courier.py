"""Answers a courier's commands for a pod whose services measure themselves, in a courier's own words (`wrapper/PROTOCOL.md`).

Whoever asks need not know that no courier of podcov's is there: the epochs lie beside the service's files, so that another
machine, or the next run, sees the same.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from podcov import dumps, signals
from podcov.config import Service
from podcov.dumps import diagnosis, folders, journal
from podcov.dumps.contract import Dumped, Hands, HandsError, Piece, Subject, Way
from podcov.dumps.folders import Facts, Folder
from podcov.dumps.journal import Journal
from podcov.dumps.metas import Metas
from podcov.errors import DamagedError
from podcov.formats import go_counters
from podcov.formats.bundle import write_bundle
from podcov.formats.records import PROTOCOL, EpochRecord
from podcov.platform import CourierAnswer

ANSWER_SECONDS: Final = 20.0
SIDECAR_COMMANDS: Final = ("lease", "wait", "release")

Clock = Callable[[], float]
"""Unix seconds"""


class HostCourier:
    """The courier of one pod. `services` are those that measure themselves, by container.

    `metas` is shared by the couriers of all pods, so that each build's meta-data are moved once.
    """

    def __init__(self, hands: Hands, services: Mapping[str, Service], metas: Metas, clock: Clock) -> None:
        self._hands = hands
        self._subjects = [
            (Subject(service, service.dump, container, hands), dumps.way(service.dump.by))
            for container, service in services.items()
            if service.dump
        ]
        self._metas = metas
        self._clock = clock
        self._asking = asyncio.Lock()
        self._contents: dict[tuple[str, str], bytes] = {}
        """of pieces that are whole, by container and key"""
        self._runs: set[str] = set()
        """those that marked"""
        self._silent: defaultdict[str, set[int]] = defaultdict(set)
        """pids that were asked and failed, by container: they are to be told of although they may have written nothing"""
        self._ended: defaultdict[str, set[tuple[int, int]]] = defaultdict(set)
        """by container, the restart and pid of those that ended when they were asked"""
        self._last: defaultdict[str, set[str]] = defaultdict(set)
        """by container, the keys of pieces that were asked for when the pod was ending"""

    async def answer(self, arguments: Sequence[str], stdin: bytes = b"") -> CourierAnswer:
        """Runs one command. `stdin` is its input without a frame. Trouble is an exit code and a line, as of any courier."""
        name, *parameters = arguments
        try:
            if name in SIDECAR_COMMANDS:  # long polls among them: nobody waits for these
                return CourierAnswer(0, await self._hands.sidecar(*arguments), "")
            if name not in self._commands:
                return CourierAnswer(2, b"", f"podcov courier: {name!r} is no command for a service that measures itself")
            async with self._asking:
                return CourierAnswer(0, await self._commands[name](self, parameters, stdin), "")
        except HandsError as error:
            return CourierAnswer(1, b"", f"podcov courier: {name}: {error}")

    async def _mark(self, parameters: Sequence[str], _: bytes) -> bytes:
        run, label, *rest = parameters
        seconds = float(rest[0]) if rest else ANSWER_SECONDS
        kept = [await journal.read(subject) for subject, _ in self._subjects]
        epoch = max(one.epoch for one in kept) + 1
        targets = await asyncio.gather(
            *(self._begin(s, w, k, epoch, run, label, seconds) for (s, w), k in zip(self._subjects, kept, strict=True))
        )
        return self._document(targets=[t for found in targets for t in found])

    async def _begin(
        self, subject: Subject, way: Way, kept: Journal, epoch: int, run: str, label: str, seconds: float
    ) -> list[dict[str, Any]]:
        self._runs.add(run)
        asked_at = self._clock()
        asked_start = await self._last_start(subject)
        known = _keys(await self._pieces(subject, way))
        dumped = Dumped()
        if not self._spares(subject):
            dumped = await way.begin(subject, known, seconds, may_interrupt=_worth_an_interruption(kept, run, label))
        pieces = await self._pieces(subject, way)
        asked = {piece.key for piece in dumped.pieces}
        new = kept.new(pieces)
        await journal.write_pieces(
            subject, kept.epoch, [p for p in new if p.key in asked], [p for p in new if p.key not in asked]
        )
        began_at = asked_at if dumped.ended else self._clock()  # who ends of being asked ended in this run
        began = EpochRecord(epoch, run, label, int(began_at * folders.NANO))
        last_starts = dict(kept.last_starts)
        if way.in_parts:
            await journal.write_start(subject, epoch, asked_start)
            last_starts[epoch] = asked_start
        await journal.write_epoch(subject, began)
        now = replace(kept, epochs=(*kept.epochs, began), last_starts=last_starts)
        return await self._answers(subject, way, now, pieces, dumped, asked_start, done="acknowledged")

    async def _dump(self, parameters: Sequence[str], _: bytes) -> bytes:
        seconds = float(parameters[0]) if parameters else ANSWER_SECONDS
        targets = await asyncio.gather(*(self._dump_one(subject, way, seconds) for subject, way in self._subjects))
        return self._document(targets=[t for found in targets for t in found])

    async def _dump_one(self, subject: Subject, way: Way, seconds: float) -> list[dict[str, Any]]:
        asked_start = await self._last_start(subject)
        before = await self._pieces(subject, way)
        if self._spares(subject):
            living = await self._hands.processes(subject.container)
            dumped = Dumped(failures={process.pid: diagnosis.not_asked(subject) for process in living[:1]})
        else:
            ending = await self._hands.ending()
            dumped = await way.dump(subject, _keys(before), seconds)
            self._last[subject.container].update(_keys(dumped.pieces) if ending else ())
        kept = await journal.read(subject)
        await journal.write_pieces(subject, kept.epoch, asked=kept.new(dumped.pieces))
        return await self._answers(subject, way, kept, (*before, *dumped.pieces), dumped, asked_start, done="complete")

    def _spares(self, subject: Subject) -> bool:
        """Whether asking would end the process, as it ended the one before."""
        return bool(self._ended[subject.container]) and subject.dump.signal in signals.ENDS_GO

    async def _answers(
        self, subject: Subject, way: Way, kept: Journal, pieces: Sequence[Piece], dumped: Dumped, asked_start: int, *, done: str
    ) -> list[dict[str, Any]]:
        """What became of it in each process that lives, or that lived in `asked_start` and ended of it."""
        self._silent[subject.container].update(dumped.failures)
        self._ended[subject.container].update((asked_start, pid) for pid in dumped.ended)
        return [
            folder.named(
                processes=[
                    {"id": process.id, "state": "failed" if reason else done, "reason": reason}
                    for process in folder.processes
                    for ended in [dumped.ended.get(process.pid, "") if folder.start.restart == asked_start else ""]
                    if process.alive or ended
                    for reason in [ended or dumped.failures.get(process.pid, "")]
                ]
            )
            for folder in await self._folders(subject, way, kept, pieces)
        ]

    async def _status(self, _: Sequence[str], __: bytes) -> bytes:
        described: list[dict[str, Any]] = []
        for subject, way in self._subjects:
            found = await self._all_folders(subject, way)
            facts = await self._facts(subject, way, found, {})
            described += [folders.describe(folder, facts) for folder in found]
        return self._document(targets=described)

    async def _pull(self, _: Sequence[str], __: bytes) -> bytes:
        described: list[dict[str, Any]] = []
        files: dict[str, bytes] = {}
        for subject, way in self._subjects:
            found = await self._all_folders(subject, way)
            contents = await self._read(subject, [piece for folder in found for piece in folder.pieces])
            facts = await self._facts(subject, way, found, contents)
            for folder in found:
                hashes = sorted({piece.meta for piece in folder.pieces if piece.meta})
                described.append(folders.describe(folder, facts, [await self._metas.source(subject, h) for h in hashes]))
                for name, content in folders.files(folder, facts, contents).items():
                    files[f"targets/{folder.container}/{folder.start_id}/{name}"] = content
        manifest = {"protocol": PROTOCOL, "time": int(self._clock() * folders.NANO), "targets": described}
        return write_bundle(manifest, files)

    async def _sources(self, _: Sequence[str], stdin: bytes) -> bytes:
        contents = {f"sources/{digest}": self._metas.content(digest) for digest in json.loads(stdin)}
        return write_bundle({"protocol": PROTOCOL}, {path: content for path, content in contents.items() if content is not None})

    async def _unpack(self, _: Sequence[str], __: bytes) -> bytes:
        """There is nothing to unpack."""
        return self._document(folder=self._subjects[0][0].dump.folder)

    _commands: Final[Mapping[str, Callable[[HostCourier, Sequence[str], bytes], Awaitable[bytes]]]] = {
        "mark": _mark,
        "dump": _dump,
        "status": _status,
        "pull": _pull,
        "sources": _sources,
        "unpack": _unpack,
    }

    async def _pieces(self, subject: Subject, way: Way) -> tuple[Piece, ...]:
        return way.pieces(subject, await subject.list())

    async def _all_folders(self, subject: Subject, way: Way) -> tuple[Folder, ...]:
        return await self._folders(subject, way, await journal.read(subject), await self._pieces(subject, way))

    async def _folders(self, subject: Subject, way: Way, kept: Journal, pieces: Sequence[Piece]) -> tuple[Folder, ...]:
        starts = await self._hands.starts(subject.container)
        living = await self._hands.processes(subject.container) if any(start.running for start in starts) else ()
        name = subject.container
        asked = folders.Asked(self._silent[name], self._ended[name], self._last[name], self._runs)
        return folders.folders(name, starts, pieces, living, kept, asked, in_parts=way.in_parts)

    async def _last_start(self, subject: Subject) -> int:
        """Which start of the container it is that would be asked now; -1 where it never began."""
        starts = await self._hands.starts(subject.container)
        return max((s.restart for s in starts if s.running or s.began is not None or s.finished is not None), default=-1)

    async def _read(self, subject: Subject, pieces: Sequence[Piece]) -> dict[str, bytes]:
        """By name; what was read before, and was whole, is not moved again."""
        known = {p.name: self._contents[subject.container, p.key] for p in pieces if (subject.container, p.key) in self._contents}
        fresh = await subject.read([p.name for p in pieces if p.name not in known])
        for piece in pieces:
            if piece.name in fresh and _is_whole(piece, fresh[piece.name]):
                self._contents[subject.container, piece.key] = fresh[piece.name]
        return {**known, **fresh}

    async def _facts(self, subject: Subject, way: Way, found: Sequence[Folder], contents: Mapping[str, bytes]) -> Facts:
        """Who wrote something can measure itself."""
        unsupported = "" if any(folder.pieces for folder in found) else await way.unsupported(subject)
        return Facts(subject.service.binary, unsupported, _command_lines(contents))

    def _document(self, **more: Any) -> bytes:
        return json.dumps({"protocol": PROTOCOL, "time": int(self._clock() * folders.NANO), **more}).encode() + b"\n"


def _keys(pieces: Sequence[Piece]) -> frozenset[str]:
    return frozenset(piece.key for piece in pieces)


def _worth_an_interruption(kept: Journal, run: str, label: str) -> bool:
    """Whether the life that runs may hold more than start-up, and of what is not to count with what comes."""
    return kept.epoch > 0 and not kept.continues(run, label)


def _is_whole(piece: Piece, content: bytes) -> bool:
    if piece.suffix != "covcounters":
        return True
    try:
        go_counters.parse(content, walk=False)
    except DamagedError:
        return False
    return True


def _command_lines(contents: Mapping[str, bytes]) -> dict[str, tuple[str, ...]]:
    """Of those files of counters that tell one, by name."""
    found: dict[str, tuple[str, ...]] = {}
    for name, content in contents.items():
        try:
            segments = go_counters.parse(content, walk=False).segments
        except DamagedError:
            continue
        found[name] = segments[0].arguments
    return found
