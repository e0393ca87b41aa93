"""The first look at a project: which containers podcov can measure, and how. Pure: findings and `podcov.yaml` out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from podcov import assets
from podcov.config import Entry, Generate, PortForward, Service, variable_prefix
from podcov.generate import instrument, yaml_text
from podcov.generate.entering import Surroundings
from podcov.generate.findings import Finding
from podcov.generate.images import Built
from podcov.generate.language import LANGUAGES, Language
from podcov.generate.manifests import Container, KubernetesService, Manifests, Workload
from podcov.generate.project import Project

_TEST_FOLDERS = ("tests/integration", "tests/e2e", "integration_tests", "tests")


@dataclass(frozen=True, slots=True)
class Detected:
    """Everything that a first `podcov.yaml` says."""

    services: tuple[Service, ...]
    port_forwards: tuple[PortForward, ...]
    tests: str
    """the folder of the integration tests; empty where none was found"""
    findings: tuple[Finding, ...]


def detect(manifests: Manifests, known: Surroundings) -> Detected:
    """Look at every container of every workload."""
    services: list[Service] = []
    findings: list[Finding] = []
    known = known.of(manifests)
    for workload in manifests.workloads:
        if not workload.known:
            why = f"it is a custom resource ({workload.api_version}); name it in podcov.yaml, with a selector, to measure it"
            findings.append(Finding(workload.reference, "it has a pod template", "left alone", why))
            continue
        if workload.problem:
            why = f"Kubernetes would refuse it: {workload.problem}"
            findings.append(Finding(workload.place, "a broken workload", "left alone", why, "warning"))
            continue
        found = list(_of_workload(workload, known))
        findings += [finding for _, finding in found]
        services += _named([service for service, _ in found if service], workload, manifests)
    measured = [w for w in manifests.workloads if any(s.workload == w.reference for s in services)]
    forwards = _forwards([s for s in manifests.services if any(_selects(s, w) for w in measured)])
    tests = next((folder for folder in _TEST_FOLDERS if known.files.names(folder)), "")
    return Detected(tuple(services), forwards, tests, tuple(findings))


def podcov_yaml(detected: Detected, generate: Generate) -> str:
    """The text of a first `podcov.yaml`; from then on it is the user's."""
    forwards = [_said(f, "resource", "port", "name", "namespace") for f in detected.port_forwards]
    return assets.render(
        "init/podcov.yaml.j2",
        services=yaml_text.dump({"services": {s.name: _settings(s) for s in detected.services}}),
        tests=detected.tests,
        port_forwards=yaml_text.dump({"port_forwards": forwards}) if forwards else "",
        variables=[f"{f.variables}_URL" for f in detected.port_forwards],
        generate=yaml_text.dump({"generate": _generate(generate)}),
    )


def _of_workload(workload: Workload, known: Surroundings) -> Iterator[tuple[Service | None, Finding]]:
    for container in workload.init_containers:
        yield None, Finding(workload.said(container), "an init container", "left alone")
    for container in workload.containers:
        own = known.image(container, asking=False)
        # What others build is measured only where its command says that it is ours, so there is no need to ask what it is.
        asks = known.chosen or own.artifact is not None
        yield _of_container(workload, container, known.image(container, asking=True) if asks else own, known)


def _of_container(workload: Workload, container: Container, built: Built, known: Surroundings) -> tuple[Service | None, Finding]:
    files = known.files
    subject = workload.said(container)
    words = built.words(container)
    command = container.command or (*(words or (built.image.command if built.image else ())), *container.args)
    reasons = {name: _recognised(language, built, command, files) for name, language in LANGUAGES.items()}
    name, reason = next(((name, reason) for name, reason in reasons.items() if reason), ("", ""))
    if not name:
        return None, _left_alone(subject, container, built)
    language = LANGUAGES[name]
    sources = language.sources(built.image, built.context, files)
    service = Service(
        name="",
        language=name,
        workload=workload.reference,
        container=container.name if len(workload.containers) > 1 else "",
        namespace=workload.namespace,
        source=sources,
        packages=language.packages(built.image, sources, built.context, files),
    )
    program = _program(language, container, built, command, files)
    entered, decided, why = _entry(container, built, program, words)
    if entered == "environment" and (variable := instrument.from_elsewhere(container, language)):
        why = f"its {variable} comes from elsewhere (valueFrom), so it cannot be extended: write its `command` in podcov.yaml"
        return None, Finding(subject, f"{name}: {reason}", "left alone", why, "warning")
    finding = Finding(subject, f"{name}: {reason}", decided, why, "info" if program else "warning")
    said = entered == "entrypoint" and not container.command and not _stands_in_the_project(container, words, known)
    return replace(
        service,
        interpreter=program or service.interpreter,
        entry=entered,
        sidecar=bool(program) and not _is_overridden(built),
        command=(words or ()) if said else (),
    ), finding


def _stands_in_the_project(container: Container, words: tuple[str, ...] | None, known: Surroundings) -> bool:
    """Whether what the image runs is said by files of the project, and about that image: then nobody else need be asked again."""
    return known.image(container, asking=False).words(container) == words


