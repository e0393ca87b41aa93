"""Whose a workload is, and so where its pod template has to be changed, and who would change it back. Pure.

Documents come in as the API server's JSON. A workload is patched in itself, unless another object has its pod template and would
put that back: then in that one where its layout is known, and else not at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NoReturn

from podcov.edges.cluster import pods
from podcov.edges.cluster.api import FIELD_MANAGER, Json, Resource
from podcov.errors import ManifestError, UsageError
from podcov.generate.coverage.instrument import ORIGINAL
from podcov.generate.findings import Finding

WORKLOADS = {
    resource.kind: resource
    for resource in (
        Resource("apps/v1", "deployments", "Deployment"),
        Resource("apps/v1", "statefulsets", "StatefulSet"),
        Resource("apps/v1", "daemonsets", "DaemonSet"),
        Resource("apps/v1", "replicasets", "ReplicaSet"),
        Resource("batch/v1", "cronjobs", "CronJob"),
        Resource("batch/v1", "jobs", "Job"),
        Resource("v1", "pods", "Pod"),
    )
}
"""What a target may name, by its kind."""
IMMUTABLE = ("Job", "Pod")
"""Kinds whose pod template the API server does not let anybody change."""
CSV = Resource("operators.coreos.com/v1alpha1", "clusterserviceversions", "ClusterServiceVersion")
"""What the Operator Lifecycle Manager installs an operator from: its Deployments stand in there, and are put back from there."""
CONFIG_MAPS = Resource("v1", "configmaps", "ConfigMap")
SERVICES = Resource("v1", "services", "Service")
AUTOSCALERS = Resource("autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")

_BY_NAME = {resource.kind.lower(): resource for resource in WORKLOADS.values()}
_COPY = "olm.copiedFrom"
"""label of what the Lifecycle Manager puts into other namespaces, for information only"""
_HELM_RELEASE = "meta.helm.sh/release-name"
_PAUSES = {
    "strimzi.io": "kubectl annotate {0} strimzi.io/pause-reconciliation=true",
    "k8s.elastic.co": "kubectl annotate {0} eck.k8s.elastic.co/managed=false",
    "rabbitmq.com": "kubectl label {0} rabbitmq.com/pauseReconciliation=true",
    "monitoring.coreos.com": 'kubectl patch {0} --type merge --patch \'{{"spec": {{"paused": true}}}}\'',
    "opentelemetry.io": 'kubectl patch {0} --type merge --patch \'{{"spec": {{"managementState": "unmanaged"}}}}\'',
}
"""By the end of the API group: how the operators' manuals tell to pause what reconciles an object, which is `{0}`."""
_OWN_TEMPLATE = ("argoproj.io", "apps.kruise.io", "serving.knative.dev")
"""Ends of API groups whose objects have a pod template of the usual shape, in manifests of their own."""


@dataclass(frozen=True, slots=True)
class Owner:
    """An object that an `ownerReferences` names."""

    api_version: str
    kind: str
    name: str

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]

    @property
    def reference(self) -> str:
        """As kubectl takes it: `kafka.kafka.strimzi.io/main`."""
        kind = self.kind.lower()
        return f"{kind}.{self.group}/{self.name}" if self.group else f"{kind}/{self.name}"

    @property
    def resource(self) -> Resource | None:
        """Where the API server has it; None for kinds that are not known here."""
        known = CSV if self.kind == CSV.kind else WORKLOADS.get(self.kind)
        return known if known and known.api_version.rpartition("/")[0] == self.group else None


def target(text: str) -> tuple[Resource, str]:
    """The kind and the name that `deployment/orders`, `deploy/orders` or `deployment.apps/orders` mean.

    Raises UsageError for another kind, or no kind.
    """
    kind, slash, name = text.partition("/")
    singular = kind.partition(".")[0].lower()
    if singular.removesuffix("s") in _BY_NAME:
        singular = singular.removesuffix("s")
    workload = pods.workload(f"{singular}{slash}{name}", where=f"target {text!r}", kinds=tuple(_BY_NAME))
    return _BY_NAME[workload.kind], workload.name


def same(one: str, other: str) -> bool:
    """Whether two texts name the same workload."""
    try:
        return target(one) == target(other)
    except UsageError:
        return False  # one of a kind that nobody can attach to


def reference(document: Json) -> str:
    """`deployment/orders`."""
    return f"{document['kind'].lower()}/{document['metadata']['name']}"


