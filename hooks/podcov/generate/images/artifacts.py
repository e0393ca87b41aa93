"""From a container's image name to the Dockerfile that it is built from, by what Skaffold or Tilt says about it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal, get_args

from podcov.generate import project
from podcov.generate.images import dockerfile
from podcov.generate.images import names as image_names
from podcov.generate.images.dockerfile import Bases, Image, nowhere
from podcov.generate.project import Project

Builder = Literal["docker", "kaniko", "ko", "buildpacks", "custom", "jib", "bazel"]
BUILDERS: tuple[Builder, ...] = get_args(Builder)
UNKNOWN = "podcov-unknown"
"""stands in names of images for what only the build knows"""


@dataclass(frozen=True, slots=True)
class Buildpacks:
    """What a build by Cloud Native Buildpacks is told. `descriptor` is a path of the project; there may be no such file."""

    builder: str = ""
    """an image"""
    descriptor: str = "project.toml"
    named: bool = False
    """whether it is told which buildpacks to use, instead of the builder's own"""
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Artifact:
    """One image that the project builds. `dockerfile` is empty where it is not built from one.

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
    builder: Builder = "docker"
    """what builds it; a `custom` one may say which Dockerfile it builds from"""
    main: str = ""
    """the package that ko builds: a path from the project (`./cmd/server`), or an import path; empty for the context itself"""
    buildpacks: Buildpacks = field(default_factory=Buildpacks)
    guessed: bool = False
    """whether nobody says so: there is but a name that fits, or Compose says two different things"""


def of_image(artifacts: Iterable[Artifact], image: str, default_repository: str = "") -> Artifact | None:
    """The artifact that a container's image name means, whatever its tag.

    That is the one of that name; else the one that is pushed under it, to `default_repository` or, where that is not
    known, to any registry. Where two could be meant, none is.
    """
    wanted = dockerfile.repository(image)
    named = list(artifacts)
    if exact := next((a for a in named if dockerfile.repository(a.image) == wanted), None):
        return exact
    full = image_names.parse(wanted)
    return _only(named, lambda name: full is not None and _full_name(name) == full.name) or _only(
        named, lambda name: _is_pushed_as(name, wanted, default_repository)
    )


def _only(artifacts: Iterable[Artifact], meant: Callable[[str], bool]) -> Artifact | None:
    """The first of those whose name is meant, where they all have the same."""
    found = [a for a in artifacts if meant(dockerfile.repository(a.image))]
    return found[0] if len({dockerfile.repository(a.image) for a in found}) == 1 else None


def _full_name(name: str) -> str:
    reference = image_names.parse(name)
    return reference.name if reference else name


def _is_pushed_as(name: str, repository: str, default_repository: str) -> bool:
    if default_repository:
        return repository in image_names.pushed_names(name, default_repository)
    return image_names.may_be_pushed_as(name, repository)


def with_flags(artifact: Artifact, flags: Sequence[str]) -> Artifact:
    """The artifact, built by `docker build` with these flags too: `--build-arg A=1`, `--target=app`."""
    words = [part for flag in flags for part in (flag.split("=", 1) if flag.startswith("--") else [flag])]
    said = [(word, value) for word, value in pairwise(words) if not value.startswith("--")]
    pairs = [value.partition("=") for word, value in said if word == "--build-arg"]
    # A flag without a value takes it from the environment of whoever builds.
    arguments = {name: value if equals else None for name, equals, value in pairs}
    target = next((value for word, value in said if word == "--target"), artifact.target)
    return replace(artifact, arguments={**artifact.arguments, **arguments}, target=target)


def build(artifact: Artifact, files: Project, bases: Bases = nowhere) -> Image | None:
    """What the artifact's Dockerfile says; None where there is none to read.

    `bases` is asked for the image that it stands on, unless only the build knows which that is.
    """
    text = project.text(files, artifact.dockerfile) if artifact.dockerfile else None
    if text is None:
        return None
    known = {name: value for name, value in artifact.arguments.items() if value is not None}
    unknown = {name: UNKNOWN for name, value in artifact.arguments.items() if value is None}

    def parsed(arguments: Mapping[str, str], bases: Bases = nowhere) -> Image:
        return dockerfile.parse(
            text, name=artifact.dockerfile, target=artifact.target, arguments=arguments, bases=bases, unnamed=UNKNOWN
        )

    if UNKNOWN in parsed({**known, **unknown}).base:
        return replace(parsed(known), base_varies=True)
    return parsed(known, bases)
