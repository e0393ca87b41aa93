"""What a workload keeps of what it was without coverage, and how that gets it back. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from podcov.config import courier_container
from podcov.generate.coverage.containers import environment_of
from podcov.generate.coverage.marks import is_marked
from podcov.generate.coverage.parties import DATA, WRAPPER, Member, Party
from podcov.generate.coverage.volumes import more_volumes
from podcov.generate.kubernetes.manifests import Workload


def remember(workload: Workload, parties: Sequence[Party], *, annotates: bool, replicas: int | None) -> dict[str, Any]:
    """What cannot be told from the result: values that are replaced, and what was there but empty (absent is the rule)."""
    places = places_of(workload.document, workload.template)
    empty = {label: place[key] for label, (place, key) in places.items() if key in place and not place[key]}
    _, *others = parties  # what the first has is known by its names
    members = [member for party in parties for member in party.members]
    volumes = [*(volume for party in others for volume in party.volumes), *(v["name"] for v in more_volumes(members))]
    couriers = [party.courier for party in others if party.host]
    return {
        "containers": {member.name: _remember_container(member) for member in members},
        **({"default-container": True} if annotates else {}),
        **({"replicas": {"set": replicas, "was": workload.replicas}} if replicas is not None else {}),
        **({"couriers": couriers} if couriers else {}),
        **({"volumes": volumes} if volumes else {}),
        **({"empty": empty} if empty else {}),
    }


def _remember_container(member: Member) -> dict[str, Any]:
    spec, added = member.spec, member.added
    variables = {v["name"]: v["value"] for v in environment_of(member) if "value" in v}
    replaced = {v["name"]: v for v in member.entered.container.env if v["name"] in variables}
    changed = {key: list(words) for key, words in (("command", added.command), ("args", added.args)) if words is not None}
    empty = {key: spec[key] for key in ("command", "env", "volumeMounts", "args") if key in spec and not spec[key]}
    if "args" not in changed:
        empty.pop("args", None)
    # What does not show by itself that it is ours is repeated, so that what somebody changes later can be told from it.
    unmarked = {key: words for key, words in changed.items() if not any("podcov" in word for word in words)}
    unmarked_variables = {name: value for name, value in variables.items() if not is_marked(name, value)}
    ours = {**unmarked, **({"env": unmarked_variables} if unmarked_variables else {})}
    return {
        **{key: spec.get(key) for key in changed},
        "env": [*variables],
        **({"replaced": replaced} if replaced else {}),
        **({"ours": ours} if ours else {}),
        **({"empty": empty} if empty else {}),
    }


def restore_replicas(spec: dict[str, Any], memory: Mapping[str, Any]) -> None:
    if spec.get("replicas") != memory.get("set"):
        return  # somebody scaled it since
    if memory.get("was") is not None:
        spec["replicas"] = memory["was"]
    else:
        del spec["replicas"]


def restore_pod(spec: dict[str, Any], memory: Mapping[str, Any]) -> None:
    volumes = (DATA, WRAPPER, *(memory.get("volumes") or ()))
    couriers = (courier_container(1), *(memory.get("couriers") or ()))
    _take_out(spec, "initContainers", lambda c: c.get("name") in couriers)
    _take_out(spec, "volumes", lambda v: v.get("name") in volumes)
    for container in spec.get("containers") or ():
        if container.get("name") in memory["containers"]:
            _restore_container(container, memory["containers"][container["name"]], volumes)


def _restore_container(container: dict[str, Any], memory: Mapping[str, Any], volumes: Sequence[str]) -> None:
    empty, ours = memory.get("empty") or {}, memory.get("ours") or {}
    for key in ("command", "args"):
        if key in memory and _are_ours(container.get(key) or (), ours.get(key)):
            if memory[key] is not None or key in empty:
                container[key] = memory[key]
            else:
                del container[key]
    replaced = memory.get("replaced") or {}
    added = set(memory.get("env") or ())
    values = ours.get("env") or {}
    if "env" in container:
        restored = [
            replaced.get(v["name"]) if v.get("name") in added and _is_ours(v, values) else v for v in container["env"] or ()
        ]
        container["env"] = [variable for variable in restored if variable is not None]
    _take_out(container, "volumeMounts", lambda m: m.get("name") in volumes)
    for key in ("env", "volumeMounts"):
        tidy(container, key, key, empty)


def _are_ours(words: Sequence[Any], unmarked: Sequence[str] | None) -> bool:
    """Whether nobody has changed a command or its arguments since; `unmarked` are ours where they do not show it themselves."""
    return list(words) == list(unmarked) if unmarked is not None else any("podcov" in str(word) for word in words)


def _is_ours(variable: Mapping[str, Any], unmarked: Mapping[str, str]) -> bool:
    """The same of a variable of ours."""
    name, value = variable["name"], str(variable.get("value"))
    return value == unmarked[name] if name in unmarked else is_marked(name, value)


def places_of(document: Mapping[str, Any], path: Sequence[str]) -> dict[str, tuple[Any, str]]:
    """Where a patch puts things into mappings and lists that may not have been there: (what holds it, its key), by a label.

    Inner ones first, so that what becomes empty by taking one out can be taken out in turn.
    """
    template: Any = document
    for key in path:
        template = template[key]
    inner = {"template annotations": (template.get("metadata") or {}, "annotations"), "template metadata": (template, "metadata")}
    return {
        **(inner if path else {}),
        "initContainers": (template["spec"], "initContainers"),
        "volumes": (template["spec"], "volumes"),
        "annotations": (document["metadata"], "annotations"),
    }


def _take_out(place: dict[str, Any], key: str, ours: Callable[[Mapping[str, Any]], bool]) -> None:
    if key in place:
        place[key] = [item for item in place[key] or () if not ours(item)]


def tidy(place: dict[str, Any], key: str, label: str, empty: Mapping[str, Any]) -> None:
    """What is empty now goes, unless it was there before."""
    if key not in place or place[key]:
        return
    if label in empty:
        place[key] = empty[label]
    else:
        del place[key]
