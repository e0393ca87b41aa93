"""Which containers are measured, and what each of them runs without us. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from podcov.config import Config, Service
from podcov.errors import ManifestError
from podcov.generate.findings import Finding
from podcov.generate.images import builds, commands
from podcov.generate.images.artifacts import Artifact
from podcov.generate.images.commands import Built, Lookup
from podcov.generate.images.dockerfile import nowhere
from podcov.generate.kubernetes.manifests import Container, Key, Manifests, Workload
from podcov.generate.languages import language
from podcov.generate.languages.entered import Entered, literal
from podcov.generate.languages.language import LANGUAGES
from podcov.generate.project import Project

CONFIG = "podcov.yaml"
Group = tuple[Workload, list[Entered]]
"""A workload and its containers that are measured, in their order."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What there is to know a container by: the project's files and what they build, and engines and registries."""

    files: Project
    artifacts: tuple[Artifact, ...]
    lookup: Lookup
    default_repository: str = ""
    """where Skaffold pushes to, under names of its own making; empty where that is not known"""
    chosen: bool = False
    """whether somebody chose these workloads: then images that are not built here are looked at as well"""

    def image(self, container: Container, *, asking: bool) -> Built:
        """What is known of a container's image; `asking` engines and registries for what the project's own files do not say."""
        lookup = self.lookup if asking else nowhere
        return commands.find(container.image, self.artifacts, self.files, lookup, self.default_repository)

    def of(self, deployed: Manifests) -> Surroundings:
        """The same, with what of the project the images of these manifests are built from, as far as that can be told."""
        images = [c.image for w in deployed.workloads for c in w.containers]
        return replace(self, artifacts=(*self.artifacts, *builds.found_for(images, self.artifacts, self.files)))


def enter(config: Config, rendered: Manifests, known: Surroundings, services: Iterable[Service]) -> list[Group]:
    """The containers of `services`, by workload, both in the order of the manifests.

    Raises ManifestError for a service that is not in them, or whose command nobody knows.
    """
    found: dict[Key, list[Entered]] = {}
    known = known.of(rendered)
    for service in services:
        workload = _workload(service, config, rendered)
        entered, group = _enter(service, workload, config, known), found.setdefault(workload.key, [])
        for other in (other for other in group if other.container is entered.container):
            raise ManifestError(
                f"{config.place('services', service.name)}: it is the container {entered.container.name} of {workload.place}, "
                f"as services.{other.service.name} is",
                hint="leave one of them out.",
            )
        group.append(entered)
    return [
        (workload, [e for c in workload.containers for e in found[workload.key] if e.container is c])
        for workload in rendered.workloads
        if workload.key in found
    ]


def isolated(groups: Sequence[Group]) -> list[Finding]:
    """What podcov.yaml has and the image has not, commands that keep the wrapper out, and variables that it may keep out."""
    return [
        Finding(workload.said(e.container), found, decided, why, "warning")
        for workload, group in groups
        for e in group
        for found, decided, why in (*_doubted(e), *_kept_out(e), *_hidden(e))
    ]


def built_elsewhere(groups: Sequence[Group]) -> list[Finding]:
    """What images have to have since their build, for who adds coverage to those that are there."""
    why = (
        "where it has none, the pods do not start or there are no data, and `podcov detach` takes it back: docs/go.md builds one"
    )
    return [
        Finding(workload.said(e.container), f"image {e.container.image}", f"taken for {needed}", why, "warning")
        for workload, group in groups
        for e in group
        if (needed := language.additions(e).built_with)
    ]


def _doubted(entered: Entered) -> Iterator[tuple[str, str, str]]:
    if doubt := LANGUAGES[entered.service.language].doubt(entered):
        yield f"{CONFIG}: services.{entered.service.name}.{doubt.said}", "taken as it is", doubt.why


def _kept_out(entered: Entered) -> Iterator[tuple[str, str, str]]:
    if option := language.additions(entered).kept_out:
        yield f"it runs with {option}", "left as it is", "nothing is recorded"


