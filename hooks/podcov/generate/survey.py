"""What a project renders, and how coverage gets into that, where nobody has said so yet. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from posixpath import basename, dirname

from podcov.config import Generate, HelmRelease, Way
from podcov.errors import ManifestError
from podcov.generate import findings, project, sources, tools, walk
from podcov.generate.findings import Finding
from podcov.generate.kubernetes import kubernetes_yaml, kustomizations, manifests
from podcov.generate.project import Project
from podcov.generate.sources import Sources
from podcov.generate.tools import Tools

_DEPTH = 4
_CHART = "Chart.yaml"
_PLAIN = (".yaml", ".yml", ".json")
_API_VERSION, _KIND = (re.compile(rf"^[^#\n]*\b{key}[\"']?\s*:", re.MULTILINE) for key in ("apiVersion", "kind"))
_AT_THE_TOP = re.compile(r"^\ufeff?(?:[\s{\[,]*\")?(?:apiVersion|kind)[\"']?\s*:", re.MULTILINE)
_CONTAINERS = re.compile(r"\bcontainers[\"']?\s*:")
_NOT_DEPLOYED = frozenset(("tests", "test", "e2e", "docs", "doc", "examples", "example", "samples", "sample", "demo", "demos"))
"""folders whose manifests are there to be read or tried; whoever deploys them names them"""


@dataclass(slots=True)
class _Named:
    """The paths that the user gave, by what they are."""

    kustomize: list[str] = field(default_factory=list)
    skaffold: str = ""
    tiltfile: str = ""
    charts: list[str] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Look:
    """What a first `podcov.yaml` has under `generate`, and why."""

    generate: Generate
    chosen: Finding
    unread: tuple[Finding, ...] = ()
    """files that stand beside manifests, or would be some, and could not be read"""


def look(files: Project, paths: Sequence[str] = (), by: Way | None = None) -> Look:
    """Looks for what the project renders. `paths` are those that the user named, `by` the way.

    Raises ManifestError where there are no manifests, or several sets of them and nothing says which.
    """
    named = _Named()
    for path in map(project.join, paths):
        _sort_in(named, files, path)
    usual = tools.usual(files)
    found = Generate(skaffold=named.skaffold or usual.skaffold, tiltfile=named.tiltfile or usual.tiltfile)
    said = tools.read(files, found)
    if named.kustomize or named.charts or named.plain:
        named.plain, strangers = _without_strangers(files, named.plain)
        return Look(*_named(found, named, by), unread=strangers)
    rendered = sources.of_skaffold(said) or sources.of_tilt(said)
    return Look(*_of_tools(found, rendered, said, by)) if rendered else _searched(files, found, said, by)


def unlisted(files: Project, listed: Sequence[str]) -> Iterator[Finding]:
    """Manifests with pods, and broken ones, beside those that `podcov.yaml` lists one by one, and that it does not list."""
    single = [path for path in map(project.join, listed) if files.read(path) is not None]
    covered = {name for path in listed for name in sources.plain_files(files, project.join(path))}
    for folder in dict.fromkeys(dirname(path) or "." for path in single):
        if kustomizations.of_folder(files, folder):
            continue
        for path in (name for name in sources.plain_files(files, folder) if name not in covered):
            broken = tuple(_broken(files, [path]))
            yield from broken
            if not broken and _deploys(files, path):
                why = f"podcov.yaml lists others of {folder} one by one: where it is deployed, add it to `generate: manifests:`"
                yield Finding(path, "it has pods, and podcov.yaml does not list it", "left out", why, "warning")


def _of_tools(found: Generate, rendered: Sources, said: Tools, by: Way | None) -> tuple[Generate, Finding]:
    """What Skaffold renders, else what Tilt does, stays theirs to say; podcov.yaml names a base only for an overlay."""
    alone = len(said.bases) == 1 and not _beside(rendered, said.bases[0]) and len(said.skaffolds) < 2
    if alone:
        return _on_base(found, said.bases[0], by)
    if by == "overlay":
        raise ManifestError(
            f"an overlay stands on one Kustomize base, and this project renders {rendered.names}",
            hint="leave `--by overlay` out: `podcov inject` gets into everything that is rendered.",
        )
    return _injected(found, "it gets into everything that is rendered; an overlay stands on one Kustomize base alone")


def _on_base(found: Generate, base: str, by: Way | None) -> tuple[Generate, Finding]:
    if by is None and base == ".":
        return _injected(
            replace(found, kustomize=base), "the base is the project's own folder, so an overlay would stand within it"
        )
    if by == "inject":
        return _injected(replace(found, kustomize=base), "as you asked for it")
    why = "one Kustomize base is all that is rendered; `--by inject` is the other way"
    return replace(found, by="overlay", kustomize=base), Finding("", "one Kustomize base", "coverage comes by an overlay", why)


def _injected(found: Generate, why: str) -> tuple[Generate, Finding]:
    return replace(found, by="inject"), Finding("", "manifests", "coverage comes by `podcov inject`", why)


def _beside(rendered: Sources, base: str) -> bool:
    """Whether anything is rendered beside the base. Files of the base itself, listed too, are not."""
    return bool(rendered.helm) or any(base != "." and not path.startswith(f"{base}/") for path in rendered.plain)


def _named(found: Generate, named: _Named, by: Way | None) -> tuple[Generate, Finding]:
    if len(named.kustomize) == 1 and not (named.charts or named.plain):
        return _on_base(found, named.kustomize[0], by)
    if len(named.kustomize) > 1:
        raise ManifestError(
            f"several Kustomize bases: {', '.join(named.kustomize)}",
            hint="name one that has the others among its `resources`.",
        )
    charts = tuple(HelmRelease(_release_name(chart), chart) for chart in named.charts)
    return _plainly(replace(found, kustomize="".join(named.kustomize)), named.plain, charts, by)


def _plainly(found: Generate, plain: Sequence[str], charts: tuple[HelmRelease, ...], by: Way | None) -> tuple[Generate, Finding]:
    if by == "overlay":
        raise ManifestError(
            f"an overlay stands on a Kustomize base, and {', '.join((*plain, *(c.chart for c in charts)))} is none",
            hint="leave `--by overlay` out: `podcov inject` gets into everything that is rendered.",
        )
    return _injected(replace(found, manifests=tuple(plain), helm=charts), "an overlay would need a Kustomize base")


def _release_name(chart: str) -> str:
    return basename(chart) if chart != "." else "app"


def _searched(files: Project, found: Generate, said: Tools, by: Way | None) -> Look:
    """Nothing says what is rendered: one Kustomize base, else the charts, else the folders of plain manifests."""
    everything = [path for path in walk.walk(files, depth=_DEPTH) if not _NOT_DEPLOYED & set(dirname(path).split("/"))]
    bases = _one_or_more([dirname(p) or "." for p in everything if basename(p) in kustomizations.NAMES], prefer="base")
    if len(bases) > 1:
        raise ManifestError(f"several Kustomize bases: {', '.join(bases)}", hint=f"say which: `podcov init {bases[0]}`.")
    if bases:
        return Look(*_on_base(found, bases[0], by))
    charts = [dirname(p) or "." for p in everything if basename(p) == _CHART]
    charts = [c for c in charts if not any(c.startswith(f"{other}/charts/") or other == "." != c for other in charts)]
    plain = [] if charts else _folders_of_manifests(files, everything)
    if not (charts or plain):
        message = (
            "there are no manifests: no kustomization.yaml, no Chart.yaml and no YAML file with a workload in it, "
            "and neither skaffold.yaml nor Tiltfile renders any"
        )
        raise ManifestError(
            findings.below(message, (*(f for one in said.tiltfiles for f in one.findings), *_broken(files, everything))),
            hint="name their folder: `podcov init FOLDER`. For workloads that run already there is `podcov attach`.",
        )
    plain, strangers = _without_strangers(files, plain)
    unread = (*strangers, *_broken(files, everything)) if plain else ()
    return Look(*_plainly(found, plain, tuple(HelmRelease(_release_name(chart), chart) for chart in charts), by), unread=unread)


def _one_or_more(folders: Sequence[str], *, prefer: str) -> list[str]:
    """Of several, the only one of the preferred name."""
    unique = list(dict.fromkeys(folders))
    preferred = [folder for folder in unique if basename(folder) == prefer]
    return preferred if len(unique) > 1 and len(preferred) == 1 else unique


def _folders_of_manifests(files: Project, paths: Sequence[str]) -> list[str]:
    """Folders with a workload in a file; where it is the project's own folder, the files."""
    found: dict[str, None] = {}
    for path in paths:
        if path.endswith(_PLAIN) and _deploys(files, path):
            found[dirname(path) or path] = None
    return list(found)