def owner(document: Json) -> Owner | None:
    """Who has the object's pod template, too. The Lifecycle Manager does not call itself a controller, but is one."""
    references = document["metadata"].get("ownerReferences") or ()
    found = [r for r in references if _owner(r).resource == CSV] or [r for r in references if r.get("controller")]
    return _owner(found[0]) if found else None


def _owner(reference: Json) -> Owner:
    return Owner(reference.get("apiVersion", ""), reference.get("kind", ""), reference.get("name", ""))


def refuse_immutable(document: Json) -> None:
    """Raises UsageError for a Job or a Pod."""
    if document["kind"] not in IMMUTABLE:
        return
    name, namespace = reference(document), document["metadata"]["namespace"]
    noun = "Job" if document["kind"] == "Job" else "pod that nothing controls"
    raise UsageError(
        f"{name} in namespace {namespace} is a {noun}: Kubernetes does not let what it runs be changed any more",
        hint=f"make it anew: `kubectl delete {name}`, then put its manifest through `podcov inject | kubectl apply -f -`",
    )


def refuse_owner(document: Json, owner: Owner) -> NoReturn:
    """Raises UsageError: says who would undo a patch, and what to do instead."""
    namespace = document["metadata"]["namespace"]
    writers = ", ".join(template_managers(document))
    raise UsageError(
        f"{reference(document)} in namespace {namespace} is made by {owner.reference}"
        f"{f', its pod template is written by {writers}' if writers else ''}: that would undo a patch",
        hint=_instead(owner, namespace),
    )


def _instead(owner: Owner, namespace: str) -> str:
    if any(_within(owner.group, group) for group in _OWN_TEMPLATE):
        return f"put the manifest that {owner.reference} is from through `podcov inject`: the pod template stands there"
    pause = next((command for group, command in _PAUSES.items() if _within(owner.group, group)), "")
    if pause:
        return f"pause it with `{pause.format(owner.reference)} --namespace {namespace}`, then `podcov attach --force`"
    return (
        f"stop the operator that reconciles {owner.reference} meanwhile, or pause it where its manual says how, "
        "then `podcov attach --force`; where its manifest has a pod template, put that through `podcov inject` instead"
    )


def _within(group: str, suffix: str) -> bool:
    return group == suffix or group.endswith(f".{suffix}")


def template_managers(document: Json) -> list[str]:
    """Who wrote fields of the object's pod template, by the API server's own record; podcov itself left out."""
    managers = [
        entry.get("manager", "")
        for entry in document["metadata"].get("managedFields") or ()
        if "f:template" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
    ]
    return sorted({manager for manager in managers if manager and manager != FIELD_MANAGER})


def workload_in(document: Json, name: str) -> Json:
    """The workload as a document of its own: the object itself, or the Deployment that a ClusterServiceVersion holds.

    Raises UsageError where that has none of this name.
    """
    if document["kind"] != CSV.kind:
        return document
    metadata = document["metadata"]
    installed = next((d for d in _installed(document) if d["name"] == name), None)
    if installed is None:
        raise UsageError(
            f"{reference(document)} in namespace {metadata['namespace']} installs no Deployment {name}",
            hint=f"it installs: {', '.join(d['name'] for d in _installed(document)) or 'none'}",
        )
    remembered = _remembered(document).get(name)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            **({"annotations": {ORIGINAL: remembered}} if remembered else {}),
        },
        "spec": installed["spec"],
    }


def with_workload(document: Json, workload: Json) -> Json:
    """The object with that in the place that `workload_in` took it from."""
    if document["kind"] != CSV.kind:
        return workload
    changed: dict[str, Any] = deepcopy(dict(document))
    name = workload["metadata"]["name"]
    for installed in _installed(changed):
        if installed["name"] == name:
            installed["spec"] = workload["spec"]
    remembered = {key: value for key, value in _remembered(document).items() if key != name}
    if note := (workload["metadata"].get("annotations") or {}).get(ORIGINAL):
        remembered[name] = note
    annotations = {k: v for k, v in (changed["metadata"].get("annotations") or {}).items() if k != ORIGINAL}
    if remembered:
        annotations[ORIGINAL] = json.dumps(remembered, sort_keys=True)
    if annotations or "annotations" in changed["metadata"]:
        changed["metadata"]["annotations"] = annotations
    return changed


def _installed(document: Json) -> list[Any]:
    install = (document.get("spec") or {}).get("install") or {}
    return (install.get("spec") or {}).get("deployments") or []


