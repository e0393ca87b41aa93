"""Real Go programs, built with and without podcov in the toolchain, and what they leave."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from podcov.edges import go_toolchain
from podcov.formats.bundle import Bundle, read_bundle
from podcov.formats.courier import Answers, Status, read_answers, status_of
from podcov.formats.go_records import CountersFile, counters_files, meta_digests
from podcov.formats.records import PROTOCOL

SECONDS = 120
PROGRAMS = Path(__file__).parent / "programs"
COURIER = "--podcov-courier"
OWN = {"PATH", "HOME", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB", "GOFLAGS", "TMPDIR", "XDG_CACHE_HOME"}

Blocks = dict[str, bool]
"""a block as text profiles name it, and whether it ran"""


def environment(**more: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in OWN} | {"GOTOOLCHAIN": "local"} | more


def call(*command: str | Path, cwd: Path | None = None, **env: str) -> str:
    done = subprocess.run(command, cwd=cwd, env=environment(**env), capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Toolchain:
    goroot: Path
    version: str

    def go(self, *arguments: str | Path, cwd: Path | None = None, **env: str) -> str:
        return call(self.goroot / "bin" / "go", *arguments, cwd=cwd, GOROOT=str(self.goroot), **env)

    def build(self, output: Path, *arguments: str | Path, cwd: Path, **env: str) -> Path:
        self.go("build", "-o", output, *arguments, cwd=cwd, **env)
        return output


@pytest.fixture(scope="session")
def plain_go() -> Toolchain:
    """The toolchain that this machine has."""
    if not shutil.which("go"):
        pytest.skip("there is no go on the PATH: these tests build real Go programs, and CI has it")
    goroot = Path(call("go", "env", "GOROOT").strip())
    return Toolchain(goroot, call("go", "env", "GOVERSION").strip())


@pytest.fixture(scope="session")
def with_podcov() -> Callable[[Toolchain], Toolchain]:
    """A copy of a toolchain with podcov in it, as `podcov go` makes and keeps it."""

    def make(plain: Toolchain) -> Toolchain:
        return Toolchain(go_toolchain.ensure(str(plain.goroot / "bin" / "go"), env=environment()), plain.version)

    return make


@pytest.fixture(scope="session")
def podcov_go(plain_go: Toolchain, with_podcov: Callable[[Toolchain], Toolchain]) -> Toolchain:
    """The same toolchain with podcov in it."""
    return with_podcov(plain_go)


@pytest.fixture(scope="session")
def old_go(plain_go: Toolchain) -> Callable[[str], Toolchain]:
    """`old_go("1.22.12")`: that toolchain, from the module cache or the module proxy."""

    def find(version: str) -> Toolchain:
        goroot = call(plain_go.goroot / "bin" / "go", "env", "GOROOT", GOTOOLCHAIN=f"go{version}").strip()
        return Toolchain(Path(goroot), f"go{version}")

    return find


@pytest.fixture(scope="session")
def programs() -> Path:
    """The folder of modules that tests build."""
    return PROGRAMS


@dataclass
class Pulled:
    """What a pull brought."""

    status: Status
    files: Mapping[str, bytes]
    counters: Sequence[CountersFile]
    metas: Mapping[str, bytes]

    def epochs(self) -> set[int]:
        return {file.epoch for file in self.counters}


@dataclass
class Container:
    """One start of a container whose processes record: a data volume, and a binary that is its own courier."""

    folder: Path
    binary: Path
    go: Toolchain
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def link(self) -> Path:
        """By which the program is called as a courier in its own container."""
        return self.data / "programs" / "app"

    @property
    def target(self) -> Path:
        return self.data / "targets" / "app" / "one"

    def env(self, **more: str) -> dict[str, str]:
        own = {"PATH": os.environ["PATH"], "PODCOV_DATA": str(self.data), "PODCOV_CONTAINER": "app", "PODCOV_START": "one"}
        return own | self.environment | more

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run to the end, whatever that is."""
        command = [str(self.binary), *arguments]
        return subprocess.run(command, env=self.env(**more), capture_output=True, text=True, timeout=SECONDS, check=False)

    @contextmanager
    def started(self, *arguments: str, **more: str) -> Iterator[subprocess.Popen[str]]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen([str(self.binary), *arguments], env=self.env(**more), text=True, **pipes) as process:  # type: ignore[call-overload]
            try:
                yield process
            finally:
                process.kill()

    def courier(self, *arguments: str, stdin: bytes = b"") -> bytes:
        command = [str(self.binary), COURIER, *arguments]
        done = subprocess.run(command, env=self.env(), input=stdin, capture_output=True, timeout=SECONDS, check=False)
        assert (done.returncode, done.stderr) == (0, b""), done
        return done.stdout

    def status(self) -> Status:
        document = json.loads(self.courier("status"))
        assert document["protocol"] == PROTOCOL
        return status_of(document)

    def mark(self, run: str = "run", label: str = "tests") -> Answers:
        return read_answers(self.courier("mark", run, label))

    def dumped(self) -> Answers:
        return read_answers(self.courier("dump"))

    def pull(self) -> Pulled:
        bundle = read_bundle(self.courier("pull"))
        status = status_of(bundle.manifest)
        prefix = "targets/app/one/"
        files = {path.removeprefix(prefix): content for path, content in bundle.files.items() if path.startswith(prefix)}
        digests = meta_digests((source.path, source.digest) for target in status.targets for source in target.sources)
        return Pulled(status, files, counters_files(files), self._metas(digests))

    def _metas(self, digests: Mapping[str, str]) -> dict[str, bytes]:
        asked = ("[" + ", ".join(f'"{digest}"' for digest in digests.values()) + "]").encode()
        bundle: Bundle = read_bundle(self.courier("sources", stdin=b"%d\n%b" % (len(asked), asked)))
        return {name: bundle.files[f"sources/{digest}"] for name, digest in digests.items()}

    def blocks(self, *epochs: int) -> Blocks:
        """What ran in these epochs, or in all of them, as Go's own tools read it."""
        pulled = self.pull()
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        for name, content in pulled.metas.items():
            (folder / f"covmeta.{name}").write_bytes(content)
        for number, file in enumerate(pulled.counters):
            if not epochs or file.epoch in epochs:
                (folder / f"covcounters.{file.content[8:24].hex()}.1.{number}").write_bytes(file.content)
        return text_of(self.go, folder)


