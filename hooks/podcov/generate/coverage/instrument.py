"""What is added to a workload so that it can be measured, and taken off again. Pure: manifests in, manifests out.

`patch` says it once, as a strategic merge patch, which survives a base that changes: Kustomize applies it for the overlay, and
`instrument` here, to the same result. `remove` gives back what was there: what the patch replaced stands in an annotation.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

from podcov.errors import ManifestError
from podcov.generate.coverage.clashes import refuse_clashes
from podcov.generate.coverage.containers import container_patch, sidecar
from podcov.generate.coverage.marks import config_maps_of, is_trace
from podcov.generate.coverage.memory import places_of, remember, restore_pod, restore_replicas, tidy
from podcov.generate.coverage.parties import parties_of
from podcov.generate.coverage.strategic_merge import merge
from podcov.generate.coverage.volumes import WrapperMaps, more_volumes, volumes_of
from podcov.generate.kubernetes import manifests
from podcov.generate.kubernetes.manifests import Workload
from podcov.generate.languages.entered import Entered

ORIGINAL = "podcov/original"
"""annotation of the workload: what podcov replaced in it, as JSON, for `remove`"""
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


def patch(workload: Workload, entered: Sequence[Entered], maps: WrapperMaps, *, replicas: int | None = None) -> dict[str, Any]:
    """The strategic merge patch for a workload that has nothing of ours yet.

    Every container is named in it in the base's order, because a strategic merge moves those that it names to the front.
    `replicas` is how many are wanted instead of the workload's own.

    Raises ManifestError where the workload has something in the way.
    """
    parties = parties_of(entered)
    refuse_clashes(workload, parties)
    members = [member for party in parties for member in party.members]
    places = {member.name: (member, party) for party in parties for member in party.members}
    sidecars = [sidecar(workload, host, party) for party in parties if (host := party.host)]
    annotates = bool(sidecars) and DEFAULT_CONTAINER not in workload.annotations
    pod = {
        **({"initContainers": [*sidecars, *({"name": c.name} for c in workload.init_containers)]} if sidecars else {}),
        "containers": [container_patch(*places[c.name]) if c.name in places else {"name": c.name} for c in workload.containers],
        "volumes": [*(volume for party in parties for volume in volumes_of(party, maps)), *more_volumes(members)],
    }
    annotations = {DEFAULT_CONTAINER: workload.containers[0].name} if annotates else {}
    template = {**({"metadata": {"annotations": annotations}} if annotations else {}), "spec": pod}
    scaled = replicas if workload.scales else None
    memory = remember(workload, parties, annotates=annotates, replicas=scaled)
    result: dict[str, Any] = {
        "apiVersion": workload.api_version,
        "kind": workload.kind,
        "metadata": {
            "name": workload.name,
            **({"namespace": workload.namespace} if workload.namespace else {}),
            "annotations": {ORIGINAL: json.dumps(memory, sort_keys=True, separators=(",", ":"))},
        },
    }
    merge(result, _nested(workload.template, template))
    if scaled is not None:
        result["spec"] = {"replicas": scaled, **result["spec"]}
    return result


def instrument(
    document: Mapping[str, Any],
    entered: Sequence[Entered],
    maps: WrapperMaps,
    *,
    replicas: int | None = None,
    where: str = "",
) -> dict[str, Any]:
    """A workload with coverage. One that has it already gets it anew: twice is the same as once.

    `where` is the place that errors name. Raises as `patch` does.
    """
    plain = remove(document)
    workload = manifests.of_document(plain, where)
    if workload is None:
        raise ManifestError(f"{manifests.reference(document)}: it has no pod template with containers")
    merge(plain, patch(workload, entered, maps, replicas=replicas))
    return plain


def is_instrumented(document: Mapping[str, Any]) -> bool:
    """Whether a workload has coverage from us."""
    annotations = manifests.metadata(document).get("annotations")
    return isinstance(annotations, dict) and ORIGINAL in annotations


def traces(document: Mapping[str, Any]) -> dict[str, Any]:
    """What in a pod template tells one version of coverage from another, and from none: that is empty.

    By container, sidecars too: its command, its arguments and the variables of ours; by volume: its ConfigMaps. What controllers
    and the API server add to a template is not in it, so that a copy of a template compares equal to it.
    """
    spec = _template(document)["spec"]
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    marked = {c["name"]: {v["name"]: v["value"] for v in c.get("env") or () if is_trace(v)} for c in containers}
    return {
        **{c["name"]: [c.get("command"), c.get("args"), marked[c["name"]]] for c in containers if marked[c["name"]]},
        **{v["name"]: config_maps_of(v) for v in spec.get("volumes") or () if config_maps_of(v)},
    }


def remove(document: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a workload as it was without coverage; what somebody changed in the meantime stays changed.

    Raises ManifestError where the annotation that remembers what it was is damaged.
    """
    plain = copy.deepcopy(dict(document))
    if not is_instrumented(plain):
        return plain
    memory = _recall(plain)
    path = manifests.template_path(plain)
    template = _template(plain)
    restore_pod(template["spec"], memory)
    del plain["metadata"]["annotations"][ORIGINAL]
    if memory.get("default-container"):
        template["metadata"]["annotations"].pop(DEFAULT_CONTAINER, None)
    if "replicas" in memory:
        restore_replicas(plain["spec"], memory["replicas"])
    for label, (place, key) in places_of(plain, path).items():
        tidy(place, key, label, memory.get("empty") or {})
    return plain


def _nested(path: Sequence[str], value: Any) -> Any:
    for key in reversed(path):
        value = {key: value}
    return value


def _recall(document: Mapping[str, Any]) -> dict[str, Any]:
    text = document["metadata"]["annotations"][ORIGINAL]
    try:
        memory = json.loads(text)
        if not all(isinstance(container, dict) for container in memory["containers"].values()):
            raise TypeError
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ManifestError(
            f"{manifests.reference(document)}: the annotation {ORIGINAL} is damaged: {str(text)[:80]!r}",
            hint="it says what the workload was without coverage. Deploy the workload anew from its own manifests.",
        ) from None
    found: dict[str, Any] = memory
    return found


def _template(document: Mapping[str, Any]) -> Any:
    template: Any = document
    for key in manifests.template_path(document):
        template = template[key]
    return template
