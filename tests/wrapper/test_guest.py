"""The wrapper is a guest: the app's output, exit, signals, modules and tools are what they are without it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import coverage
import pytest

if TYPE_CHECKING:
    from conftest import Pod

PROGRAMS = {
    "a traceback": "def f():\n    raise ValueError('no')\nf()\n",
    "sys.exit": "import sys\nprint('out')\nsys.exit(7)\n",
    "os._exit": "import os\nos._exit(9)\n",
    "a syntax error": "x = = 1\n",
    "a recursion error": "def f(n):\n    return f(n + 1)\ntry:\n    f(0)\nexcept RecursionError:\n    print('deep')\n",
    "warnings": "import warnings\nwarnings.warn('mine')\nopen('/dev/null')\n",
    "a failing thread": "import threading\nt = threading.Thread(target=lambda: 1 / 0, name='mine')\nt.start()\nt.join()\n",
    "forks": "import os\nfor _ in range(5):\n    pid = os.fork()\n    if not pid:\n        os._exit(0)\n    os.waitpid(pid, 0)\n",
    "forks beside threads": (
        "import os, threading\n"
        "event = threading.Event()\n"
        "threading.Thread(target=event.wait).start()\n"
        "for _ in range(3):\n"
        "    pid = os.fork()\n"
        "    if not pid:\n"
        "        os._exit(0)\n"
        "    os.waitpid(pid, 0)\n"
        "event.set()\n"
    ),
    "threads that fork": (
        "import os, threading\n"
        "def forks():\n"
        "    for _ in range(10):\n"
        "        pid = os.fork()\n"
        "        if not pid:\n"
        "            os._exit(0)\n"
        "        os.waitpid(pid, 0)\n"
        "threads = [threading.Thread(target=forks) for _ in range(4)]\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join() for thread in threads]\n"
        "print('all')\n"
    ),
    "forks where the volume is out of reach": (
        "import os\n"
        "os.chmod(os.path.dirname(__file__), 0o700)\n"
        "os.setgid(65534)\n"
        "os.setuid(65534)\n"
        "for number in range(5):\n"
        "    pid = os.fork()\n"
        "    if not pid:\n"
        "        print(number, flush=True)\n"
        "        os._exit(0)\n"
        "    os.waitpid(pid, 0)\n"
    ),
    "a pseudo-terminal": "import os, pty\npid, fd = pty.fork()\nif not pid:\n    os._exit(0)\nos.waitpid(pid, 0)\n",
    "preexec_fn": "import subprocess\nsubprocess.run(['true'], preexec_fn=lambda: None)\n",
    "subprocesses": "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'print(1)'])\n",
    "a fork that fails": (
        "import os, resource\n"
        "os.setuid(65534)\n"
        "resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))\n"
        "for _ in range(2):\n"
        "    try:\n"
        "        os.fork()\n"
        "    except BlockingIOError as error:\n"
        "        print(error)\n"
    ),
    "exit handlers": "import atexit\natexit.register(print, 'one')\natexit.register(print, 'two')\n",
    "a signal of its own": "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n",
    "faulthandler": "import faulthandler, os\nfaulthandler.enable()\nos.abort()\n",
}
OPTIONS = {"no options": (), "development mode": ("-X", "dev", "-W", "always"), "errors": ("-W", "error")}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_output_and_exit_are_the_same_with_and_without_us(pod: Pod, program: str, options: str):
    arguments = [*OPTIONS[options], pod.write("main.py", PROGRAMS[program])]
    plain = pod.run(*arguments, env=pod.plain_env())
    ours = pod.run(*arguments)
    assert (ours.returncode, ours.stdout, _told(ours.stderr)) == (plain.returncode, plain.stdout, _told(plain.stderr))


def _told(stderr: str) -> str:
    """Without what differs between any two runs: process ids, addresses, and the threads of a crash report."""
    stderr = re.sub(r"\(most recent call first\):\n(  File .*\n)*", "", stderr)
    stderr = re.sub(r"(?m)^(Current thread|Thread) 0x[0-9a-f]+.*\n|^Extension modules:.*\n|^\n", "", stderr)
    stderr = re.sub(r"(?m)^  (Binary file|<cannot|Garbage).*\n|^Current thread's C stack.*\n", "", stderr)
    return re.sub(r"pid=\d+|0x[0-9a-f]+", "#", stderr)


def test_the_apps_own_path_and_modules_are_left_alone(pod: Pod):
    program = pod.write(
        "main.py", "import sys\nprint(sys.path, [m for m in sys.modules if 'podcov' in m], sys.argv, __file__, __name__)\n"
    )
    others = pod.inside(pod.folder / "other")
    plain = pod.check(program, "x", env=pod.plain_env(PYTHONPATH=others))
    assert pod.check(program, "x", env=pod.env(PYTHONPATH=others)) == plain


def test_modules_and_descriptors_that_remain(pod: Pod):
    descriptors = "[d for d in os.listdir('/proc/self/fd') if int(d) < 900]"
    program = pod.write("main.py", f"import os, sys\nprint(*sorted(sys.modules), {descriptors}, sep='\\n')\n")
    plain = set(pod.check(program, env=pod.plain_env()).split("\n"))
    ours = set(pod.check(program).split("\n"))
    descriptors = {line for line in ours if line.startswith("[")}
    if pod.minor != "3.12":  # its mappings have descriptors
        assert descriptors == {line for line in plain if line.startswith("[")}
    extra = ours - plain - descriptors
    assert all(
        re.fullmatch(r"_\w+|atexit|binascii|errno|fcntl|itertools|mmap|time|zlib|sitecustomize", name) for name in extra
    ), extra


@pytest.mark.parametrize(
    "theirs", ["print('theirs')", "raise ValueError('broken')", "import nonexistent", "import sitecustomize"]
)
def test_the_sitecustomize_of_the_image_runs_as_it_would(pod: Pod, theirs: str):
    pod.write("image/sitecustomize.py", theirs + "\n")
    program = pod.write("main.py", "import sitecustomize\nprint(sitecustomize.__file__)\n")
    image = pod.inside(pod.folder / "image")
    plain = pod.run(program, env=pod.plain_env(PYTHONPATH=image))
    ours = pod.run(program, env=pod.env(PYTHONPATH=image))
    assert (ours.stdout, ours.stderr, ours.returncode) == (plain.stdout, plain.stderr, plain.returncode)


@pytest.mark.parametrize("minor", ["2.7", "3.9", "3.10"])
def test_the_sitecustomize_of_the_image_runs_on_old_interpreters_too(pods: Callable[..., Pod], minor: str):
    pod = pods(minor)
    pod.write("image/sitecustomize.py", "print('theirs')\n")
    assert pod.check("-c", "print('app')", env=pod.env(PYTHONPATH=pod.inside(pod.folder / "image"))) == "theirs\napp\n"
    assert pod.check("-c", "print('app')") == "app\n"


DAMAGE = {
    "a recorder that does not parse": ("podcov_*.py", "def ("),
    "a recorder that fails": ("podcov_*.py", "raise RuntimeError('ours')"),
    "a recorder of another version": ("podcov_*.py", ""),
    "a sitecustomize that is empty": ("sitecustomize.py", ""),
    "a listener that fails": ("podcov_listener.py", "raise RuntimeError('ours')"),
    "recorders that fail": ("podcov_[mt]*.py", "raise RuntimeError('ours')"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_wrapper_never_hurts_the_app(pod: Pod, damage: str):
    pattern, text = DAMAGE[damage]
    damaged = pod.folder / "damaged"
    shutil.copytree(pod.wrapper, damaged, ignore=shutil.ignore_patterns("__pycache__"))
    for path in damaged.glob(pattern):
        path.write_text(text)
    env = {**pod.env(), "PYTHONPATH": pod.inside(damaged)}
    assert pod.check(pod.write("main.py", "import sys\nprint('on')\n"), env=env) == "on\n"


@pytest.mark.parametrize("damage", ["a listener that fails", "recorders that fail"])
def test_a_process_that_cannot_be_recorded_says_why(pod: Pod, damage: str):
    test_a_damaged_wrapper_never_hurts_the_app(pod, damage)
    (process,) = pod.processes()
    assert process.start is not None
    assert (process.start.state, process.start.reason) == ("failed", "RuntimeError: ours")


def test_a_wrapper_that_is_not_there_is_not_missed(pod: Pod):
    env = {**pod.env(), "PYTHONPATH": "/podcov/nowhere"}
    assert pod.check("-c", "print('on')", env=env) == "on\n"


@pytest.mark.parametrize("data", ["/nonexistent/data", "/proc", "/dev/null"])
def test_a_data_volume_that_is_not_there_is_not_missed(pod: Pod, data: str):
    assert pod.check("-c", "print('on')", env=pod.env(PODCOV_DATA=data)) == "on\n"


@pytest.fixture
def small_volumes() -> Iterator[Callable[[Pod], Path]]:
    """`small_volumes(pod)` makes the pod's data volume 256 KiB large, and returns its folder."""
    mounted: list[Path] = []

    def mount(pod: Pod) -> Path:
        if os.geteuid():
            pytest.skip("only root can mount a small volume")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=777", "podcov-test", str(pod.data)], check=True)
        mounted.append(pod.data)
        return pod.data

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def small_volume(pod: Pod, small_volumes: Callable[[Pod], Path]) -> Path:
    return small_volumes(pod)