def _without_strangers(files: Project, paths: Sequence[str]) -> tuple[list[str], tuple[Finding, ...]]:
    """The same, with the manifests of a folder in its place where other things lie beside them: templates, values, settings."""
    found: list[str] = []
    strangers: list[Finding] = []
    for path in paths:
        names = () if files.read(path) is not None else sources.plain_files(files, path)
        theirs = {name: stranger for name in names if (stranger := _stranger(files, name))}
        alone = len(theirs) in (0, len(names))
        found += [path] if alone else [name for name in names if name not in theirs]
        strangers += [] if alone else theirs.values()
    return found, tuple(strangers)


def _stranger(files: Project, path: str) -> Finding | None:
    """What is wrong with a file of a folder of manifests that does not mean to be one.

    Raises ManifestError for a template of something that would run: whether it is to be deployed, only its owner knows.
    """
    text = walk.text(files, path)
    if text is None:
        return None
    try:
        kubernetes_yaml.split(text, name=path)
    except ManifestError as error:
        if _has_a_manifest(text, path) or (_reads_like_a_manifest(text) and not _is_template(text)):
            return None
        if _reads_like_a_manifest(text) and _has_pods(text):
            hint = f"{error.hint} Where it is not deployed as it stands, name the manifests beside it: `podcov init FILE FILE`."
            raise ManifestError(error.message, hint=hint) from None
        looks = "looks like a template" if _is_template(text) else "does not look like a manifest"
        return _left_out(error, f"it {looks}; podcov.yaml names the manifests of {dirname(path) or '.'} one by one")
    return None


