"""Image names: their parts, and what Skaffold and Tilt make of them. Pure.

A name is `[REGISTRY/]REPOSITORY[:TAG][@DIGEST]`. Its first part is a registry where it has a dot or a colon, or is `localhost`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DOCKER_HUB = "docker.io"
_OFFICIAL = "library/"
_HUB_NAMES = ("index.docker.io", "registry-1.docker.io")
_TAG = re.compile(r"[\w][\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-f]{32,}")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::\d+)?")
_SKAFFOLD_ESCAPES = re.compile(r"[/._:@]")
_TILT_ESCAPES = re.compile(r"[/:@]")
_WITH_PROJECT = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]/")
"""a Google Cloud project, which Skaffold drops where the default repository is in the same one"""
_LONGEST = 255


@dataclass(frozen=True, slots=True)
class Reference:
    """An image name in full: `python` is `docker.io`, `library/python`, `latest`."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def version(self) -> str:
        """What a registry is asked for: the digest, else the tag."""
        return self.digest or self.tag or "latest"

    @property
    def official(self) -> bool:
        """Whether Docker Hub itself answers for what it is."""
        return self.registry == DOCKER_HUB and self.repository.startswith(_OFFICIAL)

    @property
    def name(self) -> str:
        """Registry and repository: the same for every way to write them."""
        return f"{self.registry}/{self.repository}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}{f'@{self.digest}' if self.digest else ''}"


def parse(text: str) -> Reference | None:
    """The parts of an image name; None for what is none."""
    rest, at, digest = text.partition("@")
    head, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:
        head, tag = rest, ""
    host, slash, repository = head.partition("/")
    if not slash or not _is_host(host):
        host, repository = DOCKER_HUB, head
    if host in _HUB_NAMES:
        host = DOCKER_HUB
    if host == DOCKER_HUB and "/" not in repository:
        repository = f"{_OFFICIAL}{repository}"
    whole = _HOST.fullmatch(host) and _REPOSITORY.fullmatch(repository) and len(head) <= _LONGEST
    wrong_end = (bool(at) and not _DIGEST.fullmatch(digest)) or (rest != head and not _TAG.fullmatch(tag))
    return Reference(host, repository, tag, digest) if whole and not wrong_end else None


def has_registry(text: str) -> bool:
    """Whether a name says where its image lies."""
    host, slash, _ = text.partition("/")
    return bool(slash) and _is_host(host)


def pushed_names(name: str, default_repository: str) -> frozenset[str]:
    """What Skaffold (`--default-repo`) and Tilt (`default_registry`) may call an image that a project calls `name`.

    All of them without tag and digest.
    """
    if name.startswith(default_repository):
        return frozenset({name})
    skaffold = _SKAFFOLD_ESCAPES.sub("_", name)
    tilt = _TILT_ESCAPES.sub("_", name)
    nested = {name, _without_project(name, default_repository)}
    return frozenset(f"{default_repository}/{end}"[:_LONGEST] for end in (skaffold, tilt, *nested))


def may_be_pushed_as(name: str, repository: str) -> bool:
    """Whether `repository` can be what becomes of `name` where some default repository is set that nobody has told us.

    Only where it names a registry: `bitnami/redis` is nobody's `redis`.
    """
    ends = (_SKAFFOLD_ESCAPES.sub("_", name), _TILT_ESCAPES.sub("_", name), name)
    return has_registry(repository) and any(repository.endswith(f"/{end}") for end in ends)


def _without_project(name: str, default_repository: str) -> str:
    """Registries of Google keep folders: where both lie in the same project, it is not named twice."""
    host, _, rest = name.partition("/")
    project = _WITH_PROJECT.match(rest)
    if project and default_repository.startswith(f"{host}/{project[0]}"):
        return rest[project.end() :]
    return name


def _is_host(part: str) -> bool:
    return "." in part or ":" in part or part == "localhost"
