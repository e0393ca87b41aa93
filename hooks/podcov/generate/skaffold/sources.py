"""What one document of a `skaffold.yaml` renders, requires and builds. Pure: mappings in, values out.

`folder` is what the document's paths are relative to; all paths that come out are relative to the project.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from posixpath import basename
from typing import Any

from podcov.generate import project
from podcov.generate.images import artifacts
from podcov.generate.images.artifacts import Artifact, Buildpacks

DEFAULT_RAW_YAML = ("k8s/*.yaml",)
"""What Skaffold renders of a file with one document that names no manifests."""
_WITHOUT_DOCKERFILE = ("bazel", "jib", "ko", "buildpacks")


@dataclass(frozen=True, slots=True)
class HelmRelease:
    """One release. `chart` is a folder of the project where `local`, else what Helm is told: a name, a URL."""

    name: str
    chart: str
    local: bool = True
    values: tuple[str, ...] = ()
    """values files, paths of the project"""
    namespace: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    """names and values that are given with --set"""
    repo: str = ""
    version: str = ""
    installed: bool = False
    """whether Helm itself installs it (`deploy.helm`), so that no render hook sees its manifests"""


@dataclass(frozen=True, slots=True)
class Sources:
    """What one document renders without any profile. `raw` are files, globs and URLs; `index` is the document's place."""

    index: int
    module: str
    """its `metadata.name`; empty where it has none"""
    kustomize: tuple[str, ...] = ()
    raw: tuple[str, ...] = ()
    helm: tuple[HelmRelease, ...] = ()
    kpt: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.kustomize or self.raw or self.helm or self.kpt)


@dataclass(frozen=True, slots=True)
class Requirement:
    """An entry of `requires`. `path` is the other `skaffold.yaml`, empty for the file itself; `remote` says where it is else."""

    path: str
    modules: tuple[str, ...] = ()
    """the `metadata.name` of those that are meant; all of them where empty"""
    remote: str = ""


def sources(document: Mapping[str, Any], index: int, folder: str, *, alone: bool) -> Sources:
    """What a document renders. `alone`: Skaffold has defaults where no other document is there."""
    found = Sources(
        index,
        str(at(document, "metadata", "name") or ""),
        kustomize=tuple(project.join(folder, path) for path in kustomize_paths(document)),
        raw=tuple(_place(path, folder) for path in at(document, "manifests", "rawYaml") or ()),
        helm=tuple(_releases(document, folder)),
        kpt=tuple(project.join(folder, path) for path in at(document, "manifests", "kpt") or ()),
    )
    if found or not alone or document.get("deploy") or document.get("requires"):
        return found
    return Sources(index, found.module, raw=tuple(project.join(folder, path) for path in DEFAULT_RAW_YAML))


def kustomize_paths(document: Mapping[str, Any]) -> list[str]:
    return list(at(document, "manifests", "kustomize", "paths") or ())


def requirements(document: Mapping[str, Any], folder: str) -> Iterator[Requirement]:
    """What a document says under `requires`."""
    for entry in document.get("requires") or ():
        modules = tuple(entry.get("configs") or ())
        remote = next(
            (_remote(entry[key]) for key in ("git", "googleCloudStorage", "googleCloudBuildRepoV2") if entry.get(key)), ""
        )
        path = str(entry.get("path") or "")
        if path and not remote:
            place = project.join(folder, path)
            path = place if basename(place).endswith((".yaml", ".yml")) else project.join(place, "skaffold.yaml")
        yield Requirement("" if remote else path, modules, remote)


