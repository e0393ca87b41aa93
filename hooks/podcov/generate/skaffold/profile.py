"""The coverage profile of one document of a `skaffold.yaml`. Pure: mappings in, a mapping out.

A profile's field replaces all of what the document has there: `deploy: {kubectl: {hooks: ...}}` would take away the user's
flags and other hooks. So where the document says anything the profile patches that place; it has a field only where not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Literal

from podcov.errors import ManifestError
from podcov.generate import project
from podcov.generate.coverage.rebuilding import Rebuilt
from podcov.generate.skaffold.sources import at, kustomize_paths

By = Literal["overlay", "inject"]

POST_RENDERER = "podcov-inject"
"""`podcov inject` as one word: Skaffold runs a post-renderer of Helm's without arguments"""

_TESTS = ("podcov", "hook", "skaffold-after-deploy")
_INJECT = ("podcov", "inject")
_WITH_HOOKS = ("kubectl", "helm")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the profile is to do.

    `base` and `overlay` are folders of the project, for `by: overlay`; `folder` is what the file's paths are relative to,
    `root` the folder of podcov.yaml. `tests`: whether this is where the tests are run, once all is deployed. `rebuilt` are the
    document's artifacts that are built with coverage in them, by image; `called_in` is the folder that Skaffold is called in.
    """

    name: str
    by: By | None
    """how coverage gets into what the document renders; None where nothing of it is measured"""
    folder: str
    root: str = "."
    base: str = ""
    overlay: str = ""
    tests: bool = True
    rebuilt: Mapping[str, Rebuilt] = field(default_factory=dict)
    called_in: str = "."
    switch: str = ""
    """`NAME=VALUE`: an environment variable that activates the profile, too"""


@dataclass(slots=True)
class _Profile:
    """`document` is the document as it is with the patches so far."""

    document: dict[str, Any]
    fields: dict[str, Any] = field(default_factory=dict)
    patches: list[dict[str, Any]] = field(default_factory=list)

    def put(self, path: Sequence[str], value: Any) -> None:
        """Give the document this value beneath these keys."""
        if not at(self.document, *path[:2]):
            _nest(self.fields, path, value)
            return
        depth = next(n for n in range(len(path) - 1, 1, -1) if at(self.document, *path[:n]))
        _nest(self.document, path, value)
        self.patch("add", path[: depth + 1], at(self.document, *path[: depth + 1]))

    def append(self, path: Sequence[str], *values: Any) -> None:
        """Put values behind those that the document's list has."""
        if not at(self.document, *path):
            self.put(path, list(values))
            return
        for value in values:
            self.patch("add", (*path, "-"), value)

    def patch(self, op: str, path: Sequence[str], value: Any = None) -> None:
        self.patches.append({"op": op, "path": "/" + "/".join(path), **({} if value is None else {"value": deepcopy(value)})})


def profile(document: Mapping[str, Any], wanted: Wanted, *, where: str) -> dict[str, Any]:
    """The profile, ready to be written as YAML. `where` names the document in errors.

    Raises ManifestError where the document is deployed in a way that podcov cannot be part of.
    """
    made = _Profile(deepcopy(dict(document)))
    _build(made, wanted)
    if wanted.by == "overlay":
        _overlay(made, wanted)
    elif wanted.by == "inject":
        _inject(made, wanted, where)
    if wanted.tests:
        made.append(("deploy", _deployer(document, where), "hooks", "after"), _hook(_TESTS, wanted))
    activation = {"activation": [{"env": wanted.switch}]} if wanted.switch else {}
    return {"name": wanted.name, **activation, **made.fields, **({"patches": made.patches} if made.patches else {})}


def deployers(document: Mapping[str, Any]) -> list[str]:
    """What deploys the document's manifests, of those that it names, in Skaffold's order."""
    named = at(document, "deploy") or {}
    return [name for name in ("docker", "helm", "kubectl", "kpt", "cloudrun") if named.get(name) is not None]


def _build(made: _Profile, wanted: Wanted) -> None:
    """What is built with coverage is patched where it stands; all else of the artifact stays the user's."""
    for index, spec in enumerate(at(made.document, "build", "artifacts") or ()):
        rebuilt = wanted.rebuilt.get(str(spec.get("image") or ""))
        if rebuilt:
            _artifact(made, ("build", "artifacts", str(index)), spec, rebuilt, wanted)


