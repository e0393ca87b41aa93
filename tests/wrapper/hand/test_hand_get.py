"""One HTTP request to this machine's own loopback, answered by all kinds of servers."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

Behaviour = Callable[[socket.socket], object]
REQUEST = b"GET /kill HTTP/1.0\r\nHost: localhost\r\nUser-Agent: podcov\r\nConnection: close\r\n\r\n"


@dataclass
class Server:
    """Answers one connection; `got` is the request."""

    listener: socket.socket
    behave: Behaviour
    got: bytearray = field(default_factory=bytearray)

    @property
    def port(self) -> str:
        return str(self.listener.getsockname()[1])

    def run(self) -> None:
        connection, _ = self.listener.accept()
        with connection:
            while b"\r\n\r\n" not in self.got:
                self.got += connection.recv(4096)
            self.behave(connection)


@pytest.fixture
def server() -> Iterator[Callable[..., Server]]:
    """`server(behaviour, address="::1")`"""
    with ExitStack() as running:

        def start(behave: Behaviour, address: str = "127.0.0.1") -> Server:
            listener = socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
            running.enter_context(listener)
            made = Server(listener, behave)
            thread = threading.Thread(target=made.run)
            thread.start()
            running.callback(thread.join)
            return made

        yield start


def says(*parts: bytes) -> Behaviour:
    def behave(connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)

    return behave


def resets(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), b"200\n"),
        (says(b"HTTP/1.0 404 Not Found\r\n\r\n"), b"404\n"),
        (says(b"HTTP/1.1 5", b"03\r\n"), b"503\n"),
        (says(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_000_000), b"200\n"),
        (says(), b"closed\n"),
        (says(b"HTTP/1.1 2"), b"closed\n"),
        (resets, b"closed\n"),
    ],
)
def test_it_says_the_status_or_that_the_server_went_away(hand: Any, server: Any, answer: Behaviour, status: bytes) -> None:
    running = server(answer)
    assert hand.output("get", running.port, "/kill", "30") == status
    assert bytes(running.got) == REQUEST


def test_the_first_slash_may_be_left_out(own_hand: Any, server: Any) -> None:
    running = server(says(b"HTTP/1.1 200 OK\r\n\r\n"))
    own_hand.output("get", running.port, "kill", "30")
    assert bytes(running.got) == REQUEST


def test_a_server_that_listens_on_ipv6_alone_is_found(hand: Any, server: Any) -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    assert hand.output("get", server(says(b"HTTP/1.1 200 OK\r\n\r\n"), "::1").port, "/", "30") == b"200\n"


def test_nobody_there_is_an_exit_code_of_its_own(hand: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    done = hand.call("get", str(port), "/", "5")
    assert (done.returncode, done.stdout) == (3, b"")
    assert done.stderr == b"hand: %d: nobody listens on this port of the pod's loopback\n" % port


def test_a_server_that_says_nothing_is_waited_for_as_long_as_was_said(hand: Any, server: Any) -> None:
    given_up = threading.Event()
    silent = server(lambda connection: given_up.wait(60))
    done = hand.call("get", silent.port, "/", "0.2")
    given_up.set()
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == f"hand: 127.0.0.1 port {silent.port}: no answer in the time given\n".encode()


def test_an_answer_that_does_not_end_has_its_status(hand: Any, server: Any) -> None:
    over = threading.Event()

    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nstill")
        over.wait(60)

    assert hand.output("get", server(endless).port, "/", "0.5") == b"200\n"
    over.set()


def test_what_is_not_http_is_said(hand: Any, server: Any) -> None:
    other = server(says(b"SSH-2.0-OpenSSH_9.2\r\n"))
    done = hand.call("get", other.port, "/", "30")
    assert done.returncode == 1
    assert done.stderr == f"hand: 127.0.0.1 port {other.port}: what answers does not speak HTTP\n".encode()
