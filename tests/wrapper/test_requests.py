"""What a process answers on its socket, as PROTOCOL.md has it."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Pod

APP = """\
import sys

def step():
    return 1

print("ready", flush=True)
while sys.stdin.readline():
    print(step(), flush=True)
"""


@pytest.fixture
def app(pod: Pod) -> Iterator[Callable[[], None]]:
    """An app that waits; calling it makes it take a step."""
    with pod.started(pod.write("main.py", APP)) as process:
        assert process.stdout.readline() == "ready\n"

        def step() -> None:
            process.stdin.write("\n")
            assert process.stdout.readline() == "1\n"

        step.pid = process.pid  # type: ignore[attr-defined]
        yield step
        assert process.communicate() == ("", "")


@pytest.mark.usefixtures("app")
def test_ping(pod: Pod):
    assert pod.ask("ping") == "ok ping\n"


@pytest.mark.parametrize(
    "request_line", ["", "nonsense", "mark", "mark x", "source", "source 0", "source 99", "source -1", "source x"]
)
def test_requests_that_make_no_sense_are_answered_by_an_error_in_one_line(pod: Pod, app: Callable[[], None], request_line: str):
    answer = pod.ask(request_line)
    assert answer.startswith("error ")
    assert answer.count("\n") == 1
    assert pod.ask("ping") == "ok ping\n"


def test_a_mark_begins_an_epoch_and_saying_it_again_changes_nothing(pod: Pod, app: Callable[[], None]):
    app()
    assert pod.ask("mark 1") == "ok mark 1\n"
    app()
    assert pod.ask("mark 1") == "ok mark 1\n"
    assert pod.ask("mark 4") == "ok mark 4\n"
    app()
    assert pod.ask("dump").startswith("ok dump ")
    assert {4, 8} <= pod.lines("main.py", {0})
    assert {4, 8} <= pod.lines("main.py", {1})
    assert {4, 8} <= pod.lines("main.py", {4})
    assert 1 not in pod.lines("main.py", {1, 4})


def test_a_dump_says_how_large_the_log_is(pod: Pod, app: Callable[[], None]):
    app()
    answer = pod.ask("dump")
    (log,) = pod.target.glob("*.hits")
    assert answer == f"ok dump {log.stat().st_size}\n"


def test_a_source_is_given_as_the_process_can_read_it(pod: Pod, app: Callable[[], None]):
    app()
    pod.ask("dump")
    (process,) = pod.processes()
    (index,) = process.files
    status = (pod.folder / "main.py").stat()
    head, _, content = pod.ask_bytes(f"source {index}").partition(b"\n")
    assert head.decode() == f"ok source {status.st_size} {status.st_mtime_ns}"
    assert content.decode() == APP


def test_large_sources_come_whole(pod: Pod):
    text = "import sys\n" + "# a comment\n" * 200_000 + "print('ready', flush=True)\nsys.stdin.readline()\n"
    with pod.started(pod.write("main.py", text)) as process:
        assert process.stdout.readline() == "ready\n"
        pod.ask("dump")
        _, _, content = pod.ask_bytes("source 1").partition(b"\n")
        assert content.decode() == text
        process.communicate("\n")


def test_a_source_that_has_gone_is_an_error(pod: Pod, app: Callable[[], None]):
    app()
    pod.ask("dump")
    (pod.folder / "main.py").unlink()
    assert pod.ask("source 1").startswith("error FileNotFoundError")


def test_a_scan_lists_the_interpreters_that_there_are(pod: Pod, app: Callable[[], None]):
    with pod.started("-I", "-c", "print('up', flush=True); input()", "né\tw\nline") as stranger:
        assert stranger.stdout.readline() == "up\n"
        head, *lines = pod.ask("scan").splitlines()
        stranger.communicate("\n")
    assert head == f"ok scan {len(lines)}"
    seen = {int(line.split("\t")[0]): line.split("\t", 2)[1:] for line in lines}
    (process,) = pod.processes()
    assert process.start is not None
    assert seen[process.start.pid][0] == str(process.start.start_time)
    assert tuple(json.loads(seen[process.start.pid][1])) == process.start.argv
    assert json.loads(seen[stranger.pid][1])[-1] == "né\tw\nline"
    assert os.getppid() not in seen or "python" in seen[os.getppid()][1]


def test_a_process_that_ended_refuses(pod: Pod):
    pod.check("-c", "pass")
    with pytest.raises(ConnectionRefusedError):
        pod.ask("ping")


def test_a_process_that_was_killed_refuses(pod: Pod):
    with pod.started(pod.write("main.py", APP)) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    with pytest.raises(ConnectionRefusedError):
        pod.ask("ping")


def test_a_process_begins_in_the_epoch_that_is(pod: Pod):
    pod.target.mkdir(parents=True)
    (pod.target / "epoch").write_text("7\n")
    pod.check(pod.write("main.py", "x = 1\n"))
    (process,) = pod.processes()
    assert process.start is not None
    assert process.start.epoch == 7
    assert pod.lines("main.py", {7}) == {1}


def test_a_child_that_was_forked_before_the_mark_reached_its_parent_marks_itself(pod: Pod):
    program = pod.write(
        "main.py",
        "import os, sys\n"
        "def step():\n"
        "    return 1\n"
        "step()\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "if not os.fork():\n"
        "    step()\n"
        "    sys.exit()\n"
        "os.wait()\n",
    )
    with pod.started(program) as app:
        assert app.stdout.readline() == "ready\n"
        (pod.target / "epoch").write_text("1\n")  # and nobody has told the parent yet
        assert app.communicate("\n") == ("", "")
    (child,) = [process for process in pod.processes() if process.start and process.start.parent]
    assert pod.lines("main.py", {1}, of=[child]) >= {3, 8, 9}


def test_clients_that_say_nothing_or_go_away_disturb_nobody(pod: Pod, app: Callable[[], None]):
    (path,) = pod.sockets()
    folder = os.open(path.parent, os.O_DIRECTORY)
    address = f"/proc/self/fd/{folder}/{path.name}"
    silent = socket.socket(socket.AF_UNIX)
    silent.connect(address)
    for request in (b"", b"pi", b"source 1\n", b"x" * 100_000):
        with socket.socket(socket.AF_UNIX) as rude:
            rude.connect(address)
            rude.settimeout(1)
            try:
                rude.sendall(request)
            except OSError:
                continue
    silent.close()
    os.close(folder)
    assert pod.ask("ping") == "ok ping\n"


def test_a_client_that_says_nothing_does_not_hold_up_a_fork(pod: Pod):
    program = pod.write(
        "main.py",
        "import os, sys\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "pid = os.fork()\n"
        "if not pid:\n"
        "    os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
        "print('forked', flush=True)\n"
        "sys.stdin.readline()\n",
    )
    with pod.started(program) as app, socket.socket(socket.AF_UNIX) as silent:
        assert app.stdout.readline() == "ready\n"
        (path,) = pod.sockets()
        folder = os.open(path.parent, os.O_DIRECTORY)
        silent.connect(f"/proc/self/fd/{folder}/{path.name}")
        os.close(folder)
        silent.sendall(b"pi")
        app.stdin.write("\n")
        assert app.stdout.readline() == "forked\n"
        assert pod.ask("ping", path) == "ok ping\n"
        assert app.communicate("\n") == ("", "")


def test_many_clients_at_once_are_all_answered(pod: Pod, app: Callable[[], None]):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(pod.ask("ping"))) for _ in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["ok ping\n"] * 60
