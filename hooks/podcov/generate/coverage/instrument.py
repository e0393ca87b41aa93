"""What is added to a workload so that it can be measured, and taken off again. Pure: manifests in, manifests out.

`patch` says it once, as a strategic merge patch, which survives a base that changes: Kustomize applies it for the overlay, and
`instrument` here, to the same result. `remove` gives back what was there: what the patch replaced stands in an annotation.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from podcov.config import courier_container
from podcov.errors import ManifestError
from podcov.generate.kubernetes import manifests
from podcov.generate.kubernetes.manifests import Workload
from podcov.generate.languages import language
from podcov.generate.languages.entered import Additions, Entered, Wrapper

ORIGINAL = "podcov/original"
"""annotation of the workload: what podcov replaced in it, as JSON, for `remove`"""
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
DATA = "podcov-data"
WRAPPER = "podcov-wrapper"

_IN_MEMORY = {"medium": "Memory", "sizeLimit": "64Mi"}
_LEAST_MEMORY = 256 * 2**20
"""bytes; a container with less is not made to share them with its data"""
_DATA_PATH = "/podcov/data"
_WRAPPER_PATH = "/podcov/wrapper"
_EXECUTABLE = 0o555
_COURIER_RESOURCES = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}}
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
}
"""by which Kubernetes merges the lists that a patch has (its `x-kubernetes-patch-merge-key`); other lists are replaced"""

WrapperMaps = Mapping[str, Sequence[str]]
"""by wrapper: the names of the ConfigMaps that bring it into pods"""


@dataclass(frozen=True, slots=True)
class _Member:
    """A container that is measured, and what its language adds to it."""

    entered: Entered
    added: Additions

    @property
    def name(self) -> str:
        return self.entered.container.name

    @property
    def spec(self) -> Mapping[str, Any]:
        return self.entered.container.spec


@dataclass(frozen=True, slots=True)
class _Party:
    """The containers of a pod that one recorder measures: they share a volume and a sidecar, which see nothing of other parties'.

    `number` counts from 1. What a pod with but one party has is named as if there were no others.
    """

    number: int
    members: tuple[_Member, ...]

    @property
    def data(self) -> str:
        return _numbered(DATA, self.number)

    @property
    def wrapper(self) -> str:
        return _numbered(WRAPPER, self.number)

    @property
    def courier(self) -> str:
        return courier_container(self.number)

    @property
    def host(self) -> _Member | None:
        """The member whose image and program the sidecar runs; None where there is to be no sidecar."""
        return next((member for member in self.members if member.entered.service.sidecar), None)

    @property
    def volumes(self) -> tuple[str, ...]:
        return (self.data, *([self.wrapper] if self.wrapped else []))

    @property
    def wrapped(self) -> Wrapper | None:
        """What its containers and its sidecar need of `wrapper/`."""
        return self.members[0].added.wrapper


def patch(workload: Workload, entered: Sequence[Entered], maps: WrapperMaps, *, replicas: int | None = None) -> dict[str, Any]:
    """The strategic merge patch for a workload that has nothing of ours yet.

    Every container is named in it in the base's order, because a strategic merge moves those that it names to the front.
    `replicas` is how many are wanted instead of the workload's own.

    Raises ManifestError where the workload has something in the way.
    """
    parties = _parties(entered)
    _refuse_clashes(workload, parties)
    members = [member for party in parties for member in party.members]
    places = {member.name: (member, party) for party in parties for member in party.members}
    sidecars = [_sidecar(workload, host, party) for party in parties if (host := party.host)]
    annotates = bool(sidecars) and DEFAULT_CONTAINER not in workload.annotations
    pod = {
        **({"initContainers": [*sidecars, *({"name": c.name} for c in workload.init_containers)]} if sidecars else {}),
        "containers": [_container(*places[c.name]) if c.name in places else {"name": c.name} for c in workload.containers],
        "volumes": [*(volume for party in parties for volume in _volumes(party, maps)), *_more_volumes(members)],
    }
    annotations = {DEFAULT_CONTAINER: workload.containers[0].name} if annotates else {}
    template = {**({"metadata": {"annotations": annotations}} if annotations else {}), "spec": pod}
    scaled = replicas if workload.scales else None
    memory = _remember(workload, parties, annotates=annotates, replicas=scaled)
    result: dict[str, Any] = {
        "apiVersion": workload.api_version,
        "kind": workload.kind,
        "metadata": {
            "name": workload.name,
            **({"namespace": workload.namespace} if workload.namespace else {}),
            "annotations": {ORIGINAL: json.dumps(memory, sort_keys=True, separators=(",", ":"))},
        },
    }
    _merge(result, _nested(workload.template, template))
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
    _merge(plain, patch(workload, entered, maps, replicas=replicas))
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
    marked = {c["name"]: {v["name"]: v["value"] for v in c.get("env") or () if _is_trace(v)} for c in containers}
    return {
        **{c["name"]: [c.get("command"), c.get("args"), marked[c["name"]]] for c in containers if marked[c["name"]]},
        **{v["name"]: _config_maps(v) for v in spec.get("volumes") or () if _config_maps(v)},
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
    _restore_pod(template["spec"], memory)
    del plain["metadata"]["annotations"][ORIGINAL]
    if memory.get("default-container"):
        template["metadata"]["annotations"].pop(DEFAULT_CONTAINER, None)
    if "replicas" in memory:
        _restore_replicas(plain["spec"], memory["replicas"])
    for label, (place, key) in _places(plain, path).items():
        _tidy(place, key, label, memory.get("empty") or {})
    return plain


def quantity(text: str) -> int:
    """Bytes of a Kubernetes quantity such as `256Mi`; 0 where it is none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kMGT]i?|Ki|)", text)
    return int(float(found[1]) * _UNITS.get(found[2], 1)) if found else 0


