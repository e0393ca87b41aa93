"""`skaffold.yaml`: what it builds and renders, and the coverage profile in it. Pure: text in, text out.

The user's own bytes stay as they are: places are found by the YAML parser, the profile is put in as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from podcov import assets
from podcov.errors import ManifestError
from podcov.generate import blocks, manifests, project, yaml_text
from podcov.generate.artifacts import Artifact

_HOOK = ("podcov", "hook", "skaffold-after-deploy")


@dataclass(frozen=True, slots=True)
class Skaffold:
    """One `skaffold.yaml`. Paths are relative to the project."""

    path: str
    text: str
    documents: tuple[Mapping[str, Any], ...]

    @property
    def folder(self) -> str:
        return project.join(self.path, "..")

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        return tuple(self._artifact(a) for d in self.documents for a in _at(d, "build", "artifacts") or ())

    @property
    def bases(self) -> tuple[str, ...]:
        """The folders that it has kustomize render without any profile."""
        return tuple(project.join(self.folder, path) for d in self.documents for path in _kustomize_paths(d))

    def _artifact(self, spec: Mapping[str, Any]) -> Artifact:
        context = project.join(self.folder, spec.get("context") or ".")
        docker = spec.get("docker") or {}
        by_docker = not spec.keys() & {"bazel", "jib", "ko", "buildpacks", "custom"}
        return Artifact(
            image=spec.get("image", ""),
            context=context,
            dockerfile=project.join(context, docker.get("dockerfile") or "Dockerfile") if by_docker else "",
            origin=self.path,
            target=docker.get("target") or "",
            arguments={name: _literal(value) for name, value in (docker.get("buildArgs") or {}).items()},
        )


def read(text: str, *, path: str) -> Skaffold:
    """Raises ManifestError where it is no YAML, or of a version that has no `manifests`."""
    documents = tuple(manifests.load(text, name=path))
    for document in documents:
        version = str(document.get("apiVersion", ""))
        if not version.startswith(("skaffold/v3", "skaffold/v4")):
            raise ManifestError(
                f"{path}: apiVersion {version or 'is missing'}: podcov needs skaffold/v3alpha1 or newer",
                hint="`skaffold fix --overwrite` brings the file up to date.",
            )
    return Skaffold(path, text, documents)


def with_profile(skaffold: Skaffold, *, name: str, base: str, overlay: str, config: str) -> str:
    """The file's text with the coverage profile in its marked block; everything else stays byte for byte.

    `base`, `overlay` and `config` (podcov.yaml) are paths of the project. Raises ManifestError where a profile of that name
    stands outside the block, or the file is written in a way that leaves no place for one.
    """
    lines = skaffold.text.splitlines(keepends=True)
    block = blocks.find(lines)
    outside = lines[: block.first] + lines[block.last + 1 :] if block else lines
    plain = read("".join(outside), path=skaffold.path)
    document = _document_of(plain, base)
    if name in {profile.get("name") for profile in document.get("profiles") or ()}:
        raise ManifestError(
            f"{skaffold.path}: there is a profile {name!r} already",
            hint="Give podcov's another name: `generate: {profile: NAME}` in podcov.yaml.",
        )
    body = _profile(plain, document, name, base, overlay, config)
    if block:
        return "".join([*lines[: block.first], *blocks.write(body, block.indent), *lines[block.last + 1 :]])
    return "".join(_inserted(lines, plain, plain.documents.index(document), body))


def _profile(skaffold: Skaffold, document: Mapping[str, Any], name: str, base: str, overlay: str, config: str) -> str:
    where = project.relative(overlay, skaffold.folder)
    paths = [where if project.join(skaffold.folder, p) == base else p for p in _kustomize_paths(document)]
    after = [*(_at(document, "deploy", "kubectl", "hooks", "after") or ()), {"host": {"command": _hook(skaffold, config)}}]
    profile: dict[str, Any] = {
        "name": name,
        "manifests": {"kustomize": {"paths": paths or [where]}},
        "deploy": {"kubectl": {"hooks": {"after": after}}},
    }
    if _raw_yaml_is_base(skaffold, document, base):
        profile["patches"] = [{"op": "remove", "path": "/manifests/rawYaml"}]
    return assets.render("init/skaffold-profile.yaml.j2", profile=yaml_text.dump([profile]), name=name)


def _hook(skaffold: Skaffold, config: str) -> list[str]:
    where = project.relative(config, skaffold.folder)
    return [*_HOOK] if where == "podcov.yaml" else [*_HOOK, "-c", where]


def _raw_yaml_is_base(skaffold: Skaffold, document: Mapping[str, Any], base: str) -> bool:
    """Skaffold would deploy these files beside the overlay that has them already."""
    raw = [project.join(skaffold.folder, path) for path in _at(document, "manifests", "rawYaml") or ()]
    inside = [path for path in raw if path.startswith(f"{base}/") or base == "."]
    if inside and len(inside) < len(raw):
        outside = sorted(set(raw) - set(inside))
        raise ManifestError(
            f"{skaffold.path}: manifests.rawYaml has files of {base} and others ({', '.join(outside)})",
            hint="With the coverage profile the former would be deployed twice: let kustomize render all of them.",
        )
    return bool(inside)


def _document_of(skaffold: Skaffold, base: str) -> Mapping[str, Any]:
    """The document that renders the base; else the only one that has artifacts, or the first."""
    configs = [d for d in skaffold.documents if d.get("kind", "Config") == "Config"]
    for document in configs:
        if base in (project.join(skaffold.folder, path) for path in _kustomize_paths(document)):
            return document
    building = [d for d in configs if _at(d, "build", "artifacts")]
    if not configs:
        raise ManifestError(f"{skaffold.path}: there is no `kind: Config` in it")
    return (building or configs)[0]


def _inserted(lines: list[str], skaffold: Skaffold, index: int, body: str) -> list[str]:
    root = [n for n in yaml.compose_all(skaffold.text, yaml.SafeLoader) if isinstance(n, yaml.MappingNode)][index]
    if lines and not lines[-1].endswith("\n"):
        lines = [*lines[:-1], f"{lines[-1]}\n"]
    for key, value in root.value:
        if key.value == "profiles":
            return _into_profiles(lines, skaffold.path, key, value, body)
    end = _end_of_document(lines, root.start_mark.line)
    return [*lines[:end], "profiles:\n", *blocks.write(body, "  "), *lines[end:]]


def _into_profiles(lines: list[str], path: str, key: yaml.Node, value: yaml.Node, body: str) -> list[str]:
    after = key.start_mark.line + 1
    if isinstance(value, yaml.SequenceNode) and not value.flow_style:
        indent = " " * value.start_mark.column
    elif isinstance(value, yaml.ScalarNode) and not value.value:
        indent = "  "
    else:
        raise ManifestError(
            f"{path}:{after}: `profiles` is written in brackets, which leaves no place for a marked block",
            hint="Write it as a list with dashes.",
        )
    return [*lines[:after], *blocks.write(body, indent), *lines[after:]]


def _end_of_document(lines: list[str], first: int) -> int:
    marks = (n for n, line in enumerate(lines) if n > first and line.startswith(("---", "...")))
    end = next(marks, len(lines))
    while end and not lines[end - 1].strip():
        end -= 1
    return end


def _kustomize_paths(document: Mapping[str, Any]) -> list[str]:
    return list(_at(document, "manifests", "kustomize", "paths") or ())


def _literal(value: Any) -> str | None:
    """A build argument's value; None where Skaffold fills in a template."""
    return None if value is None or "{{" in str(value) else str(value)


def _at(document: Mapping[str, Any], *keys: str) -> Any:
    value: Any = document
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
