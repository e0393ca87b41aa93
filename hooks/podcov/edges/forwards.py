"""Port-forwards: local servers whose connections are carried to wherever a dialler leads, which may change while they are open.

A connection that could not be made is tried again elsewhere, with what the client has said so far; one that has been answered
once is never repeated.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from podcov.config import PortForward, address_variables
from podcov.errors import PodcovError, UsageError

LOCALHOST = "127.0.0.1"
RETRY_SECONDS = 10.0
"""How long a refused connection is tried again before the client is turned away."""
HALF_CLOSED_SECONDS = 60.0
"""How long an answer may pause after the client has closed its side: a client that has gone altogether looks the same."""

_CHUNK = 1 << 16
_REPEATABLE_BYTES = 1 << 20
_PAUSE = 0.2

log = logging.getLogger(__name__)


class Refused(Exception):
    """Nothing took the connection: whatever was sent reached nobody."""


class Remote(Protocol):
    """The far end of one connection."""

    async def send(self, data: bytes) -> None:
        """Raises ConnectionError where the connection has broken."""

    async def receive(self) -> bytes:
        """What comes next, empty at the end. Raises Refused, or ConnectionError where the connection has broken."""


Dial = Callable[[], AbstractAsyncContextManager[Remote]]
"""Opens one connection. Raises Refused where that may succeed later, PodcovError where it cannot."""


@asynccontextmanager
async def serve(dials: Sequence[tuple[PortForward, Dial]]) -> AsyncIterator[Mapping[str, str]]:
    """Listens for all forwards; yields NAME_HOST, NAME_PORT and NAME_URL of each.

    Raises UsageError where a local port is in use.
    """
    environment: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        for forward, dial in dials:
            port = await stack.enter_async_context(_listen(forward, dial))
            environment |= address_variables(forward.variables, LOCALHOST, port)
        yield environment


@asynccontextmanager
async def _listen(forward: PortForward, dial: Dial) -> AsyncIterator[int]:
    connections: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(_Connection(forward, dial, reader, writer).run())
        connections.add(connection)
        connection.add_done_callback(connections.discard)

    try:
        server = await asyncio.start_server(accept, LOCALHOST, forward.local_port)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error
        raise UsageError(
            f"port_forwards: {forward.resource}: cannot listen on {LOCALHOST}:{forward.local_port}: {why}",
            hint="end what listens there (`ss -ltnp` shows it), choose another `local_port`, or leave it out for a free one",
        ) from error
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await server.wait_closed()


@dataclass(slots=True)
class _Connection:
    """One client, and whoever answers it."""

    forward: PortForward
    dial: Dial
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    unanswered: bytearray = field(default_factory=bytearray)
    """what the client has said before the first answer"""
    received: int = 0
    """bytes of the answer"""

    async def run(self) -> None:
        try:
            await self._carry()
        except (Refused, PodcovError) as error:
            log.warning("%s port %s: %s", self.forward.resource, self.forward.port, error)
        except ConnectionError as error:
            log.debug("%s port %s: %s", self.forward.resource, self.forward.port, error)
        finally:
            self.writer.close()
            with suppress(ConnectionError):
                await self.writer.wait_closed()

    async def _carry(self) -> None:
        """To its end, over as many attempts as it takes to be let in."""
        deadline = asyncio.get_running_loop().time() + RETRY_SECONDS
        while True:
            try:
                async with self.dial() as remote:
                    await self._relay(remote)
                return
            except Refused:
                if self.received or len(self.unanswered) > _REPEATABLE_BYTES:
                    raise
                if asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(_PAUSE)

    async def _relay(self, remote: Remote) -> None:
        """Both ways, until the far end has closed or the client has gone."""
        up = asyncio.create_task(self._up(remote))
        down = asyncio.create_task(self._down(remote))
        try:
            await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
            if not down.done():
                up.result()
                await self._rest_of_the_answer(down)
            down.result()
        finally:
            for task in (up, down):
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)

    async def _rest_of_the_answer(self, down: asyncio.Task[None]) -> None:
        """The client has said all. The protocol cannot pass that on, but the answer may still be on its way."""
        while not down.done():
            before = self.received
            await asyncio.wait((down,), timeout=HALF_CLOSED_SECONDS)
            if not down.done() and self.received == before:
                raise ConnectionAbortedError("the client closed its side, and no more of an answer came")

    async def _up(self, remote: Remote) -> None:
        await self._pass_on(remote, bytes(self.unanswered))
        while data := await self.reader.read(_CHUNK):
            if not self.received and len(self.unanswered) <= _REPEATABLE_BYTES:
                self.unanswered += data
            await self._pass_on(remote, data)

    @staticmethod
    async def _pass_on(remote: Remote, data: bytes) -> None:
        # Where the far end has closed, what it said last tells why.
        with suppress(ConnectionError):
            if data:
                await remote.send(data)

    async def _down(self, remote: Remote) -> None:
        while data := await remote.receive():
            self.received += len(data)
            self.unanswered.clear()
            self.writer.write(data)
            await self.writer.drain()