# What is added ---------------------------------------------------------------------------------------------------------


def _parties(entered: Sequence[Entered]) -> tuple[_Party, ...]:
    """In the order of their first containers."""
    by_recorder: dict[str, list[_Member]] = {}
    for member in (_Member(e, language.additions(e)) for e in entered):
        by_recorder.setdefault(member.added.recorder, []).append(member)
    return tuple(_Party(number, tuple(members)) for number, members in enumerate(by_recorder.values(), 1))


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"


def _refuse_clashes(workload: Workload, parties: Sequence[_Party]) -> None:
    """Raises ManifestError for names and places of ours that are taken by something else."""
    names = [c.name for c in (*workload.init_containers, *workload.containers)]
    for taken in (party.courier for party in parties if party.courier in names):
        _refuse(workload, f"there is a container {taken} already", "the name of podcov's sidecar")
    members = [member for party in parties for member in party.members]
    volumes = {v.get("name") for v in _pod(workload).get("volumes") or ()}
    ours = (*(v for party in parties for v in (party.data, party.wrapper)), *(v["name"] for v in _more_volumes(members)))
    for taken in (v for v in ours if v in volumes):
        _refuse(workload, f"there is a volume {taken} already", "the name of one of podcov's")
    for member in members:
        mounted = {str(m.get("mountPath", "")).rstrip("/") for m in member.spec.get("volumeMounts") or ()}
        for path in (path for path in (_DATA_PATH, _WRAPPER_PATH) if path in mounted):
            _refuse(workload, f"container {member.name} has something mounted at {path}", "where podcov's volumes go")
        _refuse_what_cannot_be_extended(workload, member)


def _refuse(workload: Workload, found: str, what: str) -> None:
    raise ManifestError(
        f"{workload.located}: {found}",
        hint=f"that is {what}. If it is yours, rename it, or leave the service out of podcov.yaml; if an earlier podcov put it "
        "there and kept no record, deploy the workload anew without it.",
    )


def _refuse_what_cannot_be_extended(workload: Workload, member: _Member) -> None:
    """One that stands twice, or whose value is not in the manifest, cannot be changed in its place among all of them."""
    names = [v["name"] for v in member.entered.container.env]
    in_place = any(name in member.added.extended for name in names)
    if doubled := next((name for name in names if in_place and names.count(name) > 1), ""):
        raise ManifestError(
            f"{workload.located}, container {member.name}: {doubled} stands twice in env",
            hint="leave one of them: of two, Kubernetes takes the last.",
        )
    elsewhere = (v["name"] for v in member.entered.container.env if v["name"] in member.added.extended and "valueFrom" in v)
    for name in elsewhere:
        raise ManifestError(
            f"{workload.located}, container {member.name}: {name} comes from elsewhere (valueFrom), so it cannot be extended",
            hint=f"write `entry: entrypoint` for the service {member.entered.service.name} in podcov.yaml, and its image's "
            "ENTRYPOINT and CMD as `command:`.",
        )


def _pod(workload: Workload) -> Mapping[str, Any]:
    template: Any = workload.document
    for key in workload.template:
        template = template[key]
    spec: Mapping[str, Any] = template["spec"]
    return spec


def _nested(path: Sequence[str], value: Any) -> Any:
    for key in reversed(path):
        value = {key: value}
    return value


def _container(member: _Member, party: _Party) -> dict[str, Any]:
    added = member.added
    return {
        "name": member.name,
        **({"command": [*added.command]} if added.command is not None else {}),
        **({"args": [*added.args]} if added.args is not None else {}),
        "env": _environment(member),
        "volumeMounts": _mounts(party, added.mounts),
    }


