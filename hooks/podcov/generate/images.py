"""What a container really runs: its manifest's command, or its image's. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from podcov.generate import artifacts, dockerfile
from podcov.generate.artifacts import Artifact
from podcov.generate.dockerfile import Image
from podcov.generate.manifests import Container
from podcov.generate.project import Project

_WITHOUT_ENTRYPOINT = ("python", "debian", "ubuntu", "alpine", "fedora", "scratch")
"""public base images that are known to have no ENTRYPOINT of their own"""


@dataclass(frozen=True, slots=True)
class Built:
    """An image by name: which artifact builds it and what its Dockerfile says, each None where that is not known."""

    name: str
    artifact: Artifact | None = None
    image: Image | None = None

    @property
    def context(self) -> str:
        return self.artifact.context if self.artifact else "."


def find(name: str, known: Sequence[Artifact], files: Project) -> Built:
    """What is known of the image that a container names."""
    artifact = artifacts.of_image(known, name)
    return Built(name, artifact, artifacts.build(artifact, files) if artifact else None)


def image_words(container: Container, image: Image | None) -> tuple[str, ...] | None:
    """What a container that has no `command` runs before its `args`; None where only the base image knows.

    That is ENTRYPOINT, and CMD too where there are no `args`. Empty where `args` are all there is.
    """
    if image is None:
        return None
    entrypoint = image.entrypoint
    if entrypoint is None:
        if dockerfile.repository(image.base).rpartition("/")[2] not in _WITHOUT_ENTRYPOINT:
            return None
        entrypoint = ()
    if container.args:
        return entrypoint
    return (*entrypoint, *image.cmd) if image.cmd or (image.cmd is not None and entrypoint) else None
