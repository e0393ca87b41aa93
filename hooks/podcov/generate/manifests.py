"""Workloads and Services, read from rendered manifests. Pure: YAML text in, values out."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from podcov.errors import ManifestError

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
_NO_YAML = "Correct that line, or the one above it; where a tool such as Helm fills it in first, give podcov what that renders."
_BUILT_IN_GROUPS = ("apps", "batch", "")


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
    ends: bool = False
    """whether its pods are to come to an end by themselves, as a Job's are"""
    template: tuple[str, ...] = _USUAL_TEMPLATE
    """where the pod template is"""
    known: bool = True
    """whether it is of a kind of Kubernetes' own, not of somebody's custom resource that has a pod template too"""
    replicas: int | None = None
    """None where it does not say"""
    document: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """all of it"""

    @property
    def reference(self) -> str:
        """As `podcov.yaml` names it: `deployment/orders`."""
        return f"{self.kind.lower()}/{self.name}"

    @property
    def scales(self) -> bool:
        """Whether it says how many pods there are."""
        return self.kind in ("Deployment", "StatefulSet", "ReplicaSet") or not self.known

    @property
    def key(self) -> tuple[str, str, str]:
        """Kind, namespace and name, which no two objects of a cluster share."""
        return self.kind, self.namespace, self.name


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
        """The one that `deployment/NAME` means; `namespace` matters where manifests name several."""
        found = [w for w in self.workloads if w.reference == reference]
        return next((w for w in found if w.namespace == namespace), found[0] if found else None)


@dataclass(frozen=True, slots=True)
class Piece:
    """One document of a stream: its text, `---` and comments before it included; what it says, {} where it is no mapping."""

    text: str
    document: Mapping[str, Any]


class _Loader(yaml.SafeLoader):
    """Reads scalars as Kubernetes' own tools do: dates, `yes`, `on` and `12:30` are texts, `0644` and `0o17` are octal."""


class _FastLoader(yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader):  # type: ignore[misc] # whichever there is
    """The same, in C where that is at hand: files of custom resources have megabytes."""


_SCALARS = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9_]*|0[0-7_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|0b[01_]+)", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
)


def _integer(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    digits = str(loader.construct_scalar(node)).replace("_", "")
    sign, digits = (-1 if digits.startswith("-") else 1), digits.lstrip("+-")
    return sign * (int(digits, 8) if re.fullmatch(r"0[0-7]+", digits) else int(digits, 0))


def _float(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    text = str(loader.construct_scalar(node)).replace("_", "").lower()
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


def _text(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    """JSON writes a character beyond the 16-bit ones as two escapes, of which the loader in C will have none."""
    return str(loader.construct_scalar(node)).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


_Loader.add_constructor("tag:yaml.org,2002:str", _text)
for _class in (_Loader, _FastLoader):
    _class.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] in ("null", "merge")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    for _tag, _pattern, _first in _SCALARS:
        _class.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first))
    _class.add_constructor("tag:yaml.org,2002:int", _integer)
    _class.add_constructor("tag:yaml.org,2002:float", _float)


def load(text: str, *, name: str) -> list[dict[str, Any]]:
    """The documents of a YAML file that are mappings. Raises ManifestError, `NAME:LINE: ...`, where it is no YAML."""
    try:
        documents = list(yaml.load_all(text, _FastLoader))
    except (yaml.YAMLError, UnicodeEncodeError):
        documents = _load_slowly(text, name)
    return [document for document in documents if isinstance(document, dict)]


def split(text: str, *, name: str) -> list[Piece]:
    """The documents of a stream together with their text, which joined is the stream.

    Raises as `load` does, and where a document is something else than a mapping: what is sent to be changed is to be manifests.
    """
    try:
        starts, whole = _starts(text, _FastLoader), list(yaml.load_all(text, _FastLoader))
    except yaml.YAMLError:
        whole, starts = _load_slowly(text, name), _starts(text, _Loader)
    if not starts:
        return [Piece(text, {})] if text else []
    bounds = [0, *starts[1:], len(text)]
    texts = [text[first:last] for first, last in itertools.pairwise(bounds)]
    for number, (start, document) in enumerate(zip(starts, whole, strict=True), 1):
        if problem := _not_a_manifest(text[start : bounds[number]], document):
            offset, found, hint = problem
            line = text.count("\n", 0, start + offset) + 1
            raise ManifestError(f"{name}:{line}: document {number}: {found}", hint=hint)
    return [Piece(t, document or {}) for t, document in zip(texts, whole, strict=True)]


def _not_a_manifest(text: str, document: Any) -> tuple[int, str, str] | None:
    """Where in its text something is wrong with a document, what it is, and what to do."""
    if document is not None and not isinstance(document, dict):
        found = f"this is no manifest: {' '.join(str(document).split())[:60]!r}"
        return (
            0,
            found,
            "A manifest is a mapping with `apiVersion`, `kind` and `metadata`; was something else printed among them?",
        )
    kinds = list(re.finditer(r"^kind:", text, re.MULTILINE))
    if len(kinds) > 1:
        return kinds[1].start(), "`kind` stands twice", "Two manifests run into each other where there is no `---` between them."
    return None


