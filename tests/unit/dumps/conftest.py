"""Real Go services that measure themselves, started as a container would be, and hands that reach them without a cluster."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from podcov.config import Dump, Service
from podcov.dumps import HandsError, Listed, Process, Start
from podcov.dumps.host_courier import HostCourier
from podcov.dumps.metas import Metas
from podcov.formats import go_profile
from podcov.formats.bundle import Bundle, read_bundle
from podcov.formats.courier import Answers, Status, read_answers, status_of
from podcov.formats.go_records import CountersFile, counters_files
from podcov.platform import CourierAnswer

PROGRAMS = Path(__file__).parent / "programs"
CONTAINER = "app"


def go(*arguments: str | Path, cwd: Path) -> str:
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "", "CGO_ENABLED": "0"}
    done = subprocess.run(["go", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`build("signal", "build", "-cover")`: a program of the tests, built by `go build -cover`; each only once."""
    if not shutil.which("go"):
        pytest.skip("there is no go on the PATH: these tests build real Go programs, and CI has it")
    folder = tmp_path_factory.mktemp("built")

    def make(program: str, *arguments: str) -> Path:
        output = folder / hashlib.sha256(repr((program, arguments)).encode()).hexdigest()[:12] / program
        if not output.exists():
            go(*arguments, "-o", output, ".", cwd=PROGRAMS / program)
        return output

    return make


@dataclass
class Pulled:
    """What a pull brought, and the sources that it names."""

    bundle: Bundle
    sources: Mapping[str, bytes]

    @property
    def status(self) -> Status:
        return status_of(self.bundle.manifest)

    def files(self, start: int = 0) -> dict[str, bytes]:
        """The target folder of a start of the container."""
        target = f"targets/{self.status.targets[start].name}/"
        return {p.removeprefix(target): c for p, c in self.bundle.files.items() if p.startswith(target)}

    def counters(self, start: int = 0) -> tuple[CountersFile, ...]:
        return counters_files(self.files(start))

    def ran(self, folder: Path, *epochs: int, start: int = 0) -> set[int]:
        """The lines of the program that ran in these epochs, as Go's own tools read it."""
        files = [file for file in self.counters(start) if file.epoch in epochs]
        if files and files[0].is_profile:
            return {line for file in files for line in lines_of(file.content)}
        data = folder / "-".join(map(str, ("covdata", start, *epochs)))
        data.mkdir()
        for name, content in self.sources.items():
            (data / name).write_bytes(content)
        for number, file in enumerate(files):
            (data / f"covcounters.{file.content[8:24].hex()}.1.{number}").write_bytes(file.content)
        go("tool", "covdata", "textfmt", f"-i={data}", f"-o={data}.txt", cwd=folder)
        return lines_of(Path(f"{data}.txt").read_bytes())


def lines_of(profile: bytes) -> set[int]:
    """First lines of the blocks that ran."""
    return {block.start_line for block, count in go_profile.parse(profile).counts.items() if count}


