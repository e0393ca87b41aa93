"""`skaffold.yaml`: what it builds and renders, and the coverage profile in it. Pure: text in, text out.

The user's own bytes stay as they are: `text` finds the places, `profile` says what comes there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from posixpath import dirname
from typing import Any

from podcov import assets
from podcov.errors import ManifestError
from podcov.generate import blocks, project
from podcov.generate.coverage.rebuilding import Rebuilding
from podcov.generate.findings import Finding
from podcov.generate.images.artifacts import Artifact
from podcov.generate.kubernetes import kubernetes_yaml, yaml_text
from podcov.generate.project import Project
from podcov.generate.skaffold import profile as skaffold_profile
from podcov.generate.skaffold import sources as contents
from podcov.generate.skaffold import text as skaffold_text
from podcov.generate.skaffold.profile import By, Wanted
from podcov.generate.skaffold.sources import Requirement, Sources, at

_VERSION = re.compile(r"skaffold/v(\d+)(?:(alpha|beta)(\d+))?$")
_WITH_CHANGE = (4, 1, 9)
"""skaffold/v4beta9: hooks that may change what was rendered"""
_NOTHING = Rebuilding()


@dataclass(frozen=True, slots=True)
class Skaffold:
    """One `skaffold.yaml`. Paths are relative to the project."""

    path: str
    text: str
    documents: tuple[Mapping[str, Any], ...]
    called_from: str | None = None
    """the folder that Skaffold is called in, which its paths are relative to; None: the file's own"""

    @property
    def folder(self) -> str:
        return project.join(self.path, "..") if self.called_from is None else self.called_from

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        specs = (spec for d in self.documents for spec in at(d, "build", "artifacts") or ())
        return tuple(contents.artifact(spec, self.folder, self.path) for spec in specs)

    @property
    def bases(self) -> tuple[str, ...]:
        """The folders that it has kustomize render without any profile."""
        return tuple(path for found in self.sources for path in found.kustomize)

    @property
    def sources(self) -> tuple[Sources, ...]:
        """What each document renders without any profile; one that renders nothing is false."""
        alone = len(self.documents) == 1
        return tuple(contents.sources(d, n, self.folder, alone=alone) for n, d in enumerate(self.documents))

    @property
    def requires(self) -> tuple[Requirement, ...]:
        """What all documents require."""
        return tuple(r for d in self.documents for r in contents.requirements(d, self.folder))

    @property
    def profiles(self) -> tuple[str, ...]:
        """The names of the user's own profiles."""
        documents = kubernetes_yaml.load(blocks.remove(self.text), name=self.path, words=True)
        return tuple(str(profile.get("name", "")) for d in documents for profile in d.get("profiles") or ())

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What of it podcov cannot see or change."""
        return tuple(self._unseen())

    def _unseen(self) -> Iterator[Finding]:
        for requirement in self.requires:
            if requirement.remote:
                why = "what is not in this project has no coverage profile: what it deploys is not measured"
                yield Finding(self.path, f"it requires {requirement.remote}", "left alone", why, "warning")
        for found in self.sources:
            templates = [p for p in (*found.kustomize, *found.raw, *(c.chart for c in found.helm)) if "{{" in p]
            for path in templates:
                why = "Skaffold fills it in when it runs: what it renders cannot be looked at now"
                yield Finding(self.path, f"the path {path}", "left unread", why, "warning")


def read(text: str, *, path: str, called_from: str | None = None) -> Skaffold:
    """Raises ManifestError where it is no YAML, or of a version that has no `manifests`."""
    documents = tuple(kubernetes_yaml.load(text, name=path, words=True))
    for document in documents:
        version = str(document.get("apiVersion", ""))
        if not version.startswith(("skaffold/v3", "skaffold/v4")):
            raise ManifestError(
                f"{path}: apiVersion {version or 'is missing'}: podcov needs skaffold/v3alpha1 or newer",
                hint="`skaffold fix --overwrite` brings the file up to date.",
            )
    return Skaffold(path, text, documents, called_from)


def read_all(files: Project, path: str) -> tuple[Skaffold, ...]:
    """The file, then all those of the project that it requires, each once.

    Raises ManifestError for one that is not there, and as `read` does.
    """
    found: dict[str, Skaffold] = {}
    _read_into(found, files, path, required_by="")
    return tuple(found.values())


def _read_into(found: dict[str, Skaffold], files: Project, path: str, *, required_by: str) -> None:
    text = project.text(files, path)
    if text is None:
        said = (
            f"{required_by}: it requires {path}, and there is no such file" if required_by else f"{path}: there is no such file"
        )
        raise ManifestError(
            said, hint=f"correct the path {'under `requires`' if required_by else 'in podcov.yaml under `generate`'}."
        )
    one = read(text, path=path)
    found[path] = one if required_by or _is_there(one, files) else _from_the_project(one, files)
    for requirement in found[path].requires:
        if requirement.path and requirement.path not in found:
            _read_into(found, files, requirement.path, required_by=path)


def _from_the_project(one: Skaffold, files: Project) -> Skaffold:
    """As it is meant by `skaffold run -f deploy/skaffold.yaml`: its paths are relative to where that is called."""
    other = Skaffold(one.path, one.text, one.documents, called_from=".")
    return other if _is_there(other, files) else one


def _is_there(one: Skaffold, files: Project) -> bool:
    places = [p for s in one.sources for p in (*s.kustomize, *s.raw, *(r.chart for r in s.helm if r.local))]
    places += [artifact.context for artifact in one.artifacts]
    known = [place.partition("*")[0].rstrip("/") or "." for place in places if "{{" not in place and "://" not in place]
    return not known or any(files.read(place) is not None or files.names(place) for place in known)


def _with_profile(skaffold: Skaffold, wanted: Wanted, last: int | None, rebuilding: Rebuilding, *, base_elsewhere: bool) -> str:
    """`wanted` is what each of its profiles is to do; `last` the document that runs the tests, None where another file has it.

    `base_elsewhere`: another of the files renders what the overlay stands on.
    """
    plain, by, name = _plain(skaffold), wanted.by, wanted.name
    rebuilt = rebuilding.of(plain.path)
    _refuse_another_profile(plain, name)
    if by == "inject":
        _refuse_old_version(plain)
    measured = [] if base_elsewhere else _measured(plain, by, wanted.base)
    building = [n for n, document in enumerate(plain.documents) if rebuilt.keys() & _images(document)]
    bodies = {}
    for index in sorted({*measured, *building, *([] if last is None else [last])}):
        way = by if index in measured else None
        here = replace(wanted, by=way, folder=plain.folder, tests=index == last, rebuilt=rebuilt)
        bodies[index] = _body(plain, index, here)
    return skaffold_text.written(skaffold.text, skaffold.path, bodies)


def _plain(skaffold: Skaffold) -> Skaffold:
    """As it is without podcov's blocks."""
    return read(blocks.remove(skaffold.text), path=skaffold.path, called_from=skaffold.called_from)