def _broken(files: Project, paths: Sequence[str]) -> Iterator[Finding]:
    """Manifests that are broken before anything in them tells of a workload, and templates of workloads."""
    for path in paths:
        text = walk.text(files, path) if path.endswith(_PLAIN) else None
        if text is None or not _reads_like_a_manifest(text) or (_is_template(text) and not _has_pods(text)):
            continue
        try:
            manifests.read(text, name=path)
        except ManifestError as error:
            yield _left_out(error, error.hint)


def _left_out(error: ManifestError, why: str) -> Finding:
    place, _, found = error.message.partition(": ")
    return Finding(place, found, "left out", why, "warning")


def _deploys(files: Project, path: str) -> bool:
    text = walk.text(files, path)
    if text is None or not _has_pods(text):
        return False
    try:
        return bool(manifests.read(text, name=path).workloads)
    except ManifestError:
        if _is_template(text) or not _reads_like_a_manifest(text):
            return False
        raise


def _has_pods(text: str) -> bool:
    """Whether a file may have a workload in it."""
    return _CONTAINERS.search(text) is not None


def _has_a_manifest(text: str, path: str) -> bool:
    """Whether it is YAML, and a document of it is more or less a manifest; values may have the same words further in."""
    try:
        return any(document.keys() & {"apiVersion", "kind"} for document in kubernetes_yaml.load(text, name=path))
    except ManifestError:
        return False


def _reads_like_a_manifest(text: str) -> bool:
    """The same of a text that is no YAML."""
    return all(words.search(text) for words in (_API_VERSION, _KIND, _AT_THE_TOP))


def _is_template(text: str) -> bool:
    """Whether Helm or another tool may fill it in first: one that is no YAML need not be broken."""
    return "{{" in text


def _sort_in(named: _Named, files: Project, path: str) -> None:
    if kustomizations.of_folder(files, path):
        named.kustomize.append(path)
    elif basename(path) == "Tiltfile" or path.endswith(".tilt"):
        named.tiltfile = path
    elif basename(path) in kustomizations.NAMES or basename(path) == _CHART:
        raise ManifestError(f"{path}: name its folder", hint=f"podcov init {dirname(path) or '.'}")
    elif files.read(project.join(path, _CHART)) is not None:
        named.charts.append(path)
    elif _is_skaffold(files, path):
        named.skaffold = path
    elif sources.plain_files(files, path):
        named.plain.append(path)
    else:
        raise ManifestError(
            f"{path}: neither manifests, nor a folder of them, nor a chart, a Tiltfile or a skaffold.yaml",
            hint="name one of these, or nothing: `podcov init` finds them in the current folder.",
        )


def _is_skaffold(files: Project, path: str) -> bool:
    text = project.text(files, path) or ""
    return path.endswith((".yaml", ".yml")) and "apiVersion: skaffold/" in text
