"""What a project renders its manifests from, and their rendering by the real tools. Pure: the tools are passed in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from posixpath import dirname
from typing import Protocol

from podcov.config import Generate
from podcov.errors import ManifestError
from podcov.generate import project, walk
from podcov.generate.kubernetes import kubernetes_yaml, kustomizations, manifests
from podcov.generate.kubernetes.manifests import Key, Manifests
from podcov.generate.project import Project
from podcov.generate.skaffold.sources import HelmRelease
from podcov.generate.tools import Tools

_MANIFEST_ENDINGS = (".yaml", ".yml", ".json")


class Renderer(Protocol):
    """The real tools. Each raises ManifestError with what the tool said."""

    def kustomize(self, folder: str) -> str:
        """What a folder with a kustomization renders."""

    def helm(self, release: HelmRelease) -> str:
        """What a chart renders."""


class Once:
    """A renderer that renders each thing once: what is read first, compared later and tried in the end is the same text."""

    def __init__(self, renderer: Renderer) -> None:
        self._kustomize = cache(renderer.kustomize)
        self._helm = cache(renderer.helm)

    def kustomize(self, folder: str) -> str:
        return self._kustomize(folder)

    def helm(self, release: HelmRelease) -> str:
        return self._helm(release)


@dataclass(frozen=True, slots=True)
class Sources:
    """Folders of kustomizations, files (patterns too) and folders of plain manifests, and charts; in the order of rendering."""

    kustomize: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    helm: tuple[HelmRelease, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.kustomize or self.plain or self.helm)

    @property
    def names(self) -> str:
        """What it is, for messages: `k8s, chart charts/shop`."""
        return ", ".join((*self.kustomize, *self.plain, *(f"chart {release.chart}" for release in self.helm)))


def of(generate: Generate, tools: Tools) -> Sources:
    """What `podcov.yaml` says; where it says nothing, what `skaffold.yaml` renders, else what the `Tiltfile` does.

    Raises ManifestError where nothing says anything.
    """
    if generate.by == "overlay" and not generate.kustomize:
        raise ManifestError(
            "podcov.yaml: `generate: kustomize:` is missing",
            hint="it names the folder of the Kustomize base that the overlay stands on. Without one, write `by: inject`.",
        )
    if generate.by == "overlay" and _holds(project.join(generate.kustomize), project.join(generate.overlay)):
        raise ManifestError(
            f"podcov.yaml: generate.overlay: {generate.overlay} is within its base {generate.kustomize}, which Kustomize refuses",
            hint="write `by: inject` under `generate:`, or put the base into a folder of its own.",
        )
    stated = Sources(
        (project.join(generate.kustomize),) if generate.kustomize else (),
        tuple(map(project.join, generate.manifests)),
        tuple(HelmRelease(h.release, h.chart, values=h.values, namespace=h.namespace) for h in generate.helm),
    )
    found = stated or of_skaffold(tools) or of_tilt(tools)
    if not found:
        raise ManifestError(
            "podcov.yaml: `generate:` names no manifests, and neither skaffold.yaml nor Tiltfile does",
            hint="name them: `kustomize: FOLDER`, `manifests: [FILE or FOLDER]` or `helm: [{release: NAME, chart: FOLDER}]`.",
        )
    return found


def of_skaffold(tools: Tools) -> Sources:
    """Everything that Skaffold renders without any profile, what is required included; URLs and templates left out."""
    each = [found for one in tools.skaffolds for found in one.sources]
    return Sources(
        _known(path for found in each for path in found.kustomize),
        _known(path for found in each for path in found.raw),
        tuple(dict.fromkeys(release for found in each for release in found.helm)),
    )


def of_tilt(tools: Tools) -> Sources:
    """Everything that the Tiltfile renders, as far as it can be read."""
    each = tools.tiltfiles
    return Sources(
        tuple(dict.fromkeys(path for one in each for path in one.bases)),
        tuple(dict.fromkeys(path for one in each for path in one.raw)),
        tuple(dict.fromkeys(release for one in each for release in one.helm)),
    )


def render(files: Project, renderer: Renderer, sources: Sources) -> str:
    """All manifests as one stream. Raises ManifestError for what cannot be rendered, by file and line where that is known."""
    return "".join(_document(text) for text, _ in each(files, renderer, sources) if text.strip())


def each(files: Project, renderer: Renderer, sources: Sources) -> Iterator[tuple[str, str]]:
    """What each of them renders, and what errors call it. Raises as `render` does."""
    for folder in sources.kustomize:
        yield _kustomized(files, renderer, folder), f"{folder}, rendered"
    for path in sources.plain:
        found = plain_files(files, path)
        if not found:
            raise ManifestError(
                f"{path}: there is no such file, and no folder with manifests in it",
                hint="correct its name in skaffold.yaml, Tiltfile, podcov.yaml (`generate: manifests:`) or the command.",
            )
        yield from ((project.text(files, file) or "", file) for file in found)
    for release in sources.helm:
        yield renderer.helm(release), f"chart {release.chart}, rendered"


def read(files: Project, renderer: Renderer, sources: Sources) -> Manifests:
    """What is deployed. Raises as `render` does, and for plain manifests that are no YAML, by their file and line."""
    found = []
    places: dict[Key, str] = {}
    for text, name in each(files, renderer, sources):
        found.append(manifests.read(text, name=name, rendered=files.read(name) is None))
        for workload in found[-1].workloads:
            if workload.name and workload.key in places:
                raise ManifestError(
                    f"{workload.where or name}: {workload.reference} is in {places[workload.key]} already",
                    hint="the one would overwrite the other in the cluster: leave one of them out, or give it another name.",
                )
            places[workload.key] = workload.where or name
    return Manifests(
        tuple(w for m in found for w in m.workloads),
        tuple(s for m in found for s in m.services),
        frozenset(target for m in found for target in m.autoscaled),
    )


def of_paths(files: Project, paths: Sequence[str]) -> Sources:
    """What somebody names: folders with a kustomization, else files (patterns too) and folders of plain manifests.

    Raises ManifestError for a chart, which only its release's name and values make manifests of.
    """
    names = [project.join(path) for path in paths]
    for path in names:
        if files.read(project.join(path, "Chart.yaml")) is not None:
            raise ManifestError(f"{path}: it is a Helm chart", hint=f"write `helm template RELEASE {path} | podcov inject`.")
    folders = tuple(path for path in names if kustomizations.of_folder(files, path))
    return Sources(folders, tuple(path for path in names if path not in folders))


def stream(files: Project, renderer: Renderer, sources: Sources) -> str:
    """As `render`; and raises ManifestError for what is no manifest, by file and line."""
    found = list(each(files, renderer, sources))
    for text, name in found:
        kubernetes_yaml.split(text, name=name)
    return "".join(_document(text) for text, _ in found if text.strip())


def plain_files(files: Project, path: str) -> tuple[str, ...]:
    """The files that a path of plain manifests means: itself, those that fit its pattern, or those of a folder."""
    if files.read(path) is not None:
        return (path,)
    if "*" in path:
        start = dirname(path.partition("*")[0]) or "."
        return tuple(sorted(file for file in walk.walk(files, start) if _fits(file, path)))
    return tuple(project.join(path, name) for name in files.names(path) if name.endswith(_MANIFEST_ENDINGS))


def _kustomized(files: Project, renderer: Renderer, folder: str) -> str:
    try:
        return renderer.kustomize(folder)
    except ManifestError as error:
        raise kustomizations.broken_manifest(files, folder) or error from None


def _document(text: str) -> str:
    """A stream's text as a part of a larger one."""
    text = text.removeprefix("\ufeff")
    begin = "" if text.startswith(("---", "%")) else "---\n"
    return begin + text + ("" if text.endswith("\n") else "\n")


def _holds(folder: str, path: str) -> bool:
    return folder == "." or path == folder or path.startswith(f"{folder}/")


def _known(paths: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for path in paths if "{{" not in path and "://" not in path))


def _fits(file: str, pattern: str) -> bool:
    """As Skaffold's patterns: `*` stays within a folder, `**` does not."""
    if "**" in pattern:
        return fnmatchcase(file, pattern.replace("**/", "*").replace("**", "*"))
    return file.count("/") == pattern.count("/") and fnmatchcase(file, pattern)
