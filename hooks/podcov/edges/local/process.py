"""A local service as a process group: started with its output in a file, and ended whole."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from podcov.errors import UsageError

STOP_SECONDS = 10.0
"""after SIGTERM, before SIGKILL"""
KILL_SECONDS = 5.0
_TAIL_LINES = 20
_POLL_SECONDS = 0.05


@dataclass(slots=True)
class ServiceProcess:
    """One replica of a service. Times are Unix seconds."""

    process: asyncio.subprocess.Process
    mark: bytes
    """stands in the environment of its processes, and of no others on this machine"""
    log: Path
    started: float
    finished: float | None = None

    @property
    def ended(self) -> str:
        """How it ended: `Completed`, `Error`, or the signal's name; empty while it runs."""
        code = self.process.returncode
        if code is None:
            return ""
        if code < 0:
            return signal.Signals(-code).name
        return "Error" if code else "Completed"

    def log_tail(self) -> str:
        """The last lines that it printed."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:]) or "(it printed nothing)"

    async def wait(self) -> None:
        await self.process.wait()
        self.finished = time.time()


async def start(name: str, command: Sequence[str], folder: Path, env: Mapping[str, str], log: Path) -> ServiceProcess:
    """Starts it with its own PODCOV_DATA in `env`. Raises UsageError where the command cannot be started."""
    try:
        process = await spawn(command, folder, env, log)
    except OSError as error:
        raise UsageError(
            f"service {name} cannot be started: {' '.join(command)}: {error.strerror}",
            hint=f"services.{name}.local.command is run in {folder}; is the environment active that it is installed in?",
        ) from None
    return ServiceProcess(process, os.fsencode(f"PODCOV_DATA={env['PODCOV_DATA']}"), log, time.time())


async def spawn(command: Sequence[str], folder: Path, env: Mapping[str, str], log: Path) -> asyncio.subprocess.Process:
    """Begins a process group of its own, with its output in `log`, whose folder need not be there. Raises OSError."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        return await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env=env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


async def stop(processes: Sequence[ServiceProcess]) -> None:
    """Ends them and everything that they started: SIGTERM, a bounded wait, SIGKILL."""
    for how, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
        for pid in _members(processes):
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself meanwhile
                os.kill(pid, how)
        if await _gone(processes, seconds):
            break
    await asyncio.gather(*(process.process.wait() for process in processes))


async def _gone(processes: Sequence[ServiceProcess], seconds: float) -> bool:
    """Waits at most so long for the last of them; processes that are not our children cannot be waited for otherwise."""
    for _ in range(round(seconds / _POLL_SECONDS)):
        if not _members(processes):
            return True
        await asyncio.sleep(_POLL_SECONDS)
    return not _members(processes)


def _members(processes: Sequence[ServiceProcess]) -> list[int]:
    """The living processes of these groups, and those that left their group and still have their environment."""
    groups = {process.process.pid for process in processes}
    marks = {process.mark for process in processes}
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _belongs(entry, groups, marks)]


def _belongs(entry: Path, groups: set[int], marks: set[bytes]) -> bool:
    try:
        state, _, group, *_ = (entry / "stat").read_bytes().rpartition(b")")[2].split()
        if state in (b"Z", b"X"):  # ended; whether somebody collects its status is not ours to wait for
            return False
        return int(group) in groups or bool(marks.intersection((entry / "environ").read_bytes().split(b"\0")))
    except OSError:
        return False  # it ended while we looked, or it is another user's
