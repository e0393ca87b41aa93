"""The coverage overlay: what is added to which container, as a Kustomize overlay. Pure: values in, files out.

Strategic merge patches, because they survive a base that changes; every container is named in them in the base's order,
because a strategic merge moves those that it names to the front.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from podcov.config import COURIER_CONTAINER, Service
from podcov.errors import ManifestError
from podcov.generate import yaml_text
from podcov.generate.dockerfile import Image
from podcov.generate.language import LANGUAGES, Language
from podcov.generate.manifests import Container, Workload
from podcov.model import Mode

DATA = "podcov-data"
WRAPPER = "podcov-wrapper"
TRACERS = "podcov-tracers"
LABELS = {"app.kubernetes.io/part-of": "podcov"}
"""of every ConfigMap: each version of the wrapper has one of its own, and earlier ones stay until somebody removes them"""
ANNOTATION = "kubectl.kubernetes.io/default-container"

_HEADER = "# Written by `podcov init` from podcov.yaml: change that, not this, and run it again.\n"
_IN_MEMORY = {"medium": "Memory", "sizeLimit": "64Mi"}
_LARGEST_CONFIG_MAP = 190_000
"""bytes; `kubectl apply` keeps a copy of it in an annotation, which may have 262,144 together with all else"""
_LEAST_MEMORY = 256 * 2**20
"""bytes; a container with less is not made to share them with its data"""
_MOUNTS = (
    {"name": DATA, "mountPath": "/podcov/data"},
    {"name": WRAPPER, "mountPath": "/podcov/wrapper", "readOnly": True},
)
_COURIER_RESOURCES = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}}
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


@dataclass(frozen=True, slots=True)
class Entered:
    """A container that is to be measured. `own_command` is what it runs without us, `image` what is known of its image."""

    service: Service
    container: Container
    mode: Mode
    own_command: tuple[str, ...] = ()
    image: Image | None = None

    @property
    def language(self) -> Language:
        return LANGUAGES[self.service.language]


def files(
    workloads: Sequence[tuple[Workload, Sequence[Entered]]],
    *,
    base: str,
    wrapper: Mapping[str, bytes],
    tracers: Mapping[str, bytes],
) -> dict[str, bytes]:
    """The overlay's files by their path in it. `base` is the base as the overlay names it."""
    maps = _config_maps(wrapper, tracers)
    patches = {_patch_name(w, [x for x, _ in workloads]): _patch(w, entered, maps) for w, entered in workloads}
    namespaces = sorted({workload.namespace for workload, _ in workloads})
    generators = [_generator(name, paths, namespace) for namespace in namespaces for name, paths in maps.items()]
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [base],
        "configMapGenerator": generators,
        "patches": [{"path": name} for name in patches],
    }
    return {
        "kustomization.yaml": _yaml(kustomization),
        **{name: _yaml(patch) for name, patch in patches.items()},
        **{f"wrapper/{name}": content for name, content in wrapper.items()},
        **{f"tracers/{name}": content for name, content in tracers.items()},
    }


def _yaml(value: Any) -> bytes:
    return f"{_HEADER}{yaml_text.dump(value)}".encode()


def _patch_name(workload: Workload, all_of_them: Iterable[Workload]) -> str:
    name = f"{workload.kind.lower()}-{workload.name}"
    alone = sum(w.reference == workload.reference for w in all_of_them) == 1
    return f"{name}.yaml" if alone else f"{workload.namespace or 'default'}-{name}.yaml"


def _config_maps(wrapper: Mapping[str, bytes], tracers: Mapping[str, bytes]) -> dict[str, list[str]]:
    """The paths that each ConfigMap holds, by its name; none is too large for `kubectl apply`."""
    maps: dict[str, list[str]] = {}
    for name, folder, files in ((WRAPPER, "wrapper", wrapper), (TRACERS, "tracers", tracers)):
        for number, portion in enumerate(_portions(files), 1):
            maps[name if number == 1 else f"{name}-{number}"] = [f"{folder}/{file}" for file in portion]
    return maps


def _portions(files: Mapping[str, bytes]) -> list[list[str]]:
    portions: list[list[str]] = []
    room = 0
    for name in sorted(files):
        size = _size_in_manifest(files[name])
        if size > room:
            portions.append([])
            room = _LARGEST_CONFIG_MAP
        portions[-1].append(name)
        room -= size
    return portions


def _size_in_manifest(content: bytes) -> int:
    try:
        return len(json.dumps(content.decode()))
    except UnicodeDecodeError:
        return len(base64.b64encode(content))


def _generator(name: str, paths: list[str], namespace: str) -> dict[str, Any]:
    place = {"namespace": namespace} if namespace else {}
    return {"name": name, **place, "files": paths, "options": {"labels": LABELS}}


