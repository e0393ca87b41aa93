"""What a language asks of the build of a service's image. Pure: values, and the Protocol that a language fulfils."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from podcov.generate.images.artifacts import Artifact
from podcov.generate.project import Project


@dataclass(frozen=True, slots=True)
class DerivedDockerfile:
    """`text` is the derived file. `warnings` name lines, from 1, of the user's file that may keep coverage out."""

    text: str
    warnings: tuple[str, ...] = ()


class Rebuild(Protocol):
    """How an image is built with coverage in it, for each kind of builder."""

    @property
    def folder(self) -> str:
        """The folder, within podcov's own, that derived Dockerfiles are kept in."""

    @property
    def records(self) -> bool:
        """Whether what is built records itself, instead of handing over what it measured."""

    def joined(self, other: Rebuild) -> Rebuild:
        """What is right for two services that are built from one Dockerfile."""

    def dockerfile(self, text: str, arguments: Mapping[str, str]) -> DerivedDockerfile | None:
        """A Dockerfile with coverage in it; None where no step of it seems to build in this language."""

    def ko(self, spec: Mapping[str, object], directory: str) -> Mapping[str, tuple[str, ...]]:
        """What comes to the lists of a `ko` artifact, `spec`; `directory` is where it is built, from where Skaffold is called."""

    def command(self, theirs: str, dockerfile: str) -> str:
        """A custom build's command, with coverage in what it builds; `dockerfile` is the derived one, empty without one."""

    def descriptor(self, artifact: Artifact, files: Project) -> str | None:
        """A project descriptor by which buildpacks build with coverage; None where variables have to do."""

    def obstacle(self, artifact: Artifact, files: Project) -> str:
        """Why there is no such descriptor for what records, and perhaps what to do; empty where there is one."""

    def buildpacks(self, spec: Mapping[str, object]) -> tuple[str, ...]:
        """Variables, NAME=VALUE, for a build by buildpacks without such a descriptor."""

    @property
    def prefix(self) -> tuple[str, ...]:
        """What stands in front of a custom build's words."""
