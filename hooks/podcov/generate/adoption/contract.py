"""What is said of a set-up that measures coverage already, and what podcov would put in its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from podcov.config import Dump, Tests
from podcov.generate.findings import Finding

OFFER = "kept; `podcov init --adopt` "
"""begins what was decided of a set-up that could be replaced; what would be done follows"""


class Evidence(NamedTuple):
    """A line, from 1, of a file of the project, and what it does for the set-up."""

    path: str
    line: int
    what: str


@dataclass(frozen=True, slots=True)
class Replacement:
    """A file of the project as it would be without the set-up. `content` None: it is not needed any more."""

    path: str
    content: bytes | None
    reason: str


@dataclass(frozen=True, slots=True)
class Handover:
    """What a first `podcov.yaml` says so that services go on measuring themselves, and podcov does what was done around them.

    `workloads` are meant (`deployment/orders`), of that `language`; where none is named, all of that language. `decided` is for
    people. Fields that say nothing leave to `podcov init` what it finds itself.
    """

    language: str
    dump: Dump
    decided: str
    workloads: tuple[str, ...] = ()
    tests: Tests = field(default_factory=Tests)
    copies: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What is said of a service, as `podcov.yaml` has it."""
        return f"`dump: {{by: {self.dump.by}}}`"


def has_podcov_yaml_say(keys: Iterable[str]) -> str:
    """The last part of what is offered; empty for no keys."""
    said = " and ".join(keys)
    return f"has podcov.yaml say {said}" if said else ""


@dataclass(frozen=True, slots=True)
class Adoption:
    """One set-up that was recognised.

    `evidence` has every line that made it known, and every line that `replaces` changes; of a file that goes, the first. A file
    stands in the `replaces` of one adoption only, with the edits of all. `facts` are what the set-up is made of, by kind:
    `{"signal": ("USR1",)}`.
    """

    name: str
    evidence: tuple[Evidence, ...]
    keeps: tuple[str, ...] = ()
    """sentences"""
    replaces: tuple[Replacement, ...] = ()
    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    profile_taken: str = ""
    """the Skaffold profile of the user's that must keep its name; empty where there is none"""
    handover: Handover | None = None
    """what `podcov.yaml` says once `replaces` is carried out; None for what podcov takes the place of altogether"""

    @property
    def findings_when_replaced(self) -> tuple[Finding, ...]:
        """The findings as they read once `replaces` is carried out."""
        return tuple(
            replace(f, decided=f.decided.removeprefix(OFFER), why="") if f.decided.startswith(OFFER) else f for f in self.findings
        )
