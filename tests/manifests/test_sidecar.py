"""The sidecar's command, run for real: whatever is wrong with the courier, the container stays up until it is told to stop."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from podcov.generate.languages import python

Start = Callable[[str | None], subprocess.Popen]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the sidecar with a courier of the given text; None: there is none."""
    started: list[subprocess.Popen] = []

    def run(courier: str | None) -> subprocess.Popen:
        if courier is not None:
            (tmp_path / "podcov_courier.py").write_text(courier)
        command = [word.replace("/podcov/wrapper", str(tmp_path)) for word in python.courier(sys.executable)]
        started.append(subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("courier", "reason"),
    [
        (None, "FileNotFoundError"),
        ("def serve(:\n", "SyntaxError"),
        ("raise RuntimeError('no')\n", "RuntimeError('no')"),
        ("raise SystemExit(3)\n", "SystemExit(3)"),
        ("import podcov_courier_missing\n", "podcov_courier_missing"),
    ],
)
def test_without_a_courier_that_runs_the_sidecar_waits_for_the_end(courier: str | None, reason: str, start: Start) -> None:
    process = start(courier)
    assert process.stderr is not None
    said = process.stderr.readline()
    assert said.startswith("podcov: the courier cannot run, the pod goes on without it: ")
    assert reason in said
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_the_courier_gets_its_command_and_finds_its_modules(start: Start, tmp_path: Path) -> None:
    (tmp_path / "podcov_courier_part.py").write_text("word = 'part'\n")
    process = start("import sys, podcov_courier_part\nprint(__name__, sys.argv[1:], podcov_courier_part.word)\n")
    assert process.communicate(timeout=10) == ("__main__ ['serve'] part\n", "")
    assert process.returncode == 0
