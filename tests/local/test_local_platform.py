"""The local platform runs services as processes, reaches their couriers, and leaves nothing running behind."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sys
import urllib.request
import zipfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from podcov.config import Config, LocalService, PortForward, Service
from podcov.edges.local.platform import LocalPlatform
from podcov.errors import UsageError
from podcov.formats.bundle import read_bundle
from podcov.formats.courier import frame, read_answers, run_input, status_of
from podcov.platform import CourierUnreachable

SERVER = """\
import os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if self.path == "/broken" else 200)
        self.end_headers()
        self.wfile.write(f"{os.getpid()} {os.environ.get('PEER', '')}".encode())

    def log_message(self, *_):
        pass

print("listening", flush=True)
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
STUBBORN = """\
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
print("up", flush=True)
while True:
    time.sleep(60)
"""


def service(name: str, *command: str, **local: Any) -> Service:
    return Service(name, local=LocalService(command=(sys.executable, *command), **local), interpreter=sys.executable)


def server(name: str, **local: Any) -> Service:
    local.setdefault("ready", f"http://127.0.0.1:{{port:{name}}}/")
    return service(name, "server.py", f"{{port:{name}}}", **local)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in {"server.py": SERVER, "stubborn.py": STUBBORN}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def platform(project: Path) -> Callable[..., LocalPlatform]:
    """`platform(service, ..., ready_seconds=...)`: not entered yet."""

    def make(*services: Service, forwards: tuple[PortForward, ...] = (), **options: Any) -> LocalPlatform:
        config = Config(services=services, platform="local", port_forwards=forwards)
        return LocalPlatform(config, root=project, folder=project / "run" / "local", **options)

    return make


def running(folder: Path) -> list[int]:
    """Living processes that record into a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if str(folder).encode() in (entry / "environ").read_bytes() and b") Z " not in (entry / "stat").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


def members(group: int) -> list[str]:
    """Living processes of a group."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, _, own, *_ = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(own) == group and state not in "ZX":
            found.append(entry.name)
    return found


async def get(url: str) -> str:
    def fetch() -> str:
        with urllib.request.urlopen(url, timeout=20) as response:
            return str(response.read().decode())

    return await asyncio.to_thread(fetch)


async def environment(platform: LocalPlatform) -> Mapping[str, str]:
    async with platform.forwards() as env:
        return env


def within(work: Awaitable[Any]) -> Any:
    async def bounded() -> Any:
        return await asyncio.wait_for(work, 120)

    return asyncio.run(bounded())


def test_a_service_is_up_marked_pulled_and_gone(platform: Any, project: Path) -> None:
    async def conduct() -> None:
        async with platform(server("hello")) as local:
            env = await environment(local)
            assert await get(env["HELLO_URL"])
            (address,) = await local.addresses()
            assert (address.name, address.service, address.containers, address.sidecar) == ("hello", "hello", ("hello",), False)
            marked = await local.call(address, ("mark", "run-1", "a label"))
            (target,) = read_answers(marked.stdout).targets
            assert [process.state for process in target.processes] == ["acknowledged"]
            assert (await local.call(address, ("dump",))).exit_code == 0
            bundle = read_bundle((await local.call(address, ("pull",))).stdout)
            assert any(path.endswith(".hits") for path in bundle.files)
            (source,) = bundle.manifest["targets"][0]["sources"]
            assert source["digest"]
            (status,) = status_of(json.loads((await local.call(address, ("status",))).stdout)).targets
            assert (status.scanned, status.unregistered, status.epoch) == (True, (), 1)
        assert running(project / "run") == []

    within(conduct())
    assert "listening" in (project / "run" / "local" / "hello.log").read_text()


def test_services_find_each_other_and_tests_find_services(platform: Any) -> None:
    async def conduct() -> None:
        front = server("front-end", env={"PEER": "http://127.0.0.1:{port:back}"})
        forwards = (PortForward("service/back", 80, name="store"),)
        async with platform(front, server("back"), forwards=forwards) as local:
            env = await environment(local)
            assert env["STORE_URL"] == env["BACK_URL"] == f"http://127.0.0.1:{env['BACK_PORT']}"
            assert env["FRONT_END_HOST"] == "127.0.0.1"
            assert (await get(env["FRONT_END_URL"])).endswith(env["BACK_URL"])

    within(conduct())


