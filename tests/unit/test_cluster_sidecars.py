"""When pods of an attached workload are certain to never get ready: that is said at once. What may yet come is waited for."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import api_servers
import pytest
from podcov.config import COURIER_CONTAINER
from podcov.edges.cluster import attach as cluster_attach
from podcov.edges.cluster import sidecars
from podcov.edges.cluster.targets import Target
from podcov.errors import ClusterError
from podcov.generate.coverage.inject import Injected
from podcov.generate.languages.go import COURIER_ENVIRONMENT, NO_LIMIT

LAST_WORDS = f"GOMEMLIMIT={NO_LIMIT}\nfatal error: malformed GOMEMLIMIT; see `go doc runtime/debug.SetMemoryLimit`\n"
NOWHERE = 'OCI runtime create failed: runc create failed: exec: "/orders": stat /orders: no such file or directory: unknown'
NOT_ON_THE_PATH = 'OCI runtime create failed: exec: "orders": executable file not found in $PATH: unknown'
WRONG_MACHINE = "OCI runtime create failed: exec /orders: exec format error"
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}

SIDECAR = {
    "name": COURIER_CONTAINER,
    "image": "orders:1",
    "restartPolicy": "Always",
    "command": ["/orders", "--podcov-courier", "serve"],
    "env": [{"name": name, "value": value} for name, value in COURIER_ENVIRONMENT.items()],
    "volumeMounts": [{"name": "podcov-data", "mountPath": "/podcov/data"}],
}


def deployment(*couriers: Mapping[str, Any], ready: bool = False, namespace: str = "shop") -> dict[str, Any]:
    pods = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1} if ready else {}
    template = {
        "metadata": {"labels": {"app": "orders"}},
        "spec": {"initContainers": [*couriers], "containers": [{"name": "app"}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "orders", "namespace": namespace, "generation": 1},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "orders"}}, "template": template},
        "status": {"observedGeneration": 1, **pods},
    }


def ended(said: str, reason: str = "Error") -> dict[str, Any]:
    return {"terminated": {"exitCode": 2, "reason": reason, "message": said}}


def pod(
    state: Mapping[str, Any], last: Mapping[str, Any] | None = None, *, uid: str = "1", deleted: bool = False, **sidecar: Any
) -> dict[str, Any]:
    status = {"name": COURIER_CONTAINER, "ready": False, "state": state, "lastState": last or {}}
    metadata = {"name": f"orders-{uid}", "namespace": "shop", "uid": uid}
    return {
        "metadata": {**metadata, **({"deletionTimestamp": "2030-01-01T00:00:00Z"} if deleted else {})},
        # As the API server has it: with the mount of the service account.
        "spec": {
            "initContainers": [{**SIDECAR, "volumeMounts": [*SIDECAR["volumeMounts"], {"mountPath": "/var/run"}], **sidecar}]
        },
        "status": {"conditions": [{"type": "Ready", "status": "False"}], "initContainerStatuses": [status]},
    }


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (pod(ended(LAST_WORDS)), "build its image anew with podcov in the Go toolchain"),
        (pod(BACK_OFF, ended(LAST_WORDS)), "build its image anew with podcov in the Go toolchain"),
        (pod(BACK_OFF, ended(NOWHERE, reason="StartError")), "orders:1 has no /orders: name what it has, as `binary`"),
    ],
)
def test_a_sidecar_that_will_end_each_time_as_it_did_is_told_with_what_to_do(found: dict[str, Any], told: str) -> None:
    assert sidecars.remedy(deployment(SIDECAR), [pod({"running": {}}), found]).startswith(told)


def test_a_program_that_is_not_on_the_path_will_not_be_there_the_next_time() -> None:
    by_name = {**SIDECAR, "command": ["orders", "serve"]}
    found = pod(BACK_OFF, ended(NOT_ON_THE_PATH, reason="StartError"), command=by_name["command"])
    assert sidecars.remedy(deployment(by_name), [found]).startswith("orders:1 has no orders: ")


@pytest.mark.parametrize(
    "found",
    [
        pod({"running": {}}, ended(LAST_WORDS)),
        pod(ended(LAST_WORDS), deleted=True),
        pod(ended(LAST_WORDS), image="orders:0"),
        pod(ended(LAST_WORDS), env=[]),
        pod(ended("panic: no database yet")),
        pod(ended("", reason="OOMKilled")),
        pod(ended(NOWHERE)),
        pod(ended(WRONG_MACHINE, reason="StartError")),
        pod({"waiting": {"reason": "ErrImagePull", "message": "not found"}}),
        pod({"waiting": {"reason": "ImagePullBackOff"}}),
        pod({"waiting": {"reason": "CreateContainerConfigError", "message": 'configmap "podcov-wrapper" not found'}}),
        {"metadata": {"name": "orders-1"}, "spec": {"initContainers": [SIDECAR]}, "status": {"phase": "Pending"}},
    ],
    ids=[
        "it runs again",
        "its pod is about to go",
        "it is of an earlier template, by its image",
        "it is of an earlier template, by its variables",
        "its program may do better the next time",
        "it may be given more memory",
        "its own program printed that",
        "another node may have the right machine",
        "the image may be pushed yet",
        "the registry may answer yet",
        "the ConfigMap may be made yet",
        "it has no status yet",
    ],
)
def test_what_may_yet_come_right_is_not_given_up(found: dict[str, Any]) -> None:
    assert sidecars.remedy(deployment(SIDECAR), [found]) == ""


def test_a_program_on_a_volume_may_be_there_the_next_time() -> None:
    on_a_volume = {**SIDECAR, "command": ["/podcov/data/orders"]}
    said = 'exec: "/podcov/data/orders": stat /podcov/data/orders: no such file or directory'
    found = pod(ended(said, reason="StartError"), command=on_a_volume["command"])
    assert sidecars.remedy(deployment(on_a_volume), [found]) == ""


class Cluster:
    """What the API server says of one Deployment: each time the next of `looks`, (the Deployment, its pod); the last for ever."""

    def __init__(self, *looks: tuple[Mapping[str, Any], Mapping[str, Any]]) -> None:
        self._looks = [copy.deepcopy(look) for look in looks]
        self.asked: list[str] = []
        """the paths of all requests"""

    def answer(self, path: str) -> bytes:
        self.asked.append(path)
        if "/pods/" in path:
            return LAST_WORDS.encode()
        if path.endswith("/deployments/orders"):
            return json.dumps(self._looks[0][0]).encode()
        found = {"items": [self._looks[0][1]], "metadata": {"resourceVersion": "7"}}
        if len(self._looks) > 1:
            del self._looks[0]
        return json.dumps(found).encode()


class Fleet:
    """Of several Deployments, each in a namespace of its own: what the API server says of each."""

    def __init__(self, **clusters: Cluster) -> None:
        self._clusters = clusters

    def answer(self, path: str) -> bytes:
        namespace = path.partition("/namespaces/")[2].partition("/")[0]
        return self._clusters[namespace].answer(path)


@asynccontextmanager
async def api_server(cluster: Cluster | Fleet) -> AsyncIterator[int]:
    """Yields its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        body = cluster.answer(request.split()[1].decode().partition("?")[0])
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body))
        await writer.drain()

    async with api_servers.listening(serve) as port:
        yield port


