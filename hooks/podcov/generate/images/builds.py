"""Which Dockerfile of the project an image is built from, where neither Skaffold nor Tilt says so. Pure.

Compose files say it. Else it can be guessed: `acme/shop-orders` may be built from `orders/Dockerfile`, where only one could be
meant; or there are just one Dockerfile and one image that is nobody else's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from posixpath import basename, dirname
from typing import Any

from podcov.errors import ManifestError
from podcov.generate import project, walk
from podcov.generate.images import artifacts, dockerfile
from podcov.generate.images.artifacts import Artifact
from podcov.generate.kubernetes import kubernetes_yaml
from podcov.generate.project import Project

_COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_FOR_OTHERS = ("test", "tests", "dev", "ci", "debug", "podcov")
"""Dockerfiles of these folders and endings are not what is deployed"""
_OF_OTHERS = re.compile(
    r"alpine|busybox|caddy|cassandra|consul|curl|debian|elasticsearch|envoy|etcd|fluent-bit|grafana|haproxy|httpd|"
    r"influxdb|kafka|mailhog|mariadb|memcached|minio|mongo|mongodb|mysql|nats|neo4j|nginx|node|opensearch|pause|"
    r"postgres|postgresql|prometheus|proxyv2|python|rabbitmq|redis|registry|solr|tempo|traefik|ubuntu|valkey|vault|"
    r"zookeeper"
)
"""the last parts of names of images that projects deploy and do not build"""
_DEPTH = 4


@dataclass(frozen=True, slots=True)
class _Dockerfile:
    path: str
    name: str
    """what it is named after: `orders` of orders/Dockerfile, Dockerfile.orders and orders.Dockerfile; empty at the top"""


def found_for(images: Iterable[str], known: Sequence[Artifact], files: Project) -> tuple[Artifact, ...]:
    """Artifacts for those of `images` that `known` says nothing of; `origin` says why, in words."""
    unknown = [image for image in dict.fromkeys(images) if artifacts.of_image(known, image) is None]
    if not unknown:
        return ()
    everything = list(walk.walk(files, depth=_DEPTH))
    composed = _agreed(_of_compose(files, everything))
    unknown = [image for image in unknown if artifacts.of_image(composed, image) is None]
    taken = {artifact.dockerfile for artifact in (*known, *composed)}
    dockerfiles = [d for d in _dockerfiles(everything) if d.path not in taken]
    return (*composed, *_by_name(unknown, dockerfiles))


def _agreed(composed: Iterable[Artifact]) -> tuple[Artifact, ...]:
    """One artifact for each image; a guess where Compose files build different images under one name, for development say."""
    found: dict[str, list[Artifact]] = {}
    for artifact in composed:
        found.setdefault(dockerfile.repository(artifact.image), []).append(artifact)
    return tuple(
        replace(one, guessed=any(replace(o, origin=one.origin) != one for o in others)) for one, *others in found.values()
    )


def _by_name(images: Sequence[str], dockerfiles: Sequence[_Dockerfile]) -> Iterator[Artifact]:
    names = {repository: _last(repository) for image in images if (repository := dockerfile.repository(image))}
    left = list(dockerfiles)
    for repository, name in names.items():
        meant = [d for d in dockerfiles if d.name and name == d.name] or [
            d for d in dockerfiles if d.name and name.endswith(f"-{d.name}") and not _meant_by_another(d, repository, names)
        ]
        if len(meant) == 1:
            left = [d for d in left if d is not meant[0]]
            yield _artifact(repository, meant[0], f"{meant[0].path}, by its name")
            names = {other: n for other, n in names.items() if other != repository}
    own = [repository for repository in names if not _OF_OTHERS.fullmatch(_last(repository))]
    if len(left) == len(dockerfiles) == len(own) == 1:
        yield _artifact(own[0], left[0], f"{left[0].path}, the only one here")


def _meant_by_another(dockerfile: _Dockerfile, repository: str, names: Mapping[str, str]) -> bool:
    return any(name == dockerfile.name for other, name in names.items() if other != repository)


def _artifact(repository: str, dockerfile: _Dockerfile, origin: str) -> Artifact:
    return Artifact(repository, dirname(dockerfile.path) or ".", dockerfile.path, origin, guessed=True)


def _dockerfiles(paths: Iterable[str]) -> Iterator[_Dockerfile]:
    for path in paths:
        name, folder = basename(path), basename(dirname(path))
        if name in ("Dockerfile", "Containerfile"):
            named = folder
        elif name.startswith("Dockerfile."):
            named = name.removeprefix("Dockerfile.")
        elif name.endswith(".Dockerfile"):
            named = name.removesuffix(".Dockerfile")
        else:
            continue
        if named.lower() not in _FOR_OTHERS and not name.endswith((".dockerignore", ".j2", ".tmpl")):
            yield _Dockerfile(path, named)


def _of_compose(files: Project, paths: Iterable[str]) -> Iterator[Artifact]:
    for path in paths:
        if basename(path) not in _COMPOSE:
            continue
        try:
            documents = kubernetes_yaml.load(walk.text(files, path) or "", name=path)
        except ManifestError:
            continue  # whoever uses it will hear of that from compose
        for document in documents:
            services = document.get("services")
            for service in services.values() if isinstance(services, dict) else ():
                if isinstance(service, dict) and service.get("image") and service.get("build"):
                    yield _composed(str(service["image"]), service["build"], path)


def _composed(image: str, build: Any, path: str) -> Artifact:
    said: Mapping[str, Any] = build if isinstance(build, dict) else {"context": build}
    context = project.join(dirname(path), str(said.get("context") or "."))
    arguments = said.get("args")
    return Artifact(
        image,
        context,
        "" if "dockerfile_inline" in said else project.join(context, str(said.get("dockerfile") or "Dockerfile")),
        path,
        target=str(said.get("target") or ""),
        arguments={k: None if v is None or "${" in str(v) else str(v) for k, v in arguments.items()}
        if isinstance(arguments, dict)
        else {},
    )


def _last(repository: str) -> str:
    return repository.rpartition("/")[2]
