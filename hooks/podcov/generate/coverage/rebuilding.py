"""Which images have to be built with coverage in them, and how their Dockerfiles are derived for that. Pure.

What only runs the code as it is, as Python does, needs nothing of this: its languages are not among `REBUILDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from posixpath import basename

from podcov.config import Service
from podcov.generate import project
from podcov.generate.coverage.entering import Group
from podcov.generate.findings import Finding
from podcov.generate.images import artifacts
from podcov.generate.images.artifacts import Artifact
from podcov.generate.images.rebuild import Rebuild
from podcov.generate.languages import go_rebuild
from podcov.generate.project import Project

REBUILDS: Mapping[str, Callable[[Service], Rebuild | None]] = {
    "go": go_rebuild.of,
}
_IGNORED = ".dockerignore"
_BESIDE = ".podcov"
"""what is put behind the name of a Dockerfile whose context does not hold podcov's folder"""
_BY_DOCKERFILE = ("docker", "kaniko", "custom")
_AS_THEY_ARE = ("jib", "bazel")


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """An artifact as it is built for coverage. The derived files are paths of the project; empty without one."""

    artifact: Artifact
    rebuild: Rebuild
    dockerfile: str = ""
    descriptor: str = ""
    """the project descriptor that buildpacks read"""


@dataclass(frozen=True, slots=True)
class Known:
    """What the project builds: as Skaffold says, as Tilt does, and what else its files let tell."""

    skaffold: Sequence[Artifact] = ()
    tilt: Sequence[Artifact] = ()
    unnamed: Sequence[Artifact] = ()
    """as Skaffold or Tilt would, in files that podcov.yaml does not name"""
    others: Sequence[Artifact] = ()

    def building(self, image: str) -> list[Artifact]:
        """The artifacts that a container's image may be: those of the tools, else what else is known."""
        found = [a for side in (self.skaffold, self.tilt) if (a := artifacts.of_image(side, image)) is not None]
        other = artifacts.of_image((*self.unnamed, *self.others), image)
        return found or ([other] if other else [])

    def by_tools(self, artifact: Artifact) -> bool:
        """Whether Skaffold or Tilt builds it."""
        return any(artifact is one for one in (*self.skaffold, *self.tilt))


