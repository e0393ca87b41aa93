"""What the local platform has to know about a language: what builds a service, and what it needs to be recorded and asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from podcov.config import LocalService, Service
from podcov.languages.couriers import Words
from podcov.model import Mode
from podcov.platform import CourierAnswer

Ask = Callable[[Words, str], Awaitable[CourierAnswer]]
"""Runs one command of the courier that these words call, with the data folder in its environment."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one replica runs, and where it records."""

    service: Service
    local: LocalService
    directory: Path
    env: Mapping[str, str]
    """its environment, but for what podcov tells it"""
    data: Path
    mode: Mode

    @property
    def path(self) -> str | None:
        """Where it looks for programs."""
        return self.env.get("PATH")


@dataclass(frozen=True, slots=True)
class Prepared:
    """What it takes beyond PODCOV_DATA and its like."""

    courier: Words
    """what stands in front of the courier's arguments"""
    env: Mapping[str, str]


class Runtime(Protocol):
    """One language on this machine."""

    def build_environment(self, directory: Path, env: Mapping[str, str]) -> Mapping[str, str]:
        """The environment of a build in `directory`, out of the one that the user gives it. Blocks. Raises UsageError."""

    async def prepare(self, place: Place, ask: Ask) -> Prepared:
        """Makes the data folder ready for a replica that is about to be started. Raises UsageError."""
