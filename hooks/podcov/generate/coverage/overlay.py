"""The coverage overlay: what `instrument` adds, as a Kustomize overlay. Pure: values in, files out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

from podcov.errors import ManifestError
from podcov.generate.coverage import inject, instrument
from podcov.generate.coverage.entering import Group
from podcov.generate.coverage.volumes import WrapperMaps
from podcov.generate.kubernetes import config_maps, yaml_text
from podcov.generate.kubernetes.config_maps import ConfigMap
from podcov.generate.kubernetes.manifests import Workload
from podcov.generate.languages.entered import Entered

_HEADER = "# Written by `podcov init` from podcov.yaml: change that, not this, and run it again.\n"


def files(
    workloads: Sequence[Group],
    maps: Sequence[ConfigMap],
    *,
    base: str,
    replicas: int | None = None,
) -> dict[str, bytes]:
    """The overlay's files by their path in it. `base` is the base as the overlay names it.

    Raises ManifestError for workloads that a Kustomize patch cannot reach.
    """
    everything = [workload for workload, _ in workloads]
    names = inject.names_by_wrapper(maps, attrgetter("name"))
    patches = {_patch_name(workload, everything): _patch(workload, group, names, replicas) for workload, group in workloads}
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [base],
        "configMapGenerator": [_generator(m, namespace) for namespace, m in inject.maps_by_namespace(workloads, maps)],
        "patches": [{"path": name} for name in patches],
    }
    return {
        "kustomization.yaml": _yaml(kustomization),
        **{name: _yaml(patch) for name, patch in patches.items()},
        **{f"{m.folder}/{name}": content for m in maps for name, content in m.files.items()},
    }


def _patch(workload: Workload, entered: Sequence[Entered], maps: WrapperMaps, replicas: int | None) -> dict[str, Any]:
    if not workload.known:
        raise ManifestError(
            f"{workload.reference} ({workload.api_version}): Kustomize does not know how to merge the lists of a custom resource",
            hint="write `generate: {by: inject}` in podcov.yaml: that way reaches everything that has a pod template.",
        )
    return instrument.patch(workload, entered, maps, replicas=replicas)


def _yaml(value: Any) -> bytes:
    return f"{_HEADER}{yaml_text.dump(value)}".encode()


def _patch_name(workload: Workload, all_of_them: Iterable[Workload]) -> str:
    name = f"{workload.kind.lower()}-{workload.name}"
    alone = sum(w.reference == workload.reference for w in all_of_them) == 1
    return f"{name}.yaml" if alone else f"{workload.namespace or 'default'}-{name}.yaml"


def _generator(config_map: ConfigMap, namespace: str) -> dict[str, Any]:
    """One a namespace: a hashed name is given only to references in its own."""
    place = {"namespace": namespace} if namespace else {}
    paths = [f"{config_map.folder}/{name}" for name in config_map.files]
    return {"name": config_map.name, **place, "files": paths, "options": {"labels": dict(config_maps.LABELS)}}
