"""The first look at a project: which containers podcov can measure, and how. Pure: findings and `podcov.yaml` out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from podcov import assets
from podcov.config import Generate, PortForward, Service
from podcov.generate import images, python, yaml_text
from podcov.generate.artifacts import Artifact
from podcov.generate.findings import Finding
from podcov.generate.images import Built
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


def detect(manifests: Manifests, known: Sequence[Artifact], files: Project) -> Detected:
    """Look at every container of every Deployment and StatefulSet."""
    services: list[Service] = []
    findings: list[Finding] = []
    for workload in manifests.workloads:
        found = list(_of_workload(workload, known, files))
        findings += [finding for _, finding in found]
        services += _named([service for service, _ in found if service], workload, manifests)
    findings += [Finding(o, "neither Deployment nor StatefulSet", "left alone") for o in manifests.others]
    measured = [w for w in manifests.workloads if any(s.workload == w.reference for s in services)]
    forwards = tuple(_forward(s) for s in manifests.services if any(_selects(s, w) for w in measured))
    tests = next((folder for folder in _TEST_FOLDERS if files.names(folder)), "")
    return Detected(tuple(services), forwards, tests, tuple(findings))


def podcov_yaml(detected: Detected, generate: Generate) -> str:
    """The text of a first `podcov.yaml`; from then on it is the user's."""
    return assets.render(
        "init/podcov.yaml.j2",
        services=yaml_text.dump({"services": {s.name: _settings(s) for s in detected.services}}),
        tests=detected.tests,
        port_forwards=yaml_text.dump(
            {"port_forwards": [{"resource": f.resource, "port": f.port} for f in detected.port_forwards]}
        )
        if detected.port_forwards
        else "",
        variables=[f"{f.resource.partition('/')[2].upper().replace('-', '_')}_URL" for f in detected.port_forwards],
        generate=yaml_text.dump({"generate": _without_defaults(generate)}),
    )


def _of_workload(workload: Workload, known: Sequence[Artifact], files: Project) -> Iterator[tuple[Service | None, Finding]]:
    for container in workload.init_containers:
        yield None, Finding(f"{workload.reference} {container.name}", "an init container", "left alone")
    for container in workload.containers:
        yield _of_container(workload, container, images.find(container.image, known, files), files)


def _of_container(workload: Workload, container: Container, built: Built, files: Project) -> tuple[Service | None, Finding]:
    subject = f"{workload.reference} {container.name}"
    words = images.image_words(container, built.image)
    command = container.command or (*(words or ()), *container.args)
    reason = python.recognise(built.image, command, built.context, files)
    if not reason:
        if built.artifact is None:
            found = f"image {container.image}, which neither Skaffold nor Tilt builds"
            return None, Finding(subject, found, "left alone", "nothing says that it is Python; if it is, add it to podcov.yaml")
        return None, Finding(subject, f"built in {built.context}", "left alone", "nothing says that it is Python")
    sources = python.sources(built.image, built.context, files)
    service = Service(
        name="",
        workload=workload.reference,
        container=container.name if len(workload.containers) > 1 else "",
        namespace=workload.namespace,
        source=sources,
        packages=python.packages(built.image, sources, built.context, files),
    )
    return _with_entry(service, subject, reason, container, built, command, words)


def _with_entry(
    service: Service,
    subject: str,
    reason: str,
    container: Container,
    built: Built,
    command: Sequence[str],
    words: tuple[str, ...] | None,
) -> tuple[Service, Finding]:
    program = python.interpreter(built.image, command)
    if not program:
        service = replace(service, entry="environment", sidecar=False)
        why = "nothing says which interpreter the image has; if you know, write `interpreter` instead"
        return service, Finding(subject, f"Python: {reason}", "entered by environment, no sidecar", why, "warning")
    service = replace(service, interpreter=program)
    if container.command:
        return service, Finding(subject, f"Python: {reason}", "entered in front of its command", "the manifest has one")
    if words is not None:
        why = f"the command is that of {built.artifact.dockerfile}" if built.artifact else ""
        return service, Finding(subject, f"Python: {reason}", "entered in front of its image's command", why)
    base = f"the base image {built.image.base} has" if built.image else "its image has"
    why = f"neither manifest nor Dockerfile says what {base} for a command"
    return replace(service, entry="environment"), Finding(subject, f"Python: {reason}", "entered by environment", why)


def _named(services: list[Service], workload: Workload, manifests: Manifests) -> list[Service]:
    """Named after the workload; with the container's name, kind and namespace as far as that takes to tell them apart."""
    same_name = Counter(w.name for w in manifests.workloads)
    prefix = workload.name
    if same_name[workload.name] > 1:
        prefix = "-".join(p for p in (workload.namespace, workload.kind.lower(), workload.name) if p)
    return [replace(s, name=prefix if len(services) == 1 else f"{prefix}-{s.container}") for s in services]


def _selects(service: KubernetesService, workload: Workload) -> bool:
    return service.namespace == workload.namespace and service.selector.items() <= workload.labels.items()


def _forward(service: KubernetesService) -> PortForward:
    return PortForward(resource=f"service/{service.name}", port=service.port)


def _settings(service: Service) -> dict[str, object]:
    values: Mapping[str, object] = {
        "workload": service.workload,
        "container": service.container,
        "namespace": service.namespace,
        "source": list(service.source),
        "packages": list(service.packages),
        "interpreter": "" if service.interpreter == "python3" else service.interpreter,
        "entry": "" if service.entry == "entrypoint" else service.entry,
    }
    return {key: value for key, value in values.items() if value} | ({} if service.sidecar else {"sidecar": False})


def _without_defaults(generate: Generate) -> dict[str, str]:
    values = {"kustomize": generate.kustomize, "skaffold": generate.skaffold, "tiltfile": generate.tiltfile}
    return {key: value for key, value in values.items() if value}
