"""What a container really runs: its manifest's command, or its image's, and who says so. Pure.

The image's is looked for in the Dockerfile that it is built from, then in the image that this stands on, then in the image
itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from podcov.generate.images import artifacts, dockerfile
from podcov.generate.images import config as image_config
from podcov.generate.images import names as image_names
from podcov.generate.images.artifacts import Artifact
from podcov.generate.images.dockerfile import Image, nowhere
from podcov.generate.kubernetes.manifests import Container
from podcov.generate.project import Project

_WITHOUT_ENTRYPOINT = ("library/python", "library/debian", "library/ubuntu", "library/alpine", "library/fedora")
"""images of Docker Hub's own that are known to have neither an ENTRYPOINT nor a variable that matters here"""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nothing could be learnt of an image. `reason` as in "the registry ghcr.io has no such image"."""

    reason: str
    silent: bool = False
    """whether nobody answered, so that asking for another image there is of no use either"""


Lookup = Callable[[str], Image | Unknown | None]
"""An image name in; what a Docker engine or a registry says of it, or why they say nothing. None: nobody was asked."""


@dataclass(frozen=True, slots=True)
class Built:
    """An image by name: which artifact builds it and what is known of it, each None where that is not known."""

    name: str
    artifact: Artifact | None = None
    image: Image | None = None
    origin: str = ""
    """who says what it runs, as in "it stands in orders/Dockerfile"; empty where nobody does"""
    unknown: str = ""
    """why nobody says what it runs, where somebody was asked"""

    @property
    def context(self) -> str:
        return self.artifact.context if self.artifact else "."

    @property
    def guess(self) -> str:
        """What may be built into this image where nobody who has it confirms that, as in "orders/Dockerfile, by its name"."""
        guessed = self.artifact is not None and self.artifact.guessed and not (self.image and self.image.said_by)
        return self.artifact.origin if self.artifact and guessed else ""

    def if_the_guess_is_right(self, container: Container) -> str:
        """That it is a guess, and what to write where it is right; empty where it is none."""
        if not self.guess:
            return ""
        asked = f" ({self.unknown})" if self.unknown else ""
        missing = "ENTRYPOINT" if container.args else "ENTRYPOINT and CMD"
        wanted = "`interpreter`" if container.command else f"the image's {missing} as `command`"
        return f"{self.guess}, is a guess{asked}: if it is right, write {wanted} in podcov.yaml, without `entry` and `sidecar`"

    def words(self, container: Container) -> tuple[str, ...] | None:
        """As `image_words`; None for a guess too: with the command of another image the container would not start."""
        return None if self.guess else image_words(container, self.image)

    @property
    def launcher(self) -> bool:
        """Whether a launcher of Cloud Native Buildpacks starts it.

        Only that sets the PATH that the interpreter is found by, so neither a command in front of it nor a sidecar
        would find one: such a container is entered by environment.
        """
        by_label = self.image is not None and image_config.by_buildpacks(self.image)
        return by_label or (self.artifact is not None and self.artifact.builder == "buildpacks")


def find(name: str, known: Sequence[Artifact], files: Project, lookup: Lookup = nowhere, default_repository: str = "") -> Built:
    """What is known of the image that a container names.

    `lookup` is asked only for what the project's own files do not say. `default_repository` is where Skaffold or Tilt
    push to, where that is known.
    """
    artifact = artifacts.of_image(known, name, default_repository)
    if artifact and artifact.guessed:
        return _of_guess(name, artifact, files, _Asked(lookup))
    stated = artifacts.build(artifact, files) if artifact else None
    origin = f"it stands in {artifact.dockerfile}" if artifact and _says_what_runs(stated) else ""
    if stated and _settled(stated):
        return Built(name, artifact, stated, origin)
    asked = _Asked(lookup)
    if artifact and stated and (whole := asked.for_base(artifact, files)):
        inherited = f"{artifact.dockerfile} has it from {whole.base}: {whole.said_by}" if _says_what_runs(whole) else ""
        return Built(name, artifact, whole, origin or inherited)
    if (artifact is None or _is_pushed(name)) and (itself := asked(name)):
        return Built(name, artifact, _with_sources(itself, stated), origin or itself.said_by)
    return Built(name, artifact, stated, origin, "; ".join(asked.reasons))


