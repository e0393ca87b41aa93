"""A container that is to be measured, and what its language adds to it. Pure: values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from podcov.config import Service
from podcov.generate.images.dockerfile import Image
from podcov.generate.kubernetes.manifests import Container
from podcov.model import Mode


@dataclass(frozen=True, slots=True)
class Entered:
    """`own_command` is what the container runs without us, `image` what is known of its image, and `dockerfile` the file that
    says so; empty where none does, or that it does is a guess."""

    service: Service
    container: Container
    mode: Mode
    own_command: tuple[str, ...] = ()
    image: Image | None = None
    dockerfile: str = ""
    guess: str = ""
    """that what it is built from is a guess, and what to do where it is right; empty where nobody guessed"""


@dataclass(frozen=True, slots=True)
class Wrapper:
    """A folder of `wrapper/` whose files have to be in the pod."""

    name: str
    executable: bool = False
    """whether programs are among them, which the sidecar is one of: then it cannot start without them"""


@dataclass(frozen=True, slots=True)
class Additions:
    """What a language adds to a container, beside what each gets: the data volume, and variables that name it and the container.

    `command` and `args` take the place of the container's own; None leaves those as they are. `environment` gives way to
    variables that the container has itself, `extended` takes their place and holds what they said. Volumes and mounts are
    as Kubernetes has them.
    """

    recorder: str
    """what tells who records: containers of a pod that have the same one share a sidecar and a volume"""
    courier: tuple[str, ...]
    """the sidecar's command"""
    courier_environment: Mapping[str, str] = field(default_factory=dict)
    """of the sidecar alone; it gets nothing of what the container has"""
    courier_tells: bool = False
    """whether the sidecar's last words are to be in its status: where its program may turn out to be no courier"""
    command: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    extended: Mapping[str, str] = field(default_factory=dict)
    wrapper: Wrapper | None = None
    tracers: tuple[str, ...] = ()
    """the versions of the language that the image may have and that cannot record without a file of their own"""
    volumes: tuple[Mapping[str, Any], ...] = ()
    mounts: tuple[Mapping[str, Any], ...] = ()
    courier_mounts: tuple[Mapping[str, Any], ...] = ()
    watched: tuple[str, ...] = ()
    """what the sidecar has to be told of this container, behind its command"""
    built_with: str = ""
    """what has to be in the image since its build, which no manifest tells"""
    kept_out: str = ""
    """the option by which the container's own command keeps the wrapper out"""


def literal(word: str) -> str:
    """A word that Kubernetes shall pass on as it is: it would expand `$(NAME)` and halve `$$`."""
    return word.replace("$", "$$") if "$(" in word or "$$" in word else word
