"""The files of Skaffold and Tilt in a project: where they are, and what they say. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from podcov.config import Generate
from podcov.errors import ManifestError
from podcov.generate import project, skaffold, tiltfile
from podcov.generate.artifacts import Artifact
from podcov.generate.project import Project
from podcov.generate.skaffold import Skaffold
from podcov.generate.tiltfile import Tiltfile


@dataclass(frozen=True, slots=True)
class Tools:
    """`skaffolds` are the `skaffold.yaml` that is called and those that it requires; empty where there is none."""

    skaffolds: tuple[Skaffold, ...] = ()
    tiltfile: Tiltfile | None = None

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """Skaffold's first: where both build an image they mean the same."""
        return (*(a for one in self.skaffolds for a in one.artifacts), *(self.tiltfile.artifacts if self.tiltfile else ()))

    @property
    def bases(self) -> tuple[str, ...]:
        """The folders that either has kustomize render, each once."""
        said = (*(b for one in self.skaffolds for b in one.bases), *(self.tiltfile.bases if self.tiltfile else ()))
        return tuple(dict.fromkeys(said))


def usual(files: Project) -> Generate:
    """Skaffold's and Tilt's files where one would look for them."""
    return Generate(skaffold=_present(files, "skaffold.yaml"), tiltfile=_present(files, "Tiltfile"))


def read(files: Project, generate: Generate) -> Tools:
    """Read what `podcov.yaml` names. Raises ManifestError for a file that is not there, or that is not what it should be."""
    return Tools(
        skaffold.read_all(files, generate.skaffold) if generate.skaffold else (),
        tiltfile.read(_text(files, generate.tiltfile), path=generate.tiltfile) if generate.tiltfile else None,
    )


def _present(files: Project, path: str) -> str:
    return path if files.read(path) is not None else ""


def _text(files: Project, path: str) -> str:
    text = project.text(files, path)
    if text is None:
        raise ManifestError(f"{path}: there is no such file", hint="Correct the path in podcov.yaml under `generate`.")
    return text
