"""No hit is lost: not while others read and mark, not when a process is killed right after it."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Pod

THREADS = 4
FUNCTIONS = 1000
LINES_EACH = 20
MARKS = 200

ONCE_ONLY = """\
import sys, threading, time

hurry = False

def run(part):
    for function in part:
        function()
        if not hurry:
            time.sleep(0.01)

import lines
every = [getattr(lines, f"f{number}") for number in range(%(functions)d)]
threads = [threading.Thread(target=run, args=(every[number::%(threads)d],)) for number in range(%(threads)d)]
for thread in threads:
    thread.start()
print("running", flush=True)
sys.stdin.readline()
hurry = True
for thread in threads:
    thread.join()
"""


def _functions(count: int, lines: int) -> tuple[str, set[int]]:
    """Source of functions f0, f1, ..., and the numbers of the lines in their bodies."""
    text, bodies = [], set()
    for number in range(count):
        text.append(f"def f{number}():")
        for _ in range(lines):
            text.append("    x = 1")
            bodies.add(len(text))
    return "\n".join(text) + "\n", bodies


def test_threads_lose_no_line_while_others_read_and_mark(mapped_pod: Pod):
    source, bodies = _functions(FUNCTIONS, LINES_EACH)
    mapped_pod.write("lines.py", source)
    with mapped_pod.started(mapped_pod.write("main.py", ONCE_ONLY % {"threads": THREADS, "functions": FUNCTIONS})) as app:
        assert app.stdout.readline() == "running\n"
        for epoch in range(1, MARKS + 1):
            mapped_pod.mark(epoch)
            assert mapped_pod.ask("dump").startswith("ok dump ")
            (log,) = mapped_pod.target.glob("*.hits")
            log.read_bytes()
        assert app.communicate("finish\n") == ("", "")
    assert len(bodies) == 20_000
    assert bodies - mapped_pod.lines("lines.py") == set()


STEPS = """\
import sys

def step():
    x = 1
    return x

while sys.stdin.readline():
    print(step(), flush=True)
"""


def test_each_of_hundreds_of_epochs_has_exactly_what_ran_in_it(pod: Pod):
    with pod.started(pod.write("main.py", STEPS)) as app:
        for epoch in range(1, 301):
            app.stdin.write("\n")
            assert app.stdout.readline() == "1\n"
            pod.mark(epoch)
        assert app.communicate() == ("", "")
    (process,) = pod.processes()
    assert sorted(process.epochs) == list(range(301))
    assert pod.lines("main.py", {0}) == {1, 3, 4, 5, 7, 8}
    for epoch in range(1, 300):
        assert {4, 5, 8} <= pod.lines("main.py", {epoch}, of=[process]) <= {4, 5, 7, 8}
    assert pod.lines("main.py", {300}) <= {7}


@pytest.mark.parametrize("kill", ["os.kill(os.getpid(), signal.SIGKILL)", "os.abort()", "os._exit(3)", "ctypes.string_at(0)"])
def test_whatever_ends_a_process_its_last_line_is_there(mapped_pod: Pod, kill: str):
    source, bodies = _functions(3, 500)
    mapped_pod.write("lines.py", source)
    imports = "import os, signal" + (", ctypes" if "ctypes" in kill else "")
    program = mapped_pod.write("main.py", f"{imports}\nimport lines\nlines.f0()\nlines.f1()\nlines.f2()\n{kill}\n")
    assert mapped_pod.run(program).returncode != 0
    assert bodies - mapped_pod.lines("lines.py") == set()
    assert mapped_pod.lines("main.py") == {1, 2, 3, 4, 5, 6}


FORK_STORM = """\
import os, signal
import lines

children = 300
for number in range(children):
    pid = os.fork()
    if not pid:
        getattr(lines, f"f{number}")()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