def fill(volume: Path) -> None:
    """Leave no room for a single page."""
    with (volume / "filler").open("wb", buffering=0) as filler:
        while True:
            try:
                filler.write(bytes(4096))
            except OSError:
                return


@pytest.mark.usefixtures("small_volume")
def test_a_volume_that_fills_up_stops_recording_and_not_the_app(pod: Pod):
    function = "def f():\n" + "    x = 0\n" * 98 + "f()\n"
    program = pod.write("main.py", function * 600 + "import sys\nprint('on', flush=True)\nsys.stdin.readline()\nprint('end')\n")
    with pod.started(program) as app:
        assert app.stdout.readline() == "on\n"
        assert pod.ask("ping") == "ok ping\n"
        assert pod.ask("dump").startswith("error ")
        if pod.minor != "3.11":
            assert pod.ask("mark 1").startswith("error ")
        assert app.communicate("\n") == ("end\n", "")
    if pod.minor != "3.11":
        (process,) = pod.processes()
        assert process.volume_full
        assert len(pod.lines("main.py")) > 5_000


def test_a_volume_that_is_full_from_the_beginning_leaves_a_trace(pod: Pod, small_volume: Path):
    fill(small_volume)
    assert pod.check(pod.write("main.py", "print('on')\n")) == "on\n"
    (process,) = pod.records().processes
    assert process.damage


