"""Every process of a container is recorded, however it came to be, and says who it is."""

from __future__ import annotations

import json
import re
import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from podcov.formats.records import ProcessRecords

if TYPE_CHECKING:
    from conftest import Pod

WORK = """\
def work(number):
    return number * number
"""


def only(processes: tuple[ProcessRecords, ...]) -> ProcessRecords:
    (process,) = processes
    return process


@pytest.mark.parametrize("way", ["script", "module", "package", "command", "stdin", "console script"])
def test_an_app_is_recorded_however_it_is_started(pod: Pod, way: str):
    pod.write("app/__init__.py", "")
    pod.write("app/__main__.py", "import app.part\n")
    pod.write("app/part.py", "print('here')\n")
    script = pod.write("venv/bin/app", "import sys\nfrom app import part\nsys.exit()\n")
    ways = {
        "script": ([pod.write("main.py", "import app.part\n")], ""),
        "module": (["-m", "app.part"], ""),
        "package": (["-m", "app"], ""),
        "command": (["-c", "import app.part"], ""),
        "stdin": (["-"], "import app.part\n"),
        "console script": ([script], ""),
    }
    arguments, text = ways[way]
    assert pod.check(*arguments, input=text, env=pod.env(PYTHONPATH=pod.inside(pod.folder))) == "here\n"
    assert pod.lines("part.py") == {1}
    start = only(pod.processes()).start
    assert start is not None
    assert list(start.argv[-len(arguments) :]) == arguments


def test_the_start_record_says_who_it_is(pod: Pod):
    program = pod.write("main.py", "import os, sys\nprint(os.getpid(), os.getppid(), sys.executable, sys.version.split()[0])\n")
    pid, ppid, executable, version = pod.check(program, 'a "quoted" \\ argument', "é😀\n").split()
    process = only(pod.processes())
    start = process.start
    assert start is not None
    assert (start.pid, start.ppid, start.executable, start.version) == (int(pid), int(ppid), executable, version)
    assert process.id.startswith(f"{pid}-{start.start_time}-")
    assert start.argv[-3:] == (program, 'a "quoted" \\ argument', "é😀\n")
    assert (start.state, start.parent, start.language, start.implementation) == ("recording", None, "python", "cpython")
    saved = pod.minor == "3.11"
    assert (start.recording, start.save_interval) == (("saved", 2.0) if saved else ("mapped", None))
    assert (start.mode, start.epoch, start.reason) == ("line", 0, None)
    assert start.time > 1_700_000_000 * 10**9


def test_the_start_record_is_one_line_of_json(pod: Pod):
    pod.check("-c", "pass")
    (record,) = pod.target.glob("*.start")
    text = record.read_text()
    assert text.count("\n") == 1
    assert text.endswith("\n")
    assert json.loads(text)["protocol"] == 1


POOL = """\
import multiprocessing, sys
from helper import work

if __name__ == "__main__":
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        print(sum(pool.map(work, range(50))))
        pool.close()
        pool.join()
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_a_pool_are_recorded(pod: Pod, method: str):
    pod.write("helper.py", WORK)
    program = pod.write("main.py", POOL)
    # multiprocessing itself writes nothing here; what it would warn of it warns of without us too.
    assert pod.check(program, method) == f"{sum(n * n for n in range(50))}\n"
    workers = [process for process in pod.processes() if pod.lines("helper.py", of=[process]) & {2}]
    assert len(workers) >= 1
    assert all(process.start and process.start.state == "recording" for process in pod.processes())
    assert len(pod.processes()) >= 3


FORKS = """\
import os

def child():
    x = 1

pid = os.fork()
if not pid:
    child()
    grandchild = os.fork()
    if not grandchild:
        y = 1
        os._exit(0)
    os.waitpid(grandchild, 0)
    os._exit(0)
os.waitpid(pid, 0)
"""


def test_a_forked_child_has_a_record_of_its_own_that_names_its_parent(pod: Pod):
    pod.check(pod.write("main.py", FORKS))
    by_parent = {process.start.parent if process.start else "": process for process in pod.processes()}
    parent = by_parent.pop(None)
    child = by_parent.pop(parent.id)
    grandchild = by_parent.pop(child.id)
    assert not by_parent
    assert pod.lines("main.py", of=[parent]) >= {1, 3, 6, 7, 15}
    assert pod.lines("main.py", of=[parent]) & {4, 8, 11} == set()
    assert pod.lines("main.py", of=[child]) >= {4, 8, 9, 13, 14}
    assert pod.lines("main.py", of=[child]) & {1, 3, 11} == set()
    assert pod.lines("main.py", of=[grandchild]) >= {11, 12}
    assert pod.lines("main.py", of=[grandchild]) & {1, 4, 13} == set()


def test_a_child_that_ran_nothing_leaves_a_record_and_no_log(mapped_pod: Pod):
    program = "import os\nfor _ in range(2):\n    pid = os.fork()\n    if not pid:\n        os._exit(0)\n    os.waitpid(pid, 0)\n"
    mapped_pod.check(mapped_pod.write("main.py", program))
    last = max((p for p in mapped_pod.processes() if p.start and p.start.parent), key=lambda p: p.start.time if p.start else 0)
    assert mapped_pod.lines("main.py", of=[last]) <= {3, 4, 5}
    logs = [path.stat().st_size for path in mapped_pod.target.glob("*.hits")]
    assert max(logs) <= 8192


DAEMON = """\
import os, sys, time

def daemonize():
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    for descriptor in range(os.sysconf("SC_OPEN_MAX")):
        try:
            os.close(descriptor)
        except OSError:
            pass
    for number in range(12):
        os.open("/dev/null", os.O_RDWR)

