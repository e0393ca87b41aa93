"""Runs the test command as a process group of its own, and ends it whole when it must be ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from podcov.errors import UsageError

TIMED_OUT = 124
"""exit code of a suite that was ended because its time was up, as coreutils' `timeout` has it"""
_GRACE = 10.0


async def run(
    command: Sequence[str], *, folder: Path, env: Mapping[str, str], seconds: float | None, output_to_stderr: bool
) -> int:
    """Runs `command` with `env` on top of our own environment.

    Returns its exit code (128 + n for signal n, TIMED_OUT after `seconds`). When we are cancelled, the
    whole group is ended first. Raises UsageError where the command cannot be started.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env={**os.environ, **env},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=sys.stderr if output_to_stderr else None,
            start_new_session=True,
        )
    except OSError as error:
        raise UsageError(
            f"the tests cannot be started: {' '.join(command)}: {error.strerror}",
            hint=f"tests.command is run in {folder}; give another one after `--`, or mend it in podcov.yaml",
        ) from None
    try:
        code = await asyncio.wait_for(process.wait(), seconds)
    except TimeoutError:
        await _end(process)
        return TIMED_OUT
    except asyncio.CancelledError:
        await _end(process)
        raise
    return code if code >= 0 else 128 - code


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ends the whole group: politely, then, also when we are told to hurry, for good."""
    try:
        _signal_group(process.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _GRACE)
    finally:
        _signal_group(process.pid, signal.SIGKILL)
        await process.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # all of them are gone already
        os.killpg(group, number)
