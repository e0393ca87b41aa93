"""One port in front of several replicas, as a Service of Kubernetes is: each connection goes to the next one that takes it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence

from podcov.edges.local.ports import HOST

_CHUNK = 65536


@contextlib.asynccontextmanager
async def balance(port: int, replicas: Sequence[int]) -> AsyncIterator[None]:
    """Listens on `port` meanwhile."""
    turns = itertools.cycle(range(len(replicas)))
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        task.add_done_callback(connections.discard)
        first = next(turns)
        with contextlib.closing(writer):
            for replica in (*replicas[first:], *replicas[:first]):
                with contextlib.suppress(ConnectionError):
                    await _connect(reader, writer, replica)
                    return

    server = await asyncio.start_server(serve, HOST, port)
    try:
        yield
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await server.wait_closed()


async def _connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Raises ConnectionError where nobody listens; afterwards only the two ends know what goes wrong."""
    from_replica, to_replica = await asyncio.open_connection(HOST, port)
    asking = asyncio.create_task(_copy(reader, to_replica))
    try:
        # A client may say early that it has asked everything; when the replica has said everything, or died, it is over.
        await _copy(from_replica, writer)
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        to_replica.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
