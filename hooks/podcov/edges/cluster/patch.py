"""From one state of an object to another: as a JSON patch for the API server, and as a difference for people. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from podcov.edges.cluster.api import Json
from podcov.generate.kubernetes import yaml_text

_KEPT_BY_THE_SERVER = ("managedFields", "resourceVersion", "generation")
_KEPT_BY_KUBECTL = "kubectl.kubernetes.io/last-applied-configuration"
"""annotation: the whole object once more, with the values of all its variables"""


def operations(before: Mapping[str, Any], after: Mapping[str, Any], path: str = "") -> Iterator[Json]:
    """A JSON patch (RFC 6902): mappings are gone into, everything else is set as a whole. `path` is where the mappings are."""
    for key in [*before, *(key for key in after if key not in before)]:
        place = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
        if key not in after:
            yield {"op": "remove", "path": place}
        elif isinstance(before.get(key), dict) and isinstance(after[key], dict):
            yield from operations(before[key], after[key], place)
        elif key not in before or before[key] != after[key]:
            yield {"op": "add", "path": place, "value": after[key]}


def unless_changed(document: Json) -> Json:
    """The operation that has the API server refuse a patch, with 409, where the object is not `document` any more."""
    return {"op": "add", "path": "/metadata/resourceVersion", "value": document["metadata"]["resourceVersion"]}


def difference(before: Json, after: Json) -> str:
    """A unified diff of what users write into an object; empty where it is the same."""
    left, right = (yaml_text.dump(_written(document)).splitlines(keepends=True) for document in (before, after))
    name = f"{before['kind'].lower()}/{before['metadata']['name']}.yaml"
    return "".join(difflib.unified_diff(left, right, f"a/{name}", f"b/{name}"))


def _written(document: Json) -> dict[str, Any]:
    metadata = {key: value for key, value in document["metadata"].items() if key not in _KEPT_BY_THE_SERVER}
    annotations = {key: value for key, value in (metadata.pop("annotations", None) or {}).items() if key != _KEPT_BY_KUBECTL}
    metadata |= {"annotations": annotations} if annotations else {}
    return {"metadata": metadata, "spec": document["spec"]}