def _program(language: Language, container: Container, built: Built, command: tuple[str, ...], files: Project) -> str:
    """The interpreter that is certainly in the image. A guess counts only where the manifest's own command is of the language."""
    own = (*container.command, *container.args) if container.command else ()
    guessed = built.guess and not language.recognise(None, own, "", files)
    return "" if built.launcher or guessed else language.interpreter(built.image, command)


def _recognised(language: Language, built: Built, command: tuple[str, ...], files: Project) -> str:
    reason = language.recognise(built.image, command, built.context, files)
    file = language.project_file(built.context, files) if built.artifact and built.launcher and not reason else ""
    return reason or (f"buildpacks, {file} in {built.context}" if file else "")


def _is_overridden(built: Built) -> bool:
    return built.artifact is not None and built.artifact.entrypoint


def _left_alone(subject: str, container: Container, built: Built) -> Finding:
    known = ", ".join(LANGUAGES)
    if built.artifact is None:
        found = f"image {container.image}, which is not built here"
        return Finding(subject, found, "left alone", f"if it is written in {known}, add it to podcov.yaml")
    return Finding(subject, f"built in {built.context}", "left alone", f"nothing says that it is written in {known}")


def _entry(container: Container, built: Built, program: str, words: tuple[str, ...] | None) -> tuple[Entry, str, str]:
    """How to get in, said for people, and why."""
    if _is_overridden(built):
        why = "Tilt puts the entrypoint of docker_build in place of every command of this image"
        return "environment", "entered by environment, no sidecar", why
    if built.launcher:
        why = "its launcher sets the PATH that the interpreter is found by"
        return "environment", "entered by environment, no sidecar", why
    if built.guess and not program:
        asked = f" ({built.unknown})" if built.unknown else ""
        missing = "ENTRYPOINT" if container.args else "ENTRYPOINT and CMD"
        instead = "`interpreter`" if container.command else f"the image's {missing} as `command`"
        why = f"{built.guess}, is a guess{asked}: if it is right, write {instead} in podcov.yaml, without `entry` and `sidecar`"
        return "environment", "entered by environment, no sidecar", why
    if not program:
        why = "nothing says which interpreter the image has; if you know, write `interpreter` instead"
        return "environment", "entered by environment, no sidecar", why
    if container.command:
        return "entrypoint", "entered in front of its command", "the manifest has one"
    if words is not None:
        return "entrypoint", "entered in front of its image's command", built.origin
    base = f"the base image {built.image.base}" if built.image else f"the image {container.image}"
    why = f"nothing here says what {base} has for a command{f' ({built.unknown})' if built.unknown else ''}"
    return "environment", "entered by environment", why


def _named(services: list[Service], workload: Workload, manifests: Manifests) -> list[Service]:
    """Named after the workload; with the container's name, kind and namespace as far as that takes to tell them apart."""
    same_name = Counter(w.name for w in manifests.workloads)
    prefix = workload.name
    if same_name[workload.name] > 1:
        prefix = "-".join(p for p in (workload.namespace, workload.kind.lower(), workload.name) if p)
    return [replace(s, name=prefix if len(services) == 1 else f"{prefix}-{s.container}") for s in services]


def _selects(service: KubernetesService, workload: Workload) -> bool:
    return service.namespace == workload.namespace and service.selector.items() <= workload.labels.items()


def _forwards(services: Sequence[KubernetesService]) -> tuple[PortForward, ...]:
    """One for each Service; with its namespace in its name where that is what tells it from another."""
    same_variables = Counter(variable_prefix(s.name) for s in services)
    return tuple(
        PortForward(
            resource=f"service/{s.name}",
            port=s.port,
            name=f"{s.namespace or 'default'}-{s.name}" if same_variables[variable_prefix(s.name)] > 1 else "",
            namespace=s.namespace,
        )
        for s in services
    )


def _settings(service: Service) -> dict[str, object]:
    """What is not the default."""
    said = _said(
        service, "workload", "container", "namespace", "source", "packages", "interpreter", "entry", "command", "sidecar"
    )
    plain = Service(name="")
    return {key: value for key, value in said.items() if value != getattr(plain, key)} | (
        {"language": service.language} if service.language != plain.language else {}
    )


def _generate(generate: Generate) -> dict[str, object]:
    plain = Generate()
    fields = ("by", "kustomize", "manifests", "helm", "skaffold", "tiltfile", "profile", "replicas")
    said = {key: value for key, value in _said(generate, *fields).items() if value != getattr(plain, key)}
    releases = [_said(release, "release", "chart", "values", "namespace") for release in generate.helm]
    return said | ({"helm": releases} if releases else {})


def _said(value: object, *names: str) -> dict[str, object]:
    """The fields of those names that say anything, tuples as lists."""
    fields = ((name, getattr(value, name)) for name in names)
    return {name: list(field) if isinstance(field, tuple) else field for name, field in fields if field not in ("", ())}