def _artifact(made: _Profile, place: tuple[str, ...], spec: Mapping[str, Any], rebuilt: Rebuilt, wanted: Wanted) -> None:
    artifact, rebuild = rebuilt.artifact, rebuilt.rebuild
    builder = artifact.builder
    derived = project.relative(rebuilt.dockerfile, artifact.context) if rebuilt.dockerfile else ""
    said: Mapping[str, Any] = spec.get(builder) or {}
    if builder in ("docker", "kaniko") and derived:
        made.put((*place, builder, "dockerfile"), derived)
    elif builder == "custom" and said.get("buildCommand"):
        made.put((*place, builder, "buildCommand"), rebuild.command(str(said["buildCommand"]), derived))
    elif builder == "buildpacks":
        if rebuilt.descriptor:
            made.put((*place, builder, "projectDescriptor"), project.relative(rebuilt.descriptor, artifact.context))
        else:
            made.append((*place, builder, "env"), *rebuild.buildpacks(said))
        made.put((*place, builder, "clearCache"), True)  # buildpacks may take what they built with other variables
    elif builder == "ko":
        directory = project.relative(project.join(artifact.context, str(said.get("dir") or ".")), wanted.called_in)
        for key, values in rebuild.ko(said, directory).items():
            made.append((*place, builder, key), *values)


def _overlay(made: _Profile, wanted: Wanted) -> None:
    overlay = project.relative(wanted.overlay, wanted.folder)
    paths = kustomize_paths(made.document)
    replaced = [overlay if project.join(wanted.folder, path) == wanted.base else path for path in paths]
    if set(at(made.document, "manifests", "kustomize") or ()) <= {"paths"}:
        _nest(made.fields, ("manifests", "kustomize", "paths"), replaced or [overlay])
    else:
        for index, (path, new) in enumerate(zip(paths, replaced, strict=True)):
            if path != new:
                made.patch("replace", ("manifests", "kustomize", "paths", str(index)), new)
    _drop_raw_yaml_of_base(made, wanted)


def _drop_raw_yaml_of_base(made: _Profile, wanted: Wanted) -> None:
    """Skaffold would deploy these files beside the overlay that has them already."""
    raw = [project.join(wanted.folder, path) for path in at(made.document, "manifests", "rawYaml") or ()]
    inside = [index for index, path in enumerate(raw) if wanted.base == "." or path.startswith(f"{wanted.base}/")]
    if inside and len(inside) == len(raw):
        made.patch("remove", ("manifests", "rawYaml"))
        return
    for index in reversed(inside):
        made.patch("remove", ("manifests", "rawYaml", str(index)))


def _inject(made: _Profile, wanted: Wanted, where: str) -> None:
    changing = _hook(_INJECT, wanted)
    changing["host"]["withChange"] = True
    made.append(("manifests", "hooks", "after"), changing)
    if "helm" in deployers(made.document):
        _post_render(made, wanted, where)


def _post_render(made: _Profile, wanted: Wanted, where: str) -> None:
    """Releases that Helm itself installs go through no render hook."""
    place = "manifests" if at(made.document, "manifests", "helm", "releases") else "deploy"
    flags: Mapping[str, Sequence[str]] = at(made.document, place, "helm", "flags") or {}
    for command in ("install", "upgrade"):
        taken = next((flag for flag in flags.get(command) or () if flag.startswith("--post-renderer")), "")
        if taken:
            raise ManifestError(
                f"{where}: {place}.helm.flags.{command} has {taken} already, and Helm takes one post-renderer",
                hint="have that one pass its result through `podcov inject`; take this file out of `generate` in podcov.yaml.",
            )
    if wanted.root != wanted.folder:
        raise ManifestError(
            f"{where}: deploy.helm: podcov is Helm's post-renderer there, and finds podcov.yaml only in the folder of this file",
            hint="put podcov.yaml beside it, or render the releases under `manifests.helm`.",
        )
    for command in ("install", "upgrade"):
        made.append((place, "helm", "flags", command), f"--post-renderer={POST_RENDERER}")


def _deployer(document: Mapping[str, Any], where: str) -> str:
    named = deployers(document)
    able = [name for name in named if name in _WITH_HOOKS]
    if named and not able:
        raise ManifestError(
            f"{where}: deploy.{named[0]}: Skaffold has no hook after that deployer which could run the tests",
            hint=f"podcov works with deploy.{' and deploy.'.join(_WITH_HOOKS)}.",
        )
    return able[-1] if able else "kubectl"


def _hook(command: Sequence[str], wanted: Wanted) -> dict[str, Any]:
    """A hook on this machine, run in the folder of podcov.yaml: without `dir` it would be where Skaffold was called."""
    where = project.relative(wanted.root, wanted.folder)
    return {"host": {"command": list(command), **({} if where == "." else {"dir": where})}}


def _nest(fields: Any, path: Sequence[str], value: Any) -> None:
    """Lists are gone through, not made: a key that is a number is the place in one that is there."""
    for key in path[:-1]:
        if isinstance(fields, list):
            fields = fields[int(key)]
            continue
        if not fields.get(key):
            fields[key] = {}
        fields = fields[key]
    fields[path[-1]] = value