def test_replicas_share_a_port_and_have_a_courier_each(platform: Any, wait_until: Any) -> None:
    async def conduct() -> None:
        async with platform(server("hello", replicas=3)) as local:
            url = (await environment(local))["HELLO_URL"]
            assert len({await get(url) for _ in range(6)}) == 3
            addresses = await local.addresses()
            assert [address.name for address in addresses] == ["hello", "hello-2", "hello-3"]
            assert [address.pod_uid for address in addresses] == ["hello", "hello-2", "hello-3"]
            first = int(await get(url))
            os.kill(first, signal.SIGKILL)
            # Until the kernel has taken it apart, its port still accepts connections.
            await asyncio.to_thread(wait_until, lambda: not Path(f"/proc/{first}").exists(), what=f"process {first} is gone")
            answers = {int(await get(url)) for _ in range(6)}
            assert len(answers) == 2
            assert first not in answers

    within(conduct())


def test_two_runs_at_a_time_see_and_end_their_own_processes_alone(project: Path, wait_until: Any) -> None:
    """They have the same names, and one of each run has left its process group."""
    config = Config(services=(service("stubborn", "stubborn.py"),), platform="local")
    (project / "stubborn.py").write_text(STUBBORN.replace("signal.signal(signal.SIGTERM, signal.SIG_IGN)", ""))

    async def conduct() -> None:
        async with LocalPlatform(config, root=project, folder=project / "one" / "local") as one:
            async with LocalPlatform(config, root=project, folder=project / "other" / "local") as other:
                logs = [project / run / "local/stubborn.log" for run in ("one", "other")]
                await asyncio.to_thread(wait_until, lambda: [log.read_text().count("up") for log in logs] == [2, 2])
                for local in (one, other):
                    (address,) = await local.addresses()
                    (status,) = status_of(json.loads((await local.call(address, ("status",))).stdout)).targets
                    assert (f"{address.pod_uid}/{status.name}", status.unregistered) == ("stubborn/stubborn/1", ())
            assert running(project / "other") == []
            assert running(project / "one")
        assert running(project / "one") == []

    within(conduct())


def test_a_service_that_ends_is_seen_to_end_and_keeps_its_data(platform: Any) -> None:
    async def conduct() -> None:
        async with platform(server("hello")) as local:
            events = local.watch()
            waiting = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
            (before,) = await local.starts()
            assert (before.finished, before.ended, before.restart) == (None, "", 0)
            os.kill(int(await get((await environment(local))["HELLO_URL"])), signal.SIGKILL)
            event = await waiting
            assert (event.kind, event.address) == ("ended", before.address)
            (after,) = await local.starts()
            assert after.ended == "SIGKILL"
            assert after.finished >= after.started
            bundle = read_bundle((await local.call(after.address, ("pull",))).stdout)
            assert [process["alive"] for process in bundle.manifest["targets"][0]["processes"]] == [False]
            await events.aclose()

    within(conduct())


def test_a_service_without_a_port_is_a_job(platform: Any, project: Path) -> None:
    (project / "job.py").write_text("print('done')\n")

    async def conduct() -> None:
        async with platform(service("job", "job.py")) as local:
            (start,) = await local.starts()
            assert start.service == "job"

    within(conduct())


def test_a_service_that_dies_says_what_it_printed(platform: Any, project: Path) -> None:
    (project / "server.py").write_text("raise SystemExit('no database')\n")
    with pytest.raises(UsageError) as caught:
        within(platform(server("hello"), server("other")).__aenter__())
    assert "service hello ended (Error) before it was up; it printed:\nno database" in caught.value.message
    assert "services.hello.local.command is: " in caught.value.hint
    assert running(project / "run") == []


@pytest.mark.parametrize("path", ["broken", ""])
def test_a_service_that_is_not_up_in_time_is_named_and_ended(platform: Any, project: Path, path: str) -> None:
    if not path:
        (project / "server.py").write_text("import time\nprint('busy', flush=True)\ntime.sleep(600)\n")
    slow = server("hello", ready=f"http://127.0.0.1:{{port:hello}}/{path}")
    with pytest.raises(UsageError, match=r"service hello was not up within 3 s: http://127\.0\.0\.1:\d+/"):
        within(platform(slow, ready_seconds=3).__aenter__())
    assert running(project / "run") == []


