"""Proves that an overlay adds coverage and changes nothing else: what it renders, coverage taken out again, is the base. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podcov.config import COURIER_CONTAINER
from podcov.errors import ManifestError
from podcov.generate import manifests, overlay


def only_adds_coverage(base: str, rendered: str, measured: Mapping[tuple[str, str, str], tuple[str, ...]]) -> None:
    """Compare two renderings. `measured` has (kind, namespace, name) of each workload and its containers that are measured.

    Raises ManifestError that names the first place where they differ in more than what podcov adds.
    """
    before = {_identity(d): d for d in manifests.load(base, name="base")}
    after = {_identity(d): d for d in manifests.load(rendered, name="overlay") if not _is_ours(d)}
    for identity in [*before, *after]:
        left, right = before.get(identity), after.get(identity)
        if left and right and identity in measured:
            right = _without_coverage(right, left, measured[identity])
        place = _difference(left, right, "/".join(part for part in identity if part))
        if place:
            raise ManifestError(
                f"the overlay would change more than it should: {place}",
                hint="Nothing was written. Does the base use something that a Kustomize strategic merge does not keep?",
            )


def _identity(document: Mapping[str, Any]) -> tuple[str, str, str]:
    metadata = document.get("metadata") or {}
    return str(document.get("kind", "")), str(metadata.get("namespace", "")), str(metadata.get("name", ""))


def _is_ours(document: Mapping[str, Any]) -> bool:
    kind, _, name = _identity(document)
    return kind == "ConfigMap" and name.startswith((f"{overlay.WRAPPER}-", f"{overlay.TRACERS}-"))


def _without_coverage(workload: Mapping[str, Any], base: Mapping[str, Any], measured: tuple[str, ...]) -> dict[str, Any]:
    template, original = workload["spec"]["template"], base["spec"]["template"]
    pod, own = template["spec"], original["spec"]
    metadata = _like(original.get("metadata"), _without_annotation(template.get("metadata") or {}, original))
    containers = [_plain(c, own["containers"]) if c["name"] in measured else c for c in pod["containers"]]
    rest = {
        "initContainers": [c for c in pod.get("initContainers") or () if c["name"] != COURIER_CONTAINER],
        "volumes": [v for v in pod.get("volumes") or () if v["name"] not in (overlay.DATA, overlay.WRAPPER)],
    }
    spec = {**pod, "containers": containers, **rest}
    template = {**template, "spec": _drop_empty(spec, own, rest)}
    template = {**template, "metadata": metadata} if metadata is not None else _without(template, "metadata")
    return {**workload, "spec": {**workload["spec"], "template": template}}


def _without_annotation(metadata: Mapping[str, Any], original: Mapping[str, Any]) -> dict[str, Any]:
    own = (original.get("metadata") or {}).get("annotations") or {}
    annotations = metadata.get("annotations") or {}
    kept = annotations if overlay.ANNOTATION in own else _without(annotations, overlay.ANNOTATION)
    return {**metadata, "annotations": kept} if kept or own else _without(metadata, "annotations")


def _plain(container: Mapping[str, Any], own: list[Mapping[str, Any]]) -> dict[str, Any]:
    original = next((c for c in own if c["name"] == container["name"]), {})
    values = {v["name"]: v for v in original.get("env") or ()}
    kept = [v for v in container.get("env") or () if not v["name"].startswith("PODCOV_")]
    rest = {
        "command": original.get("command"),
        "env": [values.get(v["name"], v) if v["name"] == "PYTHONPATH" else v for v in kept if _had(v, values)],
        "volumeMounts": [m for m in container.get("volumeMounts") or () if m["name"] not in (overlay.DATA, overlay.WRAPPER)],
    }
    return _drop_empty({**container, **rest}, original, rest)


def _had(variable: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    return variable["name"] != "PYTHONPATH" or "PYTHONPATH" in own


def _drop_empty(values: Mapping[str, Any], original: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """Without those of `names` that are empty now and that the original does not have."""
    return {key: value for key, value in values.items() if key not in names or value or key in original}


def _like(original: Any, value: dict[str, Any]) -> dict[str, Any] | None:
    return value if value or original is not None else None


def _without(mapping: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {k: v for k, v in mapping.items() if k != key}


def _difference(left: Any, right: Any, where: str) -> str:
    """The first place where two values differ, lists in their order; empty where they are equal."""
    if isinstance(left, dict) and isinstance(right, dict):
        places = (_difference(left.get(key), right.get(key), f"{where}.{key}") for key in [*left, *right])
        return next((place for place in places if place), "")
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        places = (_difference(a, b, f"{where}[{n}]") for n, (a, b) in enumerate(zip(left, right, strict=True)))
        return next((place for place in places if place), "")
    return "" if left == right else f"{where}: {_short(left)} becomes {_short(right)}"


def _short(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