@pytest.fixture
def attach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., cluster_attach.Done]:
    """`podcov attach` of a Deployment whose coverage is up to date already, or of one in each of these namespaces."""

    async def conduct(cluster: Cluster | Fleet, namespaces: Sequence[str], seconds: float) -> cluster_attach.Done:
        async with api_server(cluster) as port:
            monkeypatch.setenv("KUBECONFIG", str(api_servers.kubeconfig(tmp_path, f"http://127.0.0.1:{port}")))
            async with cluster_attach.connect("", lambda _: None) as attachments:
                targets = [Target.of(deployment(SIDECAR, namespace=namespace)) for namespace in namespaces]
                return await attachments.attach(targets, lambda workload: Injected((workload,), (), {}, ()), seconds=seconds)

    return lambda cluster, *namespaces, seconds=20: asyncio.run(conduct(cluster, namespaces or ("shop",), seconds))


def test_attach_does_not_wait_for_an_image_without_podcov(attach: Callable[..., cluster_attach.Done]) -> None:
    starting = {"waiting": {"reason": "PodInitializing"}}
    pods = [pod({"running": {}}, uid="1"), pod(starting, uid="2"), pod(BACK_OFF, ended(LAST_WORDS), uid="2")]
    with pytest.raises(ClusterError) as caught:
        attach(Cluster(*((deployment(SIDECAR), found) for found in pods)))
    assert "did not get ready and will not" in caught.value.message
    assert f"GOMEMLIMIT={NO_LIMIT}" in caught.value.message
    assert caught.value.hint == (
        "build its image anew with podcov in the Go toolchain, as the coverage profile does (docs/go.md), and deploy that; "
        "`podcov detach deployment/orders --namespace shop` takes it back"
    )


