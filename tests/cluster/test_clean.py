"""`podcov clean`: what is left over goes, and nothing else."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from custom_kinds import defined
from podcov.edges.cluster import access as cluster_access
from podcov.edges.cluster.access import Access
from podcov.edges.cluster.api import Api, Resource
from podcov.edges.cluster.leftovers import Leftovers, Swept
from podcov.edges.cluster.owners import WORKLOADS

pytestmark = pytest.mark.cluster

LABEL = {"podcov/wrapper": "true"}
GENERAL_LABEL = {"app.kubernetes.io/part-of": "podcov"}
PAUSE = "import signal, sys; signal.signal(15, lambda *_: sys.exit()); signal.pause()"


@pytest.fixture
def space(namespace: Any, root: Path) -> Any:
    """A namespace in which podcov may attach, too."""
    namespace.kubectl("apply", "--filename", root / "overlays/rbac/attach.yaml")
    account = f"--serviceaccount={namespace.name}:podcov"
    namespace.kubectl("create", "rolebinding", "podcov-attach", "--role", "podcov-attach", account)
    return namespace


def config_map(name: str, labels: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": {"a": "b"}}


def deployment(image: str, name: str, mounts: str = "") -> dict[str, Any]:
    volumes = [{"name": "w", "projected": {"sources": [{"configMap": {"name": mounts}}]}}] if mounts else []
    container = {"name": "app", "image": image, "command": ["python3", "-c", PAUSE]}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container], "volumes": volumes}}
    spec = {"selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def names(space: Any) -> set[str]:
    """Of the ConfigMaps, but for the one that Kubernetes puts into each namespace."""
    return {document["metadata"]["name"] for document in space.get("configmaps")["items"]} - {"kube-root-ca.crt"}


def clean(space: Any, folder: Path, *arguments: str) -> str:
    """What `podcov clean` says, whatever the age of what it finds."""
    return str(space.podcov("clean", "--namespace", space.name, "--min-age", "0", *arguments, cwd=folder).stdout)


def replica_set(image: str, name: str, mounts: str) -> dict[str, Any]:
    """One that nothing controls, without pods."""
    made = deployment(image, name, mounts)
    return {**made, "kind": "ReplicaSet", "spec": {**made["spec"], "replicas": 0}}


def test_only_what_is_ours_and_unused_goes(space: Any, cluster: Any, tmp_path: Path) -> None:
    image = cluster.image("python:3.13")
    ours = [config_map(f"podcov-wrapper-{name}", LABEL) for name in ("used", "idle", "set", "unused")]
    theirs = [
        config_map("theirs", {}),
        config_map("part-of-podcov", GENERAL_LABEL),
        config_map("podcov-wrapper-theirs", GENERAL_LABEL),
        config_map("with-our-label", {**GENERAL_LABEL, **LABEL}),
    ]
    idle = deployment(image, "idle", "podcov-wrapper-idle")
    idle["spec"]["replicas"] = 0
    space.apply(
        *ours, *theirs, deployment(image, "user", "podcov-wrapper-used"), idle, replica_set(image, "set", "podcov-wrapper-set")
    )
    space.kubectl("rollout", "status", "deployment/user", "--timeout=110s")
    before = space.get("deployments")["items"]

    told = clean(space, tmp_path, "--dry-run")
    assert told == f"would be removed: configmap/podcov-wrapper-unused in namespace {space.name}\n"
    assert "podcov-wrapper-unused" in names(space)

    assert clean(space, tmp_path) == f"removed: configmap/podcov-wrapper-unused in namespace {space.name}\n"
    kept = {document["metadata"]["name"] for document in [*ours, *theirs]} - {"podcov-wrapper-unused"}
    assert names(space) == kept
    assert [d["spec"] for d in space.get("deployments")["items"]] == [d["spec"] for d in before]
    assert clean(space, tmp_path) == "nothing is left over\n"


def test_what_was_deployed_just_now_stays(space: Any, tmp_path: Path) -> None:
    space.apply(config_map("podcov-wrapper-new", LABEL))
    done = space.podcov("clean", "--namespace", space.name, cwd=tmp_path)
    assert done.stdout == ""
    assert f"configmap/podcov-wrapper-new in namespace {space.name} stays: it was deployed less than 300 s ago" in done.stderr
    assert f"`podcov clean --namespace {space.name} --min-age 0` removes it all the same" in done.stderr
    assert names(space) == {"podcov-wrapper-new"}


def test_what_a_pod_that_is_ending_names_stays_until_that_is_gone(space: Any, cluster: Any, tmp_path: Path) -> None:
    made = deployment(cluster.image("python:3.13"), "last", "podcov-wrapper-last")["spec"]["template"]
    held = {"name": "last", "finalizers": ["example.com/held"]}
    space.apply(config_map("podcov-wrapper-last", LABEL), {**made, "apiVersion": "v1", "kind": "Pod", "metadata": held})
    space.kubectl("delete", "pod", "last", "--wait=false")

    done = space.podcov("clean", "--namespace", space.name, "--min-age", "0", cwd=tmp_path)
    assert done.stdout == ""
    stays = f"configmap/podcov-wrapper-last in namespace {space.name} stays, for pod/last, still ending"
    assert f"{stays}: try again when it is gone" in done.stderr

    space.kubectl("patch", "pod", "last", "--type=merge", "--patch", '{"metadata": {"finalizers": null}}')
    space.kubectl("wait", "--for=delete", "pod/last", "--timeout=110s")
    assert clean(space, tmp_path) == f"removed: configmap/podcov-wrapper-last in namespace {space.name}\n"


@pytest.fixture
def custom_kind(cluster: Any, wait_until: Callable[..., object]) -> Iterator[str]:
    """The API version of a kind with a pod template: `Batch`. Its group is this test's own."""
    group = f"g{uuid.uuid4().hex[:8]}.example.com"
    with defined(cluster, wait_until, group=group, version="v1", kind="Batch", plural="batches"):
        yield f"{group}/v1"