def with_profiles(
    skaffolds: Sequence[Skaffold],
    *,
    name: str,
    base: str,
    overlay: str,
    config: str,
    by: By = "overlay",
    rebuilding: Rebuilding = _NOTHING,
    switch: str = "",
) -> dict[str, str]:
    """The texts of all files of `read_all`, by path, with the profile in marked blocks; everything else stays byte for byte.

    `base`, `overlay` and `config` (podcov.yaml) are paths of the project; the first two matter for `by="overlay"`. The document
    that is deployed last runs the tests afterwards. `rebuilding`: what of the artifacts is built with coverage in it. `switch`:
    an environment variable, `NAME=VALUE`, that activates the profile, too.
    Raises ManifestError where a profile of that name stands outside the blocks, or a file leaves no place for one.
    """
    path, last = deployed_last(skaffolds)
    wanted = Wanted(name, by, "", dirname(config) or ".", base, overlay, called_in=skaffolds[0].folder, switch=switch)
    texts = {}
    for one in skaffolds:
        base_elsewhere = by == "overlay" and len(skaffolds) > 1 and base not in one.bases
        here = last if one.path == path else None
        texts[one.path] = _with_profile(one, wanted, here, rebuilding, base_elsewhere=base_elsewhere)
    return texts


def profiles(skaffold: Skaffold) -> tuple[str, ...]:
    """The names of the user's own profiles: those outside podcov's blocks."""
    return tuple(name for name, _ in skaffold_text.profiles(blocks.remove(skaffold.text)))


def deployed_last(skaffolds: Sequence[Skaffold]) -> tuple[str, int]:
    """Path and place of the document that Skaffold deploys last; the first file is the one that it is called with.

    What a document requires is deployed before it. Of several documents only those that name a deployer are deployed at all.
    Raises ManifestError where there is no document.
    """
    by_path = {one.path: one for one in skaffolds}
    order = _in_order(skaffolds)
    if not order:
        raise ManifestError(f"{skaffolds[0].path}: there is no `kind: Config` in it", hint="Skaffold would not take it, either.")
    deployed = [(path, n) for path, n in order if skaffold_profile.deployers(by_path[path].documents[n])]
    rendered = [(path, n) for path, n in order if by_path[path].sources[n]]
    return (deployed or rendered or order)[-1]


