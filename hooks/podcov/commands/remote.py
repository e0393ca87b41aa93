"""Interpreters in living pods, for texts that no interpreter of this machine can analyse."""

from __future__ import annotations

from collections.abc import Callable

from podcov import pipeline
from podcov.edges.analysis import MODULE, Remote
from podcov.errors import NoDataError
from podcov.platform import CourierAddress, Platform
from podcov.raw import RawStore

ANALYSIS_SECONDS = 300.0


async def interpreters(platform: Platform, store: RawStore) -> Callable[[str], Remote | None]:
    """By minor version: a pod that is alive and recorded a process of that version."""
    try:
        alive = {address.pod_uid: address for address in await platform.addresses()}
    except NoDataError:
        alive = {}  # all of them ended meanwhile: this machine's interpreters are left
    by_minor: dict[str, CourierAddress] = {}
    for target in pipeline.read_targets(store, ""):
        address = alive.get(target.stored.info.pod_uid)
        if address:
            for process in target.records.processes:
                if process.start:
                    by_minor.setdefault(process.start.minor, address)
    return lambda minor: interpreter_of(platform, by_minor[minor]) if minor in by_minor else None


def interpreter_of(platform: Platform, address: CourierAddress) -> Remote:
    """The interpreter of one pod."""

    async def ask(stdin: bytes) -> bytes:
        answer = await platform.call(address, ("run", MODULE), stdin, seconds=ANALYSIS_SECONDS)
        if answer.exit_code:
            raise RuntimeError(answer.stderr.strip() or f"exit code {answer.exit_code}")
        return answer.stdout

    return ask
