"""Workloads and Services, read from rendered manifests. Pure: YAML text in, values out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from podcov.errors import ManifestError

INSTRUMENTED_KINDS = ("Deployment", "StatefulSet")
OTHER_KINDS = ("DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod")


@dataclass(frozen=True, slots=True)
class Container:
    """A container as the manifest has it; `spec` is all of it."""

    name: str
    image: str
    spec: Mapping[str, Any]

    @property
    def command(self) -> tuple[str, ...]:
        return tuple(self.spec.get("command") or ())

    @property
    def args(self) -> tuple[str, ...]:
        return tuple(self.spec.get("args") or ())

    @property
    def env(self) -> Sequence[Mapping[str, Any]]:
        return self.spec.get("env") or ()

    def limit(self, resource: str) -> str:
        """A resource limit as it is written, such as `256Mi`; empty where there is none."""
        return str(((self.spec.get("resources") or {}).get("limits") or {}).get(resource, ""))


@dataclass(frozen=True, slots=True)
class Workload:
    """Something with a pod template."""

    kind: str
    name: str
    namespace: str
    """empty where the manifest names none"""
    api_version: str
    containers: tuple[Container, ...]
    init_containers: tuple[Container, ...]
    labels: Mapping[str, str]
    """of its pods"""
    annotations: Mapping[str, str]
    """of its pods"""
    grace: float | None = None
    """seconds that its pods are given to end; None where the manifest leaves it to Kubernetes"""

    @property
    def reference(self) -> str:
        """As `podcov.yaml` names it: `deployment/orders`."""
        return f"{self.kind.lower()}/{self.name}"


@dataclass(frozen=True, slots=True)
class KubernetesService:
    """A Service: what selects its pods, and the first of its ports."""

    name: str
    namespace: str
    selector: Mapping[str, str]
    port: int


@dataclass(frozen=True, slots=True)
class Manifests:
    workloads: tuple[Workload, ...]
    services: tuple[KubernetesService, ...] = ()
    others: tuple[str, ...] = ()
    """workloads of kinds that are left alone: `job/migrate`"""

    def workload(self, reference: str, namespace: str = "") -> Workload | None:
        """The one that `deployment/NAME` means; `namespace` matters where manifests name several."""
        found = [w for w in self.workloads if w.reference == reference]
        return next((w for w in found if w.namespace == namespace), found[0] if found else None)


def load(text: str, *, name: str) -> list[dict[str, Any]]:
    """The documents of a YAML file that are mappings. Raises ManifestError, `NAME:LINE: ...`, where it is no YAML."""
    try:
        return [document for document in yaml.safe_load_all(text) if isinstance(document, dict)]
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ManifestError(f"{name}:{line}: this is no YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise ManifestError(f"{name}:1: this is no YAML: {' '.join(str(error).split())}") from error


def read(text: str, *, name: str = "rendered manifests") -> Manifests:
    """What rendered manifests deploy."""
    documents = load(text, name=name)
    return Manifests(
        workloads=tuple(_workload(d) for d in documents if d.get("kind") in INSTRUMENTED_KINDS),
        services=tuple(service for d in documents if (service := _service(d))),
        others=tuple(
            f"{str(d['kind']).lower()}/{_metadata(d).get('name', '')}" for d in documents if d.get("kind") in OTHER_KINDS
        ),
    )


def _workload(document: Mapping[str, Any]) -> Workload:
    template = (document.get("spec") or {}).get("template") or {}
    pod = template.get("spec") or {}
    metadata = _metadata(template)
    return Workload(
        kind=document["kind"],
        name=_metadata(document).get("name", ""),
        namespace=_metadata(document).get("namespace", ""),
        api_version=document.get("apiVersion", "apps/v1"),
        containers=tuple(_container(c) for c in pod.get("containers") or ()),
        init_containers=tuple(_container(c) for c in pod.get("initContainers") or ()),
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
        grace=pod.get("terminationGracePeriodSeconds"),
    )


def _container(spec: Mapping[str, Any]) -> Container:
    return Container(spec.get("name", ""), spec.get("image", ""), spec)


def _service(document: Mapping[str, Any]) -> KubernetesService | None:
    spec = document.get("spec") or {}
    ports = [p for p in spec.get("ports") or () if p.get("protocol", "TCP") == "TCP"]
    if document.get("kind") != "Service" or not ports or not spec.get("selector"):
        return None
    metadata = _metadata(document)
    return KubernetesService(metadata.get("name", ""), metadata.get("namespace", ""), spec["selector"], ports[0]["port"])


def _metadata(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return document.get("metadata") or {}