def test_attach_waits_for_a_pod_of_before_whose_image_was_built_anew(
    attach: Callable[..., cluster_attach.Done],
) -> None:
    before, again = pod(BACK_OFF, ended(LAST_WORDS)), pod({"running": {}}, ended(LAST_WORDS))
    looks = [(deployment(SIDECAR), state) for state in (before, before, before, again)]
    done = attach(Cluster(*looks, (deployment(SIDECAR, ready=True), again)))
    assert [changed.difference for changed in done.workloads] == [""]


@pytest.mark.parametrize("namespaces", [("slow", "hopeless", "fine"), ("hopeless", "fine", "slow")])
def test_one_that_never_gets_ready_ends_the_wait_for_others(
    namespaces: tuple[str, ...], attach: Callable[..., cluster_attach.Done]
) -> None:
    starting = pod({"waiting": {"reason": "PodInitializing"}}, uid="2")
    slow, hopeless, fine = (deployment(SIDECAR, ready=name == "fine", namespace=name) for name in ("slow", "hopeless", "fine"))
    fleet = Fleet(
        slow=Cluster((slow, starting)),
        hopeless=Cluster((hopeless, starting), (hopeless, pod(BACK_OFF, ended(LAST_WORDS), uid="3"))),
        fine=Cluster((fine, pod({"running": {}}, uid="4"))),
    )
    with pytest.raises(ClusterError) as caught:
        attach(fleet, *namespaces)
    assert "deployment/orders in namespace hopeless did not get ready and will not" in caught.value.message
    assert "deployment/orders in namespace slow has coverage too, and was waited for no longer" in caught.value.message
    assert "did not get ready within" not in caught.value.message
    assert caught.value.hint.startswith("build its image anew with podcov")
    taking_back, looking = caught.value.hint.split("; ")[1:]
    assert taking_back == "`podcov detach deployment/orders --namespace hopeless` takes it back"
    assert looking.startswith("how far the others are: `kubectl rollout status deployment/orders --namespace ")
    assert "`kubectl rollout status deployment/orders --namespace slow`" in looking


def test_each_that_did_not_get_ready_in_time_has_its_command(attach: Callable[..., cluster_attach.Done]) -> None:
    starting = pod({"waiting": {"reason": "PodInitializing"}}, uid="2")
    fleet = Fleet(**{name: Cluster((deployment(SIDECAR, namespace=name), starting)) for name in ("east", "west")})
    with pytest.raises(ClusterError) as caught:
        attach(fleet, "east", "west", seconds=0)
    assert caught.value.hint == (
        "`podcov detach deployment/orders --namespace east` and `podcov detach deployment/orders --namespace west` take it back"
    )


def test_those_that_may_yet_get_ready_are_looked_at_one_at_a_time_and_without_their_logs(
    attach: Callable[..., cluster_attach.Done],
) -> None:
    starting, crashing = pod({"waiting": {"reason": "PodInitializing"}}, uid="2"), pod(BACK_OFF, ended("no table"), uid="3")
    names = [f"slow-{number}" for number in range(4)]
    slow = {name: Cluster((deployment(SIDECAR, namespace=name), crashing)) for name in names}
    lost = deployment(SIDECAR, namespace="hopeless")
    hopeless = Cluster((lost, starting), (lost, pod(BACK_OFF, ended(LAST_WORDS), uid="3")))
    with pytest.raises(ClusterError):
        attach(Fleet(**slow, hopeless=hopeless), *names, "hopeless")
    assert [path for cluster in slow.values() for path in cluster.asked if "/pods/" in path] == []
    assert [path for path in hopeless.asked if "/pods/" in path] == ["/api/v1/namespaces/hopeless/pods/orders-3/log"]
    _waited_for, *others = slow.values()
    lists = [sum(path.endswith("/pods") for path in cluster.asked) for cluster in others]
    assert lists == [2, 2, 2], "before the change, and in the one round in which the hopeless one was found"
