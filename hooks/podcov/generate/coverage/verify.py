"""Proves that coverage was added and nothing else changed: what is rendered with it, taken off again, is the base. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podcov.errors import ManifestError
from podcov.generate.coverage import instrument
from podcov.generate.kubernetes import config_maps, kubernetes_yaml, manifests
from podcov.generate.kubernetes.manifests import Key


def only_adds_coverage(base: str, rendered: str, measured: Mapping[Key, tuple[str, ...]]) -> None:
    """Compare two renderings. `measured` has the key of each workload that has to have coverage.

    Raises ManifestError that names the first place where they differ in more than what podcov adds, or lack it.
    """
    before = {manifests.key(d): d for d in _documents(base, "base")}
    after = {manifests.key(d): d for d in _documents(rendered, "overlay") if not config_maps.is_ours(d)}
    for key in [*before, *after]:
        left, right = before.get(key), after.get(key)
        where = "/".join(part for part in key[1:] if part)
        if right and instrument.is_instrumented(right) != (key in measured):
            raise _refusal(f"{where} {'lacks coverage' if key in measured else 'gets coverage'}")
        place = difference(left, instrument.remove(right) if right else None, where)
        if place:
            raise _refusal(place)


def comes_off_again(plain: Mapping[str, Any], instrumented: Mapping[str, Any]) -> None:
    """Raises ManifestError where a workload with coverage, taken off again, is not the workload that it was put on."""
    place = difference(plain, instrument.remove(instrumented), manifests.reference(plain))
    if place:
        raise ManifestError(
            f"coverage would not come off again as it came: {place}",
            hint="nothing was changed. What stands there that is unusual? A simpler form of the same may do.",
        )


def difference(left: Any, right: Any, where: str) -> str:
    """The first place where two values differ, lists in their order; empty where they are equal."""
    if isinstance(left, dict) and isinstance(right, dict):
        places = (difference(left.get(key), right.get(key), f"{where}.{key}") for key in [*left, *right])
        return next((place for place in places if place), "")
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        places = (difference(a, b, f"{where}[{n}]") for n, (a, b) in enumerate(zip(left, right, strict=True)))
        return next((place for place in places if place), "")
    if left == right:
        return ""
    # What variables hold may be secret.
    return where if ".env[" in where else f"{where}: {_short(left)} becomes {_short(right)}"


def _refusal(what: str) -> ManifestError:
    return ManifestError(
        f"coverage would change more than it should, or less: {what}",
        hint="nothing was written. Does the manifest have something there that a strategic merge does not keep?",
    )


def _documents(text: str, name: str) -> list[Mapping[str, Any]]:
    return [item for document in kubernetes_yaml.load(text, name=name) for item in manifests.flatten(document)]


def _short(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
