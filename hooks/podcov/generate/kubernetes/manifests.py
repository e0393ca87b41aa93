"""Workloads and Services, read from rendered manifests. Pure: YAML text in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any

from podcov.generate.kubernetes import kubernetes_yaml

POD_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "Pod": (),
}
"""Where each kind of workload has its pod template: a mapping with `metadata` and `spec`."""

_USUAL_TEMPLATE = ("spec", "template")
_BUILT_IN_GROUPS = ("apps", "batch", "")

Key = tuple[str, str, str, str]
"""API group, kind, namespace and name, which no two objects of a cluster share."""


@dataclass(frozen=True, slots=True)
class Container:
    """A container as the manifest has it; `spec` is all of it."""

    name: str
    image: str
    spec: Mapping[str, Any]

    @property
    def command(self) -> tuple[str, ...]:
        return tuple(_list(self.spec.get("command")))

    @property
    def args(self) -> tuple[str, ...]:
        return tuple(_list(self.spec.get("args")))

    @property
    def env(self) -> Sequence[Mapping[str, Any]]:
        return [variable for variable in _list(self.spec.get("env")) if isinstance(variable, dict) and "name" in variable]

    @property
    def problem(self) -> str:
        """What of it Kubernetes would not take, as far as it matters here; empty where nothing is wrong."""
        if not (isinstance(self.spec.get("name"), str) and self.name):
            return "a container has no name"
        for key in ("command", "args"):
            value = self.spec.get(key)
            if value is not None and not (isinstance(value, list) and all(isinstance(word, str) for word in value)):
                return f"container {self.name}: {key} is not a list of texts: {value!r:.60}"
        for key, named in (("env", "name"), ("volumeMounts", "mountPath")):
            if not _is_list_of(self.spec.get(key), named):
                return f"container {self.name}: {key} is not a list of mappings with a {named}: {self.spec[key]!r:.60}"
        return ""

    def limit(self, resource: str) -> str:
        """A resource limit as it is written, such as `256Mi`; empty where there is none."""
        return str(_mapping(_mapping(self.spec.get("resources")).get("limits")).get(resource, ""))


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
    ends: bool = False
    """whether its pods are to come to an end by themselves, as a Job's are"""
    template: tuple[str, ...] = _USUAL_TEMPLATE
    """where the pod template is"""
    known: bool = True
    """whether it is of a kind of Kubernetes' own, not of somebody's custom resource that has a pod template too"""
    replicas: int | None = None
    """None where it does not say"""
    architecture: str = ""
    """of its nodes, as its node selector has it: `arm64`; empty where that says nothing"""
    document: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """all of it"""
    problem: str = ""
    """what of it Kubernetes would not take, as far as it matters here; empty where nothing is wrong"""
    where: str = field(default="", compare=False)
    """file, line and document, as in `deploy/web.yaml:12 (document 2)`; empty where it was rendered from who knows what"""

    @property
    def located(self) -> str:
        """Its reference behind the place where it stands: what errors call it."""
        return f"{self.where}: {self.reference}" if self.where else self.reference

    @property
    def reference(self) -> str:
        """As `podcov.yaml` names it: `deployment/orders`."""
        return f"{self.kind.lower()}/{self.name}"

    def said(self, container: Container) -> str:
        """One of its containers, as findings name it: `deployment/orders app in shop`."""
        return f"{self.reference} {container.name}" + (f" in {self.namespace}" if self.namespace else "")

    @property
    def scales(self) -> bool:
        """Whether it says how many pods there are."""
        return self.kind in ("Deployment", "StatefulSet", "ReplicaSet") or not self.known

    @property
    def key(self) -> Key:
        return key(self.document)

    @property
    def place(self) -> str:
        """Its reference and its namespace: `deployment/orders in shop`."""
        return f"{self.reference} in {self.namespace}" if self.namespace else self.reference


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
    autoscaled: frozenset[tuple[str, str, str]] = frozenset()
    """kind, namespace and name of what a HorizontalPodAutoscaler scales"""

    def workload(self, reference: str, namespace: str = "") -> Workload | None:
        """The one that `deployment/NAME` means; None where there is none, or more than one."""
        found = self.candidates(reference, namespace)
        return found[0] if len(found) == 1 else None

    def candidates(self, reference: str, namespace: str = "") -> list[Workload]:
        """Those that `deployment/NAME` may mean: in that namespace; else, where one side names none, of that name."""
        found = [w for w in self.workloads if w.reference == reference and (w.known or w.kind not in POD_TEMPLATES)]
        return [w for w in found if w.namespace == namespace] or [w for w in found if not (w.namespace and namespace)]


def read(text: str, *, name: str = "rendered manifests", rendered: bool = True) -> Manifests:
    """What manifests deploy. Raises ManifestError where they are no YAML. Only lines of what was not `rendered` mean anything."""
    found = kubernetes_yaml.numbered(text, name=name)
    places = [name if rendered else place(name, line, number) for number, (line, _) in enumerate(found, 1)]
    return of_documents([document for _, document in found], places)


