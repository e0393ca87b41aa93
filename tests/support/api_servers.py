"""API servers that a test makes on this machine, and the kubeconfig that leads to one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import yaml

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[int]:
    """Has `serve` answer each connection, which is closed after that, or in the end. Yields the port."""
    held: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            await serve(reader, writer)

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(answer(reader, writer))
        held.add(task)
        task.add_done_callback(held.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)


def kubeconfig(folder: Path, server: str, *, context: str = "one", **cluster: str) -> Path:
    """Of one context of that name, with the namespace `shop`. `cluster` is what else it says of the server."""
    document = {
        "current-context": context,
        "contexts": [{"name": context, "context": {"cluster": context, "user": context, "namespace": "shop"}}],
        "clusters": [{"name": context, "cluster": {"server": server, **cluster}}],
        "users": [{"name": context, "user": {"token": "secret"}}],
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return path