def test_what_ignores_sigterm_or_leaves_its_group_is_ended_too(
    platform: Any, project: Path, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podcov.edges.local.process.STOP_SECONDS", 0.5)

    async def conduct() -> None:
        async with platform(service("stubborn", "stubborn.py")):
            log = project / "run" / "local" / "stubborn.log"
            await asyncio.to_thread(wait_until, lambda: log.read_text().count("up") == 2)
            assert len(running(project / "run")) == 2
        assert running(project / "run") == []

    within(conduct())


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, asyncio.CancelledError])
def test_services_end_however_the_run_ends(platform: Any, project: Path, error: type[BaseException]) -> None:
    async def conduct() -> None:
        async with platform(server("hello")):
            assert running(project / "run")
            raise error

    with pytest.raises(error):
        asyncio.run(conduct())
    assert running(project / "run") == []


def test_run_reads_its_input_in_a_frame(platform: Any) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("echo.py", "import sys\nsize = int(sys.stdin.readline())\nprint(sys.stdin.read(size).upper())\n")

    async def conduct() -> None:
        async with platform(server("hello")) as local:
            (address,) = await local.addresses()
            answer = await local.call(address, ("run", "echo"), run_input(archive.getvalue(), frame(b"hi")))
            assert (answer.exit_code, answer.stdout, answer.stderr) == (0, b"HI\n", "")

    within(conduct())


def test_a_courier_that_fails_or_takes_too_long(platform: Any) -> None:
    async def conduct() -> None:
        async with platform(server("hello")) as local:
            (address,) = await local.addresses()
            failed = await local.call(address, ("bogus",))
            assert failed.exit_code == 2
            assert failed.stderr.startswith("podcov courier: 'bogus' is no command")
            with pytest.raises(CourierUnreachable, match=r"the courier's wait took more than 0\.5 s"):
                await local.call(address, ("wait", "60"), seconds=0.5)

    within(conduct())


def test_what_a_service_runs_is_built_first_and_once(platform: Any, project: Path) -> None:
    append = "import sys; print('built'); open('built.txt', 'a').write(sys.argv[1])"

    async def conduct() -> None:
        build = (sys.executable, "-c", append, "x")
        async with platform(server("hello", replicas=2, build=build), server("other", build=(*build[:-1], "y"))):
            assert (project / "built.txt").read_text() == "xy"

    within(conduct())
    assert (project / "run" / "local" / "hello.build.log").read_text() == "built\n"


def test_a_build_that_fails_says_what_it_printed(platform: Any, project: Path) -> None:
    script = "import sys; print('compiling', flush=True); sys.exit('line 3: no such name')"
    with pytest.raises(UsageError) as caught:
        within(platform(server("hello", build=(sys.executable, "-c", script))).__aenter__())
    assert "service hello cannot be built" in caught.value.message
    assert caught.value.message.endswith("exit code 1; it printed:\ncompiling\nline 3: no such name")
    assert running(project / "run") == []


def test_a_build_ends_with_the_run(platform: Any, project: Path, wait_until: Any) -> None:
    script = "import os, subprocess; print(os.getpid(), flush=True); subprocess.run(['sleep', '600'])"

    async def conduct() -> None:
        entering = asyncio.create_task(platform(server("hello", build=(sys.executable, "-c", script))).__aenter__())
        log = project / "run" / "local" / "hello.build.log"
        await asyncio.to_thread(wait_until, lambda: log.exists() and log.read_text().endswith("\n"))
        group = int(log.read_text())
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
        await asyncio.to_thread(wait_until, lambda: not members(group), what="the build has ended whole")

    within(conduct())


@pytest.mark.parametrize(
    ("services", "message"),
    [
        ((Service("hello"),), "service hello cannot run on this machine: podcov.yaml does not say how"),
        ((server("hello", directory="nowhere"),), "service hello cannot be started: there is no folder"),
        (
            (Service("hello", local=LocalService(("no-such-program",)), interpreter=sys.executable),),
            "service hello cannot be started: no-such-program: No such file or directory",
        ),
        (
            (server("hello", build=("no-such-compiler",)),),
            "service hello cannot be built: no-such-compiler: No such file or directory",
        ),
        (
            (server("hello", replicas=2), server("hello-2")),
            "services.hello.local.replicas: replica 2 would be called hello-2, as another service is",
        ),
        (
            (service("one", "server.py", "{port:http}"), service("two", "server.py", "{port:http}")),
            "services one and two both listen on {port:http}",
        ),
    ],
)
def test_what_cannot_be_started_says_why(platform: Any, project: Path, services: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        within(platform(*services).__aenter__())
    assert message in caught.value.message
    assert caught.value.hint
    assert running(project / "run") == []