def of_documents(documents: Iterable[Mapping[str, Any]], places: Sequence[str] = ()) -> Manifests:
    """The same, of documents that are read already; lists are looked into. `places` say where each document stands."""
    flat = [
        (item, where) for document, where in zip(documents, chain(places, repeat("")), strict=False) for item in flatten(document)
    ]
    return Manifests(
        workloads=tuple(workload for d, where in flat if (workload := of_document(d, where))),
        services=tuple(service for d, _ in flat if (service := _service(d))),
        autoscaled=frozenset(_scale_target(d) for d, _ in flat if d.get("kind") == "HorizontalPodAutoscaler"),
    )


def place(name: str, line: int, number: int) -> str:
    """Where a document stands, for people."""
    return f"{name}:{line}" + (f" (document {number})" if number > 1 else "")


def key(document: Mapping[str, Any]) -> Key:
    """What tells an object from all others."""
    own = metadata(document)
    return _group(document), str(document.get("kind", "")), str(own.get("namespace") or ""), str(own.get("name", ""))


def metadata(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Its metadata; empty where it has none."""
    return _mapping(document.get("metadata"))


def is_list(document: Mapping[str, Any]) -> bool:
    """Whether it is a `List`, a `DeploymentList`, or the `ResourceList` that goes through Kustomize's functions."""
    return str(document.get("kind", "")).endswith("List") and isinstance(document.get("items"), list)


def flatten(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The document itself, or the items of a list."""
    if not is_list(document):
        yield document
        return
    for item in document["items"]:
        if isinstance(item, dict):
            yield from flatten(item)


def of_document(document: Mapping[str, Any], where: str = "") -> Workload | None:
    """The workload that a document is; None where it has no pod template with containers."""
    path = template_path(document)
    template = _at(document, path)
    pod = template.get("spec") if isinstance(template, dict) else None
    if not isinstance(pod, dict) or not pod.get("containers") or not isinstance(document.get("kind"), str):
        return None
    of_pods = _mapping(template.get("metadata"))
    replicas = document["spec"].get("replicas") if path else None
    containers, inits = _containers(pod, "containers"), _containers(pod, "initContainers")
    return Workload(
        kind=document["kind"],
        name=str(metadata(document).get("name", "")),
        namespace=str(metadata(document).get("namespace") or ""),
        api_version=str(document.get("apiVersion", "apps/v1")),
        containers=containers,
        init_containers=inits,
        labels=_mapping(of_pods.get("labels")),
        annotations=_mapping(of_pods.get("annotations")),
        grace=_seconds(pod.get("terminationGracePeriodSeconds")),
        ends=pod.get("restartPolicy", "Always") != "Always",
        template=path,
        known=document["kind"] in POD_TEMPLATES and _group(document) in _BUILT_IN_GROUPS,
        replicas=replicas if isinstance(replicas, int) else None,
        architecture=str(_mapping(pod.get("nodeSelector")).get("kubernetes.io/arch") or ""),
        document=document,
        problem=_problem(pod, (*inits, *containers)),
        where=where,
    )


def _problem(pod: Mapping[str, Any], containers: Iterable[Container]) -> str:
    for key in ("containers", "initContainers", "volumes"):
        if not _is_list_of(pod.get(key), "name"):
            return f"{key} is not a list of mappings with a name: {pod[key]!r:.60}"
    return next((container.problem for container in containers if container.problem), "")


def template_path(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Where a document of its kind has the pod template."""
    return POD_TEMPLATES.get(str(document.get("kind", "")), _USUAL_TEMPLATE)


def reference(document: Mapping[str, Any]) -> str:
    """As `podcov.yaml` names a workload: `deployment/orders`."""
    own = metadata(document)
    return f"{str(document.get('kind', '')).lower()}/{own.get('name') or own.get('generateName', '')}"


def _containers(pod: Mapping[str, Any], key: str) -> tuple[Container, ...]:
    return tuple(_container(c) for c in _list(pod.get(key)) if isinstance(c, dict))


def _group(document: Mapping[str, Any]) -> str:
    return str(document.get("apiVersion", "")).rpartition("/")[0]


def _at(document: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = document
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _container(spec: Mapping[str, Any]) -> Container:
    return Container(str(spec.get("name", "")), str(spec.get("image", "")), spec)


def _service(document: Mapping[str, Any]) -> KubernetesService | None:
    if document.get("kind") != "Service" or _group(document):
        return None
    spec = _mapping(document.get("spec"))
    ports = [p for p in _list(spec.get("ports")) if isinstance(p, dict) and p.get("protocol", "TCP") == "TCP" and "port" in p]
    if not ports or not _mapping(spec.get("selector")):
        return None
    own = metadata(document)
    return KubernetesService(str(own.get("name", "")), str(own.get("namespace") or ""), spec["selector"], ports[0]["port"])


def _scale_target(document: Mapping[str, Any]) -> tuple[str, str, str]:
    target = _mapping(_mapping(document.get("spec")).get("scaleTargetRef"))
    return str(target.get("kind", "")), str(metadata(document).get("namespace") or ""), str(target.get("name", ""))


def _seconds(value: Any) -> float | None:
    return value if isinstance(value, int | float) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_list_of(value: Any, key: str) -> bool:
    """Whether it is a list of mappings that have this key, or nothing."""
    return not value or (isinstance(value, list) and all(isinstance(item, dict) and key in item for item in value))
