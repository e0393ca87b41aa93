"""`skaffold.yaml`: what it builds and renders, and the coverage profile in it. Pure: text in, text out.

The user's own bytes stay as they are: places are found by the YAML parser, the profile is put in as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from posixpath import dirname
from textwrap import indent
from typing import Any

import yaml

from podcov import assets
from podcov.errors import ManifestError
from podcov.generate import blocks, manifests, project, skaffold_profile, yaml_text
from podcov.generate import skaffold_sources as contents
from podcov.generate.artifacts import Artifact
from podcov.generate.blocks import Block
from podcov.generate.findings import Finding
from podcov.generate.project import Project
from podcov.generate.skaffold_profile import By, Wanted
from podcov.generate.skaffold_sources import Requirement, Sources, at

_VERSION = re.compile(r"skaffold/v(\d+)(?:(alpha|beta)(\d+))?$")
_WITH_CHANGE = (4, 1, 9)
"""skaffold/v4beta9: hooks that may change what was rendered"""


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
        documents = manifests.load(blocks.remove(self.text), name=self.path)
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
    documents = tuple(manifests.load(text, name=path))
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
            said, hint=f"Correct the path {'under `requires`' if required_by else 'in podcov.yaml under `generate`'}."
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


def with_profile(
    skaffold: Skaffold,
    *,
    name: str,
    base: str,
    overlay: str,
    config: str,
    by: By = "overlay",
    documents: Sequence[int] | None = None,
    tests: bool = True,
) -> str:
    """The file's text with the coverage profile in its marked blocks; everything else stays byte for byte.

    `base`, `overlay` and `config` (podcov.yaml) are paths of the project; the first two matter for `by="overlay"`.
    `documents`: the places of those that render something measured; by default the one that renders the base, or all that
    render anything. `tests`: whether the document that is deployed last runs the tests afterwards.
    Raises ManifestError where a profile of that name stands outside the blocks, or the file leaves no place for one.
    """
    plain = read(blocks.remove(skaffold.text), path=skaffold.path, called_from=skaffold.called_from)
    if not _configs(plain):
        raise ManifestError(f"{skaffold.path}: there is no `kind: Config` in it")
    _refuse_another_profile(plain, name)
    if by == "inject":
        _refuse_old_version(plain)
    measured = list(documents) if documents is not None else _measured(plain, by, base)
    last = deployed_last([plain])[1] if tests else None
    bodies = {}
    for index in sorted({*measured, *([] if last is None else [last])}):
        way = by if index in measured else None
        wanted = Wanted(name, way, plain.folder, dirname(config) or ".", base, overlay, tests=index == last)
        bodies[index] = _body(plain, index, wanted)
    return _written(skaffold.text, skaffold.path, bodies)


def with_profiles(
    skaffolds: Sequence[Skaffold],
    *,
    name: str,
    base: str,
    overlay: str,
    config: str,
    by: By = "overlay",
    documents: Mapping[str, Sequence[int]] | None = None,
) -> dict[str, str]:
    """The texts of all files of `read_all`, by path, as `with_profile` makes them. Tests run once, after the last deployment.

    `documents`: by path, the places of the documents that render something measured.
    """
    last, _ = deployed_last(skaffolds)
    texts = {}
    for one in skaffolds:
        chosen = documents.get(one.path, ()) if documents is not None else None
        if chosen is None and by == "overlay" and len(skaffolds) > 1 and base not in one.bases:
            chosen = ()
        texts[one.path] = with_profile(
            one, name=name, base=base, overlay=overlay, config=config, by=by, documents=chosen, tests=one.path == last
        )
    return texts


def profiles(skaffold: Skaffold) -> tuple[str, ...]:
    """The names of the user's own profiles: those outside podcov's blocks."""
    return tuple(name for name, _ in _profiles(blocks.remove(skaffold.text)))


def deployed_last(skaffolds: Sequence[Skaffold]) -> tuple[str, int]:
    """Path and place of the document that Skaffold deploys last; the first file is the one that it is called with.

    What a document requires is deployed before it. Of several documents only those that name a deployer are deployed at all.
    """
    by_path = {one.path: one for one in skaffolds}
    order = _in_order(skaffolds)
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


def _measured(skaffold: Skaffold, by: By, base: str) -> list[int]:
    """The documents that may render what is measured."""
    configs = _configs(skaffold)
    if by == "inject":
        return [n for n in configs if skaffold.sources[n]]
    renders = [n for n in configs if base in skaffold.sources[n].kustomize]
    builds = [n for n in configs if at(skaffold.documents[n], "build", "artifacts")]
    return (renders or builds or configs)[:1]


def _refuse_another_profile(skaffold: Skaffold, name: str) -> None:
    for theirs, line in _profiles(skaffold.text):
        if theirs == name:
            raise ManifestError(
                f"{skaffold.path}:{line}: there is a profile {name!r} already",
                hint="Give podcov's another name: `generate: {profile: NAME}` in podcov.yaml.",
            )


def _profiles(text: str) -> Iterator[tuple[str, int]]:
    """The names of all profiles, and their lines."""
    for root in _roots(text):
        _, theirs = _entries(root).get("profiles", (None, None))
        for profile in theirs.value if isinstance(theirs, yaml.SequenceNode) else ():
            if isinstance(profile, yaml.MappingNode):
                yield _scalar(_entries(profile).get("name")), profile.start_mark.line + 1


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
    )


def _named(document: Mapping[str, Any], index: int) -> str:
    module = at(document, "metadata", "name")
    return f"module {module}" if module else f"document {index + 1}"


def _written(text: str, path: str, bodies: Mapping[int, str]) -> str:
    """The text with a block in each of these documents and in no other, those that are there already at their places."""
    for index in range(len(_roots(text))):
        body = bodies.get(index)
        block = _block_of(text, index)
        if block and (body is None or not _fits(text, block, index)):
            text = "".join(blocks.without(blocks.split(text), block))
            block = None
        if body is None:
            continue
        if block:
            text = "".join(blocks.replace(blocks.split(text), block, _keyed(body) if block.key else body))
        else:
            text = "".join(_inserted(text, path, index, body))
    return text


def _block_of(text: str, index: int) -> Block | None:
    """The block in a document: the last document that begins before the block ends holds it."""
    starts = [_line(text, root.start_mark) for root in _roots(text)]
    found = blocks.find_all(blocks.split(text))
    return next((b for b in found if index == max((n for n, line in enumerate(starts) if line <= b.last), default=0)), None)


def _fits(text: str, block: Block, index: int) -> bool:
    """Whether a block can stay where it is: it brings the key `profiles` exactly where the user has none."""
    rest = blocks.split(text)
    rest[block.first : block.last + 1] = [f"{block.indent}# \n"]
    try:
        theirs = "profiles" in _entries(_roots("".join(rest))[index])
    except yaml.YAMLError:  # entries of theirs beneath a key that the block brings
        theirs = False
    return theirs != bool(block.key)


def _keyed(body: str) -> str:
    return f"profiles:\n{indent(body, '  ')}"


def _inserted(text: str, path: str, index: int, body: str) -> list[str]:
    lines, root = blocks.split(text), _roots(text)[index]
    if root.flow_style:
        raise ManifestError(
            f"{path}:{root.start_mark.line + 1}: the document is written in braces, which leaves no place for a marked block",
            hint="Write it in lines, as `skaffold fix --overwrite` does.",
        )
    key, value = _entries(root).get("profiles", (None, None))
    if key is None:
        end = _end_of_document(lines, _line(text, root.start_mark))
        return blocks.insert(lines, end, _keyed(body), " " * root.start_mark.column)
    after = _line(text, key.start_mark) + 1
    return blocks.insert(lines, after, body, _list_indent(path, key, value))


def _list_indent(path: str, key: yaml.Node, value: Any) -> str:
    own_line = value.start_mark.line > key.start_mark.line
    if isinstance(value, yaml.SequenceNode) and not value.flow_style and own_line:
        return " " * value.start_mark.column
    if isinstance(value, yaml.ScalarNode) and not value.value:
        return " " * (key.start_mark.column + 2)
    raise ManifestError(
        f"{path}:{key.start_mark.line + 1}: `profiles` is written in brackets, which leaves no place for a marked block",
        hint="Write it as a list with dashes.",
    )


def _end_of_document(lines: Sequence[str], first: int) -> int:
    return next((n for n, line in enumerate(lines) if n > first and re.match(r"(---|\.\.\.)(\s|$)", line)), len(lines))


def _roots(text: str) -> list[yaml.MappingNode]:
    return [node for node in yaml.compose_all(text, yaml.SafeLoader) if isinstance(node, yaml.MappingNode)]


def _entries(node: yaml.MappingNode) -> dict[str, tuple[yaml.Node, Any]]:
    return {key.value: (key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)}


def _scalar(entry: tuple[yaml.Node, Any] | None) -> str:
    return str(entry[1].value) if entry and isinstance(entry[1], yaml.ScalarNode) else ""


def _line(text: str, mark: yaml.Mark) -> int:
    """The index of a mark's line as `blocks.split` counts: the parser takes other signs than `\\n` for line ends too."""
    return text.count("\n", 0, mark.index)
