"""Which containers of a pod one recorder measures, and what is theirs in it: names and places. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from podcov.config import courier_container
from podcov.generate.languages import language
from podcov.generate.languages.entered import Additions, Entered, Wrapper

DATA = "podcov-data"
WRAPPER = "podcov-wrapper"
DATA_PATH = "/podcov/data"
WRAPPER_PATH = "/podcov/wrapper"


@dataclass(frozen=True, slots=True)
class Member:
    """A container that is measured, and what its language adds to it."""

    entered: Entered
    added: Additions

    @property
    def name(self) -> str:
        return self.entered.container.name

    @property
    def spec(self) -> Mapping[str, Any]:
        return self.entered.container.spec


@dataclass(frozen=True, slots=True)
class Party:
    """The containers of a pod that one recorder measures: they share a volume and a sidecar, which see nothing of other parties'.

    `number` counts from 1. What a pod with but one party has is named as if there were no others.
    """

    number: int
    members: tuple[Member, ...]

    @property
    def data(self) -> str:
        return _numbered(DATA, self.number)

    @property
    def wrapper(self) -> str:
        return _numbered(WRAPPER, self.number)

    @property
    def courier(self) -> str:
        return courier_container(self.number)

    @property
    def host(self) -> Member | None:
        """The member whose image and program the sidecar runs; None where there is to be no sidecar."""
        return next((member for member in self.members if member.entered.service.sidecar), None)

    @property
    def volumes(self) -> tuple[str, ...]:
        return (self.data, *([self.wrapper] if self.wrapped else []))

    @property
    def wrapped(self) -> Wrapper | None:
        """What its containers and its sidecar need of `wrapper/`."""
        return self.members[0].added.wrapper


def parties_of(entered: Sequence[Entered]) -> tuple[Party, ...]:
    """In the order of their first containers."""
    by_recorder: dict[str, list[Member]] = {}
    for member in (Member(e, language.additions(e)) for e in entered):
        by_recorder.setdefault(member.added.recorder, []).append(member)
    return tuple(Party(number, tuple(members)) for number, members in enumerate(by_recorder.values(), 1))


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"
