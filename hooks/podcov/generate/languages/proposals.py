"""What a language sees of a container, and what it proposes for a first `podcov.yaml`. Pure: values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from podcov.config import Service
from podcov.generate.images.commands import Built
from podcov.generate.kubernetes.manifests import Container
from podcov.generate.project import Project


@dataclass(frozen=True, slots=True)
class Seen:
    """A container, what is known of its image, and the project's files."""

    container: Container
    built: Built
    files: Project
    architecture: str = ""
    """of the nodes that it runs on, as the manifest says; empty where it does not"""

    @property
    def words(self) -> tuple[str, ...] | None:
        """What the image runs where the manifest has no command; None where nobody says it for certain."""
        return self.built.words(self.container)

    @property
    def command(self) -> tuple[str, ...]:
        """All that the container runs, as far as anybody says it, a guess too."""
        image = self.built.image.command if self.built.image else ()
        return self.container.command or (*(self.words or image), *self.container.args)

    @property
    def overridden(self) -> bool:
        """Whether the builder puts a command of its own into the manifest."""
        return self.built.artifact is not None and self.built.artifact.entrypoint


@dataclass(frozen=True, slots=True)
class Proposal:
    """`service` says what is particular to the language; None where the container is left alone. The rest is for people."""

    service: Service | None
    decided: str
    why: str
    level: Literal["info", "warning"] = "info"
    command_matters: bool = False
    """whether `podcov.yaml` has to say what the image runs, where only an engine or a registry knew"""


@dataclass(frozen=True, slots=True)
class Doubt:
    """What `podcov.yaml` says of a service and its image contradicts. `said` is key and value, `why` also what to write."""

    said: str
    why: str
