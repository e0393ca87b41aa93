"""Pods whose containers are measured in several ways: which courier holds what, and that each is told of by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from podcov.config import Dump, Service
from podcov.edges.cluster import pods as cluster_pods
from podcov.edges.cluster.nodes import NodeCouriers
from podcov.edges.cluster.pods import Pod
from podcov.edges.cluster.table import PodTable
from podcov.formats.courier import read_ended
from podcov.platform import CourierAddress

GO = Service("go", "go", workload="pod/mixed", container="go", binary="/go")
PYTHON = Service("python", workload="pod/mixed", container="python")
WORKER = Service("worker", workload="pod/mixed", container="worker")
ITSELF = Service("itself", "go", workload="pod/mixed", container="itself", dump=Dump("signal"))
SHIPPED = {"python": "podcov-data", "go": "podcov-data-2", "worker": "podcov-data", "itself": "podcov-data-3"}
COURIERS = {"podcov-courier": "podcov-data", "podcov-courier-2": "podcov-data-2", "podcov-courier-3": "podcov-data-3"}


def pod(
    volumes: Mapping[str, str],
    couriers: Mapping[str, str],
    *,
    version: int = 1,
    deleting: bool = False,
    restarts: Mapping[str, int] | None = None,
    ended: Collection[str] = (),
) -> Pod:
    """One whose containers, and sidecars, have these data volumes; those with none have an empty name."""
    running = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    over = {"terminated": {"exitCode": 0, "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:01:00Z"}}
    return cluster_pods.parse(
        {
            "metadata": {
                "namespace": "shop",
                "name": "mixed",
                "uid": "uid",
                "resourceVersion": str(version),
                **({"deletionTimestamp": "2026-01-01T00:01:00Z"} if deleting else {}),
            },
            "spec": {
                "containers": [_container(*one) for one in volumes.items()],
                "initContainers": [{**_container(*one), "restartPolicy": "Always"} for one in couriers.items()],
            },
            "status": {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": "True"}],
                "initContainerStatuses": [{"name": name, "state": running} for name in couriers],
                "containerStatuses": [
                    {
                        "name": n,
                        "state": over if n in ended else running,
                        "restartCount": (restarts or {}).get(n, 0),
                        "containerID": n,
                    }
                    for n in volumes
                ],
            },
        }
    )


def _container(name: str, volume: str) -> dict[str, Any]:
    return {"name": name, "volumeMounts": [{"name": volume, "mountPath": "/podcov/data"}] if volume else []}


def table(*services: Service) -> PodTable:
    return PodTable(services, {service.name: ("shop",) for service in services})


def addresses(found: Pod, *services: Service) -> list[CourierAddress]:
    pods = table(*services)
    pods.observe(found)
    return [entry.address for entry in pods.entries()]


def brief(address: CourierAddress) -> tuple[str, str, bool, tuple[str, ...]]:
    return address.id, address.container, address.sidecar, address.containers


def test_each_recorder_has_the_sidecar_that_shares_its_volume() -> None:
    assert [brief(a) for a in addresses(pod(SHIPPED, COURIERS), GO, PYTHON, WORKER, ITSELF)] == [
        ("uid/podcov-courier-2", "podcov-courier-2", True, ("go",)),
        ("uid/podcov-courier", "podcov-courier", True, ("python", "worker")),
        ("uid/podcov-courier-3", "podcov-courier-3", True, ("itself",)),
    ]


def test_what_has_no_sidecar_is_called_in_its_own_container_whatever_the_others_have() -> None:
    found = pod(SHIPPED, {"podcov-courier": "podcov-data"})
    assert [brief(a) for a in addresses(found, PYTHON, GO, WORKER)] == [
        ("uid/podcov-courier", "podcov-courier", True, ("python", "worker")),
        ("uid/go", "go", False, ("go",)),
    ]


def test_one_recorder_is_known_by_its_pod_alone() -> None:
    found = pod(SHIPPED, COURIERS)
    assert [brief(a) for a in addresses(found, GO)] == [("uid", "podcov-courier-2", True, ("go",))]


def test_what_was_deployed_without_podcov_counts_with_what_was_not() -> None:
    found = pod({"python": "podcov-data", "worker": ""}, {"podcov-courier": "podcov-data"})
    assert [brief(a) for a in addresses(found, WORKER, PYTHON)] == [("uid", "podcov-courier", True, ("worker", "python"))]


def test_what_measures_itself_without_anything_of_podcovs_is_beside_what_podcov_records() -> None:
    found = pod({"itself": "", "python": "podcov-data"}, {"podcov-courier": "podcov-data"})
    assert [brief(a) for a in addresses(found, ITSELF, PYTHON)] == [
        ("uid/itself", "itself", False, ("itself",)),
        ("uid/podcov-courier", "podcov-courier", True, ("python",)),
    ]


def test_what_leaves_its_files_on_the_node_is_beside_what_leaves_them_in_the_pod() -> None:
    on_node = Service("worker", "go", workload="pod/mixed", container="worker", dump=Dump("exit", source="nodes"))
    found = pod({"itself": "podcov-data", "worker": "podcov-data"}, {"podcov-courier": "podcov-data"})
    assert [brief(a) for a in addresses(found, ITSELF, on_node)] == [
        ("uid/podcov-courier", "podcov-courier", True, ("itself",)),
        ("uid/worker", "worker", True, ("worker",)),
    ]


def test_each_courier_hears_what_becomes_of_its_pod_and_only_its_own_containers() -> None:
    pods = table(PYTHON, GO)
    told = [(event.kind, event.address.part) for event in pods.observe(pod(SHIPPED, COURIERS))]
    both = [(kind, courier) for courier in COURIERS if courier != "podcov-courier-3" for kind in ("started", "ready")]
    assert told == both
    again = pods.observe(pod(SHIPPED, COURIERS, version=2, restarts={"go": 1}))
    assert [(event.kind, event.address.part) for event in again] == [("ready", "podcov-courier-2")]
    assert [(s.service, s.restart, s.address.part) for s in pods.starts()] == [
        ("go", 0, "podcov-courier-2"),
        ("go", 1, "podcov-courier-2"),
        ("python", 0, "podcov-courier"),
    ]
    ending = pods.observe(pod(SHIPPED, COURIERS, version=3, restarts={"go": 1}, deleting=True))
    assert [(event.kind, event.address.part) for event in ending] == [(("ending"), c) for c in list(COURIERS)[:2]]
    assert [event.kind for event in pods.forget("uid")] == ["gone", "gone"]
    assert pods.forget("uid") == []
    assert pods.entries() == []
    assert pods.uids("shop") == set()


def test_one_whose_files_stay_on_the_node_says_that_the_pod_has_ended_when_its_neighbours_have_too() -> None:
    on_node = Service("itself", "go", workload="pod/mixed", container="itself", dump=Dump("exit", source="nodes"))
    pods = table(on_node, GO)
    couriers = NodeCouriers(pods)
    volumes = {"itself": "", "go": "podcov-data"}
    told = []
    for version, ended in enumerate([(), ("itself",), ("itself", "go")], 1):
        pods.observe(pod(volumes, {"podcov-courier": "podcov-data"}, version=version, deleting=True, ended=ended))
        (courier,) = (found for entry in pods.entries() if (found := couriers.of(entry.address)))
        told.append(read_ended(asyncio.run(courier.answer(["wait", "0"])).stdout))
    assert told == [False, False, True]
