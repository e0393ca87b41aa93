"""The volumes that the containers of a party and its sidecar share, and where they are mounted. Pure."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from podcov.generate.coverage.parties import DATA, DATA_PATH, WRAPPER_PATH, Member, Party
from podcov.generate.languages.entered import Wrapper

_IN_MEMORY = {"medium": "Memory", "sizeLimit": "64Mi"}
_LEAST_MEMORY = 256 * 2**20
"""bytes; a container with less is not made to share them with its data"""
_EXECUTABLE = 0o555
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}

WrapperMaps = Mapping[str, Sequence[str]]
"""by wrapper: the names of the ConfigMaps that bring it into pods"""


def volumes_of(party: Party, maps: WrapperMaps) -> list[dict[str, Any]]:
    return [_data_volume(party), *([_wrapper_volume(party, party.wrapped, maps)] if party.wrapped else [])]


def more_volumes(members: Iterable[Member]) -> list[dict[str, Any]]:
    """Those that languages add; each once, though several containers may share it."""
    return [*{v["name"]: copy.deepcopy(dict(v)) for member in members for v in member.added.volumes}.values()]


def mounts(party: Party, more: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of a container, or of the sidecar. `more` are those that the language adds, which knows one data volume only."""
    ours: list[dict[str, Any]] = [{"name": party.data, "mountPath": DATA_PATH}]
    if party.wrapped:
        ours.append({"name": party.wrapper, "mountPath": WRAPPER_PATH, "readOnly": True})
    return [*ours, *({**mount, "name": party.data if mount["name"] == DATA else mount["name"]} for mount in more)]


def _data_volume(party: Party) -> dict[str, Any]:
    """In memory, where a full volume is an error to the writer and nothing else; on disk a size limit would evict the pod."""
    limits = [member.entered.container.limit("memory") for member in party.members]
    scarce = any(limit and quantity(limit) < _LEAST_MEMORY for limit in limits)
    return {"name": party.data, "emptyDir": {} if scarce else dict(_IN_MEMORY)}


def _wrapper_volume(party: Party, wrapper: Wrapper, maps: WrapperMaps) -> dict[str, Any]:
    """A sidecar that is a program of the wrapper cannot start without it, so that has to be there."""
    optional = {} if wrapper.executable and party.host else {"optional": True}
    sources = [{"configMap": {"name": name, **optional}} for name in maps.get(wrapper.name, ())]
    mode = {"defaultMode": _EXECUTABLE} if wrapper.executable else {}
    return {"name": party.wrapper, "projected": {**mode, "sources": sources}}


def quantity(text: str) -> int:
    """Bytes of a Kubernetes quantity such as `256Mi`; 0 where it is none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kMGT]i?|Ki|)", text)
    return int(float(found[1]) * _UNITS.get(found[2], 1)) if found else 0