def test_a_volume_that_is_full_before_the_first_line_leaves_a_trace(mapped_pod: Pod, small_volumes: Callable[[Pod], Path]):
    pod = mapped_pod
    volume = small_volumes(pod)
    pod.write("app.py", "print('on')\n")
    with pod.started("-c", "input(); import app", env=pod.env(PYTHONPATH=pod.inside(pod.folder))) as process:
        while not pod.sockets() or not list(pod.target.glob("*.start")):
            assert process.poll() is None
        fill(volume)
        assert process.communicate("\n") == ("on\n", "")
    (records,) = pod.records().processes
    assert records.start is not None
    assert [damage.partition(": ")[2] for damage in records.damage] == ["is empty: the volume had no room for anything"]


SIGNALS = """\
import os, signal, sys, threading

def handler(number, frame):
    os.write(1, b"handled\\n")
    sys.exit(5)

signal.signal(signal.SIGTERM, handler)
print("ready", flush=True)
while True:
    signal.pause()
"""


def test_a_signal_handler_runs_at_once_and_its_lines_are_recorded(pod: Pod, end: Callable[..., int]):
    with pod.started(pod.write("main.py", SIGNALS)) as app:
        assert app.stdout.readline() == "ready\n"
        assert end(app) == 5
        assert app.communicate() == ("handled\n", "")
    assert pod.lines("main.py") - {9, 10} == {1, 3, 4, 5, 7, 8}