def image_words(container: Container, image: Image | None) -> tuple[str, ...] | None:
    """What a container that has no `command` runs before its `args`; None where only the base image knows.

    That is ENTRYPOINT, and CMD too where there are no `args`. Empty where `args` are all there is.
    """
    if image is None:
        return None
    entrypoint = _entrypoint(image)
    if entrypoint is None:
        return None
    if container.args:
        return entrypoint
    return (*entrypoint, *image.cmd) if image.cmd or (image.cmd is not None and entrypoint) else None


def _of_guess(name: str, artifact: Artifact, files: Project, asked: _Asked) -> Built:
    """A guess, the image itself where that agrees with it, or the image alone where it does not."""
    stated = artifacts.build(artifact, files)
    itself = asked(name) if _is_pushed(name) else None
    if itself is None:
        return Built(name, artifact, replace(stated, base_varies=True) if stated else None, "", "; ".join(asked.reasons))
    if stated is None or not _agrees(itself, stated):
        return Built(name, None, itself, itself.said_by)
    return Built(name, artifact, replace(_with_sources(itself, stated), base=itself.base), itself.said_by)


def _agrees(itself: Image, stated: Image) -> bool:
    """Whether an image may be built from a Dockerfile: it has what that says of its command, and the variables that it sets."""
    pairs = ((_entrypoint(stated), itself.entrypoint), (stated.cmd, itself.cmd))
    return all(said is None or said == has for said, has in pairs) and stated.env.keys() <= itself.env.keys()


def variables_known(image: Image | None) -> bool:
    """Whether all variables that an image sets are known."""
    return image is not None and (bool(image.said_by) or (_stands_on_known(image) and not image.base_varies))


@dataclass(frozen=True, slots=True)
class _Asked:
    """A lookup, and the reasons that it gave for knowing nothing."""

    lookup: Lookup
    reasons: list[str] = field(default_factory=list)

    def __call__(self, name: str) -> Image | None:
        answer = self.lookup(name)
        if isinstance(answer, Unknown):
            self.reasons.append(answer.reason)
            return None
        return answer

    def for_base(self, artifact: Artifact, files: Project) -> Image | None:
        """The artifact's image with what it inherits; None where its base says nothing."""
        image = artifacts.build(artifact, files, self)
        return image if image and image.said_by else None


def _says_what_runs(image: Image | None) -> bool:
    return image_words(Container("", "", {}), image) is not None


def _settled(image: Image) -> bool:
    """Whether a Dockerfile alone says what its image runs, and in which environment."""
    return image.cmd is not None and _stands_on_known(image)


def _entrypoint(image: Image) -> tuple[str, ...] | None:
    """The image's ENTRYPOINT, its own or its base's; None where only the base knows."""
    return () if image.entrypoint is None and _stands_on_known(image) else image.entrypoint


def _stands_on_known(image: Image) -> bool:
    """Whether it is built on a bare image of Docker Hub's own. What others call `python` may well have an ENTRYPOINT."""
    if image.base == dockerfile.SCRATCH:
        return True
    base = image_names.parse(image.base)
    return base is not None and base.official and base.repository in _WITHOUT_ENTRYPOINT


def _is_pushed(name: str) -> bool:
    """Whether the name of an image that the project builds is that of one that was built.

    A name without registry and version is still the project's own: the public image of that name is another one.
    """
    reference = image_names.parse(name)
    return reference is not None and (image_names.has_registry(name) or bool(reference.tag or reference.digest))


def _with_sources(image: Image, stated: Image | None) -> Image:
    """What an image says of itself, and what its Dockerfile says of where its files come from."""
    if stated is None:
        return image
    return replace(
        image,
        base=stated.base,
        copies=stated.copies,
        runs=stated.runs,
        from_stages=stated.from_stages,
        taken=stated.taken,
    )
