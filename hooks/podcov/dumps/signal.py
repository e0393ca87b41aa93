"""The way `signal`: the service has a handler that writes its counters into GOCOVERDIR, and perhaps clears them.

A handler may be busy, and Go drops signals that nobody waits for, so the signal is sent again until files come. Only processes
that catch it get it: it would end any other. Go's runtime catches every signal, and ends the program of some that the program
does not wait for, so who has ended is seen before anything is sent again: a process that came after it gets none.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath

from podcov import signals
from podcov.dumps import diagnosis
from podcov.dumps.contract import Dumped, HandsError, Listed, Piece, Process, Subject, polling
from podcov.dumps.counters import counters_pieces, has_meta
from podcov.formats import go_counters

REPEAT_SECONDS = 3.0
"""after which a signal that brought nothing is sent again"""
_CAUGHT = re.compile(rb"^SigCgt:\s*([0-9a-f]+)$", re.MULTILINE)
_STATE, _STARTED = 0, 19
"""fields of `/proc/PID/stat` after the program's name"""
_ENDED = (b"Z", b"X")


class SignalWay:
    """Fulfils `podcov.dumps.contract.Way`."""

    in_parts = True

    def pieces(self, subject: Subject, listed: Sequence[Listed]) -> tuple[Piece, ...]:  # noqa: ARG002
        return counters_pieces(listed)

    async def begin(
        self,
        subject: Subject,
        known: frozenset[str],
        seconds: float,
        *,
        may_interrupt: bool,  # noqa: ARG002
    ) -> Dumped:
        return await self.dump(subject, known, seconds)

    async def dump(self, subject: Subject, known: frozenset[str], seconds: float) -> Dumped:
        processes = await subject.hands.processes(subject.container)
        if not processes:
            return Dumped()
        listening = await self._listening(subject, processes)
        if not listening:
            return Dumped(failures={processes[0].pid: diagnosis.nobody_listens(subject, processes)})
        if not known and not has_meta(await subject.list()):
            reason = await diagnosis.no_meta_data(subject, processes)
            return Dumped(failures=dict.fromkeys((p.pid for p in listening), reason))
        began = {p.pid: await _began(subject, p.pid) for p in listening}
        return await _Asking(subject, known, {pid: when for pid, when in began.items() if when}).until_answered(seconds)

    async def unsupported(self, subject: Subject) -> str:
        return await diagnosis.not_counting(subject)

    async def _listening(self, subject: Subject, processes: Sequence[Process]) -> list[Process]:
        for group in candidates(subject, processes):
            if found := [p for p in group if await self._catches(subject, p)]:
                return found
        return []

    async def _catches(self, subject: Subject, process: Process) -> bool:
        try:
            status = await subject.hands.inspect(subject.container, f"/proc/{process.pid}/status")
        except HandsError:
            return False  # it has ended
        caught = _CAUGHT.search(status)
        return bool(caught and int(caught[1], 16) >> (signals.number(subject.dump.signal) - 1) & 1)


def candidates(subject: Subject, processes: Sequence[Process]) -> list[list[Process]]:
    """Who may be meant, the likeliest first: what runs `binary`; else the first process, or those that have a GOCOVERDIR."""
    if binary := subject.service.binary:
        name = PurePosixPath(binary).name
        return [[p for p in processes if p.argv and PurePosixPath(p.argv[0]).name == name]]
    return [[p for p in processes if p.pid == 1], [p for p in processes if p.pid != 1 and p.cover_folder]]


async def _began(subject: Subject, pid: int) -> bytes:
    """When the process of that pid began, in ticks of its machine; empty where none runs. A container that is started again has
    another process of the same pid."""
    try:
        stat = await subject.hands.inspect(subject.container, f"/proc/{pid}/stat")
    except HandsError:
        return b""
    fields = stat.rpartition(b")")[2].split()
    return b"" if fields[_STATE] in _ENDED else fields[_STARTED]


class _Asking:
    """One dump of the processes of a container. `began` says by pid when each did."""

    def __init__(self, subject: Subject, known: frozenset[str], began: Mapping[int, bytes]) -> None:
        self._subject = subject
        self._known = known
        self._began = began
        self._waiting = set(began)
        self._ended: set[int] = set()
        self._sent_at: float | None = None
        self._complete: dict[str, Piece] = {}

    async def until_answered(self, seconds: float) -> Dumped:
        async for _ in polling(seconds):
            await self._send()
            await self._look()
            if not self._waiting:
                break
        await self._part_with(await self._gone())
        reason = await diagnosis.no_answer(self._subject, seconds) if self._waiting else ""
        ended = dict.fromkeys(self._ended, diagnosis.ended_of_it(self._subject))
        return Dumped(tuple(self._complete.values()), dict.fromkeys(self._waiting, reason), ended)

    async def _send(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._sent_at is not None:
            if now < self._sent_at + REPEAT_SECONDS:
                return
            await self._part_with(await self._gone())
        self._sent_at = now
        for pid in self._waiting:
            await self._send_to(pid)

    async def _send_to(self, pid: int) -> None:
        try:
            await self._subject.hands.signal(self._subject.container, self._subject.dump.signal, pid)
        except HandsError:
            if await _began(self._subject, pid) == self._began[pid]:
                raise  # it is there, and cannot be sent anything

    async def _gone(self) -> set[int]:
        """Those that are waited for and do not run any more."""
        if not self._waiting:
            return set()
        running = {process.pid for process in await self._subject.hands.processes(self._subject.container)}
        return {p for p in self._waiting if p not in running or await _began(self._subject, p) != self._began[p]}

    async def _part_with(self, gone: Collection[int]) -> None:
        """They may have written something at their end."""
        if gone:
            await self._look()
            self._ended |= self._waiting & set(gone)
            self._waiting -= self._ended

    async def _look(self) -> None:
        pieces = counters_pieces(await self._subject.list())
        new = [piece for piece in pieces if piece.key not in self._known and piece.key not in self._complete]
        contents = await self._subject.read([piece.name for piece in new]) if new else {}
        for piece in new:
            if go_counters.is_complete(contents.get(piece.name, b"")):
                self._complete[piece.key] = piece
                self._waiting.discard(piece.pid)
