"""What is added to a container that is measured, and the sidecar that is put beside those of a party. Pure."""

from __future__ import annotations

import copy
from typing import Any

from podcov.generate.coverage.parties import DATA_PATH, Member, Party
from podcov.generate.coverage.volumes import mounts
from podcov.generate.kubernetes.manifests import Workload

_COURIER_RESOURCES = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}}


def container_patch(member: Member, party: Party) -> dict[str, Any]:
    added = member.added
    return {
        "name": member.name,
        **({"command": [*added.command]} if added.command is not None else {}),
        **({"args": [*added.args]} if added.args is not None else {}),
        "env": environment_of(member),
        "volumeMounts": mounts(party, added.mounts),
    }


def environment_of(member: Member) -> list[dict[str, str]]:
    names = [variable["name"] for variable in member.entered.container.env]
    ours = {"PODCOV_DATA": DATA_PATH, "PODCOV_CONTAINER": member.name, **member.added.environment}
    own = {name: value for name, value in ours.items() if name not in names}
    changed = dict(member.added.extended)
    # A variable may refer to those before it: one that is changed has to stay in its place, so all are named in their order.
    kept = names if changed.keys() & set(names) else []
    return [{"name": n, **({"value": changed.pop(n)} if n in changed else {})} for n in kept] + [
        {"name": name, "value": value} for name, value in {**own, **changed}.items()
    ]


def sidecar(workload: Workload, host: Member, party: Party) -> dict[str, Any]:
    """The couriers start first and so end last: they see everything that the others do."""
    spec = host.spec
    environment = {
        "PODCOV_DATA": DATA_PATH,
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
        "volumeMounts": mounts(party, (mount for member in party.members for mount in member.added.courier_mounts)),
        **({"terminationMessagePolicy": "FallbackToLogsOnError"} if host.added.courier_tells else {}),
    }