def test_a_blocked_signal_is_left_for_who_waits_for_it(pod: Pod, end: Callable[..., int]):
    program = (
        "import signal, sys\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
        "print('ready', flush=True)\n"
        "print(signal.sigwait([signal.SIGTERM]) == signal.SIGTERM, flush=True)\n"
    )
    with pod.started(pod.write("main.py", program)) as app:
        assert app.stdout.readline() == "ready\n"
        assert end(app) == 0
        assert app.communicate() == ("True\n", "")


RAISING = """\
import signal
import lines

class Tick(Exception):
    pass

def handler(number, frame):
    while frame:
        if frame.f_code.co_filename == lines.__file__:
            raise Tick
        frame = frame.f_back

signal.signal(signal.SIGALRM, handler)
caught = 0
functions = iter([getattr(lines, f"f{number}") for number in range(2000)])
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
while True:
    try:
        for function in functions:
            function()
        break
    except Tick:
        caught += 1
signal.setitimer(signal.ITIMER_REAL, 0)
print(caught > 0)
"""


def test_exceptions_of_signal_handlers_reach_the_app(mapped_pod: Pod):
    mapped_pod.write("lines.py", "".join(f"def f{number}():\n    x = 1\n    y = 1\n" for number in range(2000)))
    assert mapped_pod.check(mapped_pod.write("main.py", RAISING)) == "True\n"
    (process,) = mapped_pod.processes()
    assert process.flags == 0
    # A function that was interrupted has not run; whatever did run has its entry, and is not recorded as another.
    assert mapped_pod.lines("main.py") >= {1, 20, 24, 25}
    assert len(mapped_pod.lines("lines.py")) > 5_000


FORKING_HANDLER = """\
import os, signal, sys

def handler(number, frame):
    sys.exit(6)

signal.signal(signal.SIGTERM, handler)
print("ready", flush=True)
while True:
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
"""


def test_a_signal_that_arrives_during_a_fork_is_not_lost(pod: Pod, end: Callable[..., int]):
    program = pod.write("main.py", FORKING_HANDLER)
    for _ in range(10):
        with pod.started(program) as app:
            assert app.stdout.readline() == "ready\n"
            assert end(app) == 6
            assert app.stderr.read() == ""


INTERRUPTED_FORKS = """\
import os, signal

parent, caught = os.getpid(), 0

def handler(number, frame):
    raise KeyError

signal.signal(signal.SIGALRM, handler)
for number in range(2000):
    try:
        signal.setitimer(signal.ITIMER_REAL, (number % 400 + 1) * 1e-6)
        pid = os.fork()
        if not pid:
            os._exit(0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.waitpid(pid, 0)
    except KeyError:
        caught += 1
        if os.getpid() != parent:
            os._exit(1)
print(caught > 0)
"""


def test_a_handler_may_raise_at_any_moment_of_a_fork(pod: Pod):
    assert pod.check(pod.write("main.py", INTERRUPTED_FORKS)) == "True\n"


DEBUGGER = """\
import bdb, sys
import helper

class Debugger(bdb.Bdb):
    stops = []

    def user_line(self, frame):
        self.stops.append(frame.f_lineno)
        self.set_continue()

debugger = Debugger()
assert debugger.set_break(helper.__file__, 2) is None
debugger.runcall(helper.work, 3)
debugger.runcall(helper.work, 4)
print(debugger.stops.count(2))
"""


def test_a_debugger_stops_where_it_should(pod: Pod):
    pod.write("helper.py", "def work(number):\n    return number * number\n")
    program = pod.write("main.py", DEBUGGER)
    assert pod.check(program) == pod.check(program, env=pod.plain_env())
    if pod.minor != "3.11":  # there, a debugger takes the tracer's place: the log says so
        assert pod.lines("helper.py") == {1, 2}