def _mounts(party: _Party, more: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of a container, or of the sidecar. `more` are those that the language adds, which knows one data volume only."""
    ours: list[dict[str, Any]] = [{"name": party.data, "mountPath": _DATA_PATH}]
    if party.wrapped:
        ours.append({"name": party.wrapper, "mountPath": _WRAPPER_PATH, "readOnly": True})
    return [*ours, *({**mount, "name": party.data if mount["name"] == DATA else mount["name"]} for mount in more)]


def _environment(member: _Member) -> list[dict[str, str]]:
    names = [variable["name"] for variable in member.entered.container.env]
    ours = {"PODCOV_DATA": _DATA_PATH, "PODCOV_CONTAINER": member.name, **member.added.environment}
    own = {name: value for name, value in ours.items() if name not in names}
    changed = dict(member.added.extended)
    # A variable may refer to those before it: one that is changed has to stay in its place, so all are named in their order.
    kept = names if changed.keys() & set(names) else []
    return [{"name": n, **({"value": changed.pop(n)} if n in changed else {})} for n in kept] + [
        {"name": name, "value": value} for name, value in {**own, **changed}.items()
    ]


def _sidecar(workload: Workload, host: _Member, party: _Party) -> dict[str, Any]:
    """The couriers start first and so end last: they see everything that the others do."""
    spec = host.spec
    environment = {
        "PODCOV_DATA": _DATA_PATH,
        "PODCOV_CONTAINER": host.name,
        **({} if workload.grace is None else {"PODCOV_GRACE": f"{workload.grace:g}"}),
        **({"PODCOV_WAIT": "always"} if workload.ends else {}),
        **host.added.courier_environment,
    }
    return {
        "name": party.courier,
        "image": host.entered.container.image,
        **({"imagePullPolicy": spec["imagePullPolicy"]} if "imagePullPolicy" in spec else {}),
        "restartPolicy": "Always",
        "command": [*host.added.courier, *(path for member in party.members for path in member.added.watched)],
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "resources": copy.deepcopy(_COURIER_RESOURCES),
        **({"securityContext": copy.deepcopy(spec["securityContext"])} if spec.get("securityContext") else {}),
        "volumeMounts": _mounts(party, (mount for member in party.members for mount in member.added.courier_mounts)),
        **({"terminationMessagePolicy": "FallbackToLogsOnError"} if host.added.courier_tells else {}),
    }


def _volumes(party: _Party, maps: WrapperMaps) -> list[dict[str, Any]]:
    return [_data_volume(party), *([_wrapper_volume(party, party.wrapped, maps)] if party.wrapped else [])]


def _data_volume(party: _Party) -> dict[str, Any]:
    """In memory, where a full volume is an error to the writer and nothing else; on disk a size limit would evict the pod."""
    limits = [member.entered.container.limit("memory") for member in party.members]
    scarce = any(limit and quantity(limit) < _LEAST_MEMORY for limit in limits)
    return {"name": party.data, "emptyDir": {} if scarce else dict(_IN_MEMORY)}


def _wrapper_volume(party: _Party, wrapper: Wrapper, maps: WrapperMaps) -> dict[str, Any]:
    """A sidecar that is a program of the wrapper cannot start without it, so that has to be there."""
    optional = {} if wrapper.executable and party.host else {"optional": True}
    sources = [{"configMap": {"name": name, **optional}} for name in maps.get(wrapper.name, ())]
    mode = {"defaultMode": _EXECUTABLE} if wrapper.executable else {}
    return {"name": party.wrapper, "projected": {**mode, "sources": sources}}


def _more_volumes(members: Iterable[_Member]) -> list[dict[str, Any]]:
    """Those that languages add; each once, though several containers may share it."""
    return [*{v["name"]: copy.deepcopy(dict(v)) for member in members for v in member.added.volumes}.values()]


# As Kubernetes merges --------------------------------------------------------------------------------------------------


def _merge(target: dict[str, Any], change: Mapping[str, Any]) -> None:
    """Apply a strategic merge patch in place, as Kustomize does: what it names in a list comes first, in its order."""
    for key, value in change.items():
        present = target.get(key)
        if isinstance(value, Mapping):
            if not isinstance(present, dict):
                present = target[key] = {}
            _merge(present, value)
        elif key in _MERGE_KEYS and isinstance(value, list):
            target[key] = _merged_list(present or [], value, _MERGE_KEYS[key])
        else:
            target[key] = copy.deepcopy(value)


def _merged_list(present: Sequence[dict[str, Any]], change: Sequence[dict[str, Any]], by: str) -> list[dict[str, Any]]:
    theirs = {item.get(by): item for item in present}
    result = []
    for item in change:
        merged = theirs.pop(item[by], {})
        _merge(merged, item)
        result.append(merged)
    return result + [item for item in present if item.get(by) in theirs]


# Back again ------------------------------------------------------------------------------------------------------------


def _remember(workload: Workload, parties: Sequence[_Party], *, annotates: bool, replicas: int | None) -> dict[str, Any]:
    """What cannot be told from the result: values that are replaced, and what was there but empty (absent is the rule)."""
    places = _places(workload.document, workload.template)
    empty = {label: place[key] for label, (place, key) in places.items() if key in place and not place[key]}
    _, *others = parties  # what the first has is known by its names
    members = [member for party in parties for member in party.members]
    volumes = [*(volume for party in others for volume in party.volumes), *(v["name"] for v in _more_volumes(members))]
    couriers = [party.courier for party in others if party.host]
    return {
        "containers": {member.name: _remember_container(member) for member in members},
        **({"default-container": True} if annotates else {}),
        **({"replicas": {"set": replicas, "was": workload.replicas}} if replicas is not None else {}),
        **({"couriers": couriers} if couriers else {}),
        **({"volumes": volumes} if volumes else {}),
        **({"empty": empty} if empty else {}),
    }


def _remember_container(member: _Member) -> dict[str, Any]:
    spec, added = member.spec, member.added
    variables = {v["name"]: v["value"] for v in _environment(member) if "value" in v}
    replaced = {v["name"]: v for v in member.entered.container.env if v["name"] in variables}
    changed = {key: list(words) for key, words in (("command", added.command), ("args", added.args)) if words is not None}
    empty = {key: spec[key] for key in ("command", "env", "volumeMounts", "args") if key in spec and not spec[key]}
    if "args" not in changed:
        empty.pop("args", None)
    # What does not show by itself that it is ours is repeated, so that what somebody changes later can be told from it.
    unmarked = {key: words for key, words in changed.items() if not any("podcov" in word for word in words)}
    unmarked_variables = {name: value for name, value in variables.items() if not _is_marked(name, value)}
    ours = {**unmarked, **({"env": unmarked_variables} if unmarked_variables else {})}
    return {
        **{key: spec.get(key) for key in changed},
        "env": [*variables],
        **({"replaced": replaced} if replaced else {}),
        **({"ours": ours} if ours else {}),
        **({"empty": empty} if empty else {}),
    }


def _places(document: Mapping[str, Any], path: Sequence[str]) -> dict[str, tuple[Any, str]]:
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


def _restore_replicas(spec: dict[str, Any], memory: Mapping[str, Any]) -> None:
    if spec.get("replicas") != memory.get("set"):
        return  # somebody scaled it since
    if memory.get("was") is not None:
        spec["replicas"] = memory["was"]
    else:
        del spec["replicas"]


def _restore_pod(spec: dict[str, Any], memory: Mapping[str, Any]) -> None:
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
        _tidy(container, key, key, empty)


def _are_ours(words: Sequence[Any], unmarked: Sequence[str] | None) -> bool:
    """Whether nobody has changed a command or its arguments since; `unmarked` are ours where they do not show it themselves."""
    return list(words) == list(unmarked) if unmarked is not None else any("podcov" in str(word) for word in words)


def _is_ours(variable: Mapping[str, Any], unmarked: Mapping[str, str]) -> bool:
    """The same of a variable of ours."""
    name, value = variable["name"], str(variable.get("value"))
    return value == unmarked[name] if name in unmarked else _is_marked(name, value)


def _is_marked(name: str, value: str) -> bool:
    return name.startswith("PODCOV_") or "/podcov/" in value


def _is_trace(variable: Mapping[str, Any]) -> bool:
    return "value" in variable and _is_marked(variable["name"], str(variable["value"]))


def _config_maps(volume: Mapping[str, Any]) -> list[str]:
    """The names of those that bring a wrapper; none of a volume that is not ours."""
    if not re.fullmatch(rf"{WRAPPER}(-[0-9]+)?", volume["name"]):
        return []
    sources = (volume.get("projected") or {}).get("sources") or ()
    return [source["configMap"]["name"] for source in sources if "configMap" in source]


def _template(document: Mapping[str, Any]) -> Any:
    template: Any = document
    for key in manifests.template_path(document):
        template = template[key]
    return template


def _take_out(place: dict[str, Any], key: str, ours: Callable[[Mapping[str, Any]], bool]) -> None:
    if key in place:
        place[key] = [item for item in place[key] or () if not ours(item)]


def _tidy(place: dict[str, Any], key: str, label: str, empty: Mapping[str, Any]) -> None:
    """What is empty now goes, unless it was there before."""
    if key not in place or place[key]:
        return
    if label in empty:
        place[key] = empty[label]
    else:
        del place[key]
