"""The way `signal`: the service has a handler that writes its counters into GOCOVERDIR, and perhaps clears them.

A handler may be busy, and Go drops signals that nobody waits for, so the signal is sent again until files come. Only processes
that catch it get it: it would end any other.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

from podcov.dumps import diagnosis
from podcov.dumps.contract import Dumped, HandsError, Listed, Piece, Process, Subject, polling
from podcov.dumps.counters import counters_pieces, has_meta, is_complete

REPEAT_SECONDS = 3.0
"""after which a signal that brought nothing is sent again"""
NUMBERS: Final = {
    "HUP": 1,
    "INT": 2,
    "QUIT": 3,
    "USR1": 10,
    "USR2": 12,
    "ALRM": 14,
    "TERM": 15,
    "CONT": 18,
    "URG": 23,
    "PROF": 27,
    "WINCH": 28,
    "IO": 29,
    "PWR": 30,
}
"""Linux's, on whatever machine podcov runs"""
_CAUGHT = re.compile(rb"^SigCgt:\s*([0-9a-f]+)$", re.MULTILINE)


class SignalWay:
    """Fulfils `podcov.dumps.contract.Way`."""

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
        return await _Asking(subject, known, [p.pid for p in listening]).until_answered(seconds)

    async def unsupported(self, subject: Subject) -> str:
        processes = await subject.hands.processes(subject.container)
        if not processes or has_meta(await subject.list()):
            return ""
        return await diagnosis.no_meta_data(subject, processes)

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
        return bool(caught and int(caught[1], 16) >> (NUMBERS[subject.dump.signal] - 1) & 1)


def candidates(subject: Subject, processes: Sequence[Process]) -> list[list[Process]]:
    """Who may be meant, the likeliest first: what runs `binary`; else the first process, or those that have a GOCOVERDIR."""
    if binary := subject.service.binary:
        name = PurePosixPath(binary).name
        return [[p for p in processes if p.argv and PurePosixPath(p.argv[0]).name == name]]
    return [[p for p in processes if p.pid == 1], [p for p in processes if p.pid != 1 and p.cover_folder]]


class _Asking:
    """One dump of the processes of a container."""

    def __init__(self, subject: Subject, known: frozenset[str], pids: Sequence[int]) -> None:
        self._subject = subject
        self._known = known
        self._waiting = set(pids)
        self._gone: dict[int, str] = {}
        self._sent_at = float("-inf")
        self._complete: dict[str, Piece] = {}

    async def until_answered(self, seconds: float) -> Dumped:
        async for _ in polling(seconds):
            await self._send()
            await self._look()
            if not self._waiting:
                break
        reason = await diagnosis.no_answer(self._subject, seconds) if self._waiting else ""
        failures: Mapping[int, str] = dict.fromkeys(self._waiting, reason)
        return Dumped(tuple(self._complete.values()), failures)

    async def _send(self) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._sent_at + REPEAT_SECONDS:
            return
        self._sent_at = now
        for pid in self._waiting:
            await self._subject.hands.signal(self._subject.container, self._subject.dump.signal, pid)

    async def _look(self) -> None:
        pieces = counters_pieces(await self._subject.list())
        new = [piece for piece in pieces if piece.key not in self._known and piece.key not in self._complete]
        contents = await self._subject.read([piece.name for piece in new]) if new else {}
        for piece in new:
            if is_complete(contents.get(piece.name, b"")):
                self._complete[piece.key] = piece
                self._waiting.discard(piece.pid)
