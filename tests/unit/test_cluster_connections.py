"""What is left of connections to an API server once podcov is done with it: nothing, whatever ended the requests."""

from __future__ import annotations

import asyncio
import gc
import shutil
import socket
import ssl
import subprocess
import threading
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import api_servers
import pytest
from podcov.edges.cluster import access as cluster_access
from podcov.edges.cluster.api import Api

BOUND = 30.0


@dataclass(frozen=True, slots=True)
class Certificate:
    path: Path
    key: Path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """For 127.0.0.1, signed by itself."""
    if not shutil.which("openssl"):
        pytest.skip("there is no openssl on the PATH: these tests have it make a server's certificate, and CI has it")
    folder = tmp_path_factory.mktemp("certificate")
    made = Certificate(folder / "server.crt", folder / "server.key")
    subject = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2")
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    subprocess.run(
        ["openssl", "req", "-x509", *kind, *subject, "-keyout", made.key, "-out", made.path], check=True, capture_output=True
    )
    return made


class SilentServer:
    """Takes one connection and reads a request from it. It never answers, nor says goodbye, before it is told to end."""

    def __init__(self, certificate: Certificate) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.path, certificate.key)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self.asked = threading.Event()
        self.port = self._listening.getsockname()[1]

    def _serve(self) -> None:
        with suppress(OSError):
            plain, _ = self._listening.accept()
            with plain, self._context.wrap_socket(plain, server_side=True) as connection:
                connection.recv(1 << 16)
                self.asked.set()
                self._over.wait(BOUND)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()


@pytest.fixture
def server(certificate: Certificate) -> Iterator[SilentServer]:
    with closing(SilentServer(certificate)) as silent:
        silent.start()
        yield silent


@pytest.fixture
def kubeconfig(server: SilentServer, certificate: Certificate, tmp_path: Path) -> Path:
    authority = {"certificate-authority": str(certificate.path)}
    return api_servers.kubeconfig(tmp_path, f"https://127.0.0.1:{server.port}", **authority)


async def a_list(api: Api) -> None:
    await api.list_pods("shop")


async def an_exec(api: Api) -> None:
    async with api.exec("shop", "orders-1", "app", ["true"], stdin=False):
        pass


@pytest.mark.parametrize("request_of", [a_list, an_exec])
def test_a_request_that_is_cancelled_before_its_answer_leaves_no_connection_open(
    request_of: Callable[[Api], Awaitable[None]], server: SilentServer, kubeconfig: Path
) -> None:
    async def ask_and_give_up() -> None:
        async with Api(await cluster_access.find(environ={"KUBECONFIG": str(kubeconfig)})) as api:
            asking = asyncio.ensure_future(request_of(api))
            assert await asyncio.to_thread(server.asked.wait, BOUND)
            asking.cancel()
            with suppress(asyncio.CancelledError):
                await asking

    gc.collect()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ResourceWarning)
        asyncio.run(ask_and_give_up())
        gc.collect()
    assert [str(warning.message) for warning in said] == []
