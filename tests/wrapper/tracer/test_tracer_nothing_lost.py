"""Not one line is lost: not while threads run and saves and marks go on, not in forked children, not when the process ends."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

THREADS, CHUNKS, CHUNK_LINES = 4, 125, 80


def once_only_program(folder: Path) -> Path:
    """A program of 40,000 lines that run once each, in threads. Each line that it reads lets each thread run one chunk more."""
    program = folder / "once.py"
    chunks = []
    for number in range(THREADS * CHUNKS):
        chunks.append(f"def chunk_{number}():\n" + "    let_others()\n" * CHUNK_LINES)
    program.write_text(
        "".join(chunks)
        + "import threading, sys\nfrom os import sched_yield as let_others\n"
        + f"going = [threading.Semaphore(0) for _ in range({THREADS})]\n"
        + "def work(thread):\n"
        + f"    for number in range({CHUNKS}):\n"
        + "        going[thread].acquire()\n"
        + f"        globals()[f'chunk_{{number * {THREADS} + thread}}']()\n"
        + f"threads = [threading.Thread(target=work, args=(n,)) for n in range({THREADS})]\n"
        + "[thread.start() for thread in threads]\n"
        + "print('ready', flush=True)\n"
        + "for _ in sys.stdin:\n"
        + "    [semaphore.release() for semaphore in going]\n"
        + "[thread.join() for thread in threads]\n"
    )
    return program


def test_none_of_40_000_lines_is_lost_in_threads_during_hundreds_of_saves_and_marks(recording, tmp_path: Path) -> None:
    program = once_only_program(tmp_path)
    epochs = itertools.count(1)
    with recording.start(program, PODCOV_SAVE_INTERVAL="0.01") as process:
        assert process.stdout.readline() == "ready\n"
        for _ in range(CHUNKS):
            process.stdin.write("go\n")
            process.stdin.flush()
            epoch = next(epochs)
            assert recording.ask("dump").startswith("ok dump ")
            assert recording.ask(f"mark {epoch}") == f"ok mark {epoch}"
            assert recording.ask("dump").startswith("ok dump ")
        process.stdin.close()
        assert process.wait() == 0
    chunks = THREADS * CHUNKS
    expected = {number * (CHUNK_LINES + 1) + line for number in range(chunks) for line in range(2, CHUNK_LINES + 2)}
    ran = recording.ran()
    assert expected - ran.lines("once.py") == set()
    in_the_midst = [epoch for epoch in ran.processes[0].epochs if ran.lines("once.py", [epoch]) & expected]
    assert len(in_the_midst) > 10


def test_a_mark_begins_an_epoch_that_holds_what_ran_after_it_and_nothing_else(recording, tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text(
        "def early():\n    return 1\n"
        "def always():\n    return 2\n"
        "def late():\n    return 3\n"
        "early(), always()\n"
        "print('ready', flush=True)\n"
        "input(), late(), always()\n"
    )
    with recording.start(program) as process:
        assert process.stdout.readline() == "ready\n"
        recording.ask("dump")
        recording.ask("mark 1")
        process.stdin.write("go on\n")
        process.stdin.close()
        assert process.wait() == 0
    ran = recording.ran()
    assert {2, 4} <= ran.lines("app.py", [0])
    assert 6 not in ran.lines("app.py", [0])
    assert {4, 6} <= ran.lines("app.py", [1])
    assert 2 not in ran.lines("app.py", [1])


def test_a_frame_that_was_running_at_a_mark_goes_on_being_recorded(recording, tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text(
        "def serve():\n"
        "    while True:\n"
        "        if input() == 'end':\n"
        "            return\n"
        "        print('ok', flush=True)\n"
        "serve()\n"
    )
    with recording.start(program) as process:
        for epoch in range(1, 4):
            process.stdin.write("work\n")
            assert process.stdout.readline() == "ok\n"
            recording.ask(f"mark {epoch}")
        process.stdin.write("end\n")
        assert process.wait() == 0
    ran = recording.ran()
    assert all(5 in ran.lines("app.py", [epoch]) for epoch in (0, 1, 2))
    assert [epoch for epoch in range(4) if 4 in ran.lines("app.py", [epoch])] == [3]


def test_each_forked_child_has_its_own_lines_and_none_of_its_parents(recording, tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    children = 40
    program.write_text(
        "import os, sys\n"
        + "".join(f"def child_{n}(): return {n}\n" for n in range(children))
        + "def parent():\n    return 0\n"
        + "parent()\n"
        + f"for n in range({children}):\n"
        + "    if os.fork() == 0:\n"
        + "        globals()[f'child_{n}']()\n"
        + "        os._exit(0) if n % 2 else sys.exit(0)\n"
        + f"for _ in range({children}): os.wait()\n"
    )
    ran = recording.run(program, PODCOV_SAVE_INTERVAL="0.01")
    assert (ran.returncode, ran.stderr) == (0, "")
    found = recording.ran()
    assert len(found.processes) == children + 1
    assert set(range(2, 2 + children)) <= found.lines("app.py")
    parents_line = 3 + children
    having_it = [p for p in found.processes if parents_line in type(found)((p,)).lines("app.py")]
    assert len(having_it) == 1
    assert all(process.start.parent == having_it[0].id for process in found.processes if process not in having_it)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_every_worker_of_a_pool_is_recorded(recording, tmp_path: Path, method: str) -> None:
    program = tmp_path / "app.py"
    program.write_text(
        "import multiprocessing\n"
        "def work(n):\n"
        "    return n + 1\n"
        "if __name__ == '__main__':\n"
        f"    with multiprocessing.get_context('{method}').Pool(3) as pool:\n"
        "        assert sum(pool.map(work, range(50))) == 1275\n"
        "        pool.close()\n"
        "        pool.join()\n"
    )
    ran = recording.run(program)
    assert (ran.returncode, ran.stderr) == (0, "")
    with_work = [p for p in recording.ran().processes if 3 in type(recording.ran())((p,)).lines("app.py") and p.start.ppid]
    assert with_work
    assert recording.ran().lines("app.py") >= {1, 2, 3, 4, 5, 6, 7, 8}


def test_a_process_that_saves_all_the_time_still_answers(recording, tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text("import sys\nprint('ready', flush=True)\nsys.stdin.read()\n")
    with recording.start(program, PODCOV_SAVE_INTERVAL="0.000001") as process:
        assert process.stdout.readline() == "ready\n"
        for epoch in range(1, 20):
            assert recording.ask(f"mark {epoch}") == f"ok mark {epoch}"
            assert recording.ask("dump").startswith("ok dump ")
        process.stdin.close()
        assert process.wait() == 0
    assert recording.ran().lines("app.py") == {1, 2, 3}


ENDS = {
    "falls off its end": ("pass", 0),
    "sys.exit": ("import sys; sys.exit(3)", 3),
    "os._exit": ("os._exit(4)", 4),
    "an exception": ("raise ValueError('said by the app')", 1),
    "a signal of its own, by os.kill": ("os.kill(os.getpid(), 15)", -15),
    "a signal of its own, by raise_signal": ("signal.raise_signal(9)", -9),
    "a signal to its group": ("os.setpgid(0, 0); os.killpg(0, 9)", -9),
    "os.abort": ("os.abort()", -6),
    "another program in its place": ("os.execv('/bin/true', ['true'])", 0),
    "its own handler of SIGTERM": ("signal.signal(15, lambda *_: os._exit(7)); os.kill(os.getpid(), 15)", 7),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_last_line_is_there_however_the_process_ends_itself(recording, tmp_path: Path, end: str) -> None:
    code, status = ENDS[end]
    program = tmp_path / "app.py"
    program.write_text(f"import os, signal\ndef last():\n    {code}\nlast()\n")
    recorded = recording.run(program, PODCOV_SAVE_INTERVAL="60")
    plain = recording.run(program, PODCOV_OFF="1")
    assert (recorded.returncode, recorded.stdout, recorded.stderr) == (status, plain.stdout, plain.stderr)
    assert recording.ran().lines("app.py") == {1, 2, 3, 4}


def test_after_sigkill_everything_up_to_the_last_save_is_there(
    recording, tmp_path: Path, wait_until: Callable[..., object]
) -> None:
    program = tmp_path / "app.py"
    program.write_text("def first():\n    return 1\nfirst()\nprint('ready', flush=True)\ninput()\n")
    with recording.start(program, PODCOV_SAVE_INTERVAL="0.02") as process:
        assert process.stdout.readline() == "ready\n"
        wait_until(lambda: {2, 5} <= recording.ran().lines("app.py"), what="a save")
        process.kill()
        assert process.wait() == -signal.SIGKILL
    (left,) = recording.ran().processes
    assert not left.ended
    assert left.start.save_interval == 0.02
    assert left.saved_at > 0
    assert recording.ran().lines("app.py") == {1, 2, 3, 4, 5}


def test_a_file_that_cannot_grow_is_flagged_and_the_app_goes_on(recording, tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text(
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))\n"
        "print('still here')\n"
    )
    ran = recording.run(program, PODCOV_SAVE_INTERVAL="60")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "still here\n", "")
    (process,) = recording.ran().processes
    assert process.volume_full
    assert not process.ended
    assert sorted(path.suffix for path in recording.folder.iterdir() if path.is_file()) == [".codes", ".hits", ".start"]


def test_files_are_for_every_user_whatever_the_umask(recording, tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text("import os\nos.umask(0o077)\n")
    assert recording.run(program).returncode == 0
    modes = {path.suffix: path.stat().st_mode & 0o777 for path in recording.folder.iterdir()}
    assert modes.keys() >= {".start", ".hits", ".codes", ".end"}
    assert set(modes.values()) == {0o666}
    assert recording.folder.stat().st_mode & 0o777 == 0o777
