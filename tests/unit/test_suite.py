"""The test command: its own exit code, its own time, and nothing of it left behind."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from podcov.edges import suite
from podcov.errors import UsageError


def run(*code, seconds=30.0, env=None, folder="."):
    command = [sys.executable, "-c", *code]
    return asyncio.run(suite.run(command, folder=folder, env=env or {}, seconds=seconds, output_to_stderr=True))


def test_the_exit_code_is_the_suites():
    assert run("raise SystemExit(7)") == 7


def test_a_signal_is_reported_as_a_shell_does():
    assert run("import os; os.kill(os.getpid(), 9)") == 137


def test_the_environment_is_ours_and_what_is_added(tmp_path):
    code = "import os; open('seen', 'w').write(os.environ['ORDERS_URL'] + os.environ['PATH'])"
    assert run(code, env={"ORDERS_URL": "http://127.0.0.1:1"}, folder=tmp_path) == 0
    assert (tmp_path / "seen").read_text() == "http://127.0.0.1:1" + os.environ["PATH"]


def test_time_up_ends_the_whole_group(tmp_path, wait_until):
    child = "import time; time.sleep(600)"
    code = (
        f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {child!r}]);"
        "open('pid', 'w').write(str(p.pid)); p.wait()"
    )
    assert run(code, seconds=3, folder=tmp_path) == suite.TIMED_OUT
    pid = int((tmp_path / "pid").read_text())

    def gone():
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            return True

    wait_until(gone, what=f"the suite's child {pid} is gone")


def test_a_command_that_is_not_there_is_a_usage_error():
    with pytest.raises(UsageError, match="cannot be started: no-such-command"):
        asyncio.run(suite.run(["no-such-command"], folder=".", env={}, seconds=1, output_to_stderr=True))


def test_a_group_that_ignores_the_end_is_ended_also_when_we_are_told_twice(tmp_path, wait_until):
    code = "import os, signal, time; signal.signal(15, signal.SIG_IGN); open('pid', 'w').write(str(os.getpid())); time.sleep(600)"

    started = tmp_path / "pid"

    async def stop_twice():
        running = asyncio.create_task(
            suite.run([sys.executable, "-c", code], folder=tmp_path, env={}, seconds=None, output_to_stderr=True)
        )
        await asyncio.to_thread(wait_until, lambda: started.exists() and started.read_text(), what="the suite runs")
        running.cancel()
        await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(stop_twice())
    pid = started.read_text()
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), what=f"the suite's process {pid} is gone")
