"""The ledger: every target and process that should have answered, and what became of it.

A percentage is only as good as this list. Pure: built from what platforms and couriers observed, never from the clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

State = Literal["collected", "empty", "failed"]
"""`collected`: everything that it ran is here. `empty`: it answered, and ran nothing that we measure, or it never began.
`failed`: something that should be here is not, `reason` says what."""


@dataclass(frozen=True, slots=True)
class ProcessEntry:
    """One OS process. `id` is the protocol's `<pid>-<start time>-<nonce>`; without the nonce for one that never registered."""

    id: str
    argv: tuple[str, ...]
    state: State
    reason: str = ""
    slug: str = ""
    """stable name of the reason, for machines: `unregistered`, `unsupported`, `mark-unanswered`, `volume-full`, `damaged`, ..."""
    recording: str = ""
    """`mapped` or `saved`"""
    note: str = ""
    """what is true of a collected process all the same, such as the most that a save interval can have lost"""


@dataclass(frozen=True, slots=True)
class TargetEntry:
    """One start of one container of one pod, or one local process tree."""

    service: str
    name: str
    """`namespace/pod/container` in a cluster, the service's name locally"""
    id: str
    """unique within the run: `<pod uid>/<container>/<start id>`; locally the same for each run: `orders-2/orders/1`"""
    state: State
    reason: str = ""
    slug: str = ""
    """`lost`, `never-started`, `not-begun`, `no-records`, `exec-forbidden`, `not-pulled`, ..."""
    start: int = 0
    """how many times this container had been started before it, in this pod"""
    ended: str = ""
    """`OOMKilled`, `Error`, `Completed`, `deleted`; empty while it runs"""
    processes: tuple[ProcessEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Counts:
    expected: int = 0
    collected: int = 0
    empty: int = 0
    failed: int = 0


def count(states: Iterable[State]) -> Counts:
    """How many there are of each state."""
    seen = list(states)
    return Counts(len(seen), seen.count("collected"), seen.count("empty"), seen.count("failed"))


@dataclass(frozen=True, slots=True)
class Ledger:
    """All that was expected in one run."""

    targets: tuple[TargetEntry, ...] = ()
    services_without_targets: tuple[str, ...] = field(default=())
    """services of `podcov.yaml` for which no pod or process was ever seen"""
    unreported: tuple[str, ...] = field(default=())
    """what ran and was collected but could not be reported, such as a file whose source could not be had; one sentence each"""

    @property
    def target_counts(self) -> Counts:
        return count(t.state for t in self.targets)

    @property
    def process_counts(self) -> Counts:
        return count(p.state for t in self.targets for p in t.processes)

    @property
    def complete(self) -> bool:
        """Nothing is missing: no target and no process failed, every service had a target, all that came is reported."""
        return not (self.services_without_targets or self.unreported or self.target_counts.failed or self.process_counts.failed)