def text_of(go: Toolchain, folder: Path) -> Blocks:
    output = folder / "profile.txt"
    go.go("tool", "covdata", "textfmt", f"-i={folder}", f"-o={output}")
    blocks: Blocks = {}
    for line in output.read_text().splitlines()[1:]:
        block, _, count = line.rpartition(" ")
        blocks[block] = blocks.get(block, False) or int(count) > 0
    return blocks


@pytest.fixture
def container(tmp_path: Path, plain_go: Toolchain) -> Callable[[Path], Container]:
    """`container(binary)`: a container of its own that runs this binary."""

    def start(binary: Path) -> Container:
        folder = tmp_path / f"container-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        (folder / "data").mkdir()
        return Container(folder, binary, plain_go)

    return start


@pytest.fixture
def direct(tmp_path: Path, plain_go: Toolchain) -> Callable[..., Blocks]:
    """`direct(binary, *arguments)`: what Go's own coverage says of a run of this binary; `clean` has `ends` end cleanly."""

    def run(binary: Path, *arguments: str, clean: bool = False) -> Blocks:
        folder = tmp_path / f"direct-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        env = environment(GOCOVERDIR=str(folder)) | ({"CLEAN": "1"} if clean else {})
        subprocess.run([str(binary), *arguments], env=env, capture_output=True, timeout=SECONDS, check=False)
        return text_of(plain_go, folder)

    return run


@dataclass(frozen=True)
class OwnFiles:
    """What Go's own runtime writes at a clean exit, beside podcov."""

    go: Toolchain
    folder: Path

    @property
    def env(self) -> dict[str, str]:
        return {"GOCOVERDIR": str(self.folder)}

    def blocks(self) -> Blocks:
        return text_of(self.go, self.folder)


@pytest.fixture
def own_files(plain_go: Toolchain, tmp_path: Path) -> OwnFiles:
    folder = tmp_path / "gocoverdir"
    folder.mkdir()
    return OwnFiles(plain_go, folder)