def serve(folder):
    open(folder + "/ready", "w").close()
    while not os.path.exists(folder + "/stop"):
        time.sleep(0.01)
    os.write(5, b"still the app's")
    with open(folder + "/stopped", "w") as file:
        file.write(str(os.getpid()))

daemonize()
serve(sys.argv[1])
"""


@pytest.fixture
def daemon(pod: Pod, wait_until: Callable[..., object]) -> Iterator[Path]:
    """A daemon that serves until there is a file `stop` in this folder; it is stopped whatever the test comes to."""
    done = pod.run(pod.write("main.py", DAEMON), pod.inside(pod.folder))
    assert (done.returncode, done.stderr) == (0, "")
    wait_until((pod.folder / "ready").exists, what="the daemon serves")
    yield pod.folder
    (pod.folder / "stop").touch()
    wait_until((pod.folder / "stopped").exists, what="the daemon ended")


def test_a_daemon_that_closed_every_descriptor_is_recorded_and_answers(pod: Pod, daemon: Path, wait_until: Callable[..., object]):
    pod.mark(1)
    wait_until(lambda: {19, 20} <= pod.lines("main.py", {1}), what="lines of the new epoch")
    pod.mark(2)
    (daemon / "stop").touch()
    wait_until((daemon / "stopped").exists, what="the daemon ended")
    wait_until(lambda: 23 in pod.lines("main.py", {2}), what="its last lines")


def test_processes_of_several_users_share_a_target(pod: Pod):
    program = pod.write(
        "main.py",
        "import os, sys\n"
        "os.umask(0o077)\n"
        "pid = os.fork()\n"
        "if not pid:\n"
        "    os.setgid(65534)\n"
        "    os.setuid(65534)\n"
        "    if not os.fork():\n"
        "        x = 1\n"
        "        print('ready', flush=True)\n"
        "        sys.stdin.readline()\n"
        "        y = 1\n"
        "        sys.exit()\n"
        "    os.wait()\n"
        "    sys.exit()\n"
        "os.waitpid(pid, 0)\n",
    )
    with pod.started(program) as app:
        assert app.stdout.readline() == "ready\n"
        for path in pod.target.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o666, path
        assert stat.S_IMODE(pod.target.stat().st_mode) == 0o777
        pod.mark(1)
        assert app.communicate("go\n") == ("", "")
    assert len(pod.processes()) == 3
    assert pod.lines("main.py", {0}) >= {8, 9}
    assert pod.lines("main.py", {0, 1}) >= {10}  # it ran beside the mark
    assert pod.lines("main.py", {1}) >= {11, 12}


def test_the_start_id_is_the_same_for_each_process_and_another_for_another_pid_one(pod: Pod):
    env = pod.env()
    del env["PODCOV_START"]
    pod.check("-c", "pass", env=env)
    pod.check("-c", "pass", env=env)
    (target,) = (pod.data / "targets" / "app").iterdir()
    assert re.fullmatch(r"\d+-\d+", target.name)
    assert len(list(target.glob("*.start"))) == 2
    if pod.interpreter.root is None:
        began = Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19]
        assert target.name == f"{began}-{Path('/proc/self/ns/mnt').stat().st_ino}"


def test_a_data_folder_with_a_very_long_path_is_no_obstacle(pod: Pod):
    deep = pod.data / "/".join(["deep" * 20] * 3)
    deep.mkdir(parents=True)
    program = pod.write("main.py", "import sys\nprint('ready', flush=True)\nsys.stdin.readline()\n")
    with pod.started(program, env=pod.env(PODCOV_DATA=pod.inside(deep))) as app:
        assert app.stdout.readline() == "ready\n"
        (path,) = (deep / "targets" / "app" / "one").glob("*.sock")
        assert len(str(path)) > 256
        assert pod.ask("ping", path) == "ok ping\n"
        app.communicate("\n")


@pytest.mark.parametrize("minor", ["2.7", "3.9", "3.10"])
def test_an_interpreter_that_cannot_be_measured_runs_plain_and_says_so(pods: Callable[..., Pod], minor: str):
    pod = pods(minor)
    program = pod.write("main.py", "import sys\nprint('%s.%s' % sys.version_info[:2])\n")
    assert pod.check(program) == f"{minor}\n"
    start = only(pod.processes()).start
    assert start is not None
    assert (start.state, start.implementation) == ("unsupported", "cpython")
    assert start.version.startswith(minor)
    assert start.argv[-1] == program
    assert minor in (start.reason or "")
    assert not list(pod.target.glob("*.sock"))


def test_a_process_in_a_subinterpreter_world_ends_as_without_us(pods: Callable[..., Pod]):
    pod = pods("3.14")
    program = pod.write(
        "main.py",
        "from concurrent import interpreters\n"
        "one = interpreters.create()\n"
        "one.exec('x = 1')\n"
        "one.close()\n"
        "two = interpreters.create()\n"
        "two.exec('import helper; print(helper.work(3))')\n"
        "two.close()\n",
    )
    pod.write("helper.py", WORK)
    assert pod.check(program, env=pod.env(PYTHONPATH=pod.inside(pod.folder))) == "9\n"
    assert pod.lines("main.py") == {1, 2, 3, 4, 5, 6, 7}


def test_off_means_off(pod: Pod):
    pod.check("-c", "pass", env=pod.env(PODCOV_OFF="1"))
    assert list(pod.data.iterdir()) == []


def test_the_signal_that_ends_an_app_is_the_one_that_it_would_have_been(pod: Pod, end: Callable[..., int]):
    with pod.started(pod.write("main.py", "import sys\nprint('ready', flush=True)\nsys.stdin.readline()\n")) as app:
        assert app.stdout.readline() == "ready\n"
        assert end(app) == -signal.SIGTERM
