"""One command in a container: exec over a websocket, and where the courier and an interpreter for it are found."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import aiohttp

from podcov.edges.cluster_api import Api

STDIN, STDOUT, STDERR, STATUS = range(4)
_CHUNK = 1 << 16
_CLOSING_SECONDS = 5.0
"""How long the server may take to close the connection after it has told the exit status."""

SCRIPT = "podcov_courier.py"
UNPACKED, MOUNTED = f"/podcov/data/wrapper/{SCRIPT}", f"/podcov/wrapper/{SCRIPT}"
INTERPRETERS = ("python3", "python", "/usr/local/bin/python3", "/usr/bin/python3")
FLAGS = "-Es"
"""The courier must not be recorded itself where PYTHONPATH leads to the wrapper."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A command that ran to its end, or could not be begun."""

    exit_code: int | None
    """None where it could not be begun, `stderr` says why"""
    stdout: bytes
    stderr: str

    @property
    def no_executable(self) -> bool:
        """The container has no such program."""
        if self.exit_code is None:
            return any(
                text in self.stderr
                for text in ("executable file", "no such file or directory", "not a directory", "permission denied")
            )
        return self.exit_code in (126, 127) and not self.stdout

    @property
    def signal(self) -> int:
        """The signal that ended it, as a shell tells it; 0 where it ended by itself."""
        return self.exit_code - 128 if self.exit_code is not None and 128 < self.exit_code < 160 else 0

    @property
    def no_script(self) -> bool:
        """The interpreter is there, the courier is not."""
        return self.exit_code == 2 and not self.stdout and "can't open file" in self.stderr and SCRIPT in self.stderr


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
    """One way to start the courier."""

    container: str
    interpreter: str
    script: str

    def command(self, arguments: Iterable[str]) -> list[str]:
        return [self.interpreter, FLAGS, self.script, *arguments]


def interpreters(configured: Iterable[str]) -> list[str]:
    """What to try, the configured ones first, each once."""
    return list(dict.fromkeys([*configured, *INTERPRETERS]))


def scripts(*, sidecar: bool) -> tuple[str, ...]:
    """Where the courier may be, the likeliest first: only a sidecar unpacks the wrapper."""
    return (UNPACKED, MOUNTED) if sidecar else (MOUNTED, UNPACKED)


class Search:
    """Goes through the ways to start a courier, and skips those that an outcome has ruled out."""

    def __init__(self, containers: Sequence[str], configured: Iterable[str], *, sidecar: bool) -> None:
        self._ways = [
            Invocation(container, interpreter, script)
            for container in containers
            for interpreter in interpreters(configured)
            for script in scripts(sidecar=sidecar)
        ]
        self._reason = "nothing was tried"

    def __iter__(self) -> Iterator[Invocation]:
        while self._ways:
            yield self._ways[0]

    def rule_out(self, way: Invocation, outcome: Outcome) -> bool:
        """Whether `outcome` says that `way` does not exist, so that another is to be tried."""
        if outcome.no_script:
            self._reason = f"{SCRIPT} is not there: is the wrapper's ConfigMap missing, or damaged?"
            self._ways = [w for w in self._ways if (w.container, w.script) != (way.container, way.script)]
        elif outcome.no_executable:
            self._reason = f"no Python interpreter found; name it as `interpreter` in podcov.yaml ({outcome.stderr.strip()})"
            self._ways = [w for w in self._ways if (w.container, w.interpreter) != (way.container, way.interpreter)]
        else:
            return False
        return True

    @property
    def reason(self) -> str:
        """Why the last way was ruled out."""
        return self._reason
