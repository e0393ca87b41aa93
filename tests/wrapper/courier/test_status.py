"""A status names every process: the living, the dead, the silent, and the interpreters that never registered."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

WAITING = 'import sys\nprint("up", flush=True)\nsys.stdin.read()\n'
STRANGER = """\
import subprocess, sys
child = subprocess.Popen([sys.executable, "-I", "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
print(child.pid, flush=True)
sys.stdin.read()
child.stdin.close()
child.wait()
"""
STORM = """\
import subprocess, sys
print("up", flush=True)
while subprocess.run([sys.executable, "-c", "pass"]).returncode == 0:
    pass
"""
EXEC = """\
import os, sys
print("up", flush=True)
sys.stdin.readline()
os.execv(sys.executable, [sys.executable, "-I", "-c", "import sys; print('new', flush=True); sys.stdin.read()"])
"""


@pytest.fixture
def in_namespace() -> Callable[..., Any]:
    """Runs a program as the first process of a PID namespace of its own, as a container does."""
    if os.geteuid():
        pytest.skip("PID namespaces need root")
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]

    @contextmanager
    def start(pod: Any, program: str) -> Iterator[subprocess.Popen[str]]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen([*command, *pod.command(program)], env=pod.env(), text=True, **pipes) as process:
            yield process
            process.stdin.close()

    return start


@pytest.fixture
def container(pods: Any, couriers: Any) -> tuple[Any, Any]:
    """A pod, and a courier that runs inside its container, on a machine where others run too."""
    start = f"start-{uuid4()}"
    pod = pods("3.13", PODCOV_START=start)
    return pod, couriers(pod.data, container="app", start=start)


def alive(target: Any) -> list[bool | None]:
    return [process.alive for process in target.processes]


def test_living_and_dead(pods: Any, couriers: Any) -> None:
    pod = pods("3.13")
    courier = couriers(pod.data)
    with pod.started(pod.write("app.py", WAITING)) as process:
        process.stdout.readline()
        (living,) = courier.target().processes
        assert (living.alive, living.reason, living.flags) == (True, "", 0)
        assert living.start.argv[-1].endswith("app.py")
        process.kill()
        process.wait()
        (dead,) = courier.target().processes
        assert (dead.alive, dead.reason) == (False, "")


@pytest.mark.parametrize("minor", ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14"])
def test_any_python_from_3_9_runs_the_courier(minor: str, pods: Any, root: Path) -> None:
    pod = pods(minor)
    program = pod.inside(pod.wrapper / "podcov_courier.py")
    env = {"PATH": os.environ["PATH"], "PODCOV_DATA": pod.inside(pod.data)}
    for command in ("status", "mark run label", "dump", "pull", "lease 1", "wait 0", "release", "unpack"):
        done = subprocess.run(pod.command("-Es", program, *command.split()), env=env, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b""), done
        assert done.stdout.startswith((b'{"protocol": 1, ', b"podcov-bundle 1 "))


def test_older_pythons_say_that_they_cannot(pods: Any) -> None:
    pod = pods("2.7")
    done = subprocess.run(pod.command("-Es", str(pod.wrapper / "podcov_courier.py"), "status"), capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("podcov courier: unsupported: it needs Python 3.9 or later, ")
    assert done.stderr.count("\n") == 1


def test_a_stopped_process_may_be_alive(courier: Any, fake: Any) -> None:
    process = fake("answers")
    os.kill(process.process.pid, signal.SIGSTOP)
    (silent,) = courier.target().processes
    assert silent.alive is None
    assert silent.reason == "did not answer within 5 s: is it stopped, or busy in C code that keeps the GIL?"


def test_a_process_whose_interpreter_is_not_supported_is_alive_while_it_runs(couriers: Any, tmp_path: Path, fake: Any) -> None:
    inside = couriers(tmp_path / "data", container="app", start="one")
    process = fake("has-no-socket", state="unsupported", reason="Python 3.8 cannot be measured")
    (plain,) = inside.target().processes
    assert (plain.alive, plain.start.state, plain.start.reason) == (True, "unsupported", "Python 3.8 cannot be measured")
    process.process.kill()
    process.process.wait()
    assert alive(inside.target()) == [False]


def test_where_nobody_can_look_it_is_not_known(courier: Any, fake: Any) -> None:
    fake("has-no-socket", state="failed", reason="no")
    target = courier.target()
    assert (target.scanned, target.scan_reason) == (False, "no process of it is alive")
    assert target.processes[0].alive is None
    assert target.processes[0].reason == "it has no socket, and no process of it is alive"


def test_a_torn_and_a_missing_start_record_are_named(courier: Any, fake: Any) -> None:
    fake("answers")
    folder = courier.data / "targets" / "app" / "one"
    (folder / "1-2-00000000.start").write_text('{"protocol": 1, "pi')
    (folder / "3-4-00000000.hits").write_bytes(bytes(100))
    torn, missing, whole = courier.target().processes
    assert (torn.start, torn.reason) == (None, "its start record is torn: still being written, or the volume was full")
    assert (missing.start, missing.reason) == (None, "its start record is missing")
    assert whole.start is not None


def test_an_earlier_start_of_the_container_stays_listed(courier: Any, fake: Any) -> None:
    first = fake("answers", start="1-2")
    first.process.kill()
    first.process.wait()
    second = fake("answers", start="1-3")
    earlier, later = courier.status().targets
    assert (earlier.start_id, alive(earlier)) == ("1-2", [False])
    assert (later.start_id, alive(later)) == ("1-3", [True])
    assert [t.processes[0].id for t in (earlier, later)] == [first.id, second.id]


def test_a_volume_may_lie_deep(couriers: Any, pods: Any) -> None:
    pod = pods("3.13")
    deep = pod.folder.joinpath(*["a-folder-with-a-long-name"] * 8)
    deep.mkdir(parents=True)
    with pod.started(pod.write("app.py", WAITING), env=pod.env(PODCOV_DATA=str(deep))) as process:
        process.stdout.readline()
        courier = couriers(deep)
        assert alive(courier.target()) == [True]
        assert courier.marked().failures == {}


def test_an_interpreter_that_never_registered_is_found_by_asking(pods: Any, couriers: Any, in_namespace: Any) -> None:
    pod = pods("3.13")
    with in_namespace(pod, pod.write("app.py", STRANGER)) as process:
        inner_pid = int(process.stdout.readline())
        target = couriers(pod.data).target()
    assert target.scanned
    (stranger,) = target.unregistered
    assert stranger.pid == inner_pid
    assert "-I" in stranger.argv


def test_an_interpreter_that_never_registered_is_found_by_looking(container: tuple[Any, Any]) -> None:
    pod, inside = container
    with pod.started(pod.write("app.py", STRANGER), start_new_session=True) as process:
        pid = int(process.stdout.readline())
        assert [stranger.pid for stranger in inside.target().unregistered] == [pid]


def test_with_no_process_left_to_ask_the_courier_in_the_container_looks_itself(container: tuple[Any, Any]) -> None:
    pod, inside = container
    pod.check(pod.write("gone.py", "x = 1\n"))
    with pod.started("-I", pod.write("app.py", WAITING), start_new_session=True) as process:
        process.stdout.readline()
        target = inside.target()
        assert alive(target) == [False]
        assert [stranger.pid for stranger in target.unregistered] == [process.pid]


def test_processes_that_are_about_to_register_are_not_reported(pods: Any, couriers: Any, in_namespace: Any) -> None:
    pod = pods("3.13")
    with in_namespace(pod, pod.write("app.py", STORM)) as process:
        process.stdout.readline()
        for _ in range(10):
            assert couriers(pod.data).target().unregistered == ()
        process.kill()


def test_a_program_that_replaced_a_recorded_one_and_never_registered_is_reported(container: tuple[Any, Any]) -> None:
    pod, inside = container
    with pod.started(pod.write("app.py", EXEC), start_new_session=True) as process:
        process.stdout.readline()
        assert inside.target().unregistered == ()
        process.stdin.write("\n")
        process.stdin.flush()
        process.stdout.readline()
        (stranger,) = inside.target().unregistered
        assert stranger.pid == process.pid
        assert "-I" in stranger.argv


def test_other_interpreters_of_the_machine_are_nobodys(container: tuple[Any, Any]) -> None:
    pod, inside = container
    with (
        pod.started(pod.write("app.py", WAITING), start_new_session=True) as process,
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other,
    ):
        process.stdout.readline()
        assert inside.target().unregistered == ()
        other.communicate(b"1\n")


def test_without_a_volume_there_is_one_line_of_trouble(courier: Any) -> None:
    done = courier.call("status")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode() == f"podcov courier: status: there is no data volume at {courier.data}\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "'' is no command; there are: serve, "),
        (("bogus",), "'bogus' is no command; there are: serve, "),
        (("mark", "run"), "usage: podcov_courier.py mark RUN LABEL [SECONDS]"),
        (("status", "now"), "usage: podcov_courier.py status"),
        (("wait", "long"), "wait: 'long' is no number of seconds"),
        (("lease", "-1"), "lease: '-1' is no number of seconds"),
    ],
)
def test_a_wrong_call_is_one_line_of_trouble(courier: Any, arguments: tuple[str, ...], complaint: str) -> None:
    done = courier.call(*arguments)
    assert done.returncode in (1, 2)
    assert done.stdout == b""
    assert done.stderr.decode().startswith(f"podcov courier: {complaint}")
    assert done.stderr.count(b"\n") == 1