@dataclass
class Pod:
    """One container on this machine, its folder of coverage, and the courier that the host is for it. Fulfils `dumps.Hands`."""

    service: Service
    command: Sequence[str]
    environment: Mapping[str, str]
    metas: Metas = field(default_factory=Metas)
    kept: bool = False
    again: bool = False
    """it is started again when it has ended, as by a kubelet"""
    deleted: bool = False
    """it was told to end"""
    ports: Sequence[int] = ()
    reads: list[str] = field(default_factory=list)
    life: list[Start] = field(default_factory=list)
    process: subprocess.Popen[str] | None = None
    get_page: Callable[[str], bytes] = bytes
    courier: HostCourier = field(init=False)

    def __post_init__(self) -> None:
        self.courier = HostCourier(self, {CONTAINER: self.service}, self.metas, time.time)

    @property
    def folder(self) -> Path:
        assert self.service.dump
        return Path(self.service.dump.folder)

    @property
    def pid(self) -> int:
        """What the container calls its first process, as far as anybody asks for it."""
        assert self.process
        assert self.service.dump
        return 1 if self.service.dump.by == "killswitch" else self.process.pid

    # What a container does

    def begin(self) -> None:
        self.close()
        self.process = subprocess.Popen(
            self.command,
            env={"PATH": os.environ["PATH"], **self.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self.life.append(Start(len(self.life), f"containerd://{self.process.pid}", began=time.time(), running=True))

    def says(self, line: str) -> None:
        assert self.process
        assert self.process.stdout
        assert self.process.stdout.readline().strip() == line

    def do(self, *lines: str) -> None:
        """Has the program do what a line says, and waits until it has done it."""
        assert self.process
        assert self.process.stdin
        for line in lines:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            self.says(line)

    def end(self, *, kill: bool = False) -> None:
        assert self.process
        assert self.process.stdin
        if kill:  # with all that it started: a loop's program outlives the loop
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.stdin.close()
        self.process.wait()
        last = self.life[-1]
        self.life[-1] = Start(last.restart, last.id, last.began, finished=time.time())

    def close(self) -> None:
        if self.process and self.process.poll() is None:
            self.end(kill=True)
        if self.process and self.process.stdout:
            self.process.stdout.close()

    # What the host does

    def ask(self, *arguments: str, stdin: bytes = b"") -> CourierAnswer:
        return asyncio.run(self.courier.answer(arguments, stdin))

    def said(self, *arguments: str) -> Answers:
        answer = self.ask(*arguments)
        assert answer.exit_code == 0, answer.stderr
        return read_answers(answer.stdout)

    def mark(self, run: str = "run", label: str = "tests") -> Answers:
        return self.said("mark", run, label, "3")

    def dump(self) -> Answers:
        return self.said("dump", "3")

    def pull(self) -> Pulled:
        answer = self.ask("pull")
        assert answer.exit_code == 0, answer.stderr
        bundle = read_bundle(answer.stdout)
        known = {s.digest: s.path for target in status_of(bundle.manifest).targets for s in target.sources if s.digest}
        asked = ("[" + ", ".join(f'"{digest}"' for digest in known) + "]").encode()
        sources = read_bundle(self.ask("sources", stdin=asked).stdout).files
        return Pulled(bundle, {known[path.removeprefix("sources/")]: content for path, content in sources.items()})

    # Hands

    async def starts(self, container: str) -> Sequence[Start]:
        assert container == CONTAINER
        if self.again and self.process and self.process.poll() is not None:
            self.end()
            self.begin()
            self.says("ready")
        return tuple(self.life)

    async def ready(self) -> bool:
        return not self.deleted

    async def ending(self) -> bool:
        return self.deleted

    async def processes(self, container: str) -> Sequence[Process]:
        await self.starts(container)
        if self.process is None or self.process.poll() is not None:
            return ()
        return (Process(self.pid, tuple(self.command), self.environment.get("GOCOVERDIR", "")),)

    async def signal(self, container: str, name: str, pid: int) -> None:
        await asyncio.to_thread(subprocess.run, ["kill", f"-{name}", str(pid)], check=True)

    async def inspect(self, container: str, path: str) -> bytes:
        content = _content(path)
        if not path.startswith("/proc/net/"):
            return content
        mine = [f":{port:04X} 00000000:0000 0A".encode() for port in self.ports]  # other programs of this machine are none of it
        head, *lines = content.splitlines()
        return b"\n".join((head, *(line for line in lines if any(m in line for m in mine))))

    async def list(self, container: str, folder: str) -> Sequence[Listed]:
        return _listed(Path(folder))

    async def read(self, container: str, folder: str, names: Sequence[str]) -> Mapping[str, bytes]:
        self.reads += names
        paths = {name: Path(folder) / name for name in names}
        return {name: path.read_bytes() for name, path in paths.items() if path.is_file()}

    async def append(self, container: str, folder: str, name: str, text: str) -> None:
        path = Path(folder) / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a") as file:
                file.write(text + "\n")
        except OSError as error:
            raise HandsError(f"{path}: {error.strerror}") from error

    async def probe(self, container: str, folder: str) -> str:
        return "" if os.access(folder, os.W_OK) else "Permission denied"

    async def get(self, container: str, port: int, path: str, seconds: float) -> str:
        def ask() -> str:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=seconds) as answer:
                    return str(answer.status)
            except urllib.error.HTTPError as error:
                return str(error.code)
            except (ConnectionResetError, OSError):
                return "closed"

        return await asyncio.to_thread(ask)

    def keeps(self, container: str, folder: str) -> bool:
        return self.kept

    async def sidecar(self, *words: str) -> bytes:
        return b'{"protocol": 1, "asked": "%s"}\n' % " ".join(words).encode()


def _content(path: str) -> bytes:
    return Path(path).read_bytes()


def _listed(folder: Path) -> list[Listed]:
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(FileNotFoundError):  # it was given another name meanwhile
            known = path.stat()
            if stat.S_ISREG(known.st_mode):
                found.append(Listed(path.name, known.st_size, known.st_mtime_ns))
    return found


@pytest.fixture
def make_pod() -> Iterator[Callable[..., Pod]]:
    """`make_pod(...)`: a Pod, ended after the test."""
    made: list[Pod] = []

    def make(*arguments: object, **more: object) -> Pod:
        made.append(Pod(*arguments, **more))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def pod(tmp_path: Path, make_pod: Callable[..., Pod]) -> Callable[..., Pod]:
    """`pod(binary)`: a container that runs a program which handles SIGUSR1, ready."""

    def make(
        binary: Path,
        *,
        handler: str = "clear",
        named: str = "binary",
        metas: Metas | None = None,
        signal: str = "USR1",
        again: bool = False,
        **environment: str,
    ) -> Pod:
        folder = Path(tempfile.mkdtemp(prefix="coverage-", dir=tmp_path))
        env = {"GOCOVERDIR": str(folder), "HANDLER": handler, **environment}
        service = Service("asked", language="go", binary=named and str(binary), dump=Dump("signal", str(folder), signal))
        given = {name: value for name, value in env.items() if value}
        one = make_pod(service, [str(binary)], given, metas=metas or Metas(), again=again)
        one.begin()
        one.says("ready")
        return one

    return make


@pytest.fixture
def free_ports() -> Callable[[int], list[int]]:
    def find(count: int) -> list[int]:
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
        ports = [one.getsockname()[1] for one in sockets]
        for one in sockets:
            one.close()
        return ports

    return find