def _remembered(document: Json) -> dict[str, str]:
    """What a ClusterServiceVersion's annotation remembers of each of its Deployments. Raises ManifestError."""
    text = (document["metadata"].get("annotations") or {}).get(ORIGINAL, "{}")
    try:
        notes = json.loads(text)
    except ValueError:
        notes = None
    if not isinstance(notes, dict):
        raise ManifestError(
            f"{reference(document)} in namespace {document['metadata']['namespace']}: its annotation {ORIGINAL} is damaged",
            hint="it was edited by hand; have the Lifecycle Manager install the operator anew",
        )
    return notes


def attached(document: Json) -> list[str]:
    """The workloads of the object that podcov changed, by name. What a controller copied from another does not count."""
    metadata = document["metadata"]
    if ORIGINAL not in (metadata.get("annotations") or {}) or _COPY in (metadata.get("labels") or {}):
        return []
    if document["kind"] == CSV.kind:
        return [d["name"] for d in _installed(document) if d["name"] in _remembered(document)]
    above = owner(document)
    return [] if above and above.resource else [document["metadata"]["name"]]


def in_release(document: Json, release: str) -> bool:
    """Helm installed it as part of that release."""
    metadata = document["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    return annotations.get(_HELM_RELEASE) == release or (
        labels.get("app.kubernetes.io/instance") == release and labels.get("app.kubernetes.io/managed-by") == "Helm"
    )


def reverters(document: Json) -> list[Finding]:
    """Those who deploy the workload from somewhere else, and would take a patch back sooner or later."""
    metadata = document["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    found = [*_argo_cd(labels, annotations, template_managers(document)), *_flux(labels)]
    if not found and (release := annotations.get(_HELM_RELEASE)):
        why = (
            "the next `helm upgrade` takes it back in part: `podcov detach` before it, "
            "or have Helm put it in, with `podcov inject` as its post-renderer"
        )
        found = [(f"installed by Helm, release {release}", why)]
    found += [
        (f"it belongs to {_owner(r).reference}", "an operator that reconciles that may take it back")
        for r in metadata.get("ownerReferences") or ()
        if not r.get("controller") and _owner(r).resource is None
    ]
    return [Finding(reference(document), what, "patched", why, "warning") for what, why in found]


def _argo_cd(labels: Mapping[str, str], annotations: Mapping[str, str], managers: Sequence[str]) -> list[tuple[str, str]]:
    application = annotations.get("argocd.argoproj.io/tracking-id", "").partition(":")[0]
    application = application or labels.get("argocd.argoproj.io/instance", "")
    if not application and ("argocd-controller" in managers or labels.get("app.kubernetes.io/managed-by") == "argocd"):
        application = labels.get("app.kubernetes.io/instance", "")
    if not application:
        return []
    name = application.replace("_", "/", 1)
    why = (
        "the next sync takes it back, at once where the application heals itself: "
        f"`argocd app set {name} --sync-policy none` before, and your policy again after `podcov detach`"
    )
    return [(f"deployed by Argo CD, application {name}", why)]


def _flux(labels: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    for kind in ("kustomize", "helm"):
        prefix = f"{kind}.toolkit.fluxcd.io"
        if name := labels.get(f"{prefix}/name"):
            noun = "kustomization" if kind == "kustomize" else "helmrelease"
            what = f"{noun} {name} --namespace {labels.get(f'{prefix}/namespace', 'flux-system')}"
            why = (
                f"the next reconciliation takes it back: `flux suspend {what}` before, `flux resume {what}` after `podcov detach`"
            )
            yield f"deployed by Flux, {noun} {name}", why


def autoscaled(document: Json, autoscalers: Iterable[Json]) -> list[Finding]:
    """The autoscalers that would set the number of replicas again."""
    return [
        Finding(
            reference(document),
            f"horizontalpodautoscaler/{scaler['metadata']['name']} scales it",
            "its number of replicas set all the same",
            "the autoscaler sets it again, to at least "
            f"{scaler['spec'].get('minReplicas', 1)}: leave --replicas out, or set its minReplicas and maxReplicas",
            "warning",
        )
        for scaler in autoscalers
        if _scales(scaler["spec"]["scaleTargetRef"], document)
    ]


def _scales(target: Json, document: Json) -> bool:
    return (target.get("kind"), target.get("name")) == (document["kind"], document["metadata"]["name"])
