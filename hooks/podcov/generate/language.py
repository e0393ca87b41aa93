"""What generation asks of a language, and the registry of those that it knows: one line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from podcov.generate import python
from podcov.generate.dockerfile import Image
from podcov.generate.project import Project
from podcov.model import Mode


class Language(Protocol):
    """A module of this package that has these functions. An `image` is None where nothing is known of it."""

    def recognise(self, image: Image | None, command: Sequence[str], folder: str, files: Project) -> str:
        """Why a container is taken for a service in this language, in a few words; empty where it is not."""

    def project_file(self, folder: str, files: Project) -> str:
        """A file by which a folder is known for a project in this language; empty where it has none."""

    def interpreter(self, image: Image | None, command: Sequence[str]) -> str:
        """The program that is certainly in the image, as the container finds it; empty where that is not known."""

    def sources(self, image: Image | None, context: str, files: Project) -> tuple[str, ...]:
        """The folders with the service's own source."""

    def packages(self, image: Image | None, folders: Sequence[str], context: str, files: Project) -> tuple[str, ...]:
        """What the source folders provide that the image may have installed elsewhere."""

    def keeps_out(self, command: Sequence[str]) -> str:
        """The option by which a command would keep the wrapper out; empty where it has none."""

    def entrypoint(self, program: str) -> tuple[str, ...]:
        """What stands in front of the container's own command."""

    def environment(self, own: Mapping[str, str]) -> dict[str, str]:
        """The variables that get the wrapper into the container without its command. `own` are those that it has without us."""

    def courier(self, program: str) -> tuple[str, ...]:
        """The sidecar's command."""

    def tracers_for(self, image: Image | None, mode: Mode) -> tuple[str, ...]:
        """The versions of the language that the image may have and that cannot record without a file of their own."""


LANGUAGES: Mapping[str, Language] = {
    "python": python,
}
