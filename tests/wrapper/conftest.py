"""Real interpreters with the wrapper in their way, as in a pod: from 3.11 to 3.14, and older ones that run plain."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

import pytest
from podcov.edges import tracers
from podcov.formats import records

ROOTS = Path(os.environ.get("PODCOV_CLUSTER_HOME", Path.home() / ".cache" / "podcov-cluster"))
SECONDS = 60
NEVER = threading.Event()
RECORDED = ("3.11", "3.12", "3.13", "3.14")
MAPPED = ("3.12", "3.13", "3.14")
PLAIN = ("2.7", "3.9", "3.10")

IN_ROOT = 'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" "$@"'


@dataclass(frozen=True)
class Interpreter:
    """`command` runs it; `root` is the file system that it sees where that is not this machine's."""

    minor: str
    command: tuple[str, ...]
    root: Path | None
    folder: Path
    """a folder of its own for programs and data, as this machine sees it"""

    def inside(self, path: Path) -> str:
        """A path as the interpreter sees it."""
        return str(path) if self.root is None else f"/{path.relative_to(self.root)}"


def _local(minor: str) -> tuple[str, ...] | None:
    names = [Path.home() / ".pyenv/versions" / version for version in _pyenv_versions(minor)]
    search = os.pathsep.join([*(str(name / "bin") for name in names), os.environ.get("PATH", "")])
    found = shutil.which(f"python{minor}", path=search)
    return (found,) if found else None


def _pyenv_versions(minor: str) -> list[str]:
    return sorted(path.name for path in (Path.home() / ".pyenv" / "versions").glob(f"{minor}.*"))


def _root_with(minor: str) -> Path | None:
    found = [root for root in sorted(ROOTS.glob("rootfs-*")) if (root / "usr/bin" / f"python{minor}").exists()]
    return found[0] if found and os.geteuid() == 0 else None


@contextmanager
def _interpreter(minor: str) -> Iterator[Interpreter]:
    if command := _local(minor):
        folder = Path(mkdtemp(prefix="podcov-wrapper-tests-"))  # pytest's own folders are closed to other users
        folder.chmod(0o755)
        yield Interpreter(minor, command, None, folder)
        shutil.rmtree(folder)
    elif root := _root_with(minor):
        folder = Path(mkdtemp(prefix="podcov-wrapper-tests-", dir=root / "tmp"))
        folder.chmod(0o755)
        enter = ("unshare", "--mount", "sh", "-c", IN_ROOT, str(root))
        yield Interpreter(minor, (*enter, f"/usr/bin/python{minor}"), root, folder)
        shutil.rmtree(folder)
    else:
        pytest.skip(f"no python{minor}: not on the path, not in ~/.pyenv, not in a root file system of {ROOTS}")


class Interpreters:
    """Each is looked for once, and gets the wrapper compiled."""

    def __init__(self, wrapper: Path) -> None:
        self._wrapper = wrapper
        self._found: dict[str, Interpreter] = {}
        self._open: list[object] = []

    def __call__(self, minor: str) -> Interpreter:
        if minor not in self._found:
            entered = _interpreter(minor)
            self._found[minor] = entered.__enter__()
            self._open.append(entered)
            self._unpack(self._found[minor])
        return self._found[minor]

    def _unpack(self, interpreter: Interpreter) -> None:
        folder = interpreter.folder / "wrapper"
        shutil.copytree(self._wrapper, folder, ignore=shutil.ignore_patterns("__pycache__", "*.lock", "*.json", "tracers"))
        for tracer in tracers.ensure(tracers.minors_for("branch")):  # beside the modules, as in a pod
            shutil.copy(tracer, folder)
        if interpreter.minor not in PLAIN:
            compile_all = [*interpreter.command, "-m", "compileall", "-q", interpreter.inside(folder)]
            subprocess.run(compile_all, check=True, env={"PATH": os.environ["PATH"]})

    def close(self) -> None:
        for entered in self._open:
            entered.__exit__(None, None, None)  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def interpreters(root: Path) -> Iterator[Interpreters]:
    """`interpreters("3.13")`: a real one of that minor version, with the wrapper beside it; skips where there is none."""
    found = Interpreters(root / "wrapper" / "python")
    yield found
    found.close()


