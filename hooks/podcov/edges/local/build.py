"""Builds what the local platform runs: the user's own command, whose output is shown where it fails."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from podcov.edges.local import process as local_process
from podcov.errors import UsageError

_TAIL_LINES = 40


async def build(name: str, command: Sequence[str], folder: Path, env: Mapping[str, str], log: Path) -> None:
    """Runs `command` in `folder` to its end; what it prints is in `log`. Being cancelled, it ends the command whole.

    Raises UsageError where the command fails, or cannot be started. `name` is the service's.
    """
    words = " ".join(command)
    try:
        process = await local_process.spawn(command, folder, env, log)
    except OSError as error:
        raise UsageError(
            f"service {name} cannot be built: {words}: {error.strerror}",
            hint=f"services.{name}.local.build is run in {folder}; or leave the service out: podcov run --without {name}",
        ) from None
    try:
        code = await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself meanwhile
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if code:
        raise UsageError(
            f"service {name} cannot be built: {words}: exit code {code}; it printed:\n{_tail(log)}",
            hint=f"services.{name}.local.build is run in {folder}",
        )


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-_TAIL_LINES:]) or "(nothing)"
