"""One command in a container: exec over a websocket, and which of the ways to call a courier leads to one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import aiohttp

from podcov.edges.cluster.api import Api
from podcov.languages.couriers import Courier, Missing, Outcome, Words

STDIN, STDOUT, STDERR, STATUS = range(4)
_CHUNK = 1 << 16
_CLOSING_SECONDS = 5.0
"""How long the server may take to close the connection after it has told the exit status."""


class Cut(Exception):
    """The connection ended before the exit status came: the command may or may not have run."""


@dataclass(slots=True)
class _Received:
    streams: dict[int, bytearray] = field(default_factory=lambda: {STDOUT: bytearray(), STDERR: bytearray(), STATUS: bytearray()})

    def take(self, frame: bytes) -> None:
        channel, data = frame[0], frame[1:]
        if channel in self.streams:
            self.streams[channel] += data

    def outcome(self) -> Outcome:
        """Raises Cut where there is no whole exit status."""
        errors = self.streams[STDERR].decode(errors="replace")
        try:
            exit_code, message = parse_status(bytes(self.streams[STATUS]))
        except ValueError as error:
            raise Cut("the connection ended before the command did" + (f": {errors.strip()}" if errors else "")) from error
        return Outcome(exit_code, bytes(self.streams[STDOUT]), message if exit_code is None else errors)


def parse_status(frame: bytes) -> tuple[int | None, str]:
    """The exit code, or None and why the command could not be begun. Raises ValueError for what is no status."""
    status = json.loads(frame)
    if not isinstance(status, dict) or "status" not in status:
        raise ValueError("no status")
    if status["status"] == "Success":
        return 0, ""
    causes = (status.get("details") or {}).get("causes") or ()
    code = next((cause.get("message") for cause in causes if cause.get("reason") == "ExitCode"), None)
    return (None if code is None else int(code)), status.get("message") or ""


async def run(api: Api, namespace: str, pod: str, container: str, command: Sequence[str], stdin: bytes) -> Outcome:
    """Runs a command to its end. Raises Cut, and what `Api` raises. Bounding its time is up to the caller."""
    received = _Received()
    async with api.exec(namespace, pod, container, command, stdin=bool(stdin)) as websocket:
        sending = asyncio.create_task(_send(websocket, stdin))
        try:
            await _receive(websocket, received)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
    return received.outcome()


async def _send(websocket: aiohttp.ClientWebSocketResponse, stdin: bytes) -> None:
    for start in range(0, len(stdin), _CHUNK):
        await websocket.send_bytes(bytes([STDIN]) + stdin[start : start + _CHUNK])


async def _receive(websocket: aiohttp.ClientWebSocketResponse, received: _Received) -> None:
    while True:
        told = bool(received.streams[STATUS])
        try:
            message = await websocket.receive(_CLOSING_SECONDS if told else None)
        except TimeoutError:
            return
        if message.type is aiohttp.WSMsgType.BINARY:
            if message.data:
                received.take(message.data)
        elif message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED):
            return
        elif message.type is aiohttp.WSMsgType.ERROR:
            raise Cut(f"the connection broke: {websocket.exception()}")


@dataclass(frozen=True, slots=True)
class Invocation:
    """One way to start a courier."""

    container: str
    words: Words
    courier: Courier = field(compare=False)

    def command(self, arguments: Iterable[str]) -> list[str]:
        return [*self.words, *arguments]


class Search:
    """Goes through the ways to start a courier, the likeliest first, and skips those that an outcome has ruled out."""

    def __init__(self, ways: Iterable[Invocation], *, nowhere: str) -> None:
        """`nowhere` is the reason where there are no ways to begin with."""
        self._ways = list(dict.fromkeys(ways))
        self._nowhere = nowhere
        self._missing: list[Missing] = []

    def __iter__(self) -> Iterator[Invocation]:
        while self._ways:
            yield self._ways[0]

    def rule_out(self, way: Invocation, outcome: Outcome) -> bool:
        """Whether `outcome` says that `way` does not exist, so that another is to be tried."""
        missing = way.courier.missing(way.words, outcome)
        if missing is None:
            return False
        self._missing.append(missing)
        self._ways = [w for w in self._ways if not _shares(w, way, missing.place)]
        return True

    @property
    def reason(self) -> str:
        """Why the last way was ruled out."""
        return self._missing[-1].reason if self._missing else self._nowhere

    @property
    def unbegun(self) -> bool:
        """All that was missing may come yet."""
        return bool(self._missing) and all(missing.unbegun for missing in self._missing)


def _shares(way: Invocation, other: Invocation, place: int) -> bool:
    """Both call the same in the same container there."""
    return way.container == other.container and way.words[place : place + 1] == other.words[place : place + 1]