print(children)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_hundreds_of_forked_children_killed_after_their_last_line(mapped_pod: Pod):
    source, bodies = _functions(300, 7)
    mapped_pod.write("lines.py", source)
    done = mapped_pod.run("-u", mapped_pod.write("main.py", FORK_STORM))
    assert (done.stdout, done.stderr, done.returncode) == ("300\n", "", -signal.SIGKILL)
    processes = mapped_pod.processes()
    assert len(processes) == 301
    assert bodies - mapped_pod.lines("lines.py") == set()
    children = [process for process in processes if process.start and process.start.parent]
    assert len(children) == 300
    for process in children:
        assert mapped_pod.lines("main.py", of=[process]) >= {9}
        assert len(mapped_pod.lines("lines.py", of=[process])) == 7


MARKED_STORM = """\
import os, sys, threading
import lines

def forks(numbers):
    for number in numbers:
        pid = os.fork()
        if not pid:
            getattr(lines, f"f{number}")()
            os._exit(0)
        os.waitpid(pid, 0)

print("ready", flush=True)
forks(range(200))
print("done", flush=True)
sys.stdin.readline()
"""


def test_marks_in_the_midst_of_a_fork_storm_are_answered_and_lose_nothing(pod: Pod):
    source, bodies = _functions(200, 3)
    pod.write("lines.py", source)
    with pod.started(pod.write("main.py", MARKED_STORM)) as app:
        assert app.stdout.readline() == "ready\n"
        os.set_blocking(app.stdout.fileno(), False)
        epoch = 0
        while not app.stdout.readline():
            epoch += 1
            pod.mark(epoch)
        app.stdin.write("\n")
        app.stdin.close()
        assert app.wait() == 0
        assert app.stderr.read() == ""
    assert epoch > 1
    assert bodies - pod.lines("lines.py") == set()


def test_what_runs_while_the_interpreter_is_taken_down_is_recorded(mapped_pod: Pod):
    program = (
        "import atexit, sys\n"
        "class Late:\n"
        "    def __del__(self):\n"
        "        self.x = 1\n"
        "late = Late()\n"
        "@atexit.register\n"
        "def bye():\n"
        "    y = 1\n"
        "sys.modules['late'] = late\n"
    )
    mapped_pod.check(mapped_pod.write("main.py", program))
    assert {4, 8} <= mapped_pod.lines("main.py")


def test_a_program_before_an_exec_and_the_one_after_it_both_have_records(pod: Pod):
    second = pod.write("second.py", "x = 1\nprint('second')\n")
    program = f"import os, sys\nprint('first', flush=True)\nos.execv(sys.executable, [sys.executable, {second!r}])\n"
    assert pod.check(pod.write("first.py", program)) == "first\nsecond\n"
    first, then = pod.processes()
    assert first.start
    assert then.start
    assert (first.start.pid, first.start.start_time) == (then.start.pid, then.start.start_time)
    assert pod.lines("first.py") == {1, 2, 3}
    assert pod.lines("second.py") == {1, 2}


def test_an_app_that_fails_to_exec_goes_on(pod: Pod):
    program = "import os\ntry:\n    os.execv('/nonexistent', ['x'])\nexcept FileNotFoundError:\n    x = 1\nprint('on')\n"
    assert pod.check(pod.write("main.py", program)) == "on\n"
    assert pod.lines("main.py") == {1, 2, 3, 4, 5, 6}


ASYNC = """\
import asyncio, sys

async def wait(number):
    await asyncio.sleep(0.001)
    if number == 99:
        return number
    return 0

async def main():
    found = await asyncio.gather(*(wait(number) for number in range(100)))
    reader = asyncio.get_running_loop()
    print(max(found), flush=True)
    await reader.run_in_executor(None, sys.stdin.readline)
    await wait(99)
    print("end")

asyncio.run(main())
"""


def test_an_asyncio_app_is_recorded_and_marked_while_it_waits(pod: Pod):
    with pod.started(pod.write("main.py", ASYNC)) as app:
        assert app.stdout.readline() == "99\n"
        pod.mark(1)
        out, err = app.communicate("go\n")
        assert (out, err) == ("end\n", "")
    assert pod.lines("main.py", {1}) >= {4, 5, 6, 14, 15}
    assert not pod.lines("main.py", {1}) & {1, 3, 7, 10, 17}