def undeployed(skaffolds: Sequence[Skaffold]) -> tuple[Finding, ...]:
    """The documents that Skaffold renders and never deploys: of several, each has to name its deployer."""
    by_path, order = {one.path: one for one in skaffolds}, _in_order(skaffolds)
    why = "of several documents Skaffold deploys only those that name a deployer: write `deploy: {kubectl: {}}` in it"
    return tuple(
        Finding(
            path, f"{_named(by_path[path].documents[n], n)} renders manifests and deploys none", "left as it is", why, "warning"
        )
        for path, n in order
        if len(order) > 1 and by_path[path].sources[n] and not skaffold_profile.deployers(by_path[path].documents[n])
    )


def _in_order(skaffolds: Sequence[Skaffold]) -> list[tuple[str, int]]:
    """Path and place of every document that Skaffold comes to, in its order."""
    seen: set[tuple[str, int]] = set()
    return list(_visited({one.path: one for one in skaffolds}, skaffolds[0].path, (), seen))


def _visited(
    known: Mapping[str, Skaffold], path: str, modules: Sequence[str], seen: set[tuple[str, int]]
) -> Iterator[tuple[str, int]]:
    one = known[path]
    for index in _configs(one):
        document = one.documents[index]
        if (modules and at(document, "metadata", "name") not in modules) or (path, index) in seen:
            continue
        seen.add((path, index))
        for requirement in contents.requirements(document, one.folder):
            other = path if not requirement.path and not requirement.remote else requirement.path
            if other in known:
                yield from _visited(known, other, requirement.modules, seen)
        yield path, index


def _configs(skaffold: Skaffold) -> list[int]:
    return [n for n, document in enumerate(skaffold.documents) if document.get("kind", "Config") == "Config"]


def _images(document: Mapping[str, Any]) -> set[str]:
    return {str(spec.get("image") or "") for spec in at(document, "build", "artifacts") or ()}


def _measured(skaffold: Skaffold, by: By | None, base: str) -> list[int]:
    """The documents that may render what is measured."""
    configs = _configs(skaffold)
    if by == "inject":
        return [n for n in configs if skaffold.sources[n]]
    renders = [n for n in configs if base in skaffold.sources[n].kustomize]
    builds = [n for n in configs if at(skaffold.documents[n], "build", "artifacts")]
    return (renders or builds or configs)[:1]


def _refuse_another_profile(skaffold: Skaffold, name: str) -> None:
    for theirs, line in skaffold_text.profiles(skaffold.text):
        if theirs == name:
            raise ManifestError(
                f"{skaffold.path}:{line}: there is a profile {name!r} already",
                hint="give podcov's another name: `generate: {profile: NAME}` in podcov.yaml.",
            )


def _refuse_old_version(skaffold: Skaffold) -> None:
    for index in _configs(skaffold):
        version = str(skaffold.documents[index].get("apiVersion", ""))
        found = _VERSION.match(version)
        if found and (int(found[1]), {"alpha": 0, "beta": 1}.get(found[2], 2), int(found[3] or 0)) < _WITH_CHANGE:
            raise ManifestError(
                f"{skaffold.path}: apiVersion {version}: its render hooks cannot change manifests, those of skaffold/v4beta9 can",
                hint="`skaffold fix --overwrite` brings the file up to date.",
            )


def _body(skaffold: Skaffold, index: int, wanted: Wanted) -> str:
    document = skaffold.documents[index]
    where = skaffold.path if len(skaffold.documents) == 1 else f"{skaffold.path}, {_named(document, index)}"
    profile = skaffold_profile.profile(document, wanted, where=where)
    return assets.render(
        "init/skaffold-profile.yaml.j2",
        profile=yaml_text.dump([profile]),
        name=wanted.name,
        measured=wanted.by is not None,
        tests=wanted.tests,
        builds="build" in profile or any(patch["path"].startswith("/build/") for patch in profile.get("patches", ())),
    )


def _named(document: Mapping[str, Any], index: int) -> str:
    module = at(document, "metadata", "name")
    return f"module {module}" if module else f"document {index + 1}"
