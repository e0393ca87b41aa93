"""Real interpreters that record with the C tracer: in line mode 3.11, in branch mode 3.11 to 3.13."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
from coverage import CoverageData
from podcov.edges import tracers
from podcov.formats import records

PROGRAMS = Path(__file__).parent / "programs"
CASES = [("3.11", "line"), ("3.11", "branch"), ("3.12", "branch"), ("3.13", "branch")]
REFERENCE = ("coverage==7.17.3", "gevent==26.9.0", "greenlet==3.5.6")
SECONDS = 60


@dataclass(frozen=True)
class Case:
    minor: str
    mode: str
    python: Path


@dataclass(frozen=True)
class Ran:
    """What one process or several left behind, merged: lines, or pairs of lines in branch mode, by file name."""

    processes: tuple[records.ProcessRecords, ...]

    def hits(self, epochs: Sequence[int] | None = None) -> dict[str, set[object]]:
        merged: dict[str, set[object]] = {}
        for process in self.processes:
            for epoch, words in process.epochs.items():
                if epochs is None or epoch in epochs:
                    for kind, index, value in map(records.split, words):
                        merged.setdefault(Path(process.files[index].path).name, set()).add(_value(kind, value))
        return merged

    def lines(self, name: str, epochs: Sequence[int] | None = None) -> set[int]:
        return _lines(self.hits(epochs).get(name, set()))


def _value(kind: int, value: int) -> object:
    if kind == records.Kind.LINE:
        return value
    assert kind == records.Kind.ARC
    return records.signed20(value >> 20), records.signed20(value & 0xFFFFF)


def _lines(hits: set[object]) -> set[int]:
    return {line for hit in hits for line in (hit if isinstance(hit, tuple) else (hit,)) if isinstance(line, int) and line > 0}


@dataclass
class Recording:
    """Runs programs with the wrapper in their way, as a pod does."""

    case: Case
    wrapper: Path
    data: Path
    environment: Mapping[str, str]

    @property
    def folder(self) -> Path:
        return self.data / "targets" / "app" / "test"

    def env(self, **more: str) -> dict[str, str]:
        path = os.pathsep.join(part for part in (str(self.wrapper), more.pop("PYTHONPATH", "")) if part)
        return {**self.environment, **more, "PYTHONPATH": path}

    def run(self, *arguments: str | Path, text: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.case.python), *map(str, arguments)]
        return subprocess.run(
            command, env=self.env(**env), input=text, capture_output=True, text=True, timeout=SECONDS, check=False
        )

    def start(self, *arguments: str | Path, **env: str) -> subprocess.Popen[str]:
        """Unbuffered pipes to and from it; for use in `with`."""
        command = [str(self.case.python), *map(str, arguments)]
        return subprocess.Popen(
            command, env=self.env(**env), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, encoding="utf-8"
        )

    def ran(self) -> Ran:
        files = {path.name: path.read_bytes() for path in self.folder.iterdir() if not path.is_socket()}
        target = records.parse_target(files)
        for process in target.processes:
            assert process.damage == (), process
        return Ran(target.processes)

    def ask(self, request: str) -> str:
        """The answer of the only process that there is, without the newline."""
        (path,) = self.folder.glob("*.sock")
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(SECONDS)
            folder = os.open(self.folder, os.O_DIRECTORY)
            try:
                connection.connect(f"/proc/self/fd/{folder}/{path.name}")
            finally:
                os.close(folder)
            connection.sendall(f"{request}\n".encode())
            return connection.makefile(encoding="utf-8").readline().rstrip("\n")


@pytest.fixture(scope="session")
def interpreter() -> Callable[[str], Path]:
    """`interpreter("3.12")` is a real one of that minor version, outside of any environment; skips where there is none."""

    def find(minor: str) -> Path:
        name = f"python{minor}"
        places = [Path(sys.base_prefix, "bin", name), *Path.home().glob(f".pyenv/versions/{minor}.*/bin/{name}")]
        on_path = shutil.which(name)
        found = [place for place in (*places, *([Path(on_path)] if on_path else [])) if place.exists()]
        if not found:
            pytest.skip(f"no Python {minor} on this machine")
        return found[0]

    return find


@pytest.fixture(params=CASES, ids=lambda case: "-".join(case))
def case(request: pytest.FixtureRequest, interpreter: Callable[[str], Path]) -> Case:
    minor, mode = request.param
    return Case(minor, mode, interpreter(minor))


@pytest.fixture(scope="session")
def wrapper(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wrapper's folder as it lies in a pod: modules and tracers side by side."""
    folder = tmp_path_factory.mktemp("wrapper")
    for module in (root / "wrapper" / "python").glob("*.py"):
        shutil.copy(module, folder)
    variant = f"{platform.machine()}-{'musl' if 'ld-musl' in Path('/proc/self/maps').read_text() else 'gnu'}"
    for tracer in tracers.ensure(tracers.minors_for("branch"), variants=[variant]):
        shutil.copy(tracer, folder)
    return folder


@pytest.fixture
def recording(case: Case, wrapper: Path, tmp_path: Path) -> Recording:
    data = tmp_path / "data"
    data.mkdir(mode=0o777)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",
        "PODCOV_DATA": str(data),
        "PODCOV_CONTAINER": "app",
        "PODCOV_START": "test",
        "PODCOV_MODE": case.mode,
    }
    return Recording(case, wrapper, data, environment)


@pytest.fixture(scope="session")
def packages(root: Path, alone: Callable[[Path], AbstractContextManager[None]]) -> Callable[[Case], Path]:
    """A folder with the packages that the tests compare with and run, for a case's Python. Kept between sessions."""

    def install(case: Case) -> Path:
        folder = root / ".cache" / "tests" / "-".join((f"cp{case.minor}", *REFERENCE)).replace("==", "") / "site-packages"
        with alone(folder):
            if not folder.exists():
                scratch = folder.parent / f"installing-{os.getpid()}"
                command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(scratch), "--only-binary=:all:"]
                command += ["--python-version", case.minor, "--implementation", "cp", *REFERENCE]
                subprocess.run(command, check=True)
                scratch.rename(folder)
        return folder

    return install


@pytest.fixture
def reference(case: Case, packages: Callable[[Case], Path], tmp_path: Path) -> Callable[..., dict[str, set[object]]]:
    """`reference(script)`: what `coverage run` with its C tracer says of a program, as `Ran.hits` does."""

    def run(script: Path) -> dict[str, set[object]]:
        data = tmp_path / "reference.coverage"
        command = [str(case.python), "-m", "coverage", "run", f"--data-file={data}", f"--source={script.parent}"]
        command += ["--branch"] if case.mode == "branch" else []
        env = {**os.environ, "PYTHONPATH": str(packages(case)), "COVERAGE_CORE": "ctrace"}
        subprocess.run([*command, str(script)], env=env, check=True, timeout=SECONDS)
        read = CoverageData(str(data))
        read.read()
        measured = {Path(path).name: set(read.arcs(path) or read.lines(path) or ()) for path in read.measured_files()}
        return {name: hits for name, hits in measured.items() if hits}

    return run


@pytest.fixture
def programs() -> Path:
    return PROGRAMS
