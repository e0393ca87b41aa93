"""Interpreters in living pods, for texts that no interpreter of this machine can analyse."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial

from podcov import pipeline
from podcov.edges.analysis import MODULE, Remote
from podcov.errors import NoDataError
from podcov.platform import CourierAddress, Platform
from podcov.raw import RawStore, TargetInfo

ANALYSIS_SECONDS = 300.0


async def interpreters(platform: Platform, store: RawStore) -> Callable[[str], Sequence[Remote]]:
    """By minor version: for each service that recorded a process of that version, a living pod's courier.

    A sidecar has the image of one of the pod's services; where another one's version is asked for, that container itself is.
    """
    try:
        alive = {(address.pod_uid, name): address for address in await platform.addresses() for name in address.containers}
    except NoDataError:
        alive = {}  # all of them ended meanwhile: this machine's interpreters are left
    found = cache(partial(_places, store, alive))
    return lambda minor: [
        interpreter_of(platform, place)
        for container in found().get(minor, {}).values()
        for place in dict.fromkeys((alive[container.pod_uid, container.containers[0]], container))
    ]


def _places(store: RawStore, alive: Mapping[tuple[str, str], CourierAddress]) -> Mapping[str, Mapping[str, CourierAddress]]:
    """By minor version and service: a container that runs, and recorded a process of that version.

    `alive` are the couriers by the uid of their pod and container.
    """
    places: dict[str, dict[str, CourierAddress]] = {}
    for target in pipeline.read_targets(store, ""):
        address = alive.get((target.stored.info.pod_uid, target.stored.info.container))
        if address:
            for process in target.records.processes:
                if process.start:
                    places.setdefault(process.start.minor, {}).setdefault(target.service, _in(target.stored.info, address))
    return places


def _in(target: TargetInfo, courier: CourierAddress) -> CourierAddress:
    """The service's own container instead of the sidecar."""
    if not courier.sidecar:
        return courier
    return replace(courier, container=target.container, containers=(target.container,), sidecar=False)


def interpreter_of(platform: Platform, address: CourierAddress) -> Remote:
    """The interpreter that the courier there runs with."""

    async def ask(stdin: bytes) -> bytes:
        answer = await platform.call(address, ("run", MODULE), stdin, seconds=ANALYSIS_SECONDS)
        if answer.exit_code:
            raise RuntimeError(answer.stderr.strip() or f"exit code {answer.exit_code}")
        return answer.stdout

    return ask