def _hidden(entered: Entered) -> Iterator[tuple[str, str, str]]:
    """What a container entered by environment may have from where it cannot be seen: our value would take its place."""
    own = {variable["name"] for variable in entered.container.env}
    decided, instead = "entered by environment", "write its `command` in podcov.yaml in place of `entry: environment`"
    for name in (name for name in language.additions(entered).extended if name not in own):
        if _may_come_along(name, entered.container):
            yield (
                "variables by envFrom",
                decided,
                f"a {name} among them is hidden: if there is one, name it in `env`, or {instead}",
            )
        elif entered.guess and not commands.variables_known(entered.image):
            yield "its Dockerfile is a guess", decided, f"{entered.guess}; until then a {name} of its own is hidden"
        elif not commands.variables_known(entered.image):
            yield "an image that is not known", decided, f"a {name} of its own is hidden: if it has one, {instead}"


def _may_come_along(name: str, container: Container) -> bool:
    """Whether a ConfigMap or Secret that all variables are taken from may have this one."""
    sources = [source for source in container.spec.get("envFrom") or () if isinstance(source, dict)]
    return any(name.startswith(str(source.get("prefix") or "")) for source in sources)


def _workload(service: Service, config: Config, rendered: Manifests) -> Workload:
    workload = rendered.workload(service.workload, service.namespace or config.namespace)
    if workload is None:
        raise _not_the_one(service, config, rendered)
    if workload.problem:
        raise ManifestError(f"{workload.located}: {workload.problem}", hint="`kubectl apply --dry-run=server` refuses it, too.")
    return workload


def _not_the_one(service: Service, config: Config, rendered: Manifests) -> ManifestError:
    where, namespace = config.place("services", service.name, "workload"), service.namespace or config.namespace
    found = rendered.candidates(service.workload, namespace)
    if len({w.key for w in found}) < len(found):
        return ManifestError(
            f"{where}: {found[0].place} is in the manifests twice",
            hint="the one would overwrite the other in the cluster: leave one of them out, or give it another name.",
        )
    if found:
        places = ", ".join(f"{w.place} ({w.api_version})" for w in found)
        return ManifestError(f"{where}: {service.workload} may be any of {places}", hint="say which by `namespace`.")
    there = ", ".join(w.place for w in rendered.workloads)
    wanted = f"{service.workload} in {namespace}" if namespace else service.workload
    return ManifestError(
        f"{where}: there is no {wanted} in the manifests",
        hint=f"there are: {there}." if there else "there is no workload at all in them.",
    )


def _enter(service: Service, workload: Workload, config: Config, known: Surroundings) -> Entered:
    if service.language not in LANGUAGES:
        raise ManifestError(
            f"{config.place('services', service.name, 'language')}: podcov cannot get into containers in {service.language}",
            hint=f"it knows: {', '.join(LANGUAGES)}.",
        )
    container = _container(service, workload, config)
    built = known.image(container, asking=service.entry == "environment")
    entered = Entered(
        service,
        container,
        service.mode or config.mode,
        image=built.image,
        dockerfile=_dockerfile(built),
        guess=built.if_the_guess_is_right(container),
    )
    if container.command:
        return replace(entered, own_command=container.command)
    wanted = LANGUAGES[service.language].wants_command(service)
    words = service.command or built.words(container)
    if words is None and not wanted:
        return entered
    if words is None:
        # Others are asked last: what the project's own files say is the same on every machine.
        words = known.image(container, asking=True).words(container)
    if words is None:
        unknown = "is not known" if not built.guess else f"is but guessed ({built.guess})"
        raise ManifestError(
            f"{workload.located}, container {container.name}: no command, and that of image {container.image} {unknown}",
            hint=wanted,
        )
    return replace(entered, own_command=tuple(map(literal, words)))


def _dockerfile(built: Built) -> str:
    return built.artifact.dockerfile if built.artifact and built.image and not built.guess else ""


def _container(service: Service, workload: Workload, config: Config) -> Container:
    names = [container.name for container in workload.containers]
    if not service.container and len(names) == 1:
        return workload.containers[0]
    if service.container not in names:
        wrong = f"there is no container {service.container!r}" if service.container else "`container` is missing"
        raise ManifestError(
            f"{config.place('services', service.name, 'container')}: {wrong} in {workload.reference}",
            hint=f"there are: {', '.join(names)}.",
        )
    return workload.containers[names.index(service.container)]
