"""The first look at a project: which containers podcov can measure, and how. Pure: findings and `podcov.yaml` out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from podcov import assets
from podcov.config import Dump, Generate, PortForward, Service, Tests, variable_prefix
from podcov.generate import suites
from podcov.generate.coverage.entering import Surroundings
from podcov.generate.findings import Finding
from podcov.generate.images.commands import Built
from podcov.generate.kubernetes import yaml_text
from podcov.generate.kubernetes.manifests import Container, KubernetesService, Manifests, Workload
from podcov.generate.languages.language import LANGUAGES
from podcov.generate.languages.proposals import Seen

WRITTEN_IN = " or ".join(LANGUAGES)
"""what podcov can measure, for people"""
_SUITE = ("inside", "container", "command")


@dataclass(frozen=True, slots=True)
class Detected:
    """Everything that a first `podcov.yaml` says."""

    services: tuple[Service, ...]
    port_forwards: tuple[PortForward, ...]
    tests: tuple[str, ...]
    """the command of the integration tests; empty where none were found"""
    findings: tuple[Finding, ...]
    suite: Tests | None = None
    """the integration tests, where somebody says how they are run"""
    copies: Mapping[str, str] = field(default_factory=dict)


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
    return Detected(tuple(services), forwards, suites.command(known.files), tuple(findings))


def podcov_yaml(detected: Detected, generate: Generate) -> str:
    """The text of a first `podcov.yaml`; from then on it is the user's."""
    forwards = [_said(f, "resource", "port", "name", "namespace") for f in detected.port_forwards]
    return assets.render(
        "init/podcov.yaml.j2",
        services=yaml_text.dump({"services": {s.name: _settings(s) for s in detected.services}}),
        tests=detected.tests,
        suite=yaml_text.dump({"tests": _said(detected.suite, *_SUITE)}) if detected.suite else "",
        copies=yaml_text.dump({"copies": dict(detected.copies)}) if detected.copies else "",
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
    subject = workload.said(container)
    seen = Seen(container, built, known.files, workload.architecture)
    reasons = {name: language.recognise(seen) for name, language in LANGUAGES.items()}
    name, reason = next(((name, reason) for name, reason in reasons.items() if reason), ("", ""))
    if not name:
        return None, _left_alone(subject, seen)
    proposal = LANGUAGES[name].propose(seen)
    finding = Finding(subject, f"{name}: {reason}", proposal.decided, proposal.why, proposal.level)
    if proposal.service is None:
        return None, finding
    said = proposal.command_matters and not container.command and not _stands_in_the_project(seen, known)
    return replace(
        proposal.service,
        language=name,
        workload=workload.reference,
        container=container.name if len(workload.containers) > 1 else "",
        namespace=workload.namespace,
        command=(seen.words or ()) if said else (),
    ), finding


def _stands_in_the_project(seen: Seen, known: Surroundings) -> bool:
    """Whether what the image runs is said by files of the project, and about that image: then nobody else need be asked again."""
    return known.image(seen.container, asking=False).words(seen.container) == seen.words


def _left_alone(subject: str, seen: Seen) -> Finding:
    artifact = seen.built.artifact
    if artifact is None:
        found = f"image {seen.container.image}, which is not built here"
        return Finding(subject, found, "left alone", f"if it is written in {WRITTEN_IN}, add it to podcov.yaml")
    if artifact.dockerfile and seen.files.read(artifact.dockerfile) is None:
        found = f"built from {artifact.dockerfile}, which is not there"
        return Finding(subject, found, "left alone", f"{artifact.origin} says so: correct it, or add the file", "warning")
    return Finding(subject, f"built in {artifact.context}", "left alone", f"nothing says that it is written in {WRITTEN_IN}")


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
    fields = (
        *("workload", "container", "namespace", "source", "packages", "interpreter", "binary", "architecture"),
        *("entry", "command", "sidecar"),
    )
    plain = Service(name="")
    said = {key: value for key, value in _said(service, *fields).items() if value != getattr(plain, key)}
    language = {"language": service.language} if service.language != plain.language else {}
    return language | said | ({"dump": _dump(service.dump)} if service.dump else {})


def _dump(dump: Dump) -> dict[str, object]:
    plain = Dump(dump.by)
    fields = ("by", "folder", "signal", "port", "path", "profile", "source")
    return {key: value for key, value in _said(dump, *fields).items() if key == "by" or value != getattr(plain, key)}


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
