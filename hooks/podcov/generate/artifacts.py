"""From a container's image name to the Dockerfile that it is built from, by what Skaffold or Tilt says about it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from podcov.generate import dockerfile, project
from podcov.generate.dockerfile import Image
from podcov.generate.project import Project

_UNKNOWN = "podcov-unknown"


@dataclass(frozen=True, slots=True)
class Artifact:
    """One image that Skaffold or Tilt builds. `dockerfile` is empty where something else than Docker builds it.

    `arguments` are its build arguments; None for a value that is known only while it is built.
    """

    image: str
    context: str
    dockerfile: str
    origin: str
    """the file that says so"""
    target: str = ""
    arguments: Mapping[str, str | None] = field(default_factory=dict)
    entrypoint: bool = False
    """whether the builder puts a command of its own into the manifest"""


def of_image(artifacts: Iterable[Artifact], image: str) -> Artifact | None:
    """The artifact that a container's image name means, whatever its tag."""
    wanted = dockerfile.repository(image)
    return next((a for a in artifacts if dockerfile.repository(a.image) == wanted), None)


def build(artifact: Artifact, files: Project) -> Image | None:
    """What the artifact's Dockerfile says; None where there is none to read."""
    text = project.text(files, artifact.dockerfile) if artifact.dockerfile else None
    if text is None:
        return None
    known = {name: value for name, value in artifact.arguments.items() if value is not None}
    unknown = {name: _UNKNOWN for name, value in artifact.arguments.items() if value is None}
    image = dockerfile.parse(text, name=artifact.dockerfile, target=artifact.target, arguments=known)
    probe = dockerfile.parse(text, name=artifact.dockerfile, target=artifact.target, arguments={**known, **unknown})
    return replace(image, base_varies=_UNKNOWN in probe.base)