def test_what_a_custom_resource_without_pods_names_stays(space: Any, cluster: Any, tmp_path: Path, custom_kind: str) -> None:
    template = deployment(cluster.image("python:3.13"), "nightly", "podcov-wrapper-used")["spec"]["template"]
    batch = {"apiVersion": custom_kind, "kind": "Batch", "metadata": {"name": "nightly"}, "spec": {"template": template}}
    space.apply(config_map("podcov-wrapper-used", LABEL), config_map("podcov-wrapper-unused", LABEL), batch)

    blind = space.podcov("clean", "--namespace", space.name, "--min-age", "0", "--dry-run", cwd=tmp_path)
    group = custom_kind.partition("/")[0]
    assert "not looked at, for they could not be listed: " in blind.stderr

    rule = ("--verb", "list", "--resource", f"batches.{group}")
    space.kubectl("create", "role", "batches", *rule)
    space.kubectl("create", "rolebinding", "batches", "--role", "batches", f"--serviceaccount={space.name}:podcov")
    done = space.podcov("clean", "--namespace", space.name, "--min-age", "0", cwd=tmp_path)
    assert done.stdout == f"removed: configmap/podcov-wrapper-unused in namespace {space.name}\n"
    assert f"configmap/podcov-wrapper-used in namespace {space.name} stays, for batch/nightly" in done.stderr
    assert names(space) == {"podcov-wrapper-used"}


class _UsedMeanwhile(Api):
    """A cluster in which a workload begins to name a ConfigMap in the moment in which that is removed."""

    def __init__(self, access: Access, user: Mapping[str, Any]) -> None:
        super().__init__(access)
        self._user = user

    async def delete_object(self, resource: Resource, namespace: str, name: str) -> bool:
        await self.create_object(WORKLOADS["Deployment"], namespace, self._user)
        return await super().delete_object(resource, namespace, name)


