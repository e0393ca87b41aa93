"""As Kubernetes and Kustomize merge a patch into a manifest. Pure."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

_MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
}
"""by which Kubernetes merges the lists that a patch has (its `x-kubernetes-patch-merge-key`); other lists are replaced"""


def merge(target: dict[str, Any], change: Mapping[str, Any]) -> None:
    """Apply a strategic merge patch in place, as Kustomize does: what it names in a list comes first, in its order."""
    for key, value in change.items():
        present = target.get(key)
        if isinstance(value, Mapping):
            if not isinstance(present, dict):
                present = target[key] = {}
            merge(present, value)
        elif key in _MERGE_KEYS and isinstance(value, list):
            target[key] = _merged_list(present or [], value, _MERGE_KEYS[key])
        else:
            target[key] = copy.deepcopy(value)


def _merged_list(present: Sequence[dict[str, Any]], change: Sequence[dict[str, Any]], by: str) -> list[dict[str, Any]]:
    theirs = {item.get(by): item for item in present}
    result = []
    for item in change:
        merged = theirs.pop(item[by], {})
        merge(merged, item)
        result.append(merged)
    return result + [item for item in present if item.get(by) in theirs]
