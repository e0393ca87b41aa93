"""Port-forwards: real connections through a real local server, to far ends that come, go and refuse."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from podcov.config import PortForward, parse
from podcov.edges import forwards
from podcov.edges.cluster import forwards as cluster_forwards
from podcov.edges.forwards import Dial, Refused, Remote
from podcov.errors import ClusterError, ConfigError, Exit, UsageError

WEB = PortForward(resource="service/web", port=80)

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Tcp:
    """A far end that is a TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def receive(self) -> bytes:
        return await self.reader.read(1 << 16)


class Refusing:
    """A far end that hears something, and then says that nothing listens there."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()

    async def send(self, data: bytes) -> None:
        self.heard.set()

    async def receive(self) -> bytes:
        await self.heard.wait()
        raise Refused("connection refused")


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def server(handle: Handler) -> AsyncIterator[Dial]:
    """A server, and the way to it."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await handle(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    @asynccontextmanager
    async def dial() -> AsyncIterator[Remote]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield Tcp(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    listening = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield dial


@asynccontextmanager
async def client(environment: Mapping[str, str]) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(environment["WEB_HOST"], int(environment["WEB_PORT"]))
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def ask(environment: Mapping[str, str], data: bytes) -> bytes:
    """Sends, closes that side, and reads to the end."""
    async with client(environment) as (reader, writer):
        writer.write(data)
        await writer.drain()
        writer.write_eof()
        return await reader.read()


def test_large_data_pass_both_ways_unchanged() -> None:
    data = bytes(range(256)) * 8192

    async def main() -> None:
        async def swallow_then_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readexactly(len(data)))
            await writer.drain()

        async with server(swallow_then_answer) as dial, forwards.serve([(WEB, dial)]) as environment:
            assert environment["WEB_URL"] == f"http://127.0.0.1:{environment['WEB_PORT']}"
            assert await ask(environment, data) == data

    asyncio.run(main())


def test_many_connections_at_once_do_not_mix() -> None:
    async def main() -> None:
        async def once(environment: Mapping[str, str], text: bytes) -> bytes:
            async with client(environment) as (reader, writer):
                writer.write(text)
                return await reader.readexactly(len(text))

        async with server(echo) as dial, forwards.serve([(WEB, dial)]) as environment:
            sent = [b"%d " % n * 500 for n in range(60)]
            assert await asyncio.gather(*(once(environment, text) for text in sent)) == sent

    asyncio.run(main())


def test_an_answer_still_arrives_after_the_client_has_closed_its_side() -> None:
    async def main() -> None:
        async def answer_later(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readexactly(5)
            for part in (b"one ", b"two ", b"three"):
                await asyncio.sleep(0)
                writer.write(part)
                await writer.drain()

        async with server(answer_later) as dial, forwards.serve([(WEB, dial)]) as environment:
            assert await ask(environment, b"hello") == b"one two three"

    asyncio.run(main())


def test_a_client_that_has_gone_does_not_keep_a_silent_far_end_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwards, "HALF_CLOSED_SECONDS", 0.05)

    async def main() -> None:
        let_go = asyncio.Event()

        async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            let_go.set()

        async with server(say_nothing) as dial, forwards.serve([(WEB, dial)]) as environment:
            assert await ask(environment, b"hello") == b""
            async with asyncio.timeout(10):
                await let_go.wait()

    asyncio.run(main())


def test_a_refused_connection_goes_elsewhere_with_what_the_client_had_said() -> None:
    async def main() -> None:
        attempts: list[str] = []

        async with server(echo) as there:

            @asynccontextmanager
            async def dial() -> AsyncIterator[Remote]:
                attempts.append("dial")
                if len(attempts) == 1:
                    raise Refused("no such pod")
                if len(attempts) == 2:
                    yield Refusing()
                    return
                async with there() as remote:
                    yield remote

            async with forwards.serve([(WEB, dial)]) as environment, client(environment) as (reader, writer):
                writer.write(b"say it once")
                assert await reader.readexactly(11) == b"say it once"
        assert len(attempts) == 3

    asyncio.run(main())


