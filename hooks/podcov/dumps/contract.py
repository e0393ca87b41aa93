"""What a way of dumping is given, and what it has to answer; see `podcov.dumps` for the order of things."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from podcov.config import Dump, Service

POLL_SECONDS = 0.1, 0.5
"""between two looks at a folder: the first pause, and the longest that it grows to"""


class HandsError(Exception):
    """Something could not be done inside a pod; the text says what, where and why."""


class NoTool(HandsError):
    """Neither podcov's hand nor a tool of the image's own is there to do it."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of a folder. `modified` in ns of Unix time."""

    name: str
    size: int
    modified: int


@dataclass(frozen=True, slots=True)
class Process:
    """A process as a container sees it. `cover_folder` is the GOCOVERDIR of its environment, empty where it has none."""

    pid: int
    argv: tuple[str, ...]
    cover_folder: str = ""


@dataclass(frozen=True, slots=True)
class Start:
    """One start of a container, as its platform knows it. Times are Unix seconds, perhaps whole ones; None while unknown."""

    restart: int
    id: str
    began: float | None = None
    finished: float | None = None
    running: bool = False
    killed: bool = False
    """it ended of SIGKILL, in which nobody can write anything"""


class Hands(Protocol):
    """What can be done inside one pod. Every method raises HandsError where it cannot be done now.

    `container` is a container of the service, and `folder` a folder as that container names it: where it is looked at from, and
    with what, is the implementation's matter.
    """

    async def starts(self, container: str) -> Sequence[Start]:
        """All that are known, in order; at most the last one runs."""

    async def ready(self) -> bool:
        """Whether the pod serves."""

    async def ending(self) -> bool:
        """Whether the pod was told to end, so that it will not serve again."""

    async def processes(self, container: str) -> Sequence[Process]:
        """Those that the container sees, by pid. Empty where it does not run."""

    async def signal(self, container: str, name: str, pid: int) -> None:
        """Sends the signal `name` (`USR1`)."""

    async def inspect(self, container: str, path: str) -> bytes:
        """A file of the container's own, such as `/proc/1/status`."""

    async def list(self, container: str, folder: str) -> Sequence[Listed]:
        """The files of a folder, without those of folders in it. Empty where it is missing."""

    async def read(self, container: str, folder: str, names: Sequence[str]) -> Mapping[str, bytes]:
        """Files below a folder, by name. What is missing is left out."""

    async def append(self, container: str, folder: str, name: str, text: str) -> None:
        """Lines to the end of a file below a folder, which is made. `text` ends without a newline."""

    async def probe(self, container: str, folder: str) -> str:
        """Why the container cannot write into the folder; empty where it can."""

    async def get(self, container: str, port: int, path: str, seconds: float) -> str:
        """Asks a port of the pod's loopback: the status code, `closed` where it ended the connection, `refused`."""

    def keeps(self, container: str, folder: str) -> bool:
        """Whether a sidecar gives every file that is written there a name of its own, `NAME.<n>`."""

    async def sidecar(self, *words: str) -> bytes:
        """What podcov's sidecar answers to `lease`, `wait` and `release`."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A file of coverage that a process left. Its key is a name that no other file of its folder ever has."""

    key: str
    name: str
    pid: int
    time: int
    """when it was written, ns"""
    life: int = 0
    """other than 0: of a process that wrote this at its end and nothing else, and what tells it from others of its pid"""
    meta: str = ""
    """the hash of the meta-data that it needs; empty where it needs none"""

    @property
    def suffix(self) -> str:
        """What a target folder calls such a file."""
        return "covcounters" if self.meta else "profile"


@dataclass(frozen=True, slots=True)
class Subject:
    """One container of a service that measures itself."""

    service: Service
    dump: Dump
    container: str
    hands: Hands

    async def list(self) -> Sequence[Listed]:
        return await self.hands.list(self.container, self.dump.folder)

    async def read(self, names: Sequence[str]) -> Mapping[str, bytes]:
        return await self.hands.read(self.container, self.dump.folder, names)


@dataclass(frozen=True, slots=True)
class Dumped:
    """What became of asking a container's processes to write: `failures` by pid; `pieces` are those that they wrote."""

    pieces: tuple[Piece, ...] = ()
    failures: Mapping[int, str] = field(default_factory=dict)
    ended: Mapping[int, str] = field(default_factory=dict)
    """by pid: who ended of being asked, and why"""


class Way(Protocol):
    """How one kind of service is made to hand over its coverage."""

    @property
    def in_parts(self) -> bool:
        """Whether a process hands over part by part what it ran; else all of its life at once, start-up and all."""

    def pieces(self, subject: Subject, listed: Sequence[Listed]) -> tuple[Piece, ...]:
        """The files of coverage among these, oldest first."""

    async def begin(self, subject: Subject, known: frozenset[str], seconds: float, *, may_interrupt: bool) -> Dumped:
        """Has everything up to now written, because an epoch ends, within so many seconds.

        `known` are keys of pieces that were there before. Only with `may_interrupt` is it worth that the service stops serving.
        """

    async def dump(self, subject: Subject, known: frozenset[str], seconds: float) -> Dumped:
        """Has everything up to now written, within so many seconds, whatever it takes."""

    async def unsupported(self, subject: Subject) -> str:
        """Why the container that runs cannot measure itself at all, and what to do; empty where it can, or nobody knows."""


async def polling(seconds: float) -> AsyncIterator[float]:
    """Yields the seconds that are left, at least once, with pauses that grow; ends when there are none."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    pause, longest = POLL_SECONDS
    while True:
        left = deadline - loop.time()
        yield left
        if left <= 0:
            return
        await asyncio.sleep(min(pause, left))
        pause = min(2 * pause, longest)
