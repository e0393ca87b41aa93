"""The ConfigMaps that bring the wrapper into pods. Pure: files in, what Kustomize generates of them out.

Names end in a hash of the content, as Kustomize makes it (`kustomize/api/hasher`), so that a workload that was injected and one
that an overlay rendered are the same, and a new wrapper rolls the pods.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WRAPPER = "podcov-wrapper"
TRACERS = "podcov-tracers"
HAND = "podcov-hand"
OURS: Mapping[str, str] = {"podcov/wrapper": "true"}
"""the label that podcov alone gives, by which it knows what it may remove"""
LABELS: Mapping[str, str] = {"app.kubernetes.io/part-of": "podcov", **OURS}
"""of every ConfigMap: each version of the wrapper has one of its own, and earlier ones stay until somebody removes them"""

_LARGEST = 190_000
"""bytes; `kubectl apply` keeps a copy of it in an annotation, which may have 262,144 together with all else"""
_LINE = 70
"""characters of base64 in a line, where Kustomize breaks them"""
_HASH_LETTERS = str.maketrans("013ae", "ghkmt")
"""Kubernetes' own: no names that read as words"""
_ESCAPED_BY_GO = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


@dataclass(frozen=True, slots=True)
class ConfigMap:
    """`files` are contents by key; `folder` is where the overlay keeps them, `wrapper` the folder of `wrapper/` it belongs to."""

    name: str
    folder: str
    files: Mapping[str, bytes]
    wrapper: str = "python"

    @property
    def hashed_name(self) -> str:
        return f"{self.name}-{_hash(self._data())}"

    def document(self, namespace: str = "") -> dict[str, Any]:
        """The manifest, under its hashed name."""
        place = {"namespace": namespace} if namespace else {}
        metadata = {"labels": dict(LABELS), "name": self.hashed_name, **place}
        return {"apiVersion": "v1", **self._data(), "kind": "ConfigMap", "metadata": metadata}

    def _data(self) -> dict[str, dict[str, str]]:
        texts: dict[str, str] = {}
        binaries: dict[str, str] = {}
        for key, content in self.files.items():
            try:
                texts[key] = content.decode()
            except UnicodeDecodeError:
                binaries[key] = _base64(content)
        return {key: values for key, values in (("binaryData", binaries), ("data", texts)) if values}


def plan(wrappers: Mapping[str, Mapping[str, bytes]], tracers: Mapping[str, bytes]) -> tuple[ConfigMap, ...]:
    """The ConfigMaps for the files of these wrappers and for tracers, none too large for `kubectl apply`."""
    parts = (
        (WRAPPER, "wrapper", wrappers.get("python", {}), "python"),
        (TRACERS, "tracers", tracers, "python"),
        (HAND, "hand", wrappers.get("hand", {}), "hand"),
    )
    return tuple(
        ConfigMap(name if number == 1 else f"{name}-{number}", folder, {file: files[file] for file in portion}, wrapper)
        for name, folder, files, wrapper in parts
        for number, portion in enumerate(_portions(files), 1)
    )


def is_ours(document: Mapping[str, Any]) -> bool:
    """Whether a manifest is one of these, by its kind and name."""
    metadata = document.get("metadata") or {}
    name = str(metadata.get("name", ""))
    return document.get("kind") == "ConfigMap" and name.startswith(tuple(f"{ours}-" for ours in (WRAPPER, TRACERS, HAND)))


def _portions(files: Mapping[str, bytes]) -> list[Sequence[str]]:
    portions: list[list[str]] = []
    room = 0
    for name in sorted(files):
        size = _size_in_manifest(files[name])
        if size > room:
            portions.append([])
            room = _LARGEST
        portions[-1].append(name)
        room -= size
    return [*portions]


def _size_in_manifest(content: bytes) -> int:
    try:
        return len(json.dumps(content.decode()))
    except UnicodeDecodeError:
        return len(base64.b64encode(content))


def _base64(content: bytes) -> str:
    text = base64.b64encode(content).decode()
    if len(text) <= _LINE:
        return text
    return "".join(f"{text[start : start + _LINE]}\n" for start in range(0, len(text), _LINE))


def _hash(data: Mapping[str, Mapping[str, str]]) -> str:
    """Kustomize takes kind, data, and a name that it looks for in the wrong place and so never finds."""
    text = json.dumps(
        {"data": "", **data, "kind": "ConfigMap", "name": ""}, sort_keys=True, ensure_ascii=False, separators=(",", ":")
    )
    for character, escape in _ESCAPED_BY_GO.items():
        text = text.replace(character, escape)
    return hashlib.sha256(text.encode()).hexdigest()[:10].translate(_HASH_LETTERS)
