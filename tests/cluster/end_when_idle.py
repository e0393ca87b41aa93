"""Runs in a container: ends its first process by SIGTERM once that has nothing left to do.

An application that is told to end while it still tidies up after the last request runs other lines than one that has done so. It
has nothing to do when all of its threads sleep, and no thread and no socket has come or gone for a while.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

PROCESS = Path("/proc/1")
LOOKS, PAUSE, BOUND = 10, 0.05, 20.0


def asleep() -> tuple[list[str], list[str]] | None:
    """Its threads and sockets; None while one of the threads runs, or something comes and goes."""
    try:
        states = {thread.name: (thread / "stat").read_text().rpartition(")")[2].split()[0] for thread in PROCESS.glob("task/*")}
        sockets = [str(link) for link in (name.readlink() for name in PROCESS.glob("fd/*")) if str(link).startswith("socket:")]
    except OSError:
        return None
    return (sorted(states), sorted(sockets)) if set(states.values()) == {"S"} else None


end, before, same = time.monotonic() + BOUND, None, 0
while same < LOOKS and time.monotonic() < end:
    now = asleep()
    same = same + 1 if now is not None and now == before else 0
    before = now
    time.sleep(PAUSE)
os.kill(1, signal.SIGTERM)
