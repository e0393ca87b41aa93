"""The tracer is a guest: threads, the app's own trace functions and a missing tracer are as the app expects them."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

STARTS = {
    "threading": "import threading\nt = threading.Thread(target=work)\nt.start()\nt.join()\n",
    "a pool": "from concurrent.futures import ThreadPoolExecutor\n"
    "with ThreadPoolExecutor(2) as pool:\n    pool.submit(work).result()\n",
    "asyncio": "import asyncio\nasyncio.run(asyncio.to_thread(work))\n",
    "a timer": "import threading\nt = threading.Timer(0, work)\nt.start()\nt.join()\n",
    "_thread": "import _thread\nlock = _thread.allocate_lock()\nlock.acquire()\n"
    "_thread.start_new_thread(lambda done: (work(), done()), (lock.release,))\nlock.acquire()\n",
}


@pytest.mark.parametrize("how", STARTS)
def test_every_thread_is_recorded_from_its_first_line(recording, tmp_path: Path, how: str) -> None:
    program = tmp_path / "app.py"
    program.write_text("def work():\n    x = 1\n    return x\n" + STARTS[how])
    ran = recording.run(program)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert {2, 3} <= recording.ran().lines("app.py")


@pytest.mark.parametrize(
    "failing",
    ["_thread.start_new_thread(fail, ())", "_thread.start_new_thread(fail, (1, 2))", "threading.Thread(target=fail).start()"],
)
def test_a_thread_that_fails_says_what_it_says_without_us(recording, tmp_path: Path, failing: str) -> None:
    program = tmp_path / "app.py"
    program.write_text(
        "import _thread, sys, threading\n"
        "said = threading.Event()\n"
        "def hook(real):\n    return lambda failure: (real(failure), said.set())\n"
        "sys.unraisablehook, threading.excepthook = hook(sys.unraisablehook), hook(threading.excepthook)\n"
        "class Fail:\n"
        "    def __call__(self):\n        raise ValueError('on purpose')\n"
        "    def __repr__(self):\n        return 'fail'\n"
        "fail = Fail()\n"
        f"{failing}\n"
        "said.wait()\n"
    )
    assert _comparable(recording.run(program).stderr) == _comparable(recording.run(program, PODCOV_OFF="1").stderr)


def _comparable(stderr: str) -> list[str]:
    assert "podcov" not in stderr
    return stderr.splitlines()


@pytest.mark.parametrize(
    "call", ["_thread.start_new_thread(1, ())", "_thread.start_new_thread()", "_thread.start_new_thread(print, 1)"]
)
def test_a_wrong_call_is_refused_in_the_same_words(recording, tmp_path: Path, call: str) -> None:
    program = tmp_path / "app.py"
    program.write_text(f"import _thread\ntry:\n    {call}\nexcept TypeError as error:\n    print(error)\n")
    assert recording.run(program).stdout == recording.run(program, PODCOV_OFF="1").stdout != ""


def test_the_apps_own_trace_function_works_and_the_log_says_that_it_was_there(recording, tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text(
        "import sys\n"
        "def traced():\n    return 1\n"
        "def recorded():\n    return 2\n"
        "seen = []\n"
        "sys.settrace(lambda frame, event, arg: seen.append(frame.f_code.co_name))\n"
        "traced()\n"
        "sys.settrace(None)\n"
        "recorded()\n"
        "print(seen[0])\n"
    )
    ran = recording.run(program)
    assert (ran.stdout, ran.stderr) == ("traced\n", "")
    (process,) = recording.ran().processes
    assert process.trace_replaced
    assert 5 in recording.ran().lines("app.py")


def test_a_child_forked_while_the_app_traces_says_so_too(recording, tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text("import os, sys\nsys.settrace(lambda *_: None)\nif os.fork():\n    os.wait()\n")
    assert recording.run(program).returncode == 0
    assert [process.trace_replaced for process in recording.ran().processes] == [True, True]


@pytest.mark.parametrize(
    "dance",
    [
        "before = sys.gettrace()\nsys.settrace(None)\nsys.settrace(before)\n",
        "sys.settrace(sys.gettrace())\n",
        "sys.settrace(None)\n",
    ],
)
def test_an_app_that_only_puts_things_back_loses_nothing(recording, tmp_path: Path, dance: str) -> None:
    program = tmp_path / "app.py"
    program.write_text(f"def after():\n    return 1\nimport sys\n{dance}after()\nlast = 1\n")
    ran = recording.run(program)
    assert (ran.returncode, ran.stderr) == (0, "")
    (process,) = recording.ran().processes
    assert process.flags == 0
    assert recording.ran().lines("app.py") == set(range(1, len(program.read_text().splitlines()) + 1))


def test_without_a_tracer_the_app_runs_plain_and_the_record_says_which_is_missing(
    recording, wrapper: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for module in wrapper.glob("*.py"):
        (bare / module.name).write_bytes(module.read_bytes())
    recording.wrapper = bare
    program = tmp_path / "app.py"
    program.write_text("print('plain')\n")
    ran = recording.run(program)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "plain\n", "")
    (process,) = recording.ran().processes
    assert process.start.state == "unsupported"
    assert f"podcov_tracer.cp{recording.case.minor.replace('.', '')}-" in process.start.reason


@pytest.mark.parametrize("damage", ["empty", "cut off", "a bit flipped", "something else"])
def test_with_a_damaged_tracer_the_app_runs_plain_and_the_record_says_so(
    recording, wrapper: Path, tmp_path: Path, damage: str
) -> None:
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for file in wrapper.iterdir():
        content = file.read_bytes()
        if file.suffix == ".z":
            content = _damaged(content, damage)
        (damaged / file.name).write_bytes(content)
    recording.wrapper = damaged
    program = tmp_path / "app.py"
    program.write_text("print('plain')\n")
    ran = recording.run(program)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "plain\n", "")
    (process,) = recording.ran().processes
    assert process.start.state == "failed"
    assert process.start.reason


def _damaged(tracer: bytes, damage: str) -> bytes:
    middle = len(tracer) // 2
    return {
        "empty": b"",
        "cut off": tracer[:middle],
        "a bit flipped": tracer[:middle] + bytes([tracer[middle] ^ 16]) + tracer[middle + 1 :],
        "something else": zlib.compress(b"no library"),
    }[damage]


def test_the_app_sees_no_coverage_package_and_no_module_of_ours(recording, tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text(
        "import sys\nprint(sorted(name for name in sys.modules if 'coverage' in name or 'podcov' in name or 'tracer' in name))\n"
    )
    assert recording.run(program).stdout == "[]\n"