def test_a_connection_that_was_answered_is_never_repeated() -> None:
    async def main() -> None:
        attempts: list[str] = []

        class Breaking(Refusing):
            async def receive(self) -> bytes:
                await self.heard.wait()
                if len(attempts) == 1:
                    attempts.append("answered")
                    return b"half"
                raise Refused("connection refused")

        @asynccontextmanager
        async def dial() -> AsyncIterator[Remote]:
            attempts.append("dial")
            yield Breaking()

        async with forwards.serve([(WEB, dial)]) as environment, client(environment) as (reader, writer):
            writer.write(b"question")
            assert await reader.read() == b"half"
        assert attempts == ["dial", "answered"]

    asyncio.run(main())


def test_what_stays_refused_is_said_and_closes_the_connection(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwards, "RETRY_SECONDS", 0.0)

    @asynccontextmanager
    async def dial() -> AsyncIterator[Remote]:
        yield Refusing()

    async def main() -> None:
        async with forwards.serve([(WEB, dial)]) as environment, client(environment) as (reader, writer):
            writer.write(b"hello")
            assert await reader.read() == b""

    asyncio.run(main())
    assert caplog.messages == ["service/web port 80: connection refused"]


def test_what_cannot_succeed_is_not_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    @asynccontextmanager
    async def dial() -> AsyncIterator[Remote]:
        raise ClusterError("forbidden: create on pods/portforward")
        yield

    async def main() -> None:
        async with forwards.serve([(WEB, dial)]) as environment, client(environment) as (reader, _):
            assert await reader.read() == b""

    asyncio.run(main())
    assert caplog.messages == ["service/web port 80: forbidden: create on pods/portforward"]


def test_open_connections_end_with_the_forward() -> None:
    async def main() -> None:
        async with server(echo) as dial:
            async with forwards.serve([(WEB, dial)]) as environment:
                reader, writer = await asyncio.open_connection("127.0.0.1", int(environment["WEB_PORT"]))
                writer.write(b"x")
                assert await reader.readexactly(1) == b"x"
            with suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", int(environment["WEB_PORT"]))

    asyncio.run(main())


def test_a_port_in_use_is_named_with_what_to_do() -> None:
    async def main(taken: int) -> None:
        async with server(echo) as dial, forwards.serve([(PortForward("service/web", 80, local_port=taken), dial)]):
            pass

    with socket.create_server(("127.0.0.1", 0)) as blocking:
        port = blocking.getsockname()[1]
        with pytest.raises(UsageError) as caught:
            asyncio.run(main(port))
    assert caught.value.exit_code == Exit.USAGE
    assert caught.value.message == f"port_forwards: service/web: cannot listen on 127.0.0.1:{port}: Address already in use"
    assert "local_port" in caught.value.hint


@pytest.mark.parametrize(
    ("forward", "prefix"),
    [
        (PortForward("service/web", 80), "WEB"),
        (PortForward("deployment/my-api.v2", 80), "MY_API_V2"),
        (PortForward("service/web", 80, name="front-end"), "FRONT_END"),
        (PortForward("service/web", 80, name="café"), "CAF_"),
    ],
)
def test_variables_are_named_after_the_resource_or_the_given_name(forward: PortForward, prefix: str) -> None:
    assert forward.variables == prefix


@pytest.mark.parametrize(
    ("ports", "target"),
    [
        ([{"port": 80}], 80),
        ([{"port": 80, "targetPort": 8080}], 8080),
        ([{"port": 80, "targetPort": "http"}], "http"),
        ([{"port": 443, "targetPort": 8443}, {"port": 80, "targetPort": 8080}], 8080),
    ],
)
def test_a_services_port_leads_to_the_pods_port(ports: list[dict[str, Any]], target: int | str) -> None:
    assert cluster_forwards.target_port({"ports": ports}, WEB) == target


def test_a_port_that_a_service_lacks_is_named_with_those_it_has() -> None:
    with pytest.raises(UsageError, match="service/web has no port 80") as caught:
        cluster_forwards.target_port({"ports": [{"port": 443}, {"port": 8080}]}, WEB)
    assert caught.value.hint == "its ports: 443, 8080"


def test_podcov_yaml_allows_exactly_the_kinds_that_can_be_forwarded_to() -> None:
    def allowed(kind: str) -> bool:
        forward = f"{{resource: {kind}/web, port: 80}}"
        try:
            parse(f"version: 1\nservices: {{web: {{workload: deployment/web}}}}\nport_forwards: [{forward}]\n")
        except ConfigError as error:
            return "port_forwards[0].resource" not in error.message
        return True

    kinds = (*cluster_forwards.KINDS, "cronjob", "ingress", "node")
    assert [kind for kind in kinds if allowed(kind)] == list(cluster_forwards.KINDS)
