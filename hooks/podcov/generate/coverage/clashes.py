"""What in a workload is in the way of what would be added to it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from podcov.errors import ManifestError
from podcov.generate.coverage.parties import DATA_PATH, WRAPPER_PATH, Member, Party
from podcov.generate.coverage.volumes import more_volumes
from podcov.generate.kubernetes.manifests import Workload


def refuse_clashes(workload: Workload, parties: Sequence[Party]) -> None:
    """Raises ManifestError for names and places of ours that are taken by something else."""
    names = [c.name for c in (*workload.init_containers, *workload.containers)]
    for taken in (party.courier for party in parties if party.courier in names):
        _refuse(workload, f"there is a container {taken} already", "the name of podcov's sidecar")
    members = [member for party in parties for member in party.members]
    volumes = {v.get("name") for v in _pod(workload).get("volumes") or ()}
    ours = (*(v for party in parties for v in (party.data, party.wrapper)), *(v["name"] for v in more_volumes(members)))
    for taken in (v for v in ours if v in volumes):
        _refuse(workload, f"there is a volume {taken} already", "the name of one of podcov's")
    for member in members:
        mounted = {str(m.get("mountPath", "")).rstrip("/") for m in member.spec.get("volumeMounts") or ()}
        for path in (path for path in (DATA_PATH, WRAPPER_PATH) if path in mounted):
            _refuse(workload, f"container {member.name} has something mounted at {path}", "where podcov's volumes go")
        _refuse_what_cannot_be_extended(workload, member)


def _refuse(workload: Workload, found: str, what: str) -> None:
    raise ManifestError(
        f"{workload.located}: {found}",
        hint=f"that is {what}. If it is yours, rename it, or leave the service out of podcov.yaml; if an earlier podcov put it "
        "there and kept no record, deploy the workload anew without it.",
    )


def _refuse_what_cannot_be_extended(workload: Workload, member: Member) -> None:
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
