"""The files of Skaffold and Tilt in a project: where they are, and what they say. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from podcov.config import Generate
from podcov.errors import ManifestError
from podcov.generate.images.artifacts import Artifact
from podcov.generate.project import Project
from podcov.generate.skaffold import document as skaffold
from podcov.generate.skaffold.document import Skaffold
from podcov.generate.tilt import tiltfile
from podcov.generate.tilt.tiltfile import Tiltfile


@dataclass(frozen=True, slots=True)
class Tools:
    """The `skaffold.yaml` that is called, then those that it requires; the `Tiltfile`, then those that it includes."""

    skaffolds: tuple[Skaffold, ...] = ()
    tiltfiles: tuple[Tiltfile, ...] = ()

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """Skaffold's first: where both build an image they mean the same."""
        return tuple(artifact for side in self.sides for artifact in side)

    @property
    def sides(self) -> tuple[tuple[Artifact, ...], tuple[Artifact, ...]]:
        """What Skaffold builds, and what Tilt does."""
        skaffolds = tuple(a for one in self.skaffolds for a in one.artifacts)
        return skaffolds, tuple(a for one in self.tiltfiles for a in one.artifacts)

    @property
    def bases(self) -> tuple[str, ...]:
        """The folders that either has kustomize render, each once."""
        said = (*(b for one in self.skaffolds for b in one.bases), *(b for one in self.tiltfiles for b in one.bases))
        return tuple(dict.fromkeys(said))


def usual(files: Project) -> Generate:
    """Skaffold's and Tilt's files where one would look for them."""
    return Generate(skaffold=_present(files, "skaffold.yaml"), tiltfile=_present(files, "Tiltfile"))


def read(files: Project, generate: Generate) -> Tools:
    """Read what `podcov.yaml` names. Raises ManifestError for a file that is not there, or that is not what it should be."""
    return Tools(
        skaffold.read_all(files, generate.skaffold) if generate.skaffold else (),
        _tiltfiles(files, generate.tiltfile) if generate.tiltfile else (),
    )


def beside(files: Project, generate: Generate) -> Tools:
    """Where `podcov.yaml` names neither: those in their usual places, which say all the same what images are built from.

    What cannot be read is left out, for nobody asked for it.
    """
    if generate.skaffold or generate.tiltfile:
        return Tools()
    try:
        return read(files, usual(files))
    except ManifestError:
        return Tools()


def _present(files: Project, path: str) -> str:
    return path if files.read(path) is not None else ""


def _tiltfiles(files: Project, path: str) -> tuple[Tiltfile, ...]:
    if files.read(path) is None:
        raise ManifestError(f"{path}: there is no such file", hint="correct the path in podcov.yaml under `generate`.")
    return tiltfile.read_all(files, path)
