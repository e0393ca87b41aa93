"""When a sidecar of podcov's is certain to never get to be one. Pure: documents come in as the API server's JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from podcov.config import is_courier_container
from podcov.edges.cluster.api import Json
from podcov.generate.languages import language

_SAME = ("name", "image", "command", "args", "env")
"""what decides what a sidecar runs"""
_NO_SUCH_PROGRAM = ("no such file or directory", "executable file not found in $PATH")


def remedy(document: Json, new_pods: Iterable[Json]) -> str:
    """What to do where a sidecar of the workload as it is now ended as it will each time; empty where none is known to.

    Sidecars of an earlier template say nothing of that, nor do those that run again, and those that may yet be started.
    `new_pods` are younger than what is waited for: what an older one's image is called may be another image by now.
    """
    wanted = document["spec"]["template"]["spec"].get("initContainers") or ()
    alive = [pod for pod in new_pods if not pod["metadata"].get("deletionTimestamp")]
    new = [(spec, status) for pod in alive for spec, status in _sidecars(pod) if any(_are_same(spec, one) for one in wanted)]
    ends = [(spec, end) for spec, status in new if "running" not in (status.get("state") or {}) for end in _ends(status)]
    return next((told for spec, end in ends if (told := _what_to_do(spec, end))), "")


def _what_to_do(spec: Json, end: Json) -> str:
    return language.never_a_courier(str(end.get("message") or "")) or _without_program(spec, end)


def _sidecars(pod: Json) -> Iterator[tuple[Json, Json]]:
    """Those that have a status: what the pod says of each, and its status."""
    statuses = {status["name"]: status for status in (pod.get("status") or {}).get("initContainerStatuses") or ()}
    for spec in pod["spec"].get("initContainers") or ():
        if is_courier_container(spec["name"]) and spec["name"] in statuses:
            yield spec, statuses[spec["name"]]


def _ends(status: Json) -> Iterator[Json]:
    for state in (status.get("state") or {}, status.get("lastState") or {}):
        if "terminated" in state:
            yield state["terminated"]


def _are_same(one: Json, other: Json) -> bool:
    return all(one.get(key) == other.get(key) for key in _SAME)


def _without_program(spec: Json, end: Json) -> str:
    """Of one whose program is neither in its image nor on a volume."""
    program, said = spec["command"][0], str(end.get("message") or "")
    _, _, why = said.partition(f'exec: "{program}": ')
    mounted = any(program.startswith(f"{mount['mountPath'].rstrip('/')}/") for mount in spec.get("volumeMounts") or ())
    if end.get("reason") != "StartError" or mounted or not any(words in why for words in _NO_SUCH_PROGRAM):
        return ""
    return (
        f"{spec['image']} has no {program}: name what it has, as `binary` or `interpreter` of the service in podcov.yaml, "
        "or build it by the coverage profile, where that puts it there"
    )