def test_what_somebody_began_to_use_while_it_was_removed_is_put_back(space: Any, cluster: Any) -> None:
    space.apply(config_map("podcov-wrapper-used", LABEL))
    user = deployment(cluster.image("python:3.13"), "user", "podcov-wrapper-used")
    user["spec"]["replicas"] = 0
    before = space.get("configmap/podcov-wrapper-used")
    notes: list[str] = []

    async def remove() -> Swept:
        async with _UsedMeanwhile(await cluster_access.find(environ=cluster.env), user) as api:
            return await Leftovers(api, notes.append).remove(space.name, min_age=0)

    assert asyncio.run(remove()) == Swept()
    assert f"configmap/podcov-wrapper-used in namespace {space.name} stays, for deployment/user" in notes
    after = space.get("configmap/podcov-wrapper-used")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert (after["data"], after["metadata"]["labels"]) == (before["data"], before["metadata"]["labels"])


def test_what_is_attached_is_detached(space: Any, cluster: Any, tmp_path: Path) -> None:
    services = {"orders": {"workload": "deployment/orders", "container": "app"}}
    (tmp_path / "podcov.yaml").write_text(yaml.safe_dump({"version": 1, "services": services}))
    space.apply(deployment(cluster.image("python:3.13"), "orders"))
    space.kubectl("rollout", "status", "deployment/orders", "--timeout=110s")
    before = space.get("deployment/orders")["spec"]
    space.podcov("attach", "--namespace", space.name, cwd=tmp_path)
    made = names(space)
    assert made

    tried = json.loads(clean(space, tmp_path, "--dry-run", "--json"))
    assert set(tried["config_maps"]) == {f"{space.name}/{name}" for name in made}
    assert names(space) == made

    answer = json.loads(clean(space, tmp_path, "--json"))

    assert [(w["workload"], w["changed"]) for w in answer["workloads"]] == [("deployment/orders", True)]
    assert answer["config_maps"] == tried["config_maps"]
    assert space.get("deployment/orders")["spec"] == before
    assert names(space) == set()


def test_after_skaffold_delete_nothing_is_left(space: Any, root: Path, tmp_path: Path) -> None:
    hello = tmp_path / "hello"
    shutil.copytree(root / "examples/hello", hello, ignore=shutil.ignore_patterns(".podcov", "__pycache__"))
    base = {"BASE": space.cluster.image("python:3.13")}
    space.skaffold("run", "--profile", "coverage", cwd=hello, env=base)
    space.skaffold("run", "--profile", "coverage", cwd=hello, env=base)
    space.kubectl("create", "configmap", "podcov-wrapper-earlier", "--from-literal=a=b")
    space.kubectl("label", "configmap", "podcov-wrapper-earlier", "podcov/wrapper=true")
    space.skaffold("delete", "--profile", "coverage", cwd=hello, env=base)
    space.kubectl("wait", "--for=delete", "pod", "--all", "--timeout=110s")

    assert "podcov-wrapper-earlier" in clean(space, hello)
    assert names(space) == set()

    runs = hello / ".podcov" / "runs"
    latest = (runs / "latest").resolve().name
    earlier = {path.name for path in runs.iterdir()} - {latest, "latest"}
    assert earlier
    told = clean(space, hello, "--results")
    assert set(told.splitlines()) == {f"removed: run {name}" for name in earlier}
    assert {path.name for path in runs.iterdir()} == {latest, "latest"}


def test_two_ways_to_say_where_are_one_too_many(space: Any, tmp_path: Path) -> None:
    done = space.podcov("clean", "--namespace", space.name, "--all-namespaces", cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert "contradict each other" in done.stderr


def test_all_namespaces_are_for_administrators(space: Any, cluster: Any, tmp_path: Path) -> None:
    space.apply(config_map("podcov-wrapper-unused", LABEL))
    refused = space.podcov("clean", "--all-namespaces", "--dry-run", cwd=tmp_path, check=False)
    assert refused.returncode == 2
    assert "forbidden: list on namespaces in the whole cluster" in refused.stderr
    everywhere = (Path(sys.executable).with_name("podcov"), "clean", "--all-namespaces", "--dry-run", "--min-age", "0")
    line = f"would be removed: configmap/podcov-wrapper-unused in namespace {space.name}\n"
    assert line in cluster.run(*everywhere, cwd=tmp_path).stdout