@dataclass(frozen=True, slots=True)
class Rebuilding:
    """`files` are those that are generated for it, by their paths in the project."""

    rebuilt: tuple[Rebuilt, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    def of(self, origin: str) -> dict[str, Rebuilt]:
        """By image, those that this `skaffold.yaml` or `Tiltfile` says how to build."""
        return {one.artifact.image: one for one in self.rebuilt if one.artifact.origin == origin}


def plan(groups: Sequence[Group], known: Known, files: Project, folder: str) -> Rebuilding:
    """What is built anew for these containers. `folder` is podcov's own."""
    wanted: dict[int, tuple[Artifact, Rebuild]] = {}
    findings: list[Finding] = []
    for container, image, rebuild in _needs(groups):
        built = known.building(image)
        for artifact in built:
            before = wanted.get(id(artifact))
            wanted[id(artifact)] = (artifact, before[1].joined(rebuild) if before else rebuild)
        if not built:
            why = "nothing here builds it, so it has to have coverage in it already: docs/go.md says how"
            findings.append(Finding(container, f"image {image}", "left as it is", why, "warning"))
    maker = _Maker(files, folder, _by_dockerfile(wanted.values()))
    rebuilt = tuple(maker.rebuilt(artifact, rebuild, known) for artifact, rebuild in wanted.values())
    return Rebuilding(rebuilt, maker.made, (*findings, *maker.findings))


def is_derived(path: str) -> bool:
    """Whether a path outside of podcov's folder is one that is generated here."""
    return basename(path).removesuffix(_IGNORED).endswith(_BESIDE)


def _needs(groups: Sequence[Group]) -> Iterator[tuple[str, str, Rebuild]]:
    """The containers whose image has to be built for coverage: what they are called, their image, what its build needs."""
    for workload, group in groups:
        for entered in group:
            wants = REBUILDS.get(entered.service.language)
            rebuild = wants(entered.service) if wants else None
            if rebuild is not None:
                yield workload.said(entered.container), entered.container.image, rebuild


def _by_dockerfile(wanted: Iterable[tuple[Artifact, Rebuild]]) -> dict[str, Rebuild]:
    """What all images that are built from one Dockerfile need together."""
    found: dict[str, Rebuild] = {}
    for artifact, rebuild in wanted:
        before = found.get(artifact.dockerfile)
        found[artifact.dockerfile] = before.joined(rebuild) if before else rebuild
    return found


class _Maker:
    """Derives Dockerfiles, each once."""

    def __init__(self, files: Project, folder: str, rebuilds: Mapping[str, Rebuild]) -> None:
        self._files, self._folder, self._rebuilds = files, folder, rebuilds
        self.made: dict[str, bytes] = {}
        self.findings: list[Finding] = []

    def rebuilt(self, artifact: Artifact, rebuild: Rebuild, known: Known) -> Rebuilt:
        one = Rebuilt(artifact, rebuild)
        if artifact.builder in _BY_DOCKERFILE and artifact.dockerfile:
            one = replace(one, dockerfile=self._derived(artifact))
        elif artifact.builder == "buildpacks":
            one = replace(one, descriptor=self._descriptor(artifact, rebuild))
        self.findings += _advice(one, self._files) if known.by_tools(artifact) else _by_hand(one, known)
        return one

    def _derived(self, artifact: Artifact) -> str:
        """The path of the derived Dockerfile; empty where there is nothing to derive it from."""
        text = project.text(self._files, artifact.dockerfile)
        rebuild = self._rebuilds[artifact.dockerfile]
        known = {name: value for name, value in artifact.arguments.items() if value is not None}
        derived = rebuild.dockerfile(text, known) if text is not None else None
        if derived is None:
            why = "no step of it seems to build the service: see docs/go.md" if text is not None else "there is no such file"
            self.findings.append(Finding(artifact.dockerfile, f"image {artifact.image}", "built as it is", why, "warning"))
            return ""
        path = _place(artifact.dockerfile, artifact.context, self._folder, rebuild)
        self.made[path] = project.encoded(derived.text)
        ignored = self._files.read(artifact.dockerfile + _IGNORED)
        if ignored is not None:
            self.made[path + _IGNORED] = ignored
        for warning in derived.warnings:
            self.findings.append(Finding(artifact.dockerfile, warning, "built with podcov in it", "look at it once", "warning"))
        return path

    def _descriptor(self, artifact: Artifact, rebuild: Rebuild) -> str:
        """The path of the derived project descriptor; empty where there is none."""
        derived = rebuild.descriptor(artifact, self._files)
        if derived is None:
            return ""
        path = _place(artifact.buildpacks.descriptor, artifact.context, self._folder, rebuild)
        self.made[path] = project.encoded(derived)
        return path


def _place(path: str, context: str, folder: str, rebuild: Rebuild) -> str:
    """Of a derived file: within the context, as engines want it, in podcov's folder where that is, else beside the user's own."""
    if _is_outside(folder, context) and not _is_outside(path, context):
        return path + _BESIDE
    return project.join(folder, rebuild.folder, project.relative(path, ".").replace("../", ""))


def _is_outside(path: str, folder: str) -> bool:
    return project.relative(path, folder).startswith("..")


def _advice(one: Rebuilt, files: Project) -> Iterator[Finding]:
    artifact = one.artifact
    if artifact.builder in _AS_THEY_ARE:
        why = f"podcov cannot get into what {artifact.builder} builds"
        yield Finding(artifact.origin, f"image {artifact.image}", "built as it is", why, "warning")
    elif artifact.builder == "docker" and not artifact.dockerfile:
        why = "the Dockerfile is not to be seen: docs/go.md says what to put into it"
        yield Finding(artifact.origin, f"image {artifact.image}", "built as it is", why, "warning")
    elif artifact.builder == "custom" and one.dockerfile:
        named = project.relative(artifact.dockerfile, artifact.context)
        why = f'where it builds by Docker, have it take -f "${{PODCOV_DOCKERFILE:-{named}}}"'
        yield Finding(artifact.origin, f"image {artifact.image}", "its command is run by `podcov go`", why)
    elif artifact.builder == "buildpacks" and not one.descriptor:
        why = f"{one.rebuild.obstacle(artifact, files)}. Or write `dump: {{by: exit}}`: a sidecar might run the service again"
        if one.rebuild.records:
            yield Finding(artifact.origin, f"image {artifact.image}", "built with -cover alone", why, "warning")
    elif artifact.builder == "ko" and _has_builds(artifact, files):
        why = "Skaffold reads them only where its `ko` says nothing of flags and environment: write there what they say"
        yield Finding(
            project.join(artifact.context, ".ko.yaml"), "`builds` of its own", "give way to the profile", why, "warning"
        )


def _by_hand(one: Rebuilt, known: Known) -> Iterator[Finding]:
    """For who builds by `docker build`, a Makefile, CI."""
    artifact = one.artifact
    if one.dockerfile:
        told = any(artifact is unnamed for unnamed in known.unnamed)
        by = f"{artifact.origin} builds it, which podcov.yaml does not name" if told else "neither Skaffold nor Tilt builds it"
        why = f"{by}: `docker build -f {one.dockerfile} {artifact.context}` has coverage in it"
        yield Finding(artifact.dockerfile, f"image {artifact.image}", f"see {one.dockerfile}", why, "warning")


def _has_builds(artifact: Artifact, files: Project) -> bool:
    text = project.text(files, project.join(artifact.context, ".ko.yaml")) or ""
    return any(line.startswith("builds:") for line in text.splitlines())