def _patch(workload: Workload, entered: Sequence[Entered], maps: Iterable[str]) -> dict[str, Any]:
    by_name = {e.container.name: e for e in entered}
    with_courier = [e for e in entered if e.service.sidecar]
    template: dict[str, Any] = {}
    if with_courier and ANNOTATION not in workload.annotations:
        template["metadata"] = {"annotations": {ANNOTATION: workload.containers[0].name}}
    template["spec"] = {
        **(_init_containers(workload, with_courier[0]) if with_courier else {}),
        "containers": [_container(by_name[c.name]) if c.name in by_name else {"name": c.name} for c in workload.containers],
        "volumes": [_data_volume(entered), _wrapper_volume(maps)],
    }
    return {
        "apiVersion": workload.api_version,
        "kind": workload.kind,
        "metadata": {"name": workload.name, **({"namespace": workload.namespace} if workload.namespace else {})},
        "spec": {"template": template},
    }


def _container(entered: Entered) -> dict[str, Any]:
    patch: dict[str, Any] = {"name": entered.container.name}
    if entered.service.entry == "entrypoint":
        patch["command"] = [*map(literal, entered.language.entrypoint(entered.service.interpreter)), *entered.own_command]
    return {**patch, "env": _environment(entered), "volumeMounts": list(_MOUNTS)}


def _environment(entered: Entered) -> list[dict[str, str]]:
    own = {
        "PODCOV_DATA": "/podcov/data",
        "PODCOV_CONTAINER": entered.container.name,
        "PODCOV_MODE": entered.mode,
        **({"PODCOV_PACKAGES": ",".join(entered.service.packages)} if entered.service.packages else {}),
    }
    if entered.service.entry == "entrypoint":
        return [{"name": name, "value": value} for name, value in own.items()]
    changed = entered.language.environment(_own_values(entered))
    names = [variable["name"] for variable in entered.container.env]
    elsewhere = [v["name"] for v in entered.container.env if "valueFrom" in v and v["name"] in changed]
    if elsewhere:
        raise ManifestError(
            f"container {entered.container.name}: {elsewhere[0]} comes from elsewhere (valueFrom), so it cannot be extended",
            hint=f"Use `entry: entrypoint` for the service {entered.service.name} in podcov.yaml.",
        )
    # A variable may refer to those before it: one that is changed has to stay in its place, so all are named in their order.
    kept = names if changed.keys() & set(names) else []
    return [{"name": n, **({"value": changed.pop(n)} if n in changed else {})} for n in kept] + [
        {"name": name, "value": value} for name, value in {**own, **changed}.items()
    ]


def _own_values(entered: Entered) -> dict[str, str]:
    """The variables that the container has without us: its image's, then its manifest's."""
    image = {name: literal(value) for name, value in entered.image.env.items()} if entered.image else {}
    return image | {v["name"]: str(v.get("value") or "") for v in entered.container.env}


def _init_containers(workload: Workload, entered: Entered) -> dict[str, Any]:
    """The courier starts first and so ends last: it sees everything that the others do."""
    spec = entered.container.spec
    whose_files = {"PODCOV_DATA": "/podcov/data", "PODCOV_CONTAINER": entered.container.name}
    environment = {**whose_files, **({} if workload.grace is None else {"PODCOV_GRACE": f"{workload.grace:g}"})}
    courier = {
        "name": COURIER_CONTAINER,
        "image": entered.container.image,
        **({"imagePullPolicy": spec["imagePullPolicy"]} if "imagePullPolicy" in spec else {}),
        "restartPolicy": "Always",
        "command": list(map(literal, entered.language.courier(entered.service.interpreter))),
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "resources": _COURIER_RESOURCES,
        **({"securityContext": spec["securityContext"]} if spec.get("securityContext") else {}),
        "volumeMounts": list(_MOUNTS),
    }
    return {"initContainers": [courier, *({"name": c.name} for c in workload.init_containers)]}


def _data_volume(entered: Sequence[Entered]) -> dict[str, Any]:
    """In memory, where a full volume is an error to the writer and nothing else; on disk a size limit would evict the pod."""
    scarce = any(limit and quantity(limit) < _LEAST_MEMORY for limit in (e.container.limit("memory") for e in entered))
    return {"name": DATA, "emptyDir": {} if scarce else _IN_MEMORY}


def _wrapper_volume(maps: Iterable[str]) -> dict[str, Any]:
    return {"name": WRAPPER, "projected": {"sources": [{"configMap": {"name": name, "optional": True}} for name in maps]}}


def literal(word: str) -> str:
    """A word that Kubernetes shall pass on as it is: it would expand `$(NAME)` and halve `$$`."""
    return word.replace("$", "$$") if "$(" in word or "$$" in word else word


def quantity(text: str) -> int:
    """Bytes of a Kubernetes quantity such as `256Mi`; 0 where it is none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kMGT]i?|Ki|)", text)
    return int(float(found[1]) * _UNITS.get(found[2], 1)) if found else 0
