"""Public services from the module proxy, unchanged: podcov has of a process what Go's own runtime writes of the same one."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ports import free_port

HTTPBIN = ("github.com/mccutchen/go-httpbin/v2@v2.18.3", "./cmd/go-httpbin")
NODE_EXPORTER = ("github.com/prometheus/node_exporter@v1.9.1", ".")
PATHS = ("/get?a=1", "/status/418", "/headers", "/gzip", "/uuid", "/json", "/bytes/100?seed=1", "/cookies/set?a=b", "/nothing")


@pytest.fixture
def built(podcov_go: Any, tmp_path: Path, container: Callable[[Path], Any]) -> Callable[[str, str], Any]:
    """A command of a module, built from a copy of it: Go covers packages of the main module only."""

    def build(module: str, command: str) -> Any:
        described = json.loads(podcov_go.go("mod", "download", "-json", module, cwd=tmp_path))
        source = tmp_path / "source"
        shutil.copytree(described["Dir"], source, copy_function=shutil.copyfile)
        for folder in (source, *(path for path in source.rglob("*") if path.is_dir())):
            folder.chmod(0o755)
        return container(podcov_go.build(tmp_path / "service", "-cover", command, cwd=source, CGO_ENABLED="0"))

    return build


@pytest.fixture
def port() -> Iterator[int]:
    """One that is taken for as long as the test runs."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def test_go_httpbin(built: Any, own_files: Any, wait_until: Callable[..., object]) -> None:
    pod = built(*HTTPBIN)
    address = f"http://127.0.0.1:{(number := free_port())}"
    with pod.started("-host", "127.0.0.1", "-port", str(number), **own_files.env) as process:
        wait_until(lambda: answers(address), seconds=30)
        assert all(answers(address + path) for path in PATHS)
        living = {block for block, yes in pod.blocks().items() if yes}
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    blocks = pod.blocks()
    assert blocks == own_files.blocks()
    assert living < {block for block, yes in blocks.items() if yes}
    assert len(living) > 100


def test_node_exporter(built: Any, own_files: Any, port: int) -> None:
    pod = built(*NODE_EXPORTER)
    assert pod.run(f"--web.listen-address=127.0.0.1:{port}", **own_files.env).returncode == 1
    assert pod.blocks() == own_files.blocks()
    assert sum(pod.blocks().values()) > 200
