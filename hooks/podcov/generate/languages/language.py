"""What generation asks of a language, and the registry of those that it knows: one line each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from podcov.config import Service
from podcov.generate.languages import go, python
from podcov.generate.languages.entered import Additions, Entered
from podcov.generate.languages.proposals import Doubt, Proposal, Seen


class Language(Protocol):
    """A module of this package that has these functions."""

    def recognise(self, seen: Seen) -> str:
        """Why a container is taken for a service in this language, in a few words; empty where it is not."""

    def propose(self, seen: Seen) -> Proposal:
        """What a first `podcov.yaml` says of a container that was recognised."""

    def wants_command(self, service: Service) -> str:
        """What to write in `podcov.yaml` where nobody knows what the container runs; empty where that need not be known."""

    def doubt(self, entered: Entered, /) -> Doubt | None:
        """What `podcov.yaml` says and the image contradicts; None where it does not, or nothing is known of the image."""

    def additions(self, entered: Entered) -> Additions:
        """What is added to a container. Raises ManifestError for what `podcov.yaml` has to say and does not."""

    def never_a_courier(self, said: str, /) -> str:
        """What to do where a sidecar's last words tell that its image cannot be its own courier; empty where they do not."""


LANGUAGES: Mapping[str, Language] = {
    "go": go,
    "python": python,
}


def additions(entered: Entered) -> Additions:
    """What its language adds to a container. Raises as the language does."""
    return LANGUAGES[entered.service.language].additions(entered)


def never_a_courier(said: str) -> str:
    """The same as the language that knows these words says."""
    return next((told for language in LANGUAGES.values() if (told := language.never_a_courier(said))), "")
