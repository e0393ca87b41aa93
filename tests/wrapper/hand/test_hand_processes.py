"""Signals to real processes, and the list of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

TOLD = """
import signal, sys
signal.signal(int(sys.argv[1]), lambda number, frame: sys.exit(42))
print(flush=True)
signal.pause()
"""


@contextmanager
def child(program: str, *arguments: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has said that it is ready."""
    command = [sys.executable, "-c", program, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, **options) as process:
        try:
            assert process.stdout
            process.stdout.readline()
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("name", ["USR1", "SIGUSR2", "1", "TERM"])
def test_a_signal_reaches_its_process(hand: Any, name: str) -> None:
    number = int(name) if name.isdigit() else signal.Signals[f"SIG{name.removeprefix('SIG')}"]
    with child(TOLD, str(int(number))) as process:
        hand.output("signal", name, str(process.pid))
        assert process.wait(30) == 42


def test_every_signal_has_its_name_s_number(own_hand: Any) -> None:
    """Those that a process may catch, sent to one that prints what it gets."""
    names = [
        s.name
        for s in signal.Signals
        if s not in (signal.SIGKILL, signal.SIGSTOP) and s < signal.SIGRTMIN and "CLD" not in s.name
    ]
    program = f"""
import signal
caught = [getattr(signal, name) for name in {names}]
signal.pthread_sigmask(signal.SIG_BLOCK, caught)
print(flush=True)
while True: print(signal.Signals(signal.sigwait(caught)).name, flush=True)
"""
    with child(program) as process:
        for name in names:
            own_hand.output("signal", name, str(process.pid))
            assert process.stdout
            assert signal.Signals[process.stdout.readline().decode().strip()] == signal.Signals[name]


def test_a_process_that_has_ended_is_said(hand: Any) -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    done = hand.call("signal", "USR1", str(process.pid))
    assert (done.returncode, done.stderr) == (1, b"hand: %d: no such process\n" % process.pid)


def test_a_process_of_somebody_else_is_said(hand: Any) -> None:
    if os.geteuid():
        pytest.skip("being another user needs root")
    done = hand.call("signal", "USR1", str(os.getpid()), user=65534, group=65534)
    assert (done.returncode, done.stderr) == (1, b"hand: %d: not permitted\n" % os.getpid())


READY = "print(flush=True); input()"


@pytest.fixture
def fields(hand: Any) -> Callable[..., list[bytes]]:
    """`fields(pid)`: what the hand says of that process."""

    def find(pid: int, **options: Any) -> list[bytes]:
        lines = hand.output("processes", **options).splitlines()
        (found,) = [line.split(b"\t") for line in lines if line.startswith(b"%d\t" % pid)]
        return list(found)

    return find


def test_a_process_is_listed_with_its_arguments_and_where_it_writes_coverage(fields: Any) -> None:
    env = {"A": "GOCOVERDIR=/no", "XGOCOVERDIR": "/no", "GOCOVER": "no", "GOCOVERDIR": "/tmp/a\tfolder", "Z": "1"}
    with child(READY, "two words", "", "a\nline", stdin=subprocess.PIPE, env=env) as process:
        stat = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        assert fields(process.pid) == [
            str(process.pid).encode(),
            stat[19].encode(),
            str(os.getuid()).encode(),
            b"\x1f".join([os.fsencode(sys.executable), b"-c", READY.encode(), b"two words", b"", b"a?line"]),
            b"/tmp/a?folder",
        ]


def test_without_that_variable_the_field_is_empty(fields: Any) -> None:
    with child(READY, stdin=subprocess.PIPE, env={"GOCOVERDI": "R=/no"}) as process:
        assert fields(process.pid)[4] == b""


def test_long_arguments_and_environments_are_read_to_their_end(fields: Any) -> None:
    env = {f"V{number}": "v" * 5000 for number in range(20)} | {"GOCOVERDIR": "/coverage"}
    with child(READY, "a" * 100_000, "end", stdin=subprocess.PIPE, env=env) as process:
        _, _, _, arguments, folder = fields(process.pid)
        assert arguments.endswith(b"\x1f" + b"a" * 100_000 + b"\x1fend")
        assert folder == b"/coverage"


def test_of_somebody_else_s_process_the_variable_is_not_known(fields: Any) -> None:
    if os.geteuid():
        pytest.skip("being another user needs root")
    with child(READY, stdin=subprocess.PIPE, env={"GOCOVERDIR": "/coverage"}) as process:
        found = fields(process.pid, user=65534, group=65534)
        assert (found[2], found[4]) == (b"0", b"")


def test_any_name_of_a_program_is_read_over(fields: Any, tmp_path: Path) -> None:
    strange = tmp_path / "a) S 1 (b"
    strange.symlink_to("/bin/sleep")
    with subprocess.Popen([strange, "60"]) as process:
        try:
            stat = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            assert fields(process.pid)[1] == stat[19].encode()
        finally:
            process.kill()


def test_it_leaves_itself_out(hand: Any) -> None:
    with hand.start("processes", stdout=subprocess.PIPE) as process:
        pids = [int(line.split(b"\t")[0]) for line in process.stdout.read().splitlines()]
    assert os.getpid() in pids
    assert process.pid not in pids
