"""The platform: where services run, behind one small Protocol, which `platform` in `podcov.edges.cluster` and `.local` fulfils.

A platform finds couriers, calls them, and reports what it saw start and end. It decides nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Literal, Protocol

KILLED: Final = 128 + 9
"""exit code of what SIGKILL ended"""
DELETED: Final = "deleted"
"""`ContainerStart.ended` where the pod was deleted and nothing told of the container's own end, or of its beginning"""
UNTOLD: Final = "untold"
"""`ContainerStart.ended` where neither its end nor its beginning was told: its node lost track of it, or is silent"""


@dataclass(frozen=True, slots=True)
class CourierAddress:
    """Where a courier can be called: a sidecar or a container of a pod, or a local data folder."""

    service: str
    namespace: str
    """empty locally"""
    pod: str
    """pod name; locally the service's name, with `-2`, `-3`, ... for further replicas"""
    pod_uid: str
    """as `pod` locally, where names are unique within a run and the same on every machine"""
    container: str
    """the container that exec goes to"""
    sidecar: bool
    containers: tuple[str, ...]
    """the instrumented containers whose data the courier holds"""
    part: str = ""
    """which of the couriers of its pod it is; empty where there is but one"""
    asked_at_end: bool = False
    """what it holds is whole only where it is asked to dump once more when its pod is told to end"""

    @property
    def id(self) -> str:
        """What it is known by: the uid of its pod, which others may share."""
        return "/".join(part for part in (self.pod_uid, self.part) if part)

    @property
    def name(self) -> str:
        return "/".join(part for part in (self.namespace, self.pod) if part)


@dataclass(frozen=True, slots=True)
class ContainerStart:
    """One start of one instrumented container that the platform saw: it should have a target folder.

    Times are Unix seconds as the platform knows them (whole seconds in Kubernetes); None while unknown.
    """

    address: CourierAddress
    service: str
    container: str
    container_id: str
    restart: int
    started: float | None
    finished: float | None = None
    ended: str = ""
    """reason of the end: `OOMKilled`, `Error`, `Completed`, DELETED, UNTOLD; what is in the way of one that has not begun; empty
    while it runs"""
    awaited: bool = False
    """it certainly has not begun, and nothing that was seen kept it from that but that its turn had not come"""
    exit_code: int | None = None
    """of its first process, where it has ended and that is known"""

    @property
    def killed(self) -> bool:
        """Its first process ended of SIGKILL, and with it all others."""
        return self.exit_code == KILLED


@dataclass(frozen=True, slots=True)
class PlatformEvent:
    """Something happened to the services while the tests ran."""

    kind: Literal["started", "ready", "ending", "ended", "gone"]
    """`ending`: pull as soon as the courier says that the containers have ended, then release it. `gone`: too late."""
    address: CourierAddress


@dataclass(frozen=True, slots=True)
class CourierAnswer:
    exit_code: int
    stdout: bytes
    stderr: str


class Platform(Protocol):
    """Where services run: a cluster, or this machine."""

    name: str

    async def addresses(self) -> Sequence[CourierAddress]:
        """The couriers to talk to now. Raises NoDataError when nothing matches, ClusterError when it cannot be known."""

    async def call(
        self, address: CourierAddress, arguments: Sequence[str], stdin: bytes = b"", *, seconds: float = 60
    ) -> CourierAnswer:
        """Run one courier command. Raises CourierUnreachable when it certainly or possibly did not run to its end.

        `stdin` is the command's input without its frame: where it is not empty, `<bytes>\\n` is sent in front of it.
        """

    def watch(self) -> AsyncIterator[PlatformEvent]:
        """Events from now on, until closed."""

    async def starts(self) -> Sequence[ContainerStart]:
        """Every container start seen since the watch began, those that are gone included."""

    def ending_to_hand_over(self, addresses: Sequence[CourierAddress]) -> Sequence[CourierAddress]:
        """Those of them whose services hand over what they ran only when they end."""

    def stopping(self, addresses: Sequence[CourierAddress]) -> AbstractAsyncContextManager[Sequence[str]]:
        """Ends these; yields the names of the workloads that have no pods meanwhile. Leaving starts them again, however it ended.

        Entering returns when they are gone, or will not go. What is started again is not of the run that this platform serves.
        Raises ClusterError where they cannot be ended.
        """

    def forwards(self) -> AbstractAsyncContextManager[Mapping[str, str]]:
        """Opens the declared port-forwards; yields the environment variables that tell the tests about them."""


class CourierUnreachable(Exception):
    """An exec did not come through.

    `gone`: the pod or container does not exist any more. `unbegun`: the container runs, and the program that would be its own
    courier has not begun in it, as far as can be seen; so nothing is recorded there yet.
    """

    def __init__(self, address: CourierAddress, reason: str, *, gone: bool = False, unbegun: bool = False) -> None:
        super().__init__(f"{address.name}/{address.container}: {reason}")
        self.address = address
        self.reason = reason
        self.gone = gone
        self.unbegun = unbegun
