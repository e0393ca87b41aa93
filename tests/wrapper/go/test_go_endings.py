"""However a Go program ends: what podcov has of it equals a direct run with GOCOVERDIR that ends cleanly, block for block."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

COVERED = "-coverpkg=example.com/ends,example.com/ends/work"
MODES = ("set", "atomic")


@pytest.fixture(scope="session")
def ends(podcov_go: Any, programs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The program built with podcov, in each mode."""
    folder = tmp_path_factory.mktemp("ends")
    build = podcov_go.build
    return {mode: build(folder / mode, "-cover", f"-covermode={mode}", COVERED, ".", cwd=programs / "ends") for mode in MODES}


@pytest.fixture(scope="session")
def standard(plain_go: Any, programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same program as the standard toolchain builds it."""
    output = tmp_path_factory.mktemp("standard") / "ends"
    return plain_go.build(output, "-cover", COVERED, ".", cwd=programs / "ends")  # type: ignore[no-any-return]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("return", 0),
        ("exit", 3),
        ("fatal", 1),
        ("panic", 2),
        ("nil", 2),
        ("deadlock", 2),
        ("exec", 3),
        ("children", 0),
    ],
)
def test_nothing_is_lost_by_an_end_of_its_own(
    ends: dict[str, Path], standard: Path, container: Any, direct: Any, mode: str, how: str, code: int
) -> None:
    pod = container(ends[mode])
    assert pod.run(how).returncode == code
    assert pod.blocks() == direct(standard, how, clean=True)


@pytest.mark.parametrize(
    ("how", "number", "code"),
    [
        ("wait", signal.SIGKILL, -9),
        ("wait", signal.SIGTERM, -15),
        ("handler", signal.SIGTERM, 7),
        ("handler", signal.SIGKILL, -9),
    ],
)
def test_nothing_is_lost_by_a_signal_and_what_it_does_stays_the_apps_own(
    ends: dict[str, Path], standard: Path, container: Any, direct: Any, how: str, number: signal.Signals, code: int
) -> None:
    pod = container(ends["set"])
    with pod.started(how) as process:
        assert next(line for line in process.stdout if line == "ready\n")
        process.send_signal(number)
        assert process.wait(30) == code
    assert pod.blocks() == direct(standard, how, clean=True)


def test_a_living_process_is_read_without_its_help(
    ends: dict[str, Path], standard: Path, container: Any, direct: Any, wait_until: Callable[..., object]
) -> None:
    pod = container(ends["set"])
    with pod.started("wait") as process:
        assert next(line for line in process.stdout if line == "ready\n")
        os.kill(process.pid, signal.SIGSTOP)  # not even the kernel runs it meanwhile
        assert pod.blocks() == direct(standard, "wait", clean=True)


def test_each_program_of_an_exec_and_each_child_registers(ends: dict[str, Path], container: Any) -> None:
    pod = container(ends["set"])
    pod.run("exec")
    before, after = sorted(pod.status().targets[0].processes, key=lambda process: process.start.time)
    assert (before.start.pid, before.start.start_time) == (after.start.pid, after.start.start_time)
    assert [before.start.argv[1:], after.start.argv[1:]] == [("exec",), ("exit", "argument")]
    pod.run("children")
    parent, *children = sorted(pod.status().targets[0].processes, key=lambda process: process.start.time)[2:]
    assert [child.start.ppid for child in children] == [parent.start.pid] * 2


def test_a_start_record_says_what_runs(ends: dict[str, Path], container: Any, podcov_go: Any) -> None:
    pod = container(ends["set"])
    with pod.started("wait", "w\u00e4rm") as process:
        assert next(line for line in process.stdout if line == "ready\n")
        (target,) = pod.status().targets
        (status,) = target.processes
        assert (status.alive, status.reason, status.epochs, status.flags) == (True, "", (0,), 0)
        start = status.start
        assert (start.language, start.implementation, f"go{start.version}") == ("go", "gc", podcov_go.version)
        assert (start.pid, start.ppid, start.state, start.recording) == (process.pid, os.getpid(), "recording", "mapped")
        assert (start.executable, start.argv) == (str(ends["set"]), (str(ends["set"]), "wait", "w\u00e4rm"))
    (status,) = pod.status().targets[0].processes
    assert status.alive is False


def test_the_app_is_the_standard_one_where_nobody_records(ends: dict[str, Path], standard: Path, container: Any) -> None:
    pod = container(ends["set"])
    expected = pod.run("panic")
    pod.binary = standard
    plain = pod.run("panic", PODCOV_DATA="")
    pod.binary = ends["set"]
    left = set(pod.target.iterdir())
    for nothing in ({"PODCOV_DATA": ""}, {"PODCOV_OFF": "1"}):
        done = pod.run("panic", **nothing)
        assert (done.returncode, done.stdout) == (plain.returncode, plain.stdout)
        assert done.stderr.splitlines()[:2] == plain.stderr.splitlines()[:2]
        assert "GOCOVERDIR not set" in done.stderr
    assert set(pod.target.iterdir()) == left
    assert "GOCOVERDIR" not in expected.stderr


def test_the_courier_is_an_argument_like_any_other_where_nobody_records(ends: dict[str, Path], container: Any) -> None:
    done = container(ends["set"]).run("--podcov-courier", "status", PODCOV_DATA="")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "working")


def test_gocoverdir_works_beside_it(ends: dict[str, Path], container: Any, tmp_path: Path) -> None:
    pod = container(ends["set"])
    own = tmp_path / "own"
    own.mkdir()
    assert pod.run("exit", GOCOVERDIR=str(own)).stderr == ""
    assert sorted(path.name.split(".")[0] for path in own.iterdir()) == ["covcounters", "covmeta"]
    assert pod.pull().epochs() == {0}


def test_an_unusable_volume_does_not_reach_the_app(ends: dict[str, Path], container: Any, tmp_path: Path) -> None:
    pod = container(ends["set"])
    blocked = tmp_path / "file"
    blocked.write_text("")
    for data in (blocked, Path("/proc"), tmp_path / "absent" / "absent"):
        done = pod.run("exit", PODCOV_DATA=str(data))
        assert (done.returncode, done.stdout) == (3, "working\neven 6\n")
