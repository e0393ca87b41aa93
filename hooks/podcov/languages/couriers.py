"""How the courier of a service is called: what stands in front of its arguments, and what an answer says about that. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from podcov.config import Service

_NO_PROGRAM = ("executable file", "no such file or directory", "not a directory", "permission denied")


@dataclass(frozen=True, slots=True)
class Outcome:
    """A command in a container that ran to its end, or could not be begun."""

    exit_code: int | None
    """None where it could not be begun, `stderr` says why"""
    stdout: bytes
    stderr: str

    @property
    def no_executable(self) -> bool:
        """The container has no such program."""
        if self.exit_code is None:
            return any(text in self.stderr for text in _NO_PROGRAM)
        return self.exit_code in (126, 127) and not self.stdout

    @property
    def signal(self) -> int:
        """The signal that ended it, as a shell tells it; 0 where it ended by itself."""
        return self.exit_code - 128 if self.exit_code is not None and 128 < self.exit_code < 160 else 0


Words = tuple[str, ...]
"""what stands in front of a courier's arguments, the program first"""


@dataclass(frozen=True, slots=True)
class Missing:
    """One of the words leads nowhere in that container, and neither do other ways with the same word in the same place."""

    place: int
    """which of the words, from 0"""
    reason: str
    """what is not there, and what to write or do, for people"""
    unbegun: bool = False
    """a program that records leaves it when it begins: it may come yet"""


class Courier(Protocol):
    """How the couriers of one language are called."""

    @property
    def unknown(self) -> str:
        """Why there is no way to call it, where `ways` finds none."""

    @property
    def ended(self) -> str:
        """What may be the matter where the sidecar has ended by itself, and where to look."""

    @property
    def absent(self) -> str:
        """What may be the matter where the sidecar's program could not be run at all, and what to write."""

    def ways(self, service: Service, container: str, command: Sequence[str], *, sidecar: bool) -> tuple[Words, ...]:
        """What to try in a container, the likeliest first.

        `command` is the container's own in its pod, empty where that is its image's; `sidecar`: it is the courier's container.
        """

    def missing(self, words: Words, outcome: Outcome) -> Missing | None:
        """What an outcome says is not there; None where a courier ran."""