def _starts(text: str, loader: type[yaml.SafeLoader]) -> list[int]:
    """Where documents begin."""
    begun = (event.start_mark for event in yaml.parse(text, loader) if isinstance(event, yaml.DocumentStartEvent))
    return [mark.index for mark in begun if mark is not None]


def _load_slowly(text: str, name: str) -> list[Any]:
    """With errors that say what is wrong in the same words on every machine."""
    try:
        return list(yaml.load_all(text, _Loader))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ManifestError(f"{name}:{line}: this is no YAML: {error.problem or error.context}", hint=_NO_YAML) from error
    except yaml.YAMLError as error:
        raise ManifestError(f"{name}:1: this is no YAML: {' '.join(str(error).split())}", hint=_NO_YAML) from error


def read(text: str, *, name: str = "rendered manifests") -> Manifests:
    """What rendered manifests deploy. Raises ManifestError where they are no YAML, or no manifests."""
    return of_documents(load(text, name=name), name=name)


def of_documents(documents: Iterable[Mapping[str, Any]], *, name: str = "rendered manifests") -> Manifests:
    """The same, of documents that are read already; lists are looked into."""
    flat = [item for document in documents for item in flatten(document)]
    return Manifests(
        workloads=tuple(workload for d in flat if (workload := of_document(d, name=name))),
        services=tuple(service for d in flat if (service := _service(d))),
        autoscaled=frozenset(_scale_target(d) for d in flat if d.get("kind") == "HorizontalPodAutoscaler"),
    )


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


def of_document(document: Mapping[str, Any], *, name: str = "rendered manifests") -> Workload | None:
    """The workload that a document is; None where it has no pod template with containers.

    Raises ManifestError where the template is not what Kubernetes takes, and says where.
    """
    path = template_path(document)
    template = _at(document, path)
    pod = template.get("spec") if isinstance(template, dict) else None
    if not isinstance(pod, dict) or not pod.get("containers"):
        return None
    where = f"{name}: {reference(document)}"
    metadata = template.get("metadata") or {}
    replicas = (document.get("spec") or {}).get("replicas") if path else None
    return Workload(
        kind=document["kind"],
        name=_metadata(document).get("name", ""),
        namespace=_metadata(document).get("namespace") or "",
        api_version=document.get("apiVersion", "apps/v1"),
        containers=_containers(pod, "containers", where),
        init_containers=_containers(pod, "initContainers", where),
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
        grace=pod.get("terminationGracePeriodSeconds"),
        ends=pod.get("restartPolicy", "Always") != "Always",
        template=path,
        known=str(document.get("kind")) in POD_TEMPLATES and _group(document) in _BUILT_IN_GROUPS,
        replicas=replicas if isinstance(replicas, int) else None,
        document=document,
    )


def template_path(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Where a document of its kind has the pod template."""
    return POD_TEMPLATES.get(str(document.get("kind", "")), _USUAL_TEMPLATE)


def reference(document: Mapping[str, Any]) -> str:
    """As `podcov.yaml` names a workload: `deployment/orders`."""
    metadata = _metadata(document)
    return f"{str(document.get('kind', '')).lower()}/{metadata.get('name') or metadata.get('generateName', '')}"


def _containers(pod: Mapping[str, Any], key: str, where: str) -> tuple[Container, ...]:
    containers = pod.get(key) or []
    if not isinstance(containers, list) or not all(isinstance(c, dict) for c in containers):
        raise ManifestError(f"{where}: {key} is not a list of mappings", hint="`kubectl apply --dry-run=server` says more.")
    return tuple(_container(c) for c in containers)


def _group(document: Mapping[str, Any]) -> str:
    return str(document.get("apiVersion", "")).rpartition("/")[0]


def _at(document: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = document
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _container(spec: Mapping[str, Any]) -> Container:
    return Container(spec.get("name", ""), spec.get("image", ""), spec)


def _service(document: Mapping[str, Any]) -> KubernetesService | None:
    spec = document.get("spec") or {}
    ports = [p for p in spec.get("ports") or () if p.get("protocol", "TCP") == "TCP"]
    if document.get("kind") != "Service" or not ports or not spec.get("selector"):
        return None
    metadata = _metadata(document)
    return KubernetesService(metadata.get("name", ""), metadata.get("namespace") or "", spec["selector"], ports[0]["port"])


def _scale_target(document: Mapping[str, Any]) -> tuple[str, str, str]:
    target = (document.get("spec") or {}).get("scaleTargetRef") or {}
    return str(target.get("kind", "")), _metadata(document).get("namespace") or "", str(target.get("name", ""))


def _metadata(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return document.get("metadata") or {}