def artifact(spec: Mapping[str, Any], folder: str, origin: str) -> Artifact:
    """One entry of `build.artifacts`, whatever builds it."""
    context = project.join(folder, spec.get("context") or ".")
    custom = at(spec, "custom", "dependencies", "dockerfile") or {}
    docker: Mapping[str, Any] = spec.get("docker") or spec.get("kaniko") or {}
    named = docker.get("dockerfile") or custom.get("path") or ""
    known = not spec.keys() & {*_WITHOUT_DOCKERFILE, "custom"} or bool(named)
    arguments = docker.get("buildArgs") or custom.get("buildArgs") or {}
    found = Artifact(
        image=spec.get("image", ""),
        context=context,
        dockerfile=project.join(context, named or "Dockerfile") if known else "",
        origin=origin,
        target=docker.get("target") or "",
        arguments={name: _literal(value) for name, value in arguments.items()},
        builder=next((builder for builder in artifacts.BUILDERS if builder in spec), "docker"),
        main=_ko_main(spec["ko"] or {}, context) if "ko" in spec else "",
        buildpacks=_buildpacks(spec.get("buildpacks") or {}, context),
    )
    return artifacts.with_flags(found, [str(flag) for flag in docker.get("cliFlags") or ()])


def _ko_main(said: Mapping[str, Any], context: str) -> str:
    """The package that ko builds. A path begins with a dot; anything else is an import path, as for Go itself."""
    main = str(said.get("main") or ".")
    return f"./{project.join(context, said.get('dir') or '.', main)}" if main.startswith(".") else main


def _buildpacks(said: Mapping[str, Any], context: str) -> Buildpacks:
    pairs = (str(word).partition("=") for word in said.get("env") or ())
    return Buildpacks(
        builder=str(said.get("builder") or ""),
        descriptor=project.join(context, str(said.get("projectDescriptor") or Buildpacks().descriptor)),
        named=bool(said.get("buildpacks")),
        env={name: value for name, _, value in pairs},
    )


def at(document: Mapping[str, Any], *keys: str) -> Any:
    """The value beneath keys, places in lists among them; None where one of them is missing."""
    value: Any = document
    for key in keys:
        if isinstance(value, list):
            value = value[int(key)] if key.isdigit() and int(key) < len(value) else None
        else:
            value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _releases(document: Mapping[str, Any], folder: str) -> Iterator[HelmRelease]:
    rendered = [_release(spec, folder, installed=False) for spec in at(document, "manifests", "helm", "releases") or ()]
    installed = [_release(spec, folder, installed=True) for spec in at(document, "deploy", "helm", "releases") or ()]
    if rendered and at(document, "deploy", "helm") is not None:
        # Skaffold gives the deployer these in place of its own.
        rendered, installed = (
            [],
            [_release(spec, folder, installed=True) for spec in at(document, "manifests", "helm", "releases")],
        )
    yield from (*rendered, *installed)


def _release(spec: Mapping[str, Any], folder: str, *, installed: bool) -> HelmRelease:
    local = bool(spec.get("chartPath"))
    return HelmRelease(
        name=str(spec.get("name") or ""),
        chart=project.join(folder, spec["chartPath"]) if local else str(spec.get("remoteChart") or ""),
        local=local,
        values=tuple(project.join(folder, path) for path in spec.get("valuesFiles") or ()),
        namespace=str(spec.get("namespace") or ""),
        settings=tuple(_flat(spec.get("setValues") or {})),
        repo=str(spec.get("repo") or ""),
        version=str(spec.get("version") or ""),
        installed=installed,
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested `setValues` as Helm's `--set` takes them: `image.tag`, `true`."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value).lower() if isinstance(value, bool) else str(value)


def _place(path: str, folder: str) -> str:
    return path if "://" in path else project.join(folder, path)


def _remote(said: Any) -> str:
    where = said.get("repo") or said.get("source") or said.get("projectID") or "" if isinstance(said, Mapping) else said
    inside = said.get("path") if isinstance(said, Mapping) else ""
    return f"{where} {inside}".strip() or "another place"


def _literal(value: Any) -> str | None:
    """A build argument's value; None where Skaffold fills in a template."""
    return None if value is None or "{{" in str(value) else str(value)