def test_trace_functions_of_the_app_see_what_they_would(mapped_pod: Pod):
    program = mapped_pod.write(
        "main.py",
        "import sys, threading\n"
        "seen = []\n"
        "def trace(frame, event, argument):\n"
        "    seen.append((frame.f_code.co_name, event, frame.f_lineno))\n"
        "    return trace\n"
        "def work():\n"
        "    return 1\n"
        "sys.settrace(trace)\n"
        "threading.settrace(trace)\n"
        "work()\n"
        "thread = threading.Thread(target=work)\n"
        "sys.settrace(None)\n"
        "print(seen)\n",
    )
    assert mapped_pod.check(program) == mapped_pod.check(program, env=mapped_pod.plain_env())


def test_coverage_of_the_apps_own_beside_us_measures_the_same(mapped_pod: Pod, root: Path):
    pod = mapped_pod
    reference = pod.folder / "reference" / "coverage"
    shutil.copytree(Path(coverage.__file__).parent, reference, ignore=shutil.ignore_patterns("*.so", "__pycache__", "htmlfiles"))
    shutil.copytree(root / "tests" / "wrapper" / "tracer" / "programs", pod.folder / "app")
    measured = []
    for number, environment in enumerate((pod.plain_env, pod.env)):
        env = environment(PYTHONPATH=pod.inside(reference.parent), COVERAGE_CORE="sysmon")
        file = pod.folder / f"data-{number}"
        options = ["-m", "coverage", "run", f"--data-file={pod.inside(file)}"]
        pod.run(*options, pod.inside(pod.folder / "app" / "varied.py"), env=env)
        data = coverage.CoverageData(str(file))
        data.read()
        measured.append({Path(name).name: set(data.lines(name) or ()) for name in data.measured_files()})
    assert measured[0] == measured[1]
    assert pod.lines("varied.py") == measured[0]["varied.py"]


def test_tools_of_the_app_find_an_identifier(mapped_pod: Pod):
    program = "from sys import monitoring\nfor tool in (0, 1, 2, 3, 5):\n    monitoring.use_tool_id(tool, 'app')\n"
    program += "print(monitoring.get_tool(4))\n"
    assert mapped_pod.check(mapped_pod.write("main.py", program)) == "podcov\n"


def test_apps_that_replace_what_we_use_do_not_disturb_us(pod: Pod):
    program = (
        "import _socket, _thread, os, select, sys, time\n"
        "def no(*arguments, **named):\n"
        "    raise RuntimeError('replaced')\n"
        "_thread.start_new_thread = time.sleep = time.monotonic = no\n"
        "real_open, os.open, os.stat, os.close, os.write = os.open, no, no, no, no\n"
        "pid = os.fork()\n"
        "if not pid:\n"
        "    x = 1\n"
        "    os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
    )
    with pod.started(pod.write("main.py", program)) as app:
        assert app.stdout.readline() == "ready\n"
        for path in pod.sockets():
            try:
                assert pod.ask("ping", path) == "ok ping\n"
            except ConnectionRefusedError:
                continue
        assert app.communicate("\n") == ("", "")
    assert pod.lines("main.py") >= {8, 9}
    assert all(process.start and process.start.state == "recording" for process in pod.processes())


def test_the_default_of_sigterm_is_the_apps_own(pod: Pod):
    program = (
        "import signal\nprint([signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGCHLD)])\n"
    )
    program += "print(signal.pthread_sigmask(signal.SIG_BLOCK, []))\n"
    path = pod.write("main.py", program)
    assert pod.check(path) == pod.check(path, env=pod.plain_env())


def test_an_interrupt_from_the_keyboard_is_one(pod: Pod):
    with pod.started(pod.write("main.py", "import time\nprint('ready', flush=True)\ntime.sleep(60)\n")) as app:
        assert app.stdout.readline() == "ready\n"
        app.send_signal(signal.SIGINT)
        assert app.wait(10) == -signal.SIGINT
        assert app.stderr.read().endswith("KeyboardInterrupt\n")