@dataclass
class Pod:
    """Runs programs under the wrapper, in a target of its own, and reads what they left."""

    interpreter: Interpreter
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def minor(self) -> str:
        return self.interpreter.minor

    @property
    def version(self) -> tuple[int, ...]:
        return tuple(map(int, self.minor.split(".")))

    @property
    def wrapper(self) -> Path:
        return self.interpreter.folder / "wrapper"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def target(self) -> Path:
        return self.data / "targets" / "app" / "one"

    def inside(self, path: Path) -> str:
        return self.interpreter.inside(path)

    def write(self, name: str, text: str) -> str:
        """A file of the app; returns its path as the app sees it."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return self.inside(path)

    def env(self, **more: str) -> dict[str, str]:
        """The environment of an instrumented container."""
        environment = {
            "PATH": os.environ["PATH"],
            "PODCOV_DATA": self.inside(self.data),
            "PODCOV_CONTAINER": "app",
            "PODCOV_START": "one",
            **self.environment,
            **more,
        }
        paths = [self.inside(self.wrapper), environment.get("PYTHONPATH", "")]
        return {**environment, "PYTHONPATH": os.pathsep.join(filter(None, paths))}

    def plain_env(self, **more: str) -> dict[str, str]:
        """The same container without the profile."""
        return {"PATH": os.environ["PATH"], **more}

    def command(self, *arguments: str, options: Iterable[str] = ()) -> list[str]:
        return [*self.interpreter.command, *options, *arguments]

    def run(self, *arguments: str, env: Mapping[str, str] | None = None, **options: object) -> subprocess.CompletedProcess[str]:
        """Run to the end, whatever that is."""
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            self.command(*arguments),
            **{"env": env or self.env(), "capture_output": True, "text": True, "timeout": SECONDS, "check": False, **options},
        )

    def check(self, *arguments: str, env: Mapping[str, str] | None = None, **options: object) -> str:
        """Run to a good end without a word on stderr; returns stdout."""
        done = self.run(*arguments, env=env, **options)
        assert (done.returncode, done.stderr) == (0, ""), done
        return str(done.stdout)

    @contextmanager
    def started(
        self, *arguments: str, env: Mapping[str, str] | None = None, **options: object
    ) -> Iterator[subprocess.Popen[str]]:
        """A process that runs meanwhile, with pipes; killed at the end if it still runs."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(  # type: ignore[call-overload]
            self.command(*arguments), **{"env": env or self.env(), "text": True, "bufsize": 1, **pipes, **options}
        ) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()

    def records(self) -> records.TargetRecords:
        files = {}
        for path in self.target.iterdir():
            with suppress(FileNotFoundError):  # a new file that got its name meanwhile
                if not path.is_socket():
                    files[path.name] = path.read_bytes()
        return records.parse_target(files)

    def processes(self) -> tuple[records.ProcessRecords, ...]:
        """What every process left; nothing of it damaged. A start record that is just being written is waited for."""
        end = time.monotonic() + 10
        while (read := self.records()) and any(p.start is None for p in read.processes) and time.monotonic() < end:
            time.sleep(0.005)
        assert read.damage == ()
        for process in read.processes:
            assert process.damage == (), process
        return read.processes

    def lines(
        self, name: str, epochs: Iterable[int] | None = None, of: Iterable[records.ProcessRecords] | None = None
    ) -> set[int]:
        """The lines of the file of that name that ran, in any process."""
        wanted = None if epochs is None else set(epochs)
        ran: set[int] = set()
        for process in self.processes() if of is None else of:
            for epoch, words in process.epochs.items():
                if wanted is None or epoch in wanted:
                    ran |= _lines(process, name, words)
        return ran

    def sockets(self) -> list[Path]:
        return sorted(self.target.glob("*.sock"))

    def ask(self, request: str, path: Path | None = None) -> str:
        """The answer of the process with that socket, by default the only one; raises OSError as a courier would get it."""
        return self.ask_bytes(request, path).decode("utf-8", "surrogateescape")

    def ask_bytes(self, request: str, path: Path | None = None) -> bytes:
        if path is None:
            (path,) = self.sockets()
        folder = os.open(path.parent, os.O_DIRECTORY)
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(SECONDS)
                connection.connect(f"/proc/self/fd/{folder}/{path.name}")
                connection.sendall(f"{request}\n".encode())
                return connection.makefile("rb").read()
        finally:
            os.close(folder)

    def mark(self, epoch: int) -> None:
        """Begin an epoch as the courier does it: first on disk, then in every process that listens."""
        unfinished = self.target / "epoch.new"
        unfinished.write_text(f"{epoch}\n")
        unfinished.rename(self.target / "epoch")
        for path in self.sockets():
            self._mark(path, epoch)

    def _mark(self, path: Path, epoch: int) -> None:
        hung_up = False
        for _ in range(200):
            try:
                if answer := self.ask(f"mark {epoch}", path):
                    assert answer == f"ok mark {epoch}\n"
                    return
                hung_up = True
            except ConnectionRefusedError:
                if not hung_up:
                    return  # it has ended
            except (ConnectionResetError, BrokenPipeError):
                hung_up = True
            NEVER.wait(0.005)  # a fork or a new socket came in between, or it has ended just now


def _lines(process: records.ProcessRecords, name: str, words: Iterable[int]) -> set[int]:
    ran: set[int] = set()
    for kind, index, value in map(records.split, words):
        file = process.codes[index].file if index in process.codes else index
        if Path(process.files[file].path).name == name and kind == records.Kind.LINE:
            ran.add(value)
    return ran


@pytest.fixture
def pods(interpreters: Interpreters, request: pytest.FixtureRequest) -> Iterator[Callable[..., Pod]]:
    """`pods("3.13", PODCOV_MODE="branch")`: an empty pod with that interpreter and environment."""
    made: list[Path] = []

    def make(minor: str, **environment: str) -> Pod:
        interpreter = interpreters(minor)
        folder = Path(mkdtemp(prefix="pod-", dir=interpreter.folder))
        folder.chmod(0o755)
        made.append(folder)
        (folder / "data").mkdir()
        (folder / "data").chmod(0o777)
        return Pod(interpreter, folder, environment)

    yield make
    for folder in made:
        shutil.rmtree(folder)


@pytest.fixture(params=RECORDED)
def pod(request: pytest.FixtureRequest, pods: Callable[..., Pod]) -> Pod:
    """A pod for each Python that is recorded."""
    return pods(request.param)


@pytest.fixture(params=[*((minor, "line") for minor in MAPPED), ("3.14", "branch")], ids="-".join)
def mapped_pod(request: pytest.FixtureRequest, pods: Callable[..., Pod]) -> Pod:
    """A pod for each way of recording that is mapped."""
    minor, mode = request.param
    return pods(minor, PODCOV_MODE=mode)


@pytest.fixture
def end() -> Callable[[subprocess.Popen[str]], int]:
    """Ends a process by SIGTERM; returns its status."""

    def terminate(process: subprocess.Popen[str]) -> int:
        process.send_signal(signal.SIGTERM)
        return process.wait(SECONDS)

    return terminate
