"""The courier as it is called, and processes for it to talk to: recorded ones, and some that misbehave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from podcov.formats.bundle import Bundle, read_bundle
from podcov.formats.courier import Answers, Status, TargetAnswer, TargetStatus, frame, read_answers, status_of
from podcov.formats.records import PROTOCOL

SECONDS = 60
FAKE = Path(__file__).with_name("fake_process.py")


@dataclass(frozen=True)
class Courier:
    """Calls the courier for one data volume. `container` and `start` are set where it runs inside the service's container.

    Without them it is a sidecar: it sees other processes, and perhaps other files.
    """

    data: Path
    program: Path
    interpreter: str = sys.executable
    container: str = ""
    start: str = ""
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        env = {"PATH": os.environ["PATH"], "PODCOV_DATA": str(self.data), **self.more}
        if self.container:
            env["PODCOV_CONTAINER"] = self.container
        if self.start:
            env["PODCOV_START"] = self.start
        return env

    def command(self, *arguments: str) -> list[str]:
        return [self.interpreter, "-Es", str(self.program), *arguments]

    def call(self, *arguments: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        """A command without input must not read any: its standard input is never closed."""
        read, write = os.pipe()
        try:
            os.write(write, frame(stdin)) if stdin is not None else None
            command = self.command(*arguments)
            return subprocess.run(command, env=self.env, stdin=read, capture_output=True, timeout=SECONDS, check=False)
        finally:
            os.close(read)
            os.close(write)

    def output(self, *arguments: str, stdin: bytes | None = None) -> bytes:
        done = self.call(*arguments, stdin=stdin)
        assert (done.returncode, done.stderr) == (0, b""), done
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.output(*arguments))

    def status(self) -> Status:
        document = self.json("status")
        assert document["protocol"] == PROTOCOL
        return status_of(document)

    def target(self) -> TargetStatus:
        """The status of the only target."""
        (target,) = self.status().targets
        return target

    def mark(self, run: str = "run", label: str = "", *more: str) -> Answers:
        return read_answers(self.output("mark", run, label, *more))

    def marked(self, *more: str) -> TargetAnswer:
        """A mark, where there is one target."""
        (target,) = self.mark("run", "", *more).targets
        return target

    def dumped(self, *more: str) -> TargetAnswer:
        """A dump, where there is one target."""
        (target,) = read_answers(self.output("dump", *more)).targets
        return target

    def pull(self) -> Bundle:
        return read_bundle(self.output("pull"))

    def pulled(self) -> TargetStatus:
        """What a pull says of the only target."""
        (target,) = status_of(self.pull().manifest).targets
        return target

    def sources(self, *digests: str) -> Bundle:
        return read_bundle(self.output("sources", stdin=json.dumps(digests).encode()))


@pytest.fixture
def couriers(root: Path) -> Callable[..., Courier]:
    """`couriers(data, interpreter=..., container=..., start=...)`."""
    return lambda data, **options: Courier(data, root / "wrapper" / "python" / "podcov_courier.py", **options)


@pytest.fixture
def courier(couriers: Callable[..., Courier], tmp_path: Path) -> Courier:
    """A sidecar's, for an empty volume."""
    return couriers(tmp_path / "data")


@dataclass(frozen=True)
class Fake:
    """A process that registered; `id` is its name in the protocol."""

    id: str
    process: subprocess.Popen[str]


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Callable[..., Fake]]:
    """`fake("refuses", start="one", recording="saved")`: a process of target `app/one` that behaves so."""
    with ExitStack() as running:

        def start_one(behaviour: str, start: str = "one", container: str = "app", **record: object) -> Fake:
            folder = tmp_path / "data" / "targets" / container / start
            changes = [f"{key}={json.dumps(value)}" for key, value in record.items()]
            command = [sys.executable, str(FAKE), behaviour, str(folder), *changes]
            process = running.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True))
            running.callback(process.kill)
            assert process.stdout
            return Fake(process.stdout.readline().strip(), process)

        yield start_one
